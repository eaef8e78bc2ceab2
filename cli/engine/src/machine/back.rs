//! The way back, and when it is closed.

use cutover_scenarios::plan::OnBrokenSource;
use cutover_scenarios::units::Weight;

use super::{Machine, Now};
use crate::fact::{Effect, Fact, RollbackCause};
use crate::phase::{Outcome, Phase};

impl Machine {
    /// Traffic goes back, unless that would be worse: then it is withheld, and a person decides.
    pub(super) fn go_back(&mut self, cause: RollbackCause) {
        let Some(reason) = self.withholds(&cause) else {
            self.decide_rollback(cause);
            return;
        };
        let writing = matches!(self.state.in_flight, Some((_, Effect::SetWeight { .. })));
        if cause == RollbackCause::Signal && !writing {
            let weight = self.state.applied.unwrap_or(self.state.set);
            self.end(
                Outcome::Held,
                format!("interrupted; the target's weight stays at {weight}: {reason}"),
            );
        } else if self.state.withheld.is_none() {
            self.emit(Fact::RollbackWithheld { cause, reason });
        }
    }

    /// Why traffic must not go back by itself now. What a person asked for is done.
    #[must_use]
    pub fn withholds(&self, cause: &RollbackCause) -> Option<String> {
        if *cause == RollbackCause::Asked || !self.state.shifted {
            return None;
        }
        if let Some(point) = self
            .state
            .plan
            .point_of_no_return
            .filter(|_| self.state.past_return)
        {
            return Some(format!("the point of no return ({point}) is passed"));
        }
        let asks = self.state.plan.on_broken_source == OnBrokenSource::Hold;
        self.source_worse.clone().filter(|_| asks)
    }

    pub(super) fn decide_rollback(&mut self, cause: RollbackCause) {
        let signal = cause == RollbackCause::Signal;
        self.emit(Fact::RollbackDecided { cause });
        if self.state.first_write.is_none() {
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

    pub(super) fn begin_rollback(&mut self) {
        if self.state.phase != Phase::Rollback {
            self.enter(Phase::Rollback);
        }
        match self.state.first_write {
            Some(id) => self.emit(Fact::UndoStarted {
                id,
                weight: Weight::ZERO,
            }),
            None => self.rolled_back(),
        }
    }

    pub(super) fn retry_rollback(&mut self, now: Now) {
        if self.state.in_flight.is_none()
            && self.retry_rollback_at.is_none_or(|at| now.elapsed >= at)
        {
            self.retry_rollback_at = None;
            self.begin_rollback();
        }
    }

    pub(super) fn rolled_back(&mut self) {
        let (outcome, message) = match &self.state.rollback {
            Some(RollbackCause::Signal) => (
                Outcome::Interrupted,
                "interrupted; all traffic is back on the source".to_owned(),
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
}
