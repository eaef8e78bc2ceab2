//! Decides what a run does next.
//!
//! [`Machine::handle`] takes one input (an effect's result, a look at the measurements, a
//! command) and the time, and answers with the facts that follow from it, already folded into its
//! [`State`]. The runner writes them down and then performs the effects that they start. There is
//! no I/O, no clock and no randomness here, so everything a run can decide is tested as a table.

use std::time::Duration;

use cutover_scenarios::plan::{Gate, OnBreach, Step};
use cutover_scenarios::units::Weight;
use jiff::Timestamp;

use crate::assess::{Assessment, Verdict, verdict};
use crate::fact::{Effect, Fact, Output, RollbackCause};
use crate::gate;
use crate::phase::{Outcome, Phase};
use crate::state::State;
use crate::view::{Command, Progress};

/// The time at which something is decided.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// Since the driver began; never jumps. Holds are counted with it.
    pub elapsed: Duration,
    /// Wall clock; only window gates look at it.
    pub wall: Timestamp,
}

/// Something that happened.
#[derive(Debug)]
pub enum Input<'a> {
    /// The run begins.
    Begin,
    /// A killed run was taken over, and the shifter reads this weight.
    Resume {
        /// The live weight.
        applied: Weight,
    },
    /// A killed run was taken over to be taken back; the shifter reads this weight.
    TakeBack {
        /// The live weight; `None` when nothing was ever shifted and nobody can be asked.
        applied: Option<Weight>,
    },
    /// Nobody sits at the screen any more.
    Unattended,
    /// An effect came to its end.
    Done {
        /// The intent's id.
        id: u32,
        /// What it yielded, or the whole chain of causes as one line.
        result: Result<Output, String>,
    },
    /// Time has passed; this is what the measurements say.
    Tick(&'a Assessment),
    /// A person or a signal asks for something.
    Command(Command),
}

/// Attempts to write the rollback's weight before a person is called.
const ROLLBACK_ATTEMPTS: u32 = 6;

/// The wait before the second attempt; it doubles from there.
const ROLLBACK_BACKOFF: Duration = Duration::from_millis(200);

/// While both stacks break an objective, evidence is gathered anew at most this often.
const SHARED_PAUSE: Duration = Duration::from_secs(10);

/// The most that one look at the clock adds to a hold. A driver that was stopped for a minute has
/// not watched for a minute.
const LONGEST_TICK: Duration = Duration::from_secs(1);

/// A run and what it knows of the time.
#[derive(Debug)]
pub struct Machine {
    state: State,
    /// A person can be asked; without one, a run that would wait for a person ends.
    attended: bool,
    /// Counted towards the current hold, qualification or bake.
    spent: Duration,
    last_look: Option<Duration>,
    retry_rollback_at: Option<Duration>,
    /// When evidence was last gathered anew because the source broke the same objective.
    last_shared: Option<Duration>,
    facts: Vec<Fact>,
}

impl Machine {
    /// A machine that goes on from `state`.
    #[must_use]
    pub fn new(state: State, attended: bool) -> Self {
        Machine {
            state,
            attended,
            spent: Duration::ZERO,
            last_look: None,
            retry_rollback_at: None,
            last_shared: None,
            facts: Vec::new(),
        }
    }

    /// The run as it stands.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// What follows from `input`: facts to write down, in order, before any effect that they
    /// start is performed.
    pub fn handle(&mut self, now: Now, input: Input<'_>) -> Vec<Fact> {
        self.pass_time(now.elapsed);
        if self.state.outcome.is_none() {
            match input {
                Input::Begin => self.enter_and_start(Phase::Inspect, Effect::Inspect),
                Input::Resume { applied } => self.resume(applied),
                Input::TakeBack { applied } => self.take_back(applied),
                Input::Unattended => self.attended = false,
                Input::Done { id, result } => self.done(now, id, result),
                Input::Tick(assessment) => self.tick(now, assessment),
                Input::Command(command) => self.command(command),
            }
        }
        std::mem::take(&mut self.facts)
    }

    /// How far the timed phase is.
    #[must_use]
    pub fn progress(&self) -> Option<Progress> {
        self.timed().map(|total| Progress {
            spent: self.spent.min(total),
            total,
        })
    }

