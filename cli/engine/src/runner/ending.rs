//! The end of a drive: the last answers, the traffic saved when nothing can be recorded, and what
//! a person does next.

use std::time::Duration;

use cutover_scenarios::units::Weight;
use tokio::time::{sleep, timeout};

use super::{Runner, effects, next_sample};
use crate::fact::RollbackCause;
use crate::journal::JournalError;
use crate::lock::LeaseLost;
use crate::narrate;
use crate::phase::Outcome;
use crate::ports::Shifter;
use crate::report::{LeftAs, Measured};
use crate::state::State;
use crate::view::Level;

/// Attempts to take the weight back when nothing can be recorded, and the pause before each.
const SAVING_ATTEMPTS: u32 = 4;
const SAVING_PAUSE: Duration = Duration::from_millis(300);

/// Takes traffic back with nothing but the shifter, when nothing can be recorded for the reason
/// `why`.
pub async fn take_back_unrecorded(shifter: &dyn Shifter, why: &str) -> LeftAs {
    match take_back(shifter, Weight::ZERO).await {
        Ok(()) => LeftAs {
            outcome: Outcome::RolledBack,
            message: format!("{why}; all traffic is back on the source"),
            weight: Some((Weight::ZERO, Some(Weight::ZERO))),
        },
        Err(error) => LeftAs {
            outcome: Outcome::Stuck,
            message: format!("{why}; and the rollback failed: {error}"),
            weight: Some((Weight::ZERO, None)),
        },
    }
}

/// Writes the weight that was there before, and reads it back; tries again for some seconds.
///
/// # Errors
/// What the last attempt met.
pub async fn take_back(shifter: &dyn Shifter, weight: Weight) -> Result<(), String> {
    let mut last = String::new();
    for attempt in 0..SAVING_ATTEMPTS {
        sleep(SAVING_PAUSE * attempt).await;
        match effects::set_weight(shifter, weight).await {
            Ok(_) => return Ok(()),
            Err(error) => last = error.to_string(),
        }
    }
    Err(last)
}

impl Runner {
    /// Ends the load and takes in what was still on its way.
    pub(super) async fn finish_load(&mut self, at_once: bool) {
        let Some(mut load) = self.ports.load.take() else {
            return;
        };
        load.stop();
        if self.samples.is_none() {
            return;
        }
        let limit = if at_once {
            Duration::from_millis(300)
        } else {
            self.machine.state().plan.load.timeout + Duration::from_secs(1)
        };
        let drained = async {
            while let Some(sample) = next_sample(&mut self.samples).await {
                if sample.batch.channel == crate::verdict::Channel::Paired {
                    self.paired += sample.batch.source.requests + sample.batch.target.requests;
                }
                self.measure.take(sample);
            }
        };
        let _ = timeout(limit, drained).await;
    }

    /// The journal cannot be written: no step forward may be taken, and the way back needs
    /// nothing but the shifter.
    pub(super) async fn save_traffic(&mut self, error: &JournalError) -> LeftAs {
        let error = narrate::chain(error);
        self.tell(Level::Bad, error.clone());
        // A write under way ends first: two at once could land in any order.
        if let Some(effect) = self.in_flight.take() {
            let _ = effect.await;
        }
        if !self.machine.state().shifted {
            let message = format!("{error}; no traffic had been shifted");
            return LeftAs {
                outcome: Outcome::Failed,
                message,
                weight: None,
            };
        }
        if let Some(reason) = self.machine.withholds(&RollbackCause::Breach) {
            let weight = self.machine.state().applied;
            let message = format!("{error}; the weight stays as it is: {reason}");
            self.tell(Level::Bad, message.clone());
            return LeftAs {
                outcome: Outcome::Held,
                message,
                weight: weight.map(|weight| (weight, Some(weight))),
            };
        }
        let left = take_back_unrecorded(self.ports.shifter.as_ref(), &error).await;
        let level = match left.outcome {
            Outcome::RolledBack => Level::Warn,
            _ => Level::Bad,
        };
        self.tell(level, left.message.clone());
        left
    }

    /// Someone took the service away from this driver: it is theirs to change now.
    pub(super) fn lost(&mut self, lost: &LeaseLost) -> LeftAs {
        let message = format!("{lost}; this driver has changed nothing since and ends here");
        self.tell(Level::Bad, message.clone());
        LeftAs {
            outcome: Outcome::Held,
            message,
            weight: None,
        }
    }

    /// A person wants it to stop at once: nothing more is changed.
    pub(super) fn stopped_at_once(&self) -> LeftAs {
        let state = self.machine.state();
        let message = match state.applied {
            Some(weight) => format!("stopped at once; the target's weight is {weight}"),
            None => format!(
                "stopped at once while the target's weight was being set to {}",
                state.set
            ),
        };
        LeftAs {
            outcome: Outcome::Interrupted,
            message,
            weight: None,
        }
    }

    pub(super) fn next_for(&self, state: &State, left: Option<&LeftAs>) -> Vec<String> {
        let run = &state.run;
        let outcome = left
            .map(|left| left.outcome)
            .or(state.outcome.as_ref().map(|(ended, _)| *ended));
        match outcome {
            Some(Outcome::Stuck) => {
                let mut next = vec!["bring the target's weight to 0 by hand:".to_owned()];
                next.extend(self.ports.shifter.describe_set(Weight::ZERO));
                next.push(format!("then check with: cutover status {run}"));
                next
            }
            Some(Outcome::Interrupted) if state.outcome.is_none() => vec![
                format!("go on: cutover resume {run}"),
                format!("go back: cutover rollback {run}"),
            ],
            Some(Outcome::RolledBack) if state.outcome.is_none() => vec![format!(
                "make room for the journal; it ends before the rollback, the live weight does not: \
                 cutover status {run}"
            )],
            Some(Outcome::Held) => vec![
                format!("go on: cutover resume {run}"),
                format!("go back: cutover rollback {run}"),
            ],
            _ => Vec::new(),
        }
    }

    pub(super) fn measured(&self) -> Measured {
        let breach = self.machine.state().breach.as_ref();
        let bad = breach
            .zip(self.first_bad_at)
            .map(|(breach, since)| self.measure.bad_since(&breach.objective, since));
        Measured {
            duration: self.clock.now().elapsed,
            edge: self.measure.edge.totals(),
            paired: self.paired,
            last_step: self.last_step,
            bad,
            rolled_back_after: self.rolled_back_after,
            guards: self.measure.guards(),
            alpha: self.measure.judge().alpha_statement(),
            assumptions: self.measure.judge().assumptions(),
        }
    }
}
