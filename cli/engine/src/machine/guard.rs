//! What is watched all the while, and what only a person can settle.

use std::time::Duration;

use cutover_scenarios::plan::{Missing, OnBreach};

use super::{Machine, Now};
use crate::assess::{Assessment, Verdict, verdict};
use crate::fact::{BreachFact, Fact, RollbackCause};
use crate::narrate;
use crate::phase::{Outcome, Phase};

/// While both stacks break an objective, evidence is gathered anew at most this often.
const SHARED_PAUSE: Duration = Duration::from_secs(10);

impl Machine {
    /// The guard: on from the first paired request until the run ends.
    pub(super) fn watch(&mut self, now: Now, assessment: &Assessment) {
        let armed = matches!(
            self.state.phase,
            Phase::Qualify | Phase::Shift | Phase::Bake
        );
        self.source_worse.clone_from(&assessment.source_worse);
        if !armed || self.state.rollback.is_some() {
            return;
        }
        if let Some((RollbackCause::Signal, _)) = self.state.withheld {
            // The write that was under way when the signal came has ended.
            self.go_back(RollbackCause::Signal);
            return;
        }
        if self.state.breach.is_none()
            && let Some(breach) = &assessment.breach
        {
            if breach.source_breaks_too || self.shared_unsettled {
                self.share(now, breach);
                return;
            }
            self.emit(Fact::Breached {
                breach: breach.clone(),
            });
        }
        // Also a breach that was found before, when the way back was closed and is open now.
        if self.breach_leads_back() {
            self.go_back(RollbackCause::Breach);
        } else if self.state.shifted
            && self.state.breach.is_none()
            && let Some(cause) = assessment.gross_failure()
        {
            self.go_back(RollbackCause::Failure(cause));
        }
        if let Some(breach) = &self.state.breach
            && self.state.rollback.is_none()
            && self.state.outcome.is_none()
            && !self.attended
            && self.state.in_flight.is_none()
        {
            let why = match &self.state.withheld {
                Some((_, reason)) => reason.clone(),
                None => "the plan says hold".to_owned(),
            };
            let message = format!("`{}` is broken and {why}", breach.objective);
            self.end(Outcome::Held, message);
        }
    }

    /// What hurts both stacks (a dependency, a stalled machine) is no reason to leave the target,
    /// and no time to advance either. Evidence is gathered anew at once, or, when that was done
    /// a moment ago, as soon as the source recovers: what was found while both were broken must
    /// not be held against the target afterwards.
    fn share(&mut self, now: Now, breach: &BreachFact) {
        self.spent = Duration::ZERO;
        let rested = self
            .last_shared
            .is_none_or(|last| now.elapsed >= last + SHARED_PAUSE);
        self.shared_unsettled = breach.source_breaks_too && !rested;
        if !self.shared_unsettled {
            self.last_shared = Some(now.elapsed);
            self.emit(Fact::BreachShared {
                breach: breach.clone(),
            });
        }
    }

    /// Measurements that stay away hold the run at once, and in the end lead to what the plan says.
    pub(super) fn count_missing(&mut self, now: Now, assessment: &Assessment) {
        let state = &self.state;
        let watched = matches!(state.phase, Phase::Qualify | Phase::Shift | Phase::Bake)
            && state.rollback.is_none()
            && state.outcome.is_none()
            && state.in_flight.is_none()
            && self.needs_person().is_none()
            && self.step_to_set().is_none();
        let missing = watched.then(|| self.weigh(assessment)).and_then(missing);
        let Some(reason) = missing else {
            self.missing_since = None;
            return;
        };
        let since = *self.missing_since.get_or_insert(now.elapsed);
        let on_missing = self.state.plan.on_missing;
        if now.elapsed.saturating_sub(since) < on_missing.after {
            return;
        }
        self.missing_since = None;
        self.emit(Fact::MissingTooLong {
            reason: reason.clone(),
        });
        if on_missing.then == Missing::Rollback {
            self.go_back(RollbackCause::Failure(format!(
                "measurements stayed away for {}: {reason}",
                narrate::seconds(on_missing.after)
            )));
        }
    }

    /// What only a person can settle, as it follows "waiting for".
    pub(super) fn needs_person(&self) -> Option<String> {
        let state = &self.state;
        if let Some((_, reason)) = &state.withheld {
            return Some(format!("a person: traffic would go back, but {reason}"));
        }
        if let Some(breach) = &state.breach {
            let objective = &breach.objective;
            return Some(format!(
                "a person: `{objective}` is broken and the plan says hold"
            ));
        }
        if let Some(drift) = &state.drift {
            return Some(format!("a person: {drift}"));
        }
        if let Some(reason) = &state.missing {
            return Some(format!("a person: nothing came for too long ({reason})"));
        }
        state
            .paused
            .then(|| "a person to continue (paused)".to_owned())
    }

    pub(super) fn breach_leads_back(&self) -> bool {
        self.state.breach.is_some() && self.state.plan.on_breach == OnBreach::Rollback
    }

    pub(super) fn weigh(&self, assessment: &Assessment) -> Verdict {
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
}

/// Why a look at the measurements says nothing, when that is because they are not there.
fn missing(verdict: Verdict) -> Option<String> {
    match verdict {
        Verdict::Inconclusive {
            reason,
            missing: true,
        } => Some(reason),
        _ => None,
    }
}
