//! `cutover rollback`: sends all traffic of a run back to the source. A driven run is asked to do
//! it; one whose driver is gone is taken back from here, which needs its journal and the shifter,
//! nothing else.

use cutover_engine::folder::Home;
use cutover_engine::runner::Start;
use cutover_engine::view::Command;

use super::ask;
use super::taken_over::{self, Found};
use super::target::Target;
use crate::args::Rollback;
use crate::console;
use crate::control::protocol::Request;
use crate::exit::{Exit, Failure};
use crate::run::watch::Lines;
use crate::run::{self, Place};

pub(super) fn run(home: &Home, rollback: &Rollback) -> Result<Exit, Failure> {
    let target = Target::find(home, rollback.run.run.as_deref())?;
    let exit = super::runtime()?.block_on(async {
        if target.driver.is_some() {
            ask_driver(home, &target, rollback).await
        } else {
            take_back(home, target.folder.id(), rollback).await
        }
    })?;
    // Going back is what was asked for, so it is success here.
    Ok(if exit == Exit::RolledBack {
        Exit::Done
    } else {
        exit
    })
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

async fn take_back(home: &Home, run: &str, rollback: &Rollback) -> Result<Exit, Failure> {
    let output = rollback.run.output;
    let found = match taken_over::find(home, run).await? {
        Found::Run(found) => found,
        Found::Ended(outcome, message) => {
            taken_over::tell_ended(output, outcome, &message);
            return Ok(Exit::Done);
        }
    };
    let start = Start::Rollback {
        live: found.live,
        by: run::person(),
    };
    run::drive_on(found.driven, start, Place::Foreground(output)).await
}
