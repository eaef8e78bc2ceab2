//! The guard, the way forward, and the way back.

use std::time::Duration;

use cutover_scenarios::plan::{Gate, OnBreach, Step};
use cutover_scenarios::units::Weight;

use super::{Machine, Now};
use crate::assess::{Assessment, Verdict, verdict};
use crate::fact::{BreachFact, Effect, Fact, RollbackCause};
use crate::gate;
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
        if !armed || self.state.rollback.is_some() {
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

    /// A run that would wait for a person who is not there ends, and can be resumed.
    pub(super) fn end_if_nobody_can_continue(&mut self, now: Now) {
        let state = &self.state;
        if self.attended || state.outcome.is_some() || state.in_flight.is_some() {
            return;
        }
        if state.rollback.is_some() {
            return;
        }
        let gate = self
            .step_to_set()
            .filter(|step| self.closed_gate(now, step) == Some(&Gate::Manual))
            .map(|step| step.weight);
        if state.paused {
            let message = "paused, and nobody is left to continue it".to_owned();
            self.end(Outcome::Held, message);
        } else if let Some(weight) = gate {
            let message = format!("nobody is left to open the gate before {weight}");
            self.end(Outcome::Held, message);
        }
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

    pub(super) fn advance(&mut self, assessment: &Assessment) {
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
    pub(super) fn step_to_set(&self) -> Option<&Step> {
        let waiting = self.state.phase == Phase::Shift && !self.state.step_applied;
        self.state
            .step
            .filter(|_| waiting)
            .and_then(|step| self.state.plan.steps.get(step))
    }

    pub(super) fn closed_gate<'a>(&self, now: Now, step: &'a Step) -> Option<&'a Gate> {
        // A step whose weight was asked for before has its gate behind it.
        if self.state.set == step.weight && self.state.shifted {
            return None;
        }
        step.gate.as_ref().filter(|gate| match gate {
            Gate::Manual | Gate::Webhook(_) => !self.state.advance,
            Gate::Window(window) => !gate::is_open(window, now.wall),
        })
    }

    pub(super) fn go_back(&mut self, cause: RollbackCause) {
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

    pub(super) fn begin_rollback(&mut self) {
        if self.state.phase != Phase::Rollback {
            self.enter(Phase::Rollback);
        }
        self.start(Effect::SetWeight {
            weight: Weight::ZERO,
        });
    }

    pub(super) fn retry_rollback(&mut self, now: Now) {
        if self.state.in_flight.is_none()
            && self.retry_rollback_at.is_none_or(|at| now.elapsed >= at)
        {
            self.retry_rollback_at = None;
            self.start(Effect::SetWeight {
                weight: Weight::ZERO,
            });
        }
    }

    pub(super) fn rolled_back(&mut self) {
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
}
