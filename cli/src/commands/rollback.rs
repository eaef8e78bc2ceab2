//! `cutover rollback`: sends all traffic of a run back to the source. A driven run is asked to do
//! it; one whose driver is gone is taken back from here, which needs its journal and the shifter,
//! nothing else.

use std::path::{Path, PathBuf};

use cutover_engine::folder::{Home, RunFolder};
use cutover_engine::phase::Outcome;
use cutover_engine::ports::StackHealth;
use cutover_engine::runner::Start;
use cutover_engine::view::Command;
use cutover_engine::{journal, narrate, snapshot};

use cutover_rehearsal::local::health_of;
use cutover_scenarios::units::Weight;
use nix::errno::Errno;
use nix::unistd::{AccessFlags, access};

use super::ask;
use super::snapshot_rollback;
use super::taken_over::{self, Found};
use super::target::Target;
use crate::args::Rollback;
use crate::console;
use crate::control::protocol::Request;
use crate::exit::{Exit, Failure};
use crate::run::watch::Lines;
use crate::run::{self, Place};

pub(super) fn run(home: &Home, rollback: &Rollback) -> Result<Exit, Failure> {
    if let Some(file) = &rollback.from {
        return snapshot_rollback::run(home, file, rollback);
    }
    let target = Target::find(home, rollback.run.run.as_deref())?;
    if target.driver.is_none()
        && let Some(snapshot) = instead_of_the_journal(&target)
    {
        return snapshot_rollback::run(home, &snapshot, rollback);
    }
    let exit = super::runtime()?.block_on(async {
        if target.driver.is_some() {
            ask_driver(home, &target, rollback).await
        } else {
            take_back(home, &target.folder, rollback).await
        }
    })?;
    // Going back is what was asked for, so it is success here.
    Ok(if exit == Exit::RolledBack {
        Exit::Done
    } else {
        exit
    })
}

/// Why going back may do harm, as far as can be told without a driver.
pub(super) async fn closed(run_folder: &Path, past_return: Option<Weight>) -> Option<String> {
    if let Some(point) = past_return {
        return Some(format!("the point of no return ({point}) is passed"));
    }
    let health = health_of(run_folder).await;
    let StackHealth::Ready(_) = health.target else {
        return None;
    };
    match health.source {
        StackHealth::Ready(_) => None,
        StackHealth::Down(why) => Some(format!("the source is down ({why}), the target is not")),
        StackHealth::Unknown(why) => Some(format!(
            "the source does not answer as it should ({why}), the target does"
        )),
    }
}

/// The run's snapshot, when its journal cannot be read, or its folder not be written.
fn instead_of_the_journal(target: &Target) -> Option<PathBuf> {
    let folder = target.folder.path();
    let snapshot = folder.join(snapshot::FILE_NAME);
    let trouble = match journal::read(&target.folder.journal()) {
        Err(error) => narrate::chain(&error),
        // Nothing could be locked or recorded here.
        Ok(_) => match access(folder, AccessFlags::W_OK) {
            Err(Errno::EROFS) => format!("{}: {}", folder.display(), Errno::EROFS.desc()),
            _ => return None,
        },
    };
    let there = snapshot.exists();
    if there {
        console::note(&format!(
            "{trouble}; taking back from {} instead",
            snapshot.display()
        ));
    }
    there.then_some(snapshot)
}

async fn ask_driver(home: &Home, target: &Target, rollback: &Rollback) -> Result<Exit, Failure> {
    let command = Command::Rollback {
        force: rollback.force,
    };
    let output = rollback.run.output;
    // Listening first, so that the end cannot be missed.
    let lines = match rollback.no_wait {
        true => None,
        false => Some(Lines::listen(home, &target.folder).await?),
    };
    target.ask(home, Request::Command { command }).await?;
    let Some(lines) = lines else {
        ask::tell(output, target, command, "rolls back");
        return Ok(Exit::Done);
    };
    console::note("its driver rolls back (Ctrl-C here leaves it to itself)");
    lines.tell_to_end(home, &target.folder, output).await
}

async fn take_back(home: &Home, folder: &RunFolder, rollback: &Rollback) -> Result<Exit, Failure> {
    let output = rollback.run.output;
    let run = folder.id();
    let snapshot = folder.path().join(snapshot::FILE_NAME);
    let found = match taken_over::find(home, run).await? {
        Found::Run(found) => found,
        // Not what was asked for: the target keeps all traffic.
        Found::Ended(outcome @ Outcome::Done, message) => {
            taken_over::tell_ended(output, outcome, &message);
            console::note(&format!(
                "nothing was changed; to send the traffic of a run that is done back all the same: \
                 cutover rollback --from {}",
                snapshot.display()
            ));
            return Ok(Exit::Error);
        }
        Found::Ended(outcome, message) => {
            taken_over::tell_ended(output, outcome, &message);
            return Ok(Exit::Done);
        }
    };
    let state = &found.driven.state;
    let point = state.plan.point_of_no_return.filter(|_| state.past_return);
    let reason = match state.shifted && !rollback.force {
        true => closed(found.driven.folder.path(), point).await,
        false => None,
    };
    if let Some(reason) = reason {
        found.leave().await;
        return Err(Failure::error(format!(
            "nothing was changed: {reason}; `--force` goes back all the same"
        )));
    }
    let start = Start::Rollback {
        live: found.live,
        by: run::person(),
        force: rollback.force,
    };
    run::drive_on(found.driven, start, Place::Foreground(output)).await
}
