//! Who is told what: facts become notes, and notes that did not arrive are sent again.
//!
//! Everything here is decided without clock and network; [`outbox`] carries it out.

use std::time::Duration;

use cutover_scenarios::plan::{Gate, Missing, NotifyOn};

use crate::fact::{Fact, Output, Record};
use crate::narrate;
use crate::phase::{Outcome, Phase};
use crate::ports::Note;
use crate::state::State;
use crate::view::Command;

pub mod outbox;

/// The first wait after an attempt that failed; each further one doubles it.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// No wait is longer.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// A receiver that failed this often has to be looked after by a person.
const MOST_ATTEMPTS: u32 = 10;
/// News that is older is none.
const LONGEST_TRY: Duration = Duration::from_secs(15 * 60);

/// The note that a fact is worth, if it is worth one. `state` is the state after the fact.
#[must_use]
pub fn note(state: &State, record: &Record) -> Option<Note> {
    let (on, text) = news(state, &record.fact)?;
    Some(Note {
        on,
        run: state.run.clone(),
        plan: state.plan.name.clone(),
        seq: record.seq,
        at: record.at,
        text,
        phase: state.phase,
        weight_percent: state.applied.map(|weight| weight.fraction() * 100.0),
        outcome: state.outcome.as_ref().map(|(outcome, _)| *outcome),
    })
}

/// Every fact is named here, so that a new one is not forgotten.
fn news(state: &State, fact: &Fact) -> Option<(NotifyOn, String)> {
    let on = match fact {
        Fact::DriverStarted { pid, host, .. } => {
            let text = if state.next_effect == 0 {
                format!("the run begins: process {pid} on {host}")
            } else {
                format!("the run was taken over by process {pid} on {host}")
            };
            return Some((NotifyOn::Start, text));
        }
        Fact::EffectSucceeded {
            output: Output::Applied(weight),
            ..
        } if state.phase == Phase::Shift && state.step_applied => {
            let step = state.step? + 1;
            let steps = state.plan.steps.len();
            let text = format!("step {step} of {steps}: the target's weight is {weight}");
            return Some((NotifyOn::Step, text));
        }
        Fact::StepReached { step } => {
            let step = state.plan.steps.get(*step)?;
            // Other gates open by themselves.
            let waits = step.gate == Some(Gate::Manual);
            let text = format!("waits for a person to open the gate before {}", step.weight);
            return waits.then_some((NotifyOn::Hold, text));
        }
        Fact::Commanded {
            command: Command::Pause | Command::Hold,
            ..
        } => NotifyOn::Hold,
        Fact::DriftFound { .. } | Fact::RollbackWithheld { .. } | Fact::WaitsLong { .. } => {
            NotifyOn::Hold
        }
        // Otherwise traffic goes back, and that is told.
        Fact::MissingTooLong { .. } if state.plan.on_missing.then == Missing::Hold => {
            NotifyOn::Hold
        }
        Fact::Breached { .. } => NotifyOn::Breach,
        Fact::RollbackDecided { .. } => NotifyOn::Rollback,
        Fact::RunEnded {
            outcome: Outcome::Failed,
            message,
        } => return Some((NotifyOn::Done, format!("failed: {message}"))),
        Fact::RunEnded { .. } => NotifyOn::Done,
        // Told by what they lead to: a step, a rollback, an end.
        Fact::Commanded { .. }
        | Fact::MissingTooLong { .. }
        | Fact::EffectFailed { .. }
        | Fact::UndoStarted { .. }
        | Fact::Undone { .. }
        | Fact::UndoFailed { .. }
        | Fact::GateOpened { .. }
        // Of no interest to who is not at the screen.
        | Fact::RunCreated { .. }
        | Fact::Reobserved { .. }
        | Fact::PhaseEntered { .. }
        | Fact::EffectStarted { .. }
        | Fact::EffectSucceeded { .. }
        | Fact::StepPassed { .. }
        | Fact::QualifyPassed
        | Fact::DriverStalled { .. }
        // A note about a note would have no end.
        | Fact::Notified { .. }
        // As long as both stacks are broken, this is recorded every few seconds.
        | Fact::BreachShared { .. } => return None,
    };
    let (_, text) = narrate::sentence(state, fact)?;
    Some((on, text))
}

/// How long to wait before a note is sent again, after `attempts` that failed, the first of them
/// `tried_for` ago; `None` when it is given up.
#[must_use]
pub fn wait_before_retry(attempts: u32, tried_for: Duration) -> Option<Duration> {
    let doublings = attempts.saturating_sub(1).min(16);
    let wait = (FIRST_WAIT * 2_u32.pow(doublings)).min(LONGEST_WAIT);
    (attempts < MOST_ATTEMPTS && tried_for + wait <= LONGEST_TRY).then_some(wait)
}

#[cfg(test)]
mod tests;
