//! The driver is killed with SIGKILL: its stacks serve on, and the next command takes over.

use std::time::Duration;

use cutover_tests::clock::wait_for;
use cutover_tests::journal;
use cutover_tests::plan::write_quick;
use cutover_tests::processes::{
    alive, assert_none_left, assert_serves, edge_weight, part, wait_for_weight,
};
use cutover_tests::workspace::{SHORT, Workspace};
use serde_json::Value;

/// A quick run ends within this, also on a busy machine.
const QUICK_RUN: Duration = Duration::from_secs(60);

/// What registers itself in a local run's folder.
const PARTS: [&str; 5] = [
    "edge",
    "source-proxy",
    "source-service",
    "target-proxy",
    "target-service",
];

/// A run whose driver was killed once the target had this weight, in percent.
fn killed_at(percent: f64) -> Workspace {
    let workspace = Workspace::new();
    write_quick(
        &workspace,
        &[
            ("steps", "[25% for 4s, 50% for 4s, 100% for 2s]"),
            ("qualify", "2s"),
        ],
    );
    let driver = workspace.start(["migrate", "plan.yaml", "--yes"]);
    wait_for_weight(&workspace, percent, QUICK_RUN);
    driver.kill_9();
    workspace
}

fn status(workspace: &Workspace) -> Value {
    workspace
        .cutover(["status", "--output", "json"])
        .expect_exit(0)
        .json()
}

/// What must be true of any run whose driver was killed while the edge had `percent`.
fn serves_on_and_can_be_taken_back(percent: f64) {
    let workspace = killed_at(percent);
    assert_serves(&workspace);

    let told = status(&workspace);
    assert_eq!(told["driver"], Value::Null, "{told:#}");
    assert_eq!(told["outcome"], Value::Null, "{told:#}");
    assert_eq!(
        told["weight"]["live"].as_f64(),
        edge_weight(&workspace).ok(),
        "{told:#}"
    );
    assert_eq!(
        told["processes"].as_array().map(Vec::len),
        Some(5),
        "{told:#}"
    );

    let written_before = journal::records(&workspace).expect("a journal").len();
    let rollback = workspace
        .cutover(["rollback", "--output", "json"])
        .expect_exit(0);
    assert_eq!(rollback.json()["outcome"], "rolled_back", "{rollback}");
    assert_eq!(edge_weight(&workspace), Ok(0.0));
    assert_serves(&workspace);
    let records = journal::records(&workspace).expect("a journal");
    let (_, of_rollback) = records.split_at(written_before);
    let set = journal::weights_set(of_rollback);
    assert!(
        set.iter().all(|&weight| weight == 0.0),
        "taking back went forward first: {set:?}"
    );
    assert!(percent == 0.0 || !set.is_empty(), "{of_rollback:#?}");

    let told = status(&workspace);
    assert_eq!(told["outcome"], "rolled_back", "{told:#}");
    assert_eq!(told["weight"]["live"], 0.0, "{told:#}");

    workspace.cutover(["cleanup"]).expect_exit(0);
    assert_none_left(&workspace);
}

#[test]
fn a_run_killed_before_its_first_step_serves_on_and_can_be_taken_back() {
    serves_on_and_can_be_taken_back(0.0);
}

#[test]
fn a_run_killed_at_25_percent_serves_on_and_can_be_taken_back() {
    serves_on_and_can_be_taken_back(25.0);
}

#[test]
fn a_run_killed_at_100_percent_serves_on_and_can_be_taken_back() {
    serves_on_and_can_be_taken_back(100.0);
}

#[test]
fn a_killed_run_that_is_resumed_ends_done() {
    let workspace = killed_at(50.0);
    let arguments = ["resume", "--yes", "--no-tui", "--output", "json"];
    let finished = workspace.start(arguments).wait(QUICK_RUN).expect_exit(0);
    let report = finished.json();
    assert_eq!(report["outcome"], "done", "{finished}");
    assert_eq!(report["failed_requests"], 0, "{finished}");
    assert_eq!(report["weight"]["applied"], 100.0, "{finished}");
    assert_none_left(&workspace);
}

