//! The guard, the way forward, and the way back.

use std::time::Duration;

use cutover_scenarios::plan::{Gate, Missing, OnBreach, OnBrokenSource, Step, WebhookGate};
use cutover_scenarios::units::Weight;

use super::{Machine, Now};
use crate::assess::{Assessment, Verdict, verdict};
use crate::fact::{BreachFact, Effect, Fact, RollbackCause};
use crate::gate;
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

    /// What a step with `prove` has still to show; `None` when nothing.
    pub(super) fn unproven(&self, assessment: &Assessment) -> Option<String> {
        (self.asks_for_proof() && !assessment.unproven.is_empty())
            .then(|| format!("proof: {}", assessment.unproven.join("; ")))
    }

    /// The step that is held must be proven, and no person has waived that.
    #[must_use]
    pub fn asks_for_proof(&self) -> bool {
        let state = &self.state;
        let step = state.step.and_then(|step| state.plan.steps.get(step));
        state.phase == Phase::Shift
            && state.step_applied
            && !state.advance
            && step.is_some_and(|step| step.prove)
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

    /// The web service that the run waits for, and the step behind its gate.
    #[must_use]
    pub fn webhook_gate(&self) -> Option<(usize, &WebhookGate)> {
        if self.state.gate_open || self.state.in_flight.is_some() || self.needs_person().is_some() {
            return None;
        }
        match self.step_to_set()?.gate.as_ref()? {
            Gate::Webhook(gate) => Some((self.state.step?, gate)),
            _ => None,
        }
    }

    pub(super) fn closed_gate<'a>(&self, now: Now, step: &'a Step) -> Option<&'a Gate> {
        // A step whose weight was asked for before has its gate behind it.
        if self.state.set == step.weight && self.state.shifted {
            return None;
        }
        step.gate.as_ref().filter(|gate| match gate {
            Gate::Manual => !self.state.advance,
            Gate::Webhook(_) => !self.state.gate_open,
            Gate::Window(window) => !gate::is_open(window, now.wall),
        })
    }

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
                format!("ended by a signal; the target's weight stays at {weight}: {reason}"),
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

    pub(super) fn set_weight(&mut self, weight: Weight) {
        self.start(Effect::SetWeight {
            weight,
            replaces: self.state.applied,
        });
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
