//! Steps that must be proven, and measurements that stay away.

use std::time::Duration;

use cutover_tests::clock::wait_for;
use cutover_tests::command::Running;
use cutover_tests::journal;
use cutover_tests::plan::write_quick_with;
use cutover_tests::processes::{assert_none_left, edge_weight, part, wait_for_weight};
use cutover_tests::status;
use cutover_tests::workspace::Workspace;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const QUICK_RUN: Duration = Duration::from_secs(35);

/// Objectives that a few hundred good answers prove.
const PROVABLE: [(&str, &str); 2] = [
    ("- errors", "{ at_most: 5% }"),
    ("- p99", "{ at_most: 2s }"),
];

const PROVE: (&str, &str) = (
    "steps",
    "[{ weight: 80%, hold: 1s, prove: true }, 100% for 1s]",
);

fn migrate(values: &[(&str, &str)], more: &str) -> (Workspace, Running) {
    let workspace = Workspace::new();
    let values = [&PROVABLE, values].concat();
    write_quick_with(&workspace, &values, more);
    let running = workspace.start(["migrate", "plan.yaml", "--yes"]);
    (workspace, running)
}

#[test]
fn a_step_that_must_be_proven_advances_by_itself_once_it_is() {
    let (workspace, running) = migrate(&[PROVE, ("rate", "300/s")], "");
    running
        .wait(QUICK_RUN)
        .expect_exit(0)
        .expect_told(&["waiting for proof: ", "step 80 % held"]);
    let records = journal::records(&workspace).expect("a journal");
    let mut passed = records
        .iter()
        .filter(|record| record["fact"] == "step_passed");
    let first = passed.next().expect("a step that passed");
    assert_eq!(first["step"], 0, "{first}");
    // That 1 % are slow at most takes more good answers than its hold of a second brings.
    let answers = first["observed"]["target_requests"].as_u64();
    assert!(answers > Some(300), "{first}");
    assert!(
        first["observed"]["held"]["secs"].as_u64() > Some(1),
        "{first}"
    );
    assert_none_left(&workspace);
}

#[test]
fn a_step_that_cannot_be_proven_waits_says_what_is_missing_and_can_be_waived() {
    let slow = [
        PROVE,
        ("rate", "10/s"),
        ("paired", "5/s"),
        ("qualify", "2s"),
    ];
    let (workspace, running) = migrate(&slow, "");
    let reason = status::wait_until_it_waits_for(&workspace, "proof: ");
    for part in [
        "errors at most 5 %",
        "p99 at most 2s",
        "upper bound",
        "requests",
    ] {
        assert!(reason.contains(part), "{part}: {reason}");
    }
    assert_eq!(edge_weight(&workspace), Ok(80.0));
    workspace.cutover(["advance"]).expect_exit(0);
    running.wait(QUICK_RUN).expect_exit(0);
    assert_none_left(&workspace);
}

/// Stops the edge, as a machine that hangs, until it is dropped.
struct Stopped(Pid);

impl Stopped {
    fn edge_of(workspace: &Workspace) -> Self {
        let edge = Pid::from_raw(part(workspace, "edge").expect("an edge").pid);
        kill(edge, Signal::SIGSTOP).expect("it lives");
        Stopped(edge)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        let _ = kill(self.0, Signal::SIGCONT);
    }
}

#[test]
fn measurements_that_stay_away_lead_back_when_the_plan_says_so() {
    let steps = ("steps", "[50% for 60s, 100% for 1s]");
    let (workspace, running) = migrate(&[steps], "on_missing: { after: 2s, then: rollback }");
    wait_for_weight(&workspace, 50.0, QUICK_RUN);
    let stopped = Stopped::edge_of(&workspace);
    journal::wait_for_record(&workspace, "the way back", QUICK_RUN, |record| {
        record["fact"] == "rollback_decided"
    });
    drop(stopped);
    running.wait(QUICK_RUN).expect_exit(3).expect_told(&[
        "measurements stayed away",
        "answers through the edge: none for",
        "all traffic is back on the source",
    ]);
    let records = journal::records(&workspace).expect("a journal");
    let missed = records
        .iter()
        .any(|record| record["fact"] == "missing_too_long");
    assert!(missed, "{records:#?}");
    assert_none_left(&workspace);
}

#[test]
fn measurements_that_stay_away_hold_for_a_person_when_the_plan_says_so() {
    let steps = ("steps", "[50% for 2s, 100% for 1s]");
    let (workspace, running) = migrate(&[steps], "on_missing: { after: 1s, then: hold }");
    wait_for_weight(&workspace, 50.0, QUICK_RUN);
    let stopped = Stopped::edge_of(&workspace);
    journal::wait_for_record(&workspace, "what is missing", QUICK_RUN, |record| {
        record["fact"] == "missing_too_long"
    });
    drop(stopped);
    // Also when they come back it is a person who goes on.
    let reason = status::wait_until_it_waits_for(&workspace, "nothing came for too long");
    assert!(reason.starts_with("a person"), "{reason}");
    // On a busy machine answers may stay away once more before they flow.
    wait_for("the run to be done", QUICK_RUN, || {
        let resumed = workspace.cutover(["resume"]);
        let records = journal::records(&workspace)?;
        match journal::outcome(&records) {
            Some("done") => Ok(()),
            other => Err(format!("{other:?}, {resumed}")),
        }
    });
    running.wait(QUICK_RUN).expect_exit(0);
    assert_none_left(&workspace);
}
