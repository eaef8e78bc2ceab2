//! What each kind of input leads to.

use std::time::Duration;

use cutover_scenarios::units::Weight;

use super::{Machine, Now};
use crate::assess::{Assessment, Verdict};
use crate::fact::{Effect, Fact, Output, RollbackCause};
use crate::phase::{Outcome, Phase};
use crate::view::Command;

/// Attempts to write the rollback's weight before a person is called.
pub(super) const ROLLBACK_ATTEMPTS: u32 = 6;

/// The wait before the second attempt; it doubles from there.
const ROLLBACK_BACKOFF: Duration = Duration::from_millis(200);

impl Machine {
    pub(super) fn resume(&mut self, applied: Weight) {
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

    pub(super) fn take_back(&mut self, applied: Option<Weight>, by: String) {
        if let Some(applied) = applied {
            self.emit(Fact::Reobserved { applied });
        }
        self.emit(Fact::Commanded {
            command: Command::Rollback { force: true },
            by,
        });
        self.go_back(RollbackCause::Asked);
    }

    pub(super) fn done(&mut self, now: Now, id: u32, result: Result<Output, String>) {
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

    pub(super) fn succeeded(&mut self, effect: Effect) {
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

    pub(super) fn failed(&mut self, now: Now, effect: Effect, error: String) {
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

    pub(super) fn tick(&mut self, now: Now, assessment: &Assessment) {
        if self.state.phase == Phase::Rollback {
            self.retry_rollback(now);
            return;
        }
        self.watch(now, assessment);
        self.end_if_nobody_can_continue(now);
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
        if !self.state.holding
            && (self.spent >= total || self.state.advance)
            && self.weigh(assessment) == Verdict::Pass
        {
            self.advance(assessment);
        }
    }
}
