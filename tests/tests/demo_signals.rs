//! Signals end a run the way its user means it, and nothing is left running.

use std::process::Command;
use std::time::Duration;

use cutover_tests::binary;
use cutover_tests::clock::wait_for;
use cutover_tests::command::Running;
use cutover_tests::journal;
use cutover_tests::plan::write_quick;
use cutover_tests::processes::{assert_none_left, wait_for_weight};
use cutover_tests::workspace::{SHORT, Workspace};
use nix::sys::signal::Signal;

const QUICK_RUN: Duration = Duration::from_secs(60);

/// A run in the middle: half of the traffic is on the target, for longer than any test takes.
fn half_way(workspace: &Workspace) -> Running {
    write_quick(workspace, &[("steps", "[50% for 60s, 100% for 1s]")]);
    let running = workspace.start(["migrate", "plan.yaml", "--yes", "--output", "json"]);
    wait_for_weight(workspace, 50.0, QUICK_RUN);
    running
}

fn rolls_back_and_ends_on(signal: Signal) {
    let workspace = Workspace::new();
    let running = half_way(&workspace);
    running.signal(signal);
    let finished = running.wait(SHORT).expect_exit(130);
    let report = finished.json();
    assert_eq!(report["outcome"], "interrupted", "{finished}");
    assert_eq!(report["weight"]["applied"], 0.0, "{finished}");
    assert_eq!(report["failed_requests"], 0, "{finished}");
    assert_none_left(&workspace);
}

#[test]
fn ctrl_c_rolls_back_and_ends() {
    rolls_back_and_ends_on(Signal::SIGINT);
}

#[test]
fn sigterm_rolls_back_and_ends() {
    rolls_back_and_ends_on(Signal::SIGTERM);
}

/// `timeout` of GNU coreutils signals the child, and then its own group, in which the child is:
/// one wish to end arrives as two signals.
#[test]
fn the_two_signals_of_timeout_roll_back_as_one() {
    let workspace = Workspace::new();
    write_quick(&workspace, &[("steps", "[50% for 60s, 100% for 1s]")]);
    let mut timeout = Command::new("timeout");
    timeout.arg("5").arg(binary::cutover());
    timeout.args(["migrate", "plan.yaml", "--yes", "--output", "json"]);
    let running = workspace.spawn(timeout);
    wait_for_weight(&workspace, 50.0, QUICK_RUN);
    // What `timeout` itself exits with when the time is over.
    let finished = running.wait(SHORT).expect_exit(124);
    let report = finished.json();
    assert_eq!(report["outcome"], "interrupted", "{finished}");
    assert_eq!(report["weight"]["applied"], 0.0, "{finished}");
    let records = journal::records(&workspace).expect("a journal");
    assert_eq!(
        journal::outcome(&records),
        Some("interrupted"),
        "{finished}"
    );
    assert_eq!(journal::weights_set(&records), [50.0, 0.0], "{finished}");
    assert_none_left(&workspace);
}

#[test]
fn ctrl_c_twice_stops_at_once_and_says_how_to_continue() {
    let workspace = Workspace::new();
    let running = half_way(&workspace);
    running.signal(Signal::SIGINT);
    running.signal(Signal::SIGTERM);
    let finished = running.wait(SHORT).expect_exit(130);
    let report = finished.json();
    assert_eq!(report["outcome"], "interrupted", "{finished}");
    let next = report["next"].as_array().expect("what comes next");
    assert!(!next.is_empty(), "{finished}");
    assert_none_left(&workspace);
}

#[test]
fn ctrl_c_while_the_stacks_start_leaves_nothing() {
    let workspace = Workspace::new();
    write_quick(&workspace, &[]);
    let running = workspace.start(["migrate", "plan.yaml", "--yes"]);
    wait_for(
        "the first process of a stack",
        SHORT,
        || match cutover_tests::processes::alive(workspace.folder()).len() {
            0 => Err(format!("none; {}", running.stderr())),
            _ => Ok(()),
        },
    );
    running.signal(Signal::SIGINT);
    running.wait(SHORT).expect_exit(130);
    assert_none_left(&workspace);
}

#[test]
fn a_hangup_of_the_terminal_does_not_stop_a_run() {
    let workspace = Workspace::new();
    write_quick(&workspace, &[]);
    let running = workspace.start(["migrate", "plan.yaml", "--yes", "--output", "json"]);
    wait_for_weight(&workspace, 50.0, QUICK_RUN);
    running.signal(Signal::SIGHUP);
    let finished = running.wait(QUICK_RUN).expect_exit(0);
    assert_eq!(finished.json()["outcome"], "done", "{finished}");
    assert_none_left(&workspace);
}
