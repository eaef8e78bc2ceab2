//! Draws the run up as one value for screens.

use std::collections::VecDeque;
use std::time::Duration;

use crate::gate;
use crate::machine::Machine;
use crate::measure::Measure;
use crate::state::State;
use crate::view::{Level, LogLine, RunView, StepState, StepView, WeightView};

/// Most lines kept for screens; the journal keeps everything.
const KEPT_LINES: usize = 300;

/// The latest events.
#[derive(Debug, Default)]
pub(super) struct Log(VecDeque<LogLine>);

impl Log {
    pub(super) fn push(&mut self, at: Duration, level: Level, text: String) {
        if self.0.len() == KEPT_LINES {
            self.0.pop_front();
        }
        self.0.push_back(LogLine { at, level, text });
    }
}

/// The run before its driver has looked at anything.
#[must_use]
pub fn first_view(state: &State) -> RunView {
    let plan = &state.plan;
    let machine = Machine::new(state.clone(), true);
    let measure = Measure::new(&plan.objectives, plan.alpha, 1);
    view(&machine, Duration::ZERO, &measure, None, &Log::default())
}

pub(super) fn view(
    machine: &Machine,
    elapsed: Duration,
    measure: &Measure,
    waiting_for: Option<String>,
    log: &Log,
) -> RunView {
    let state = machine.state();
    let seen = measure.seen();
    RunView {
        run: state.run.clone(),
        plan: state.plan.name.clone(),
        phase: state.phase,
        outcome: state.outcome.as_ref().map(|(outcome, _)| *outcome),
        elapsed,
        paused: state.paused,
        holding: state.holding,
        waiting_for,
        steps: steps(state, measure),
        current_step: state.step.filter(|_| state.outcome.is_none()),
        progress: machine.progress(),
        weight: WeightView {
            set: state.set,
            applied: state.applied,
            observed: seen.observed_share(),
        },
        edge: measure.edge.view(elapsed),
        source: measure.source.view(elapsed),
        target: measure.target.view(elapsed),
        guards: measure.guards(),
        addresses: state.addresses.clone(),
        log: log.0.iter().cloned().collect(),
    }
}

fn steps(state: &State, measure: &Measure) -> Vec<StepView> {
    let entries = state.plan.steps.iter().zip(&state.steps).enumerate();
    entries
        .map(|(index, (step, record))| {
            let current = state.step == Some(index);
            let observed = record.observed.unwrap_or_else(|| {
                if current && state.step_applied {
                    measure.seen()
                } else {
                    Default::default()
                }
            });
            StepView {
                weight: step.weight,
                hold: step.hold,
                gate: step.gate.as_ref().map(gate::describe),
                state: step_state(state, current, record.observed.is_some()),
                applied: record.applied,
                observed: observed.observed_share(),
                requests: observed.requests,
            }
        })
        .collect()
}

fn step_state(state: &State, current: bool, passed: bool) -> StepState {
    if passed {
        StepState::Passed
    } else if !current {
        StepState::Pending
    } else if state.rollback.is_some() || state.breach.is_some() {
        StepState::Broken
    } else if state.step_applied {
        StepState::Holding
    } else if state.in_flight.is_some() {
        StepState::Setting
    } else {
        StepState::AtGate
    }
}
