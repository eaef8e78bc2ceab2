//! The state of a run, folded from its facts.

use cutover_scenarios::plan::Plan;
use cutover_scenarios::units::Weight;

use crate::fact::{
    BreachFact, Drift, Effect, FORMAT, Fact, Output, Record, RollbackCause, StepObservation,
};
use crate::phase::{Outcome, Phase};
use crate::view::Command;

/// A run as its journal tells it.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    /// Id of the run.
    pub run: String,
    /// What is carried out.
    pub plan: Plan,
    /// A fault that the rehearsal adds to the target.
    pub fault: Option<String>,
    /// Where the run stands.
    pub phase: Phase,
    /// The step that was reached last.
    pub step: Option<usize>,
    /// The current step's weight was written and read back.
    pub step_applied: bool,
    /// What was applied and measured, for each step of the plan.
    pub steps: Vec<StepRecord>,
    /// The effect whose outcome is not known yet; taking back is one too.
    pub in_flight: Option<(u32, Effect)>,
    /// What is under way takes back what was written.
    pub undoing: bool,
    /// The first effect that wrote a weight: what taking back begins with.
    pub first_write: Option<u32>,
    /// Id of the next effect.
    pub next_effect: u32,
    /// What was asked for last.
    pub set: Weight,
    /// What was read back last; `None` while it is in doubt.
    pub applied: Option<Weight>,
    /// What was read back before the write whose outcome is in doubt.
    pub before: Option<Weight>,
    /// A write of a weight was ever begun, so there may be something to take back.
    pub shifted: bool,
    /// A person paused the run.
    pub paused: bool,
    /// A person wants the run to stay at this weight when its hold is over.
    pub holding: bool,
    /// A person asked for the current gate to open or the current hold to end.
    pub advance: bool,
    /// A webhook opened the gate of the current step.
    pub gate_open: bool,
    /// Someone else changed the live weight, and no person has looked at it yet.
    pub drift: Option<Drift>,
    /// A person has looked at a foreign change: what was set last is to be written again.
    pub restore: bool,
    /// Measurements stayed away for too long, and no person has looked at it yet.
    pub missing: Option<String>,
    /// Traffic would go back for this cause, but stays for this reason.
    pub withheld: Option<(RollbackCause, String)>,
    /// A weight was begun from which the plan does not go back by itself.
    pub past_return: bool,
    /// The file that `rollback --from` takes.
    pub snapshot: Option<String>,
    /// Who took the run over last, as it was recorded.
    pub driver: Option<Fact>,
    /// How often evidence was gathered anew; each time spends less of α.
    pub judges: u32,
    /// The evidence that broke an objective.
    pub breach: Option<BreachFact>,
    /// Why traffic goes back; set from the moment it was decided.
    pub rollback: Option<RollbackCause>,
    /// Failed attempts to write the rollback's weight.
    pub failed_rollbacks: u32,
    /// Where the parts of the stacks answer.
    pub addresses: Vec<(String, String)>,
    /// How the run ended.
    pub outcome: Option<(Outcome, String)>,
    /// The phase in which it ended.
    pub ended_in: Option<Phase>,
}

/// What the journal knows of one step.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct StepRecord {
    /// The weight that was read back.
    pub applied: Option<Weight>,
    /// What was measured; `None` until the step passed.
    pub observed: Option<StepObservation>,
}

/// A journal that cannot have been written by this product.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ImpossibleFact {
    /// The first record is not `run_created`.
    #[error(
        "the journal does not begin with `run_created`: the run was killed before its first record, and has touched nothing; begin anew"
    )]
    NoBeginning,
    /// The journal was written by another version.
    #[error(
        "the journal has format {0}, this version reads {FORMAT}; use the version that wrote it"
    )]
    OtherFormat(u32),
    /// A record does not follow from the ones before it.
    #[error("record {seq}: {problem}")]
    OutOfOrder {
        /// The record's number.
        seq: u64,
        /// What is wrong with it.
        problem: String,
    },
}

impl State {
    /// The state after the first record.
    ///
    /// # Errors
    /// When the record does not begin a journal, or its format is newer than this version.
    pub fn begin(record: &Record) -> Result<Self, ImpossibleFact> {
        let Fact::RunCreated {
            format,
            run,
            plan,
            fault,
        } = &record.fact
        else {
            return Err(ImpossibleFact::NoBeginning);
        };
        if *format != FORMAT {
            return Err(ImpossibleFact::OtherFormat(*format));
        }
        Ok(State {
            run: run.clone(),
            steps: vec![StepRecord::default(); plan.steps.len()],
            plan: plan.as_ref().clone(),
            fault: fault.clone(),
            phase: Phase::Inspect,
            step: None,
            step_applied: false,
            in_flight: None,
            undoing: false,
            first_write: None,
            next_effect: 0,
            set: Weight::ZERO,
            applied: None,
            before: None,
            shifted: false,
            paused: false,
            holding: false,
            advance: false,
            gate_open: false,
            drift: None,
            restore: false,
            missing: None,
            withheld: None,
            past_return: false,
            snapshot: None,
            driver: None,
            judges: 0,
            breach: None,
            rollback: None,
            failed_rollbacks: 0,
            addresses: Vec::new(),
            outcome: None,
            ended_in: None,
        })
    }

