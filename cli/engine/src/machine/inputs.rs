//! What each kind of input leads to.

use std::time::Duration;

use cutover_scenarios::units::Weight;

use super::{EffectError, Machine, Now};
use crate::assess::{Assessment, Verdict};
use crate::fact::{Drift, Effect, Fact, Output, RollbackCause};
use crate::phase::{Outcome, Phase};
use crate::view::Command;

/// Attempts to take back what was written before a person is called.
pub(super) const ROLLBACK_ATTEMPTS: u32 = 8;

/// The wait before the second attempt; it doubles from there, up to [`LONGEST_BACKOFF`].
const ROLLBACK_BACKOFF: Duration = Duration::from_millis(200);
const LONGEST_BACKOFF: Duration = Duration::from_secs(5);

impl Machine {
    pub(super) fn resume(&mut self, applied: Weight) {
        let ours = self.state.may_have_left(applied);
        let expected = self.state.applied.unwrap_or(self.state.set);
        self.emit(Fact::Reobserved { applied });
        self.spent = Duration::ZERO;
        if self.state.rollback.is_some() {
            self.begin_rollback();
            return;
        }
        if !ours {
            let drift = Drift {
                expected,
                found: applied,
                writer: None,
            };
            self.emit(Fact::DriftFound { drift });
        }
        match self.state.phase {
            Phase::Inspect => self.enter_and_start(Phase::Inspect, Effect::Inspect),
            Phase::Preflight => self.start(Effect::Preflight),
            Phase::Deploy => self.start(Effect::Deploy),
            Phase::Shift if self.state.step.is_none() => self.emit(Fact::StepReached { step: 0 }),
            // A shift or a bake goes on by writing its weight again, at the next tick.
            Phase::Qualify | Phase::Shift | Phase::Bake | Phase::Rollback | Phase::Ended => {}
        }
    }

    pub(super) fn take_back(&mut self, applied: Option<Weight>, by: String, force: bool) {
        if let Some(applied) = applied {
            self.emit(Fact::Reobserved { applied });
        }
        self.emit(Fact::Commanded {
            command: Command::Rollback { force },
            by,
        });
        if applied.is_none() && !self.state.shifted {
            self.emit(Fact::RollbackDecided {
                cause: RollbackCause::Asked,
            });
            let message = "no traffic had been shifted".to_owned();
            self.end(Outcome::RolledBack, message);
            return;
        }
        self.decide_rollback(RollbackCause::Asked);
    }

    pub(super) fn done(&mut self, now: Now, id: u32, result: Result<Output, EffectError>) {
        let Some((in_flight, effect)) = self.state.in_flight else {
            return;
        };
        if in_flight != id {
            return;
        }
        match (self.state.undoing, result) {
            (true, Ok(_)) => {
                self.emit(Fact::Undone {
                    id,
                    weight: Weight::ZERO,
                });
                self.rolled_back();
            }
            (true, Err(error)) => {
                let error = error.to_string();
                self.emit(Fact::UndoFailed {
                    id,
                    error: error.clone(),
                });
                self.undo_failed(now, &error);
            }
            (false, Ok(output)) => {
                self.emit(Fact::EffectSucceeded { id, output });
                self.succeeded(effect);
            }
            (false, Err(error)) => {
                self.emit(Fact::EffectFailed {
                    id,
                    error: error.to_string(),
                });
                self.failed(effect, error);
            }
        }
    }

    fn succeeded(&mut self, effect: Effect) {
        if self.state.rollback.is_some() {
            self.begin_rollback();
            return;
        }
        match effect {
            Effect::Inspect => self.enter_and_start(Phase::Preflight, Effect::Preflight),
            Effect::Preflight => self.enter_and_start(Phase::Deploy, Effect::Deploy),
            Effect::Deploy => self.start(Effect::ProveWayBack),
            Effect::ProveWayBack => self.enter(Phase::Qualify),
            Effect::SetWeight { .. } => self.spent = Duration::ZERO,
        }
    }

    fn failed(&mut self, effect: Effect, error: EffectError) {
        match (effect, error) {
            (
                Effect::Inspect | Effect::Preflight | Effect::Deploy | Effect::ProveWayBack,
                error,
            ) => match self.state.rollback {
                Some(_) => self.begin_rollback(),
                None => self.end(Outcome::Failed, error.to_string()),
            },
            (Effect::SetWeight { .. }, EffectError::Drifted(drift))
                if self.state.rollback.is_none() =>
            {
                self.emit(Fact::DriftFound { drift });
            }
            (Effect::SetWeight { .. }, _) if self.state.rollback.is_some() => {
                self.begin_rollback();
            }
            (Effect::SetWeight { .. }, error) => {
                self.go_back(RollbackCause::Failure(error.to_string()));
            }
        }
    }

    fn undo_failed(&mut self, now: Now, error: &str) {
        let attempts = self.state.failed_rollbacks;
        if attempts >= ROLLBACK_ATTEMPTS {
            self.end(
                Outcome::Stuck,
                format!("the rollback failed {attempts} times, the last time: {error}"),
            );
        } else {
            let wait = ROLLBACK_BACKOFF * 2_u32.saturating_pow(attempts.saturating_sub(1));
            self.retry_rollback_at = Some(now.elapsed + wait.min(LONGEST_BACKOFF));
        }
    }

    /// The live weight as it was read while nothing was being written.
    pub(super) fn observed(&mut self, weight: Weight, writer: Option<String>) {
        let state = &self.state;
        let watched = matches!(state.phase, Phase::Qualify | Phase::Shift | Phase::Bake)
            && state.rollback.is_none()
            && state.in_flight.is_none();
        if !watched || state.applied.is_none_or(|applied| applied == weight) {
            return;
        }
        let drift = Drift {
            expected: state.set,
            found: weight,
            writer,
        };
        self.emit(Fact::DriftFound { drift });
    }

    pub(super) fn gate_opened(&mut self, step: usize, by: String) {
        let waits = self.state.step == Some(step) && self.step_to_set().is_some();
        if waits && !self.state.gate_open {
            self.emit(Fact::GateOpened { step, by });
        }
    }

    pub(super) fn stalled(&mut self, gap: Duration) {
        let gap_ms = u64::try_from(gap.as_millis()).unwrap_or(u64::MAX);
        self.spent = Duration::ZERO;
        self.emit(Fact::DriverStalled { gap_ms });
    }

    pub(super) fn tick(&mut self, now: Now, assessment: &Assessment) {
        if self.state.phase == Phase::Rollback {
            self.retry_rollback(now);
            return;
        }
        self.watch(now, assessment);
        self.count_missing(now, assessment);
        let busy = self.state.in_flight.is_some() || self.state.rollback.is_some();
        if self.state.outcome.is_some() || busy || self.needs_person().is_some() {
            return;
        }
        if self.state.restore {
            self.set_weight(self.state.set);
            return;
        }
        if let Some(step) = self.step_to_set() {
            let open = self.closed_gate(now, step).is_none() && assessment.source_down.is_none();
            if open && !self.state.holding {
                self.set_weight(step.weight);
            }
            return;
        }
        if self.state.phase == Phase::Bake && self.state.applied != Some(Weight::FULL) {
            self.set_weight(Weight::FULL);
            return;
        }
        if self.may_advance(assessment) {
            self.advance(assessment);
        }
    }

    fn may_advance(&self, assessment: &Assessment) -> bool {
        let Some(total) = self.timed() else {
            return false;
        };
        let over = self.spent >= total || self.state.advance;
        over && !self.state.holding
            && self.unproven(assessment).is_none()
            && self.weigh(assessment) == Verdict::Pass
    }
}