    /// What the run waits for, as it follows "waiting for"; `None` when it goes on.
    #[must_use]
    pub fn waiting_for(&self, now: Now, assessment: &Assessment) -> Option<String> {
        if self.state.outcome.is_some() || self.state.in_flight.is_some() {
            return None;
        }
        if self.state.phase == Phase::Rollback {
            return self
                .retry_rollback_at
                .map(|_| "the next attempt to roll back".to_owned());
        }
        if let Some(breach) = &self.state.breach {
            return Some(format!(
                "a person: `{}` is broken and the plan says hold",
                breach.objective
            ));
        }
        if self.state.paused {
            return Some("a person to continue (paused)".to_owned());
        }
        if let Some(step) = self.step_to_set() {
            return match self.closed_gate(now, step)? {
                Gate::Manual => Some(format!("a person to open the gate before {}", step.weight)),
                window @ Gate::Window(_) => Some(format!("the {}", gate::describe(window))),
            };
        }
        let total = self.timed()?;
        if self.spent < total && !self.state.advance {
            return None;
        }
        match self.weigh(assessment) {
            Verdict::Inconclusive(reason) => Some(reason),
            Verdict::Pass | Verdict::Breach(_) => None,
        }
    }

    // ---- time ----------------------------------------------------------------------------

    fn pass_time(&mut self, elapsed: Duration) {
        let last = self.last_look.replace(elapsed).unwrap_or(elapsed);
        let counts = self.timed().is_some() && !self.state.paused && self.state.in_flight.is_none();
        if counts {
            self.spent += elapsed.saturating_sub(last).min(LONGEST_TICK);
        }
    }

    /// How long the current phase or hold is to last, when it is one that lasts.
    fn timed(&self) -> Option<Duration> {
        let plan = &self.state.plan;
        match self.state.phase {
            Phase::Qualify => Some(plan.qualify),
            Phase::Shift if self.state.step_applied => self
                .state
                .step
                .and_then(|step| plan.steps.get(step))
                .map(|step| step.hold),
            Phase::Bake => Some(plan.bake),
            _ => None,
        }
    }

    // ---- inputs --------------------------------------------------------------------------

    fn resume(&mut self, applied: Weight) {
        self.emit(Fact::Reobserved { applied });
        self.spent = Duration::ZERO;
        if self.state.rollback.is_some() {
            self.begin_rollback();
            return;
        }
        if self.breach_leads_back() {
            self.go_back(RollbackCause::Breach);
            return;
        }
        match self.state.phase {
            Phase::Inspect => self.enter_and_start(Phase::Inspect, Effect::Inspect),
            Phase::Preflight => self.start(Effect::Preflight),
            Phase::Deploy => self.start(Effect::Deploy),
            Phase::Bake if applied != Weight::FULL => {
                self.start(Effect::SetWeight {
                    weight: Weight::FULL,
                });
            }
            Phase::Shift if self.state.step.is_none() => self.emit(Fact::StepReached { step: 0 }),
            // A shift goes on by writing its step's weight again, at the next tick.
            Phase::Qualify | Phase::Shift | Phase::Bake | Phase::Rollback | Phase::Ended => {}
        }
    }

    fn take_back(&mut self, applied: Option<Weight>) {
        if let Some(applied) = applied {
            self.emit(Fact::Reobserved { applied });
        }
        self.emit(Fact::Commanded {
            command: Command::Rollback,
        });
        self.go_back(RollbackCause::Asked);
    }

    fn done(&mut self, now: Now, id: u32, result: Result<Output, String>) {
        let Some((in_flight, effect)) = self.state.in_flight else {
            return;
        };
        if in_flight != id {
            return;
        }
        match result {
            Ok(output) => {
                self.emit(Fact::EffectSucceeded { id, output });
                self.succeeded(effect);
            }
            Err(error) => {
                self.emit(Fact::EffectFailed {
                    id,
                    error: error.clone(),
                });
                self.failed(now, effect, error);
            }
        }
    }

    fn succeeded(&mut self, effect: Effect) {
        if self.state.rollback.is_some() && self.state.phase != Phase::Rollback {
            self.begin_rollback();
            return;
        }
        match effect {
            Effect::Inspect => self.enter_and_start(Phase::Preflight, Effect::Preflight),
            Effect::Preflight => self.enter_and_start(Phase::Deploy, Effect::Deploy),
            Effect::Deploy => self.enter(Phase::Qualify),
            Effect::SetWeight { .. } if self.state.phase == Phase::Rollback => self.rolled_back(),
            Effect::SetWeight { .. } => self.spent = Duration::ZERO,
        }
    }

