//! The journal cannot be written any more half-way: the run changes nothing further, says so, and
//! takes the traffic back; and a run that a crash left there can still be taken back.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use cutover_tests::binary;
use cutover_tests::clock::wait_for;
use cutover_tests::command::Finished;
use cutover_tests::disk::{Immutable, Mounted, NO_IMMUTABLE, NO_MOUNT, limit_file_size};
use cutover_tests::journal;
use cutover_tests::plan::write_quick;
use cutover_tests::processes::{assert_none_left, assert_serves, edge_weight, wait_for_weight};
use cutover_tests::skip::skip;
use cutover_tests::witness::{Seen, Target, watched};
use cutover_tests::workspace::{SHORT, Workspace};

const QUICK_RUN: Duration = Duration::from_secs(60);

const MIGRATE: [&str; 5] = ["migrate", "plan.yaml", "--yes", "--output", "json"];

/// Time enough at 50 % to take the journal away, and then more records than fit into the rest of
/// its last page, which a full disk still has.
const STEPS: &str = "[50% for 2s, 51% for 200ms, 52% for 200ms, 53% for 200ms, 54% for 200ms, \
    55% for 200ms, 56% for 200ms, 57% for 200ms, 58% for 200ms, 59% for 200ms, 60% for 200ms, \
    61% for 200ms, 62% for 200ms, 100% for 1s]";

fn prepared() -> Workspace {
    let workspace = Workspace::new();
    write_quick(&workspace, &[("steps", STEPS)]);
    workspace
}

/// What must be true of a run at 50 % whose journal then refused to be written with `error`.
fn assert_took_the_traffic_back(
    workspace: &Workspace,
    finished: Finished,
    seen: &Seen,
    error: &str,
) {
    let finished = finished.expect_exit(3).expect_told(&["journal", error]);
    let report = finished.json();
    assert_eq!(report["outcome"], "rolled_back", "{finished}");
    assert_eq!(report["weight"]["applied"], 0.0, "{finished}");
    let message = report["message"].as_str().unwrap_or_default();
    for part in ["journal", error, "all traffic is back on the source"] {
        assert!(message.contains(part), "no `{part}` in `{message}`");
    }
    let (_, after) = finished.stderr.split_once(error).unwrap_or_default();
    assert!(!after.contains("setting the"), "it went on: {finished}");
    let last = seen.weights.last().and_then(|weights| weights.percent());
    assert_eq!(last, Some(0.0), "{seen:?}: {finished}");
    assert_none_left(workspace);
}

/// The journal can be written again: it tells no end, and what a person does next is said.
fn assert_next_commands_work(workspace: &Workspace) {
    let status = workspace
        .cutover(["status", "--output", "json"])
        .expect_exit(0);
    assert_eq!(status.json()["driver"], serde_json::Value::Null, "{status}");
    // The stacks ended with the driver, so nothing can be taken back, and nothing has to be.
    workspace
        .cutover(["rollback"])
        .expect_exit(1)
        .expect_told(&["local stacks", "are gone", "nothing to take back"]);
}

#[test]
fn a_disk_that_fills_up_half_way_takes_the_traffic_back() {
    let workspace = prepared();
    let path = workspace.folder().join(".cutover");
    let Some(disk) = Mounted::new(&path, "size=1m") else {
        return skip("a disk that fills up half-way", NO_MOUNT);
    };
    let (finished, seen) = watched(&workspace, Target::Healthy, || {
        let running = workspace.start(MIGRATE);
        wait_for_weight(&workspace, 50.0, QUICK_RUN);
        disk.fill();
        running.wait(QUICK_RUN)
    });
    assert_took_the_traffic_back(&workspace, finished, &seen, "No space left on device");
    disk.make_room();
    assert_next_commands_work(&workspace);
}

