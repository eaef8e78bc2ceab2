//! Takes traffic back from a snapshot: without plan, journal and driver.

use std::path::Path;

use cutover_engine::folder::Home;
use cutover_engine::lock::LockError;
use cutover_engine::ports::Shifter as _;
use cutover_engine::runner;
use cutover_engine::snapshot::Snapshot;
use cutover_rehearsal::local::{LocalShifter, parts_alive};
use cutover_scenarios::units::Weight;
use serde_json::json;

use super::rollback;
use crate::args::{Output, Rollback};
use crate::console;
use crate::exit::{Exit, Failure};
use crate::run;

pub(super) fn run(home: &Home, file: &Path, rollback: &Rollback) -> Result<Exit, Failure> {
    let snapshot = Snapshot::read(file).map_err(|error| Failure::chain(&error))?;
    let shifter = LocalShifter::from_snapshot(&snapshot.shifter)
        .map_err(|error| Failure::error(format!("{}: {error}", file.display())))?;
    // Its own folder knows who drives it, wherever this was typed.
    let home = home_of(file).unwrap_or_else(|| home.clone());
    let _lease = take_lock(&home, &snapshot, rollback.force)?;
    super::runtime()?.block_on(async {
        if !rollback.force
            && let Some(reason) = closed(file, &snapshot, &shifter).await
        {
            return Err(Failure::error(format!(
                "nothing was changed: {reason}; `--force` goes back all the same"
            )));
        }
        take_back(&snapshot, &shifter, rollback.run.output).await
    })
}

/// The folder of runs that the snapshot lies in: `HOME/runs/RUN/snapshot.json`.
fn home_of(file: &Path) -> Option<Home> {
    let runs = file.parent()?.parent()?;
    (runs.file_name()? == "runs").then(|| Home::new(runs.parent().unwrap_or(Path::new("."))))
}

/// A driver that lives would write its weight again: it is asked instead, unless a person insists.
fn take_lock(home: &Home, snapshot: &Snapshot, force: bool) -> Result<Option<impl Sized>, Failure> {
    let holder = run::holder(&snapshot.run);
    match home.lock(&snapshot.service, holder) {
        Ok(lease) => Ok(Some(lease)),
        Err(error @ LockError::Held { .. }) if !force => Err(Failure {
            message: format!(
                "{error}; ask its driver: cutover rollback {}; `--force` goes back without asking it",
                snapshot.run
            ),
            exit: Exit::Locked,
        }),
        // Going back must not hang on a file.
        Err(error) => {
            console::note(&format!("going back without the lock: {error}"));
            Ok(None)
        }
    }
}

/// Why going back may do harm. A snapshot that was carried elsewhere knows nothing of its stacks.
async fn closed(file: &Path, snapshot: &Snapshot, shifter: &LocalShifter) -> Option<String> {
    let live = shifter.read().await.ok();
    let passed = |point: &Weight| live.is_some_and(|live| live >= *point);
    let point = snapshot.point_of_no_return.filter(passed);
    let folder = file
        .parent()
        .filter(|folder| !parts_alive(folder).is_empty());
    match folder {
        Some(folder) => rollback::closed(folder, point).await,
        None => point.map(|point| format!("the point of no return ({point}) is passed")),
    }
}

async fn take_back(
    snapshot: &Snapshot,
    shifter: &LocalShifter,
    output: Output,
) -> Result<Exit, Failure> {
    let Snapshot {
        run,
        weight,
        commands,
        ..
    } = snapshot;
    match shifter.read().await {
        Ok(live) => console::note(&format!(
            "the target has {live} of the traffic; before run {run} it had {weight}"
        )),
        Err(error) => console::note(&error.to_string()),
    }
    let result = runner::take_back(shifter, *weight).await;
    let (exit, outcome, message, next) = match result {
        Ok(()) => (
            Exit::Done,
            "rolled_back",
            format!("the target's weight reads back as {weight}"),
            vec![format!("see where the run stands: cutover status {run}")],
        ),
        Err(error) => (Exit::PersonNeeded, "stuck", error, commands.clone()),
    };
    match output {
        Output::Human => {
            console::data(&format!("{outcome} ({run}): {message}"));
            console::data(&format!("next: {}", next.join("; ")));
        }
        Output::Json | Output::Ndjson => console::data(
            &json!({
                "run": run,
                "plan": snapshot.plan,
                "outcome": outcome,
                "message": message,
                "next": next,
            })
            .to_string(),
        ),
    }
    Ok(exit)
}