    fn failed(&mut self, now: Now, effect: Effect, error: String) {
        match effect {
            Effect::Inspect | Effect::Preflight | Effect::Deploy => {
                self.end(Outcome::Failed, error);
            }
            Effect::SetWeight { .. } if self.state.phase == Phase::Rollback => {
                let attempts = self.state.failed_rollbacks;
                if attempts >= ROLLBACK_ATTEMPTS {
                    self.end(
                        Outcome::Stuck,
                        format!("the rollback failed {attempts} times, the last time: {error}"),
                    );
                } else {
                    let wait = ROLLBACK_BACKOFF * 2_u32.saturating_pow(attempts.saturating_sub(1));
                    self.retry_rollback_at = Some(now.elapsed + wait);
                }
            }
            Effect::SetWeight { .. } => {
                if self.state.rollback.is_none() {
                    self.emit(Fact::RollbackDecided {
                        cause: RollbackCause::Failure(error),
                    });
                }
                self.begin_rollback();
            }
        }
    }

    fn command(&mut self, command: Command) {
        let state = &self.state;
        let means_something = match command {
            Command::Pause => !state.paused && state.rollback.is_none(),
            Command::Continue => state.paused && state.rollback.is_none(),
            // The bake cannot be cut short: what it proves is time.
            Command::Advance => {
                state.rollback.is_none() && state.breach.is_none() && state.phase != Phase::Bake
            }
            Command::Rollback | Command::Interrupt => state.rollback.is_none(),
        };
        if !means_something {
            return;
        }
        self.emit(Fact::Commanded { command });
        match command {
            Command::Rollback => self.go_back(RollbackCause::Asked),
            Command::Interrupt => self.go_back(RollbackCause::Signal),
            Command::Pause | Command::Continue | Command::Advance => {}
        }
    }

    fn tick(&mut self, now: Now, assessment: &Assessment) {
        if self.state.phase == Phase::Rollback {
            self.retry_rollback(now);
            return;
        }
        self.watch(now, assessment);
        let busy = self.state.in_flight.is_some() || self.state.rollback.is_some();
        if self.state.outcome.is_some() || busy || self.state.breach.is_some() || self.state.paused
        {
            return;
        }
        if let Some(step) = self.step_to_set() {
            if self.closed_gate(now, step).is_none() {
                self.start(Effect::SetWeight {
                    weight: step.weight,
                });
            }
            return;
        }
        let Some(total) = self.timed() else { return };
        if (self.spent >= total || self.state.advance) && self.weigh(assessment) == Verdict::Pass {
            self.advance(assessment);
        }
    }

    // ---- decisions -----------------------------------------------------------------------

    /// The guard: on from the first paired request until the run ends.
    fn watch(&mut self, now: Now, assessment: &Assessment) {
        let armed = matches!(
            self.state.phase,
            Phase::Qualify | Phase::Shift | Phase::Bake
        );
        if !armed || self.state.rollback.is_some() {
            return;
        }
        if self.state.breach.is_none()
            && let Some(breach) = &assessment.breach
        {
            if breach.source_breaks_too {
                // What hurts both stacks (a dependency, a stalled machine) is no reason to leave
                // the target, and no time to advance either.
                self.spent = Duration::ZERO;
                if self
                    .last_shared
                    .is_none_or(|last| now.elapsed >= last + SHARED_PAUSE)
                {
                    self.last_shared = Some(now.elapsed);
                    self.emit(Fact::BreachShared {
                        breach: breach.clone(),
                    });
                }
                return;
            }
            self.emit(Fact::Breached {
                breach: breach.clone(),
            });
            if self.breach_leads_back() {
                self.go_back(RollbackCause::Breach);
                return;
            }
        }
        if assessment.nobody_answers() && self.state.shifted && self.state.breach.is_none() {
            let cause = format!(
                "nobody answers through the edge: {} requests failed in a row",
                assessment.unanswered
            );
            self.go_back(RollbackCause::Failure(cause));
            return;
        }
        if let Some(breach) = &self.state.breach
            && !self.attended
            && self.state.in_flight.is_none()
        {
            let message = format!("`{}` is broken and the plan says hold", breach.objective);
            self.end(Outcome::Held, message);
        }
    }

    fn breach_leads_back(&self) -> bool {
        let helps = self
            .state
            .breach
            .as_ref()
            .is_some_and(|breach| !breach.source_breaks_too);
        helps && self.state.plan.on_breach == OnBreach::Rollback
    }

    fn weigh(&self, assessment: &Assessment) -> Verdict {
        let plan = &self.state.plan;
        let (weight, min_requests) = match self.state.phase {
            Phase::Qualify if plan.load.paired <= 0.0 => (None, 0),
            Phase::Qualify => (None, plan.min_requests),
            _ => (self.state.applied, plan.min_requests),
        };
        // While the load ramps up it sends less than its rate.
        let full_rate_for = self.spent.saturating_sub(plan.load.ramp);
        verdict(
            assessment,
            weight,
            min_requests,
            plan.load.rate,
            full_rate_for,
        )
    }