#[test]
fn a_journal_that_becomes_read_only_half_way_takes_the_traffic_back() {
    let workspace = prepared();
    let (outcome, seen) = watched(&workspace, Target::Healthy, || {
        let running = workspace.start(MIGRATE);
        wait_for_weight(&workspace, 50.0, QUICK_RUN);
        let journal = workspace.latest_run().expect("a run").join(journal::FILE);
        let _immutable = Immutable::new(&journal)?;
        Some(running.wait(QUICK_RUN))
    });
    let Some(finished) = outcome else {
        return skip("a journal that becomes read-only half-way", NO_IMMUTABLE);
    };
    assert_took_the_traffic_back(&workspace, finished, &seen, "Operation not permitted");
    assert_next_commands_work(&workspace);
}

#[test]
fn a_journal_that_may_not_grow_half_way_takes_the_traffic_back() {
    let workspace = prepared();
    let (finished, seen) = watched(&workspace, Target::Healthy, || {
        let running = workspace.start(MIGRATE);
        wait_for_weight(&workspace, 50.0, QUICK_RUN);
        let journal = workspace.latest_run().expect("a run").join(journal::FILE);
        // The limit is that of every file the driver writes: its report must fit.
        let size = wait_for("a journal of 12 KiB", QUICK_RUN, || {
            let size = fs::metadata(&journal).expect("a journal").len();
            if size > 12 << 10 {
                Ok(size)
            } else {
                Err(format!("{size} bytes"))
            }
        });
        limit_file_size(running.pid(), size);
        running.wait(QUICK_RUN)
    });
    assert_took_the_traffic_back(&workspace, finished, &seen, "File too large");
    assert_next_commands_work(&workspace);
}

/// A run whose driver was killed at 50 %, and its journal.
fn killed() -> (Workspace, PathBuf) {
    let workspace = prepared();
    let driver = workspace.start(MIGRATE);
    wait_for_weight(&workspace, 50.0, QUICK_RUN);
    driver.kill_9();
    let journal = workspace.latest_run().expect("a run").join(journal::FILE);
    (workspace, journal)
}

/// The journal can be read and not be written: the traffic goes back, and that is said.
fn assert_taken_back_unrecorded(workspace: &Workspace, rollback: Finished, error: &str) {
    assert_eq!(edge_weight(workspace), Ok(0.0), "{rollback}");
    assert_serves(workspace);
    let rollback = rollback.expect_told(&["journal", error]);
    assert_eq!(rollback.json()["outcome"], "rolled_back", "{rollback}");
}

/// Once the journal can be written again, it is brought to its end.
fn assert_can_be_recorded(workspace: &Workspace) {
    let again = workspace
        .cutover(["rollback", "--output", "json"])
        .expect_exit(0);
    assert_eq!(again.json()["outcome"], "rolled_back", "{again}");
    workspace.cutover(["cleanup"]).expect_exit(0);
    assert_none_left(workspace);
}

#[test]
fn a_killed_run_is_taken_back_although_its_journal_is_read_only() {
    let (workspace, journal) = killed();
    let Some(immutable) = Immutable::new(&journal) else {
        return skip("a killed run with a read-only journal", NO_IMMUTABLE);
    };
    let rollback = workspace.cutover(["rollback", "--output", "json"]);
    assert_taken_back_unrecorded(&workspace, rollback, "Operation not permitted");
    drop(immutable);
    assert_can_be_recorded(&workspace);
}

#[test]
fn a_killed_run_is_taken_back_although_its_journal_may_not_grow() {
    let (workspace, journal) = killed();
    let size = fs::metadata(journal).expect("a journal").len();
    let mut limited = Command::new("prlimit");
    limited
        .arg(format!("--fsize={size}:unlimited"))
        .arg(binary::cutover())
        .args(["rollback", "--output", "json"]);
    let rollback = workspace.spawn(limited).wait(SHORT);
    assert_taken_back_unrecorded(&workspace, rollback, "File too large");
    assert_can_be_recorded(&workspace);
}
