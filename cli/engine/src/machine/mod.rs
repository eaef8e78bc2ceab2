//! Decides what a run does next.
//!
//! [`Machine::handle`] takes one input (an effect's result, a look at the measurements, a
//! command) and the time, and answers with the facts that follow from it, already folded into its
//! [`State`]. The runner writes them down and then performs the effects that they start. There is
//! no I/O, no clock and no randomness here, so everything a run can decide is tested as a table.
//!
//! | module | subject |
//! | --- | --- |
//! | `inputs` | what each kind of input leads to |
//! | `commands` | what a person may ask |
//! | `guard` | what is watched, and what only a person can settle |
//! | `forward` | gates, weights, proofs, steps |
//! | `back` | the way back, and when it is closed |
//! | this one | the machine itself, its time, its facts |

use std::time::Duration;

use cutover_scenarios::plan::Gate;
use cutover_scenarios::units::Weight;
use jiff::Timestamp;

use crate::assess::{Assessment, Verdict};
use crate::fact::{Drift, Effect, Fact, Output};
use crate::gate;
use crate::phase::{Outcome, Phase};
use crate::state::State;
use crate::view::{Command, Progress};

mod back;
mod commands;
mod forward;
mod guard;
mod inputs;

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
        /// Who asked for it.
        by: String,
        /// Whatever state the source is in.
        force: bool,
    },
    /// An effect came to its end.
    Done {
        /// The intent's id.
        id: u32,
        /// What it yielded.
        result: Result<Output, EffectError>,
    },
    /// The live weight, read while nothing was being written.
    Observed {
        /// What the shifter reads.
        weight: Weight,
        /// Who wrote it, as far as the live system tells.
        writer: Option<String>,
    },
    /// A webhook opened the gate of a step.
    GateOpened {
        /// Index into the plan's steps.
        step: usize,
        /// Which webhook, without anything secret.
        by: String,
    },
    /// The driver did not run for so long.
    Stalled(Duration),
    /// The run has waited for this, as the waiting is told, for longer than a moment.
    WaitsLong(String),
    /// A notification was delivered, or given up.
    Notified(Fact),
    /// Time has passed; this is what the measurements say.
    Tick(&'a Assessment),
    /// A person or a signal asks for something.
    Command {
        /// What.
        command: Command,
        /// Who asks.
        by: String,
    },
}

/// Why an effect came to a bad end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EffectError {
    /// The whole chain of causes as one line.
    #[error("{0}")]
    Failed(String),
    /// Someone else had changed the weight; nothing was written.
    #[error("{0}")]
    Drifted(Drift),
}

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
    /// The source broke the same objective since then, and its evidence still stands.
    shared_unsettled: bool,
    /// Since when measurements have been missing.
    missing_since: Option<Duration>,
    /// Why the source is worse than the target, as it was seen last.
    source_worse: Option<String>,
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
            shared_unsettled: false,
            missing_since: None,
            source_worse: None,
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
                Input::TakeBack { applied, by, force } => self.take_back(applied, by, force),
                Input::Done { id, result } => self.done(now, id, result),
                Input::Observed { weight, writer } => self.observed(weight, writer),
                Input::GateOpened { step, by } => self.gate_opened(step, by),
                Input::Stalled(gap) => self.stalled(gap),
                Input::WaitsLong(reason) => self.emit(Fact::WaitsLong { reason }),
                Input::Notified(fact) => self.emit(fact),
                Input::Tick(assessment) => self.tick(now, assessment),
                Input::Command { command, by } => self.command(command, by),
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
        if let Some(reason) = self.needs_person() {
            return Some(reason);
        }
        if let Some(down) = &assessment.source_down
            && self.state.applied != Some(Weight::FULL)
        {
            return Some(format!("the source to recover: {down}"));
        }
        if self.shared_unsettled {
            return Some("both stacks to recover: they break the same objective".to_owned());
        }
        if self.state.holding && self.timed().is_some_and(|total| self.spent >= total) {
            return Some("a person to continue (held at this weight)".to_owned());
        }
        if let Some(step) = self.step_to_set() {
            if let Some(down) = &assessment.source_down {
                return Some(format!("the source to be there to go back to: {down}"));
            }
            let held = || {
                let held = "a person to continue (held before the next step)";
                self.state.holding.then(|| held.to_owned())
            };
            let Some(gate) = self.closed_gate(now, step) else {
                return held();
            };
            return match gate {
                Gate::Manual => Some(format!("a person to open the gate before {}", step.weight)),
                other @ (Gate::Window(_) | Gate::Webhook(_)) => {
                    Some(format!("the {}", gate::describe(other)))
                }
            };
        }
        let total = self.timed()?;
        if self.spent < total && !self.state.advance {
            return None;
        }
        match self.weigh(assessment) {
            Verdict::Pass => self.unproven(assessment),
            Verdict::Inconclusive { reason, .. } => Some(reason),
            Verdict::Breach(_) => None,
        }
    }

    // ---- time ----------------------------------------------------------------------------

    fn pass_time(&mut self, elapsed: Duration) {
        let last = self.last_look.replace(elapsed).unwrap_or(elapsed);
        let counts = self.timed().is_some()
            && self.needs_person().is_none()
            && self.state.in_flight.is_none();
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
mod properties;
#[cfg(test)]
mod tests;