    /// The state that a whole journal tells.
    ///
    /// # Errors
    /// When a record cannot follow the ones before it.
    pub fn replay(records: &[Record]) -> Result<Self, ImpossibleFact> {
        let (first, rest) = records.split_first().ok_or(ImpossibleFact::NoBeginning)?;
        let mut state = State::begin(first)?;
        for (expected, record) in (first.seq + 1..).zip(rest) {
            if record.seq != expected {
                return Err(ImpossibleFact::OutOfOrder {
                    seq: record.seq,
                    problem: format!("expected number {expected}; records are missing"),
                });
            }
            state
                .apply(&record.fact)
                .map_err(|problem| ImpossibleFact::OutOfOrder {
                    seq: record.seq,
                    problem,
                })?;
        }
        Ok(state)
    }

    /// The one transition function: live running and recovery both go through it.
    ///
    /// # Errors
    /// When the fact cannot follow the ones before it: a damaged journal, never a live run.
    pub fn apply(&mut self, fact: &Fact) -> Result<(), String> {
        let may_follow_the_end = matches!(fact, Fact::DriverStarted { .. } | Fact::Notified { .. });
        if self.outcome.is_some() && !may_follow_the_end {
            return Err("the run has ended, nothing may follow".to_owned());
        }
        match fact {
            Fact::RunCreated { .. } => return Err("a second `run_created`".to_owned()),
            Fact::DriverStarted { .. } => {
                self.reopen();
                self.doubt_in_flight();
                self.judges += 1;
                self.driver = Some(fact.clone());
            }
            Fact::Reobserved { applied } => self.applied = Some(*applied),
            Fact::PhaseEntered { phase } => {
                self.phase = *phase;
                self.advance = false;
            }
            Fact::EffectStarted { id, effect } => self.start(*id, *effect)?,
            Fact::EffectSucceeded { id, output } => {
                let effect = self.finish(*id)?;
                self.succeeded(effect, output);
            }
            Fact::EffectFailed { id, .. } => {
                self.finish(*id)?;
            }
            Fact::UndoStarted { id, weight } => self.start_undo(*id, *weight)?,
            Fact::Undone { id, weight } => {
                self.finish(*id)?;
                self.applied = Some(*weight);
            }
            Fact::UndoFailed { id, .. } => {
                self.finish(*id)?;
                self.failed_rollbacks += 1;
            }
            Fact::DriftFound { drift } => {
                self.applied = Some(drift.found);
                self.drift = Some(drift.clone());
            }
            Fact::MissingTooLong { reason } => self.missing = Some(reason.clone()),
            Fact::GateOpened { .. } => self.gate_open = true,
            Fact::DriverStalled { .. } | Fact::Notified { .. } | Fact::WaitsLong { .. } => {}
            Fact::StepReached { step } => {
                if *step >= self.steps.len() {
                    return Err(format!("the plan has no step {step}"));
                }
                self.step = Some(*step);
                self.step_applied = false;
                self.advance = false;
                self.gate_open = false;
            }
            Fact::StepPassed { step, observed } => {
                let entry = self
                    .steps
                    .get_mut(*step)
                    .ok_or("a step that the plan lacks")?;
                entry.observed = Some(*observed);
                self.advance = false;
            }
            Fact::QualifyPassed => self.advance = false,
            Fact::Commanded { command, .. } => self.commanded(*command),
            Fact::BreachShared { .. } => self.judges += 1,
            Fact::Breached { breach } => self.breach = Some(breach.clone()),
            Fact::RollbackWithheld { cause, reason } => {
                self.withheld = Some((cause.clone(), reason.clone()));
            }
            Fact::RollbackDecided { cause } => {
                self.withheld = None;
                self.rollback = Some(cause.clone());
            }
            Fact::RunEnded { outcome, message } => {
                self.outcome = Some((*outcome, message.clone()));
                self.ended_in = Some(self.phase);
                self.phase = Phase::Ended;
            }
        }
        Ok(())
    }

    /// Whether a person may take the run up again after its end: it waits for one.
    #[must_use]
    pub fn waits_for_a_person(&self) -> bool {
        matches!(self.outcome, Some((Outcome::Held | Outcome::Stuck, _)))
    }

