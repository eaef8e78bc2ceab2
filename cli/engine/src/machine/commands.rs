//! What a person may ask of a run, when it is refused, and what it leads to.

use cutover_scenarios::plan::Gate;

use super::Machine;
use crate::fact::{Effect, Fact, RollbackCause};
use crate::gate;
use crate::phase::{Outcome, Phase};
use crate::view::Command;

impl Machine {
    /// Whether the run can do now what is asked; otherwise why not, as a sentence for who asked.
    ///
    /// # Errors
    /// The reason, and what would work.
    pub fn accepts(&self, command: Command) -> Result<(), String> {
        let state = &self.state;
        if let Some((outcome, _)) = &state.outcome {
            return Err(format!("the run has ended ({outcome})"));
        }
        if state.rollback.is_some() {
            return Err("the run is rolling back; that cannot be changed any more".to_owned());
        }
        match command {
            Command::Pause if state.paused => Err("the run is paused already".to_owned()),
            Command::Hold if state.holding => Err("the run holds already".to_owned()),
            Command::Continue if !self.can_continue() => {
                Err("the run is neither paused nor held: there is nothing to go on from".to_owned())
            }
            Command::Continue if state.breach.is_some() => Err(format!(
                "`{}` is broken; roll back, or end the run with abort and resume it",
                state.breach.as_ref().map_or("", |breach| &breach.objective)
            )),
            Command::Abort if matches!(state.in_flight, Some((_, Effect::SetWeight { .. }))) => {
                Err("a weight is being written; ask again in a moment".to_owned())
            }
            Command::Rollback { force: false } => self.accepts_rollback(),
            Command::Advance => self.accepts_advance(),
            Command::Approve => self.accepts_approval(),
            _ => Ok(()),
        }
    }

    fn can_continue(&self) -> bool {
        self.state.holding || self.needs_person().is_some()
    }

    /// A person who wants to go back should know where to.
    fn accepts_rollback(&self) -> Result<(), String> {
        let closed = self.withholds(&RollbackCause::Breach).or_else(|| {
            let worse = self.source_worse.clone();
            worse.filter(|_| self.state.shifted)
        });
        match closed {
            Some(reason) => Err(format!("{reason}; `--force` goes back all the same")),
            None => Ok(()),
        }
    }

    fn accepts_advance(&self) -> Result<(), String> {
        if self.state.paused {
            return Err("the run is paused; continue it first".to_owned());
        }
        if self.state.drift.is_some() || self.state.missing.is_some() {
            return Err("a person has to look first; then continue it or roll it back".to_owned());
        }
        if let Some(breach) = &self.state.breach {
            return Err(format!(
                "`{}` is broken; roll back, or end the run with abort and resume it",
                breach.objective
            ));
        }
        match (
            self.step_to_set().and_then(|step| step.gate.as_ref()),
            self.state.phase,
        ) {
            (Some(Gate::Window(_)), _) => {
                Err("the window opens by itself; it is not opened by hand".to_owned())
            }
            (Some(Gate::Webhook(_)), _) => {
                Err("the webhook opens this gate; it is not opened by hand".to_owned())
            }
            (_, Phase::Bake) => {
                Err("the bake cannot be cut short: what it proves is time".to_owned())
            }
            (_, Phase::Inspect | Phase::Preflight | Phase::Deploy) => Err(format!(
                "the run is in phase {}; it goes on as soon as that is done",
                self.state.phase
            )),
            _ => Ok(()),
        }
    }

    fn accepts_approval(&self) -> Result<(), String> {
        match self.step_to_set().and_then(|step| step.gate.as_ref()) {
            Some(Gate::Manual) if !self.state.advance => Ok(()),
            Some(gate @ (Gate::Window(_) | Gate::Webhook(_))) => Err(format!(
                "the run waits for the {}, which no person opens",
                gate::describe(gate)
            )),
            _ => Err("the run does not wait at a manual gate".to_owned()),
        }
    }

    pub(super) fn command(&mut self, command: Command, by: String) {
        if self.accepts(command).is_err() {
            return;
        }
        self.emit(Fact::Commanded { command, by });
        match command {
            Command::Rollback { .. } => self.decide_rollback(RollbackCause::Asked),
            Command::Interrupt => self.go_back(RollbackCause::Signal),
            Command::Abort => self.abort(),
            Command::Pause
            | Command::Continue
            | Command::Hold
            | Command::Advance
            | Command::Approve => {}
        }
    }

    fn abort(&mut self) {
        let weight = match (self.state.applied, self.state.shifted) {
            (Some(weight), _) => format!("the target's weight stays at {weight}"),
            (None, false) => "no traffic had been shifted".to_owned(),
            (None, true) => format!("the target's weight was being set to {}", self.state.set),
        };
        self.end(Outcome::Held, format!("ended as asked; {weight}"));
    }
}