    fn advance(&mut self, assessment: &Assessment) {
        match self.state.phase {
            Phase::Qualify => {
                self.emit(Fact::QualifyPassed);
                self.enter(Phase::Shift);
                self.emit(Fact::StepReached { step: 0 });
            }
            Phase::Shift => {
                let Some(step) = self.state.step else { return };
                let mut observed = assessment.seen;
                observed.held = self.spent;
                self.emit(Fact::StepPassed { step, observed });
                if step + 1 < self.state.plan.steps.len() {
                    self.emit(Fact::StepReached { step: step + 1 });
                } else {
                    self.enter(Phase::Bake);
                }
            }
            Phase::Bake => self.end(
                Outcome::Done,
                "the target carries all traffic and the bake is over".to_owned(),
            ),
            _ => {}
        }
    }

    /// The step whose weight is to be written next.
    fn step_to_set(&self) -> Option<&Step> {
        let waiting = self.state.phase == Phase::Shift && !self.state.step_applied;
        self.state
            .step
            .filter(|_| waiting)
            .and_then(|step| self.state.plan.steps.get(step))
    }

    fn closed_gate<'a>(&self, now: Now, step: &'a Step) -> Option<&'a Gate> {
        // A step whose weight was asked for before has its gate behind it.
        if self.state.set == step.weight && self.state.shifted {
            return None;
        }
        step.gate.as_ref().filter(|gate| match gate {
            Gate::Manual => !self.state.advance,
            Gate::Window(window) => !gate::is_open(window, now.wall),
        })
    }

    fn go_back(&mut self, cause: RollbackCause) {
        let signal = cause == RollbackCause::Signal;
        let breach = cause == RollbackCause::Breach;
        self.emit(Fact::RollbackDecided { cause });
        if !self.state.shifted && !breach {
            let outcome = if signal {
                Outcome::Interrupted
            } else {
                Outcome::RolledBack
            };
            self.end(outcome, "no traffic had been shifted".to_owned());
        } else if self.state.in_flight.is_none() {
            self.begin_rollback();
        }
        // Otherwise the effect under way ends first: two writes at once could land in any order.
    }

    fn begin_rollback(&mut self) {
        if self.state.phase != Phase::Rollback {
            self.enter(Phase::Rollback);
        }
        self.start(Effect::SetWeight {
            weight: Weight::ZERO,
        });
    }

    fn retry_rollback(&mut self, now: Now) {
        if self.state.in_flight.is_none()
            && self.retry_rollback_at.is_none_or(|at| now.elapsed >= at)
        {
            self.retry_rollback_at = None;
            self.start(Effect::SetWeight {
                weight: Weight::ZERO,
            });
        }
    }

    fn rolled_back(&mut self) {
        let (outcome, message) = match &self.state.rollback {
            Some(RollbackCause::Signal) => (
                Outcome::Interrupted,
                "ended by a signal; all traffic is back on the source".to_owned(),
            ),
            Some(RollbackCause::Failure(error)) => (
                Outcome::RolledBack,
                format!("a step failed ({error}); all traffic is back on the source"),
            ),
            Some(RollbackCause::Breach) => {
                let objective = self
                    .state
                    .breach
                    .as_ref()
                    .map_or("", |b| b.objective.as_str());
                (
                    Outcome::RolledBack,
                    format!("`{objective}` was broken; all traffic is back on the source"),
                )
            }
            Some(RollbackCause::Asked) | None => (
                Outcome::RolledBack,
                "rolled back as asked; all traffic is back on the source".to_owned(),
            ),
        };
        self.end(outcome, message);
    }

    // ---- facts ---------------------------------------------------------------------------

    fn enter_and_start(&mut self, phase: Phase, effect: Effect) {
        self.enter(phase);
        self.start(effect);
    }

    fn enter(&mut self, phase: Phase) {
        self.spent = Duration::ZERO;
        self.emit(Fact::PhaseEntered { phase });
    }

    fn start(&mut self, effect: Effect) {
        self.emit(Fact::EffectStarted {
            id: self.state.next_effect,
            effect,
        });
    }

    fn end(&mut self, outcome: Outcome, message: String) {
        self.emit(Fact::RunEnded { outcome, message });
    }

    fn emit(&mut self, fact: Fact) {
        let applied = self.state.apply(&fact);
        debug_assert_eq!(
            applied,
            Ok(()),
            "the machine decided an impossible {fact:?}"
        );
        self.facts.push(fact);
    }
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