    fn reopen(&mut self) {
        if self.waits_for_a_person() {
            // A person has looked at it: what comes is judged on evidence of its own.
            if self.rollback.is_none() {
                self.breach = None;
            }
            self.outcome = None;
            self.phase = self.ended_in.take().unwrap_or(self.phase);
            self.failed_rollbacks = 0;
        }
    }

    /// A new driver cannot know whether the old one's last effect happened; effects are
    /// idempotent, so it is forgotten here and repeated when it is needed.
    fn doubt_in_flight(&mut self) {
        self.in_flight = None;
        self.undoing = false;
        self.step_applied = false;
        self.paused = false;
        self.holding = false;
        self.drift = None;
        self.restore = false;
        self.missing = None;
        self.withheld = None;
    }

    fn commanded(&mut self, command: Command) {
        match command {
            Command::Pause => self.paused = true,
            Command::Hold => self.holding = true,
            Command::Continue => {
                self.paused = false;
                self.holding = false;
                self.missing = None;
                self.withheld = None;
                // What was set last is written again, over what was found.
                self.restore |= self.drift.take().is_some();
            }
            Command::Advance => {
                self.advance = true;
                self.holding = false;
            }
            Command::Approve => self.advance = true,
            // Asking decides: a crash right after must not forget it.
            Command::Rollback { .. } => self.rollback = Some(RollbackCause::Asked),
            Command::Interrupt | Command::Abort => {}
        }
    }

    fn start(&mut self, id: u32, effect: Effect) -> Result<(), String> {
        if let Some((running, _)) = self.in_flight {
            return Err(format!(
                "effect {id} starts while effect {running} is under way"
            ));
        }
        if id != self.next_effect {
            return Err(format!("expected effect {}, found {id}", self.next_effect));
        }
        self.next_effect += 1;
        self.in_flight = Some((id, effect));
        if matches!(effect, Effect::SetWeight { .. } | Effect::ProveWayBack) {
            self.first_write.get_or_insert(id);
        }
        if let Effect::SetWeight { weight, .. } = effect {
            self.write_begins(weight);
            let point = self.plan.point_of_no_return;
            self.past_return |= point.is_some_and(|point| weight >= point);
        }
        Ok(())
    }

    fn start_undo(&mut self, id: u32, weight: Weight) -> Result<(), String> {
        if let Some((running, _)) = self.in_flight {
            return Err(format!(
                "taking back starts while effect {running} is under way"
            ));
        }
        if self.first_write != Some(id) {
            return Err(format!("effect {id} is taken back, which wrote nothing"));
        }
        let replaces = None;
        self.in_flight = Some((id, Effect::SetWeight { weight, replaces }));
        self.undoing = true;
        self.write_begins(weight);
        Ok(())
    }

    fn write_begins(&mut self, weight: Weight) {
        self.restore = false;
        self.before = self.applied.take().or(self.before);
        self.set = weight;
        self.shifted = true;
    }

    /// Whether this run may have left the live weight at `live` itself: what it read back last, or,
    /// while a write is in doubt, what was there before it or what it was to write.
    #[must_use]
    pub fn may_have_left(&self, live: Weight) -> bool {
        match self.applied {
            Some(applied) => applied == live,
            None => live == self.set || live == self.before.unwrap_or(Weight::ZERO),
        }
    }

    fn finish(&mut self, id: u32) -> Result<Effect, String> {
        self.undoing = false;
        match self.in_flight.take() {
            Some((running, effect)) if running == id => Ok(effect),
            Some((running, _)) => Err(format!(
                "effect {id} ends while effect {running} is under way"
            )),
            None => Err(format!("effect {id} ends but never started")),
        }
    }

    fn succeeded(&mut self, effect: Effect, output: &Output) {
        match output {
            Output::Addresses(addresses) => self.addresses.clone_from(addresses),
            Output::Applied(weight) => {
                self.applied = Some(*weight);
                if self.phase == Phase::Shift
                    && let (Effect::SetWeight { .. }, Some(step)) = (effect, self.step)
                    // Before its gate, what is restored is the weight of the step before.
                    && self.plan.steps.get(step).map(|step| step.weight) == Some(*weight)
                    && let Some(entry) = self.steps.get_mut(step)
                {
                    self.step_applied = true;
                    entry.applied = Some(*weight);
                    self.advance = false;
                }
            }
            Output::WayBack { snapshot, .. } => {
                self.snapshot = Some(snapshot.clone());
                // It was written and read back: the weight that every run begins with.
                self.applied = Some(Weight::ZERO);
            }
            Output::Nothing | Output::Findings(_) => {}
        }
    }
}
