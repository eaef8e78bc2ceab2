//! A run whose driver is gone, found again: its journal, its lock, and what still serves.

use cutover_engine::clock::Clock;
use cutover_engine::folder::{Home, RunFolder};
use cutover_engine::journal::{self, Journal, Replayed};
use cutover_engine::phase::Outcome;
use cutover_engine::ports::Shifter as _;
use cutover_rehearsal::local::{LocalShifter, parts_alive};
use cutover_scenarios::units::Weight;

use crate::args::Output;
use crate::console;
use crate::exit::Failure;
use crate::run::{self, Driven};

/// A killed run that this process may drive from now on.
pub(super) struct TakenOver {
    pub(super) driven: Driven,
    /// The target's weight as the live edge has it; `None` when nothing was ever shifted and the
    /// edge does not answer.
    pub(super) live: Option<Weight>,
    /// Records of its journal.
    pub(super) records: usize,
}

impl TakenOver {
    /// Leaves it as it was found, for another driver.
    pub(super) async fn leave(self) {
        self.driven.stacks.leave_running().await;
        self.driven.lease.release().await;
    }
}

/// What was found.
pub(super) enum Found {
    /// It can be driven on.
    Run(Box<TakenOver>),
    /// It came to its end by itself.
    Ended(Outcome, String),
}

/// Finds the run and takes its lock, without changing anything yet. A run that waits for a person
/// (`held`, `stuck`) is not over.
pub(super) async fn find(home: &Home, run: &str) -> Result<Found, Failure> {
    let folder = home
        .find_run(Some(run))
        .map_err(|error| Failure::chain(&error))?;
    let plan = read(&folder)?.state.plan;
    let lease = run::take_lock(home, &plan, folder.id())?;
    // Only under the lock nobody else writes.
    let replayed = read(&folder)?;
    if let Some((outcome, message)) = &replayed.state.outcome
        && !replayed.state.waits_for_a_person()
    {
        return Ok(Found::Ended(*outcome, message.clone()));
    }
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
        Ok(live) => Some(live),
        // Nothing was ever shifted, so there is nothing that could be elsewhere than at 0.
        Err(_) if !replayed.state.shifted => None,
        Err(error) => {
            let error = gone(&folder, &replayed, alive.is_empty(), &error.to_string());
            stacks.leave_running().await;
            return Err(error);
        }
    };
    let journal = Journal::reopen(&folder.journal(), &replayed);
    let clock = Clock::start();
    let records = replayed.records.len();
    let state = replayed.state;
    let driven = Driven {
        folder,
        state,
        journal,
        clock,
        stacks,
        shifter,
        lease,
    };
    Ok(Found::Run(Box::new(TakenOver {
        driven,
        live,
        records,
    })))
}

/// Says that the run is over, on every output.
pub(super) fn tell_ended(output: Output, outcome: Outcome, message: &str) {
    console::note(&format!(
        "the run has ended, there is nothing to do: {outcome}: {message}"
    ));
    if output != Output::Human {
        let document = serde_json::json!({ "outcome": outcome, "message": message });
        console::data(&document.to_string());
    }
}

/// Reads the run's journal; when it is damaged, says how to act without it.
pub(super) fn read(folder: &RunFolder) -> Result<Replayed, Failure> {
    journal::read(&folder.journal()).map_err(|error| {
        let mut failure = Failure::chain(&error);
        let parts = parts_alive(folder.path());
        if let Some(edge) = parts.iter().find(|part| part.name == "edge") {
            let shifter = LocalShifter::new(None);
            shifter.connect(edge.registration.admin, None);
            let back = shifter.describe_set(Weight::ZERO).join("; ");
            failure.message.push_str(&format!(
                "; its edge still serves on {}; take its traffic back by hand: {back}",
                edge.registration.listen
            ));
        }
        if !parts.is_empty() {
            failure.message.push_str(&format!(
                "; end its {} processes with: cutover cleanup {}",
                parts.len(),
                folder.id()
            ));
        }
        failure
    })
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
