//! The way forward: gates, weights, proofs, steps.

use cutover_scenarios::plan::{Gate, Step, WebhookGate};
use cutover_scenarios::units::Weight;

use super::{Machine, Now};
use crate::assess::Assessment;
use crate::fact::{Effect, Fact};
use crate::gate;
use crate::phase::{Outcome, Phase};

impl Machine {
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

    pub(super) fn set_weight(&mut self, weight: Weight) {
        self.start(Effect::SetWeight {
            weight,
            replaces: self.state.applied,
        });
    }
}
