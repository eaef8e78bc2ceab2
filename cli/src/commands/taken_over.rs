//! A run whose driver was killed, found again: its journal, its lock, and what still serves.

use cutover_engine::clock::Clock;
use cutover_engine::folder::{Home, RunFolder};
use cutover_engine::journal::{self, Journal, Replayed};
use cutover_engine::phase::Outcome;
use cutover_engine::ports::Shifter as _;
use cutover_scenarios::units::Weight;

use crate::console;
use crate::exit::{Exit, Failure};
use crate::run::{self, Driven};

/// A killed run that this process may drive from now on.
pub(super) struct TakenOver {
    pub(super) driven: Driven,
    /// The target's weight as the live edge has it.
    pub(super) live: Weight,
}

/// What was found instead of a run that can be driven on.
pub(super) enum Found {
    /// It can be driven on.
    Run(Box<TakenOver>),
    /// It came to its end by itself.
    Ended(Outcome, String),
}

/// Finds the run and takes its lock, without changing anything yet.
pub(super) async fn find(home: &Home, run: Option<&str>) -> Result<Found, Failure> {
    let folder = home.find_run(run).map_err(|error| Failure::chain(&error))?;
    let replayed = journal::read(&folder.journal()).map_err(|error| Failure::chain(&error))?;
    if let Some((outcome, message)) = &replayed.state.outcome {
        return Ok(Found::Ended(*outcome, message.clone()));
    }
    let lock = run::take_lock(home, &replayed.state.plan.name, folder.id()).map_err(|failure| {
        match failure.exit {
            Exit::Locked => Failure {
                message: format!(
                    "{}; ask that driver: press r on its screen, or send SIGINT to the process \
                     (it rolls back and ends)",
                    failure.message
                ),
                ..failure
            },
            _ => failure,
        }
    })?;
    if replayed.torn {
        console::note("the journal's last line was cut off by the crash and does not count");
    }
    let fault = replayed
        .state
        .fault
        .as_deref()
        .and_then(|fault| fault.parse().ok());
    let (stacks, shifter) = run::local_ports(&replayed.state, &folder, fault)?;
    let alive = stacks.adopt().await;
    let live = match shifter.read().await {
        Ok(live) => live,
        Err(error) => {
            return Err(gone(
                &folder,
                &replayed,
                alive.is_empty(),
                &error.to_string(),
            ));
        }
    };
    let journal =
        Journal::reopen(&folder.journal(), &replayed).map_err(|error| Failure::chain(&error))?;
    let clock = Clock::start();
    let state = replayed.state;
    let driven = Driven {
        folder,
        state,
        journal,
        clock,
        stacks,
        shifter,
        lock,
    };
    Ok(Found::Run(Box::new(TakenOver { driven, live })))
}

fn gone(folder: &RunFolder, replayed: &Replayed, all: bool, error: &str) -> Failure {
    let run = folder.id();
    let set = replayed.state.set;
    Failure::error(if all {
        format!(
            "the local stacks of run {run} are gone, so no traffic flows and there is nothing to \
             take back (the weight set last was {set}); begin anew when you like"
        )
    } else {
        format!(
            "the edge of run {run} does not answer ({error}), so no traffic flows through it \
             (the weight set last was {set}); end what is left with: cutover cleanup {run}"
        )
    })
}
