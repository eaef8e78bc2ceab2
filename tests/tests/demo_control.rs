//! A run in the background, watched and steered from other terminals.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use cutover_tests::clock::wait_for;
use cutover_tests::journal;
use cutover_tests::plan::write_quick;
use cutover_tests::processes::{
    assert_none_left, assert_serves, edge_weight, has_ended, wait_for_weight,
};
use cutover_tests::terminal::{SOON, Terminal};
use cutover_tests::workspace::Workspace;
use nix::unistd::Pid;
use serde_json::Value;

const QUICK_RUN: Duration = Duration::from_secs(60);

/// A run in the background, begun by a command that has ended, and its driver.
fn in_the_background(steps: &str) -> (Workspace, Pid) {
    let workspace = Workspace::new();
    write_quick(&workspace, &[("steps", steps)]);
    let begun = workspace.start(["migrate", "plan.yaml", "--detach", "--yes"]);
    begun.wait(QUICK_RUN).expect_exit(0);
    let records = journal::records(&workspace).expect("a journal");
    let driver = journal::driver(&records).expect("a driver");
    (workspace, driver)
}

fn wait_for_end(workspace: &Workspace, driver: Pid, outcome: &str) {
    wait_for("the driver to end", QUICK_RUN, || {
        if has_ended(driver) {
            Ok(())
        } else {
            Err(format!("process {driver} lives"))
        }
    });
    let records = journal::records(workspace).expect("a journal");
    assert_eq!(journal::outcome(&records), Some(outcome), "{records:#?}");
}

fn waits_for(workspace: &Workspace, what: &str) {
    wait_for(what, QUICK_RUN, || {
        let status = workspace.cutover(["status"]).expect_exit(0);
        if status.stdout.contains(what) {
            Ok(())
        } else {
            Err(status.to_string())
        }
    });
}

#[test]
fn a_run_outlives_the_terminal_it_was_begun_in_and_others_watch_and_steer_it() {
    let workspace = Workspace::new();
    write_quick(&workspace, &[("steps", "[50% for 60s, 100% for 1s]")]);
    let first = Terminal::open(&workspace, &[]);
    first.run_cutover("migrate plan.yaml --detach --yes");
    first.wait_to_show_within("exit=0", QUICK_RUN);
    first.close();

    let (watcher, another) = (
        Terminal::open(&workspace, &[]),
        Terminal::open(&workspace, &[]),
    );
    for terminal in [&watcher, &another] {
        terminal.run_cutover("attach");
        terminal.wait_to_show_within("holding 50 %", QUICK_RUN);
    }
    another.press("q");
    another.wait_to_show("exit=");
    another.assert_given_back();

    another.run_cutover("pause");
    another.wait_to_show("exit=0");
    watcher.wait_to_show("PAUSED");
    another.run_cutover("resume");
    another.wait_to_show("exit=0");
    watcher.wait_to_lose("PAUSED");

    another.run_cutover("rollback");
    another.wait_to_show_within("exit=0", QUICK_RUN);
    watcher.wait_to_show_within("exit=3", QUICK_RUN);
    watcher.assert_given_back();
    wait_for(
        "the end of the stacks",
        SOON,
        || match cutover_tests::processes::alive(workspace.folder()) {
            left if left.is_empty() => Ok(()),
            left => Err(format!("{left:#?}")),
        },
    );
}

#[test]
fn closing_the_screen_of_a_watcher_changes_nothing() {
    let (workspace, driver) = in_the_background("[50% for 4s, 100% for 1s]");
    let watcher = Terminal::open(&workspace, &[]);
    watcher.run_cutover("attach");
    watcher.wait_to_show_within("holding 50 %", QUICK_RUN);
    watcher.close();
    wait_for_end(&workspace, driver, "done");
    assert_none_left(&workspace);
}

#[test]
fn a_manual_gate_opens_to_approve_and_only_there() {
    let gated = "[25% for 500ms, { weight: 50%, hold: 500ms, gate: manual }, 100% for 500ms]";
    let (workspace, driver) = in_the_background(gated);
    wait_for_weight(&workspace, 25.0, QUICK_RUN);
    waits_for(&workspace, "gate");
    assert_eq!(edge_weight(&workspace), Ok(25.0), "the gate is closed");
    workspace.cutover(["approve"]).expect_exit(0);
    wait_for_weight(&workspace, 50.0, QUICK_RUN);
    workspace
        .cutover(["approve"])
        .expect_exit(1)
        .expect_told(&["refuses", "does not wait at a manual gate"]);
    wait_for_end(&workspace, driver, "done");
    assert_none_left(&workspace);
}