#[test]
fn cleanup_ends_a_killed_run_and_rollback_then_says_that_nothing_is_left() {
    let workspace = killed_at(25.0);
    assert_eq!(alive(workspace.folder()).len(), 5);
    let edge = part(&workspace, "edge").expect("an edge");
    let cleanup = workspace
        .cutover(["cleanup", "--output", "json"])
        .expect_exit(0);
    assert_eq!(
        cleanup.json()["ended"].as_array().map(Vec::len),
        Some(5),
        "{cleanup}"
    );
    assert_none_left(&workspace);
    std::net::TcpListener::bind(edge.listen).expect("the edge's port is free again");

    workspace
        .cutover(["rollback"])
        .expect_exit(1)
        .expect_told(&["local stacks", "are gone", "nothing to take back", "25 %"]);
    let told = status(&workspace);
    assert_eq!(told["weight"]["live"], Value::Null, "{told:#}");
    assert_eq!(
        told["processes"].as_array().map(Vec::len),
        Some(0),
        "{told:#}"
    );
}

#[test]
fn an_edge_that_died_with_the_driver_is_said_plainly() {
    let workspace = killed_at(25.0);
    let edge = part(&workspace, "edge").expect("an edge");
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(edge.pid),
        nix::sys::signal::SIGKILL,
    )
    .expect("the edge lives");
    workspace
        .cutover(["rollback"])
        .expect_exit(1)
        .expect_told(&["the edge of run", "cutover cleanup"]);
    workspace.cutover(["cleanup"]).expect_exit(0);
    assert_none_left(&workspace);
}

#[test]
fn a_run_killed_while_its_stacks_start_can_be_taken_back_and_leaves_nothing() {
    let workspace = Workspace::new();
    write_quick(&workspace, &[]);
    let driver = workspace.start(["migrate", "plan.yaml", "--yes"]);
    wait_for("the first part to register", SHORT, || {
        let stacks = workspace.latest_run()?.join("stacks");
        let mut parts = PARTS.into_iter();
        let found = parts.find(|name| stacks.join(format!("{name}.json")).exists());
        found.ok_or_else(|| format!("none; {}", driver.stderr()))
    });
    driver.kill_9();

    let rollback = workspace.cutover(["rollback"]).expect_exit(0);
    let records = journal::records(&workspace).expect("a journal");
    assert!(
        journal::outcome(&records).is_some(),
        "the run has not ended: {rollback}\n{records:#?}"
    );
    assert_eq!(journal::weights_set(&records), [0.0; 0], "{records:#?}");
    workspace.cutover(["cleanup"]).expect_exit(0);
    assert_none_left(&workspace);
}

#[test]
fn a_run_whose_edge_is_killed_ends_stuck_by_itself() {
    let workspace = Workspace::new();
    write_quick(&workspace, &[("steps", "[50% for 120s, 100% for 1s]")]);
    let running = workspace.start(["migrate", "plan.yaml", "--yes", "--output", "json"]);
    wait_for_weight(&workspace, 50.0, QUICK_RUN);
    let edge = part(&workspace, "edge").expect("an edge");
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(edge.pid),
        nix::sys::signal::SIGKILL,
    )
    .expect("the edge lives");

    let finished = running.wait(Duration::from_secs(40)).expect_exit(4);
    let report = finished.json();
    assert_eq!(report["outcome"], "stuck", "{finished}");
    let next = report["next"].to_string();
    let edge = format!("{}/weights", edge.admin);
    assert!(next.contains(&edge), "no command for {edge}: {finished}");
    let left = alive(workspace.folder());
    assert_eq!(left.len(), 4, "both stacks serve on: {left:#?}");
    assert!(
        next.contains("cutover cleanup"),
        "no word of what is left: {next}"
    );
    workspace.cutover(["cleanup"]).expect_exit(0);
    assert_none_left(&workspace);
}