#[test]
fn a_hold_stays_until_somebody_advances() {
    let (workspace, driver) = in_the_background("[50% for 1s, 100% for 1s]");
    wait_for_weight(&workspace, 50.0, QUICK_RUN);
    workspace.cutover(["hold"]).expect_exit(0);
    waits_for(&workspace, "held at this weight");
    assert_eq!(edge_weight(&workspace), Ok(50.0));
    workspace.cutover(["advance"]).expect_exit(0);
    wait_for_end(&workspace, driver, "done");
    assert_none_left(&workspace);
}

#[test]
fn an_aborted_run_leaves_its_weight_and_can_be_taken_back() {
    let (workspace, driver) = in_the_background("[50% for 60s, 100% for 1s]");
    wait_for_weight(&workspace, 50.0, QUICK_RUN);
    workspace.cutover(["abort", "--yes"]).expect_exit(0);
    wait_for_end(&workspace, driver, "held");
    assert_eq!(edge_weight(&workspace), Ok(50.0));
    assert_serves(&workspace);
    workspace.cutover(["rollback"]).expect_exit(0);
    assert_eq!(edge_weight(&workspace), Ok(0.0));
    workspace.cutover(["cleanup"]).expect_exit(0);
    assert_none_left(&workspace);
}

#[test]
fn only_the_owner_can_speak_to_a_run() {
    let (workspace, driver) = in_the_background("[50% for 60s, 100% for 1s]");
    let socket = workspace.latest_run().expect("a run").join("control.sock");
    let mode = |path: &std::path::Path| fs::metadata(path).map(|data| data.permissions().mode());
    let of_others = mode(&socket).expect("a control socket") & 0o077;
    assert_eq!(of_others, 0, "{}", socket.display());
    workspace.cutover(["rollback"]).expect_exit(0);
    wait_for_end(&workspace, driver, "rolled_back");
    assert_none_left(&workspace);
}

#[test]
fn logs_follow_a_run_to_its_end_and_tell_who_asked() {
    let (workspace, driver) = in_the_background("[50% for 60s, 100% for 1s]");
    let following = workspace.start(["logs", "--follow"]);
    wait_for_weight(&workspace, 50.0, QUICK_RUN);
    let asked = workspace.cutover(["rollback"]).expect_exit(0);
    let followed = following.wait(QUICK_RUN);
    wait_for_end(&workspace, driver, "rolled_back");
    let again = workspace.cutover(["logs"]).expect_exit(0);
    let told = |text: &str| text.lines().filter(|line| !line.trim().is_empty()).count();
    assert!(told(&again.stdout) > 10, "{again}");
    assert!(
        followed.stdout.contains("rolled_back") || followed.stdout.contains("back on the source"),
        "{followed}\n{asked}"
    );
    assert_eq!(told(&followed.stdout), told(&again.stdout), "{followed}");
    assert_none_left(&workspace);
}

#[test]
fn a_driver_in_the_background_that_is_killed_can_be_resumed_in_the_background() {
    let (workspace, driver) = in_the_background("[50% for 2s, 100% for 1s]");
    wait_for_weight(&workspace, 50.0, QUICK_RUN);
    nix::sys::signal::kill(driver, nix::sys::signal::Signal::SIGKILL).expect("it lives");
    wait_for("the driver to be gone", SOON, || {
        has_ended(driver).then_some(()).ok_or("it lives".to_owned())
    });
    let status = workspace.cutover(["status", "--output", "json"]);
    assert_eq!(status.json()["driver"], Value::Null, "{status}");
    let resume = workspace.start(["resume", "--yes", "--detach"]);
    resume.wait(QUICK_RUN).expect_exit(0);
    let records = journal::records(&workspace).expect("a journal");
    let next = journal::driver(&records).expect("a driver");
    assert_ne!(next, driver);
    wait_for_end(&workspace, next, "done");
    assert_none_left(&workspace);
}
