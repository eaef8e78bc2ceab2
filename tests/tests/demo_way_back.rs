//! The way back: written down before the first change, open without a journal, and not taken blindly.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use cutover_tests::clock::wait_for;
use cutover_tests::command::{Finished, Running};
use cutover_tests::http::put;
use cutover_tests::journal;
use cutover_tests::plan::{write_quick, write_quick_with};
use cutover_tests::processes::{
    assert_none_left, assert_serves, edge_weight, part, wait_for_weight,
};
use cutover_tests::status;
use cutover_tests::witness::fall_ill;
use cutover_tests::workspace::Workspace;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

const QUICK_RUN: Duration = Duration::from_secs(35);

/// Longer than any test takes.
const LONG: &str = "[50% for 60s, 100% for 1s]";
const SHORT_STEPS: &str = "[50% for 3s, 100% for 1s]";

/// A run without a terminal, whose target has half of the traffic.
fn at_50_percent(steps: &str) -> (Workspace, Running) {
    at_50_percent_with(steps, "")
}

fn at_50_percent_with(steps: &str, more: &str) -> (Workspace, Running) {
    let workspace = Workspace::new();
    write_quick_with(&workspace, &[("steps", steps)], more);
    let driver = workspace.start(["migrate", "plan.yaml", "--yes"]);
    wait_for_weight(&workspace, 50.0, QUICK_RUN);
    journal::wait_for_record(&workspace, "the weight read back", QUICK_RUN, |record| {
        record["output"]["applied"] == 5000
    });
    (workspace, driver)
}

/// The same, with the driver killed.
fn killed() -> Workspace {
    let (workspace, driver) = at_50_percent(LONG);
    driver.kill_9();
    workspace
}

fn run_file(workspace: &Workspace, name: &str) -> PathBuf {
    workspace.latest_run().expect("a run").join(name)
}

fn from_snapshot(workspace: &Workspace, more: &[&str]) -> Finished {
    let snapshot = run_file(workspace, "snapshot.json");
    let snapshot = snapshot.to_str().expect("UTF-8");
    workspace.cutover([&["rollback", "--from", snapshot], more].concat())
}

fn clean_up(workspace: &Workspace) {
    workspace.cutover(["cleanup"]).expect_exit(0);
    assert_none_left(workspace);
}

#[test]
fn a_snapshot_lies_there_before_the_first_weight_is_written() {
    let workspace = Workspace::new();
    write_quick(&workspace, &[("steps", LONG)]);
    let driver = workspace.start(["migrate", "plan.yaml", "--yes"]);
    let proven = journal::wait_for_record(&workspace, "the way back", QUICK_RUN, |record| {
        record["output"]["way_back"].is_object()
    });
    let path = proven["output"]["way_back"]["snapshot"].as_str();
    let path = workspace.folder().join(path.expect("its path"));
    let mode = fs::metadata(&path).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "{}", path.display());
    let snapshot: Value =
        serde_json::from_str(&fs::read_to_string(&path).expect("a file")).expect("JSON");
    assert_eq!(snapshot["weight"], 0, "{snapshot:#}");
    let admin = part(&workspace, "edge").expect("an edge").admin;
    let command = snapshot["commands"][0].as_str().expect("a command");
    assert!(
        command.contains(&format!("http://{admin}/weights")),
        "{snapshot:#}"
    );

    wait_for_weight(&workspace, 50.0, QUICK_RUN);
    let told = driver.stderr();
    assert!(told.contains("cutover rollback --from"), "{told}");
    let records = journal::records(&workspace).expect("a journal");
    let wrote = records
        .iter()
        .find(|record| record["effect"]["set_weight"].is_object());
    let wrote = wrote.expect("a weight that was written");
    assert!(wrote["seq"].as_u64() > proven["seq"].as_u64(), "{wrote}");
    workspace.cutover(["rollback"]).expect_exit(0);
    assert_none_left(&workspace);
}

#[test]
fn a_snapshot_alone_takes_a_run_back() {
    let workspace = killed();
    fs::remove_file(run_file(&workspace, journal::FILE)).expect("a journal");
    let rollback = from_snapshot(&workspace, &["--output", "json"])
        .expect_exit(0)
        .expect_told(&["the target has 50 % of the traffic", "it had 0 %"]);
    assert_eq!(rollback.json()["outcome"], "rolled_back", "{rollback}");
    assert_eq!(edge_weight(&workspace), Ok(0.0));
    clean_up(&workspace);
}

#[test]
fn a_run_whose_journal_was_lost_is_found_and_taken_back_from_its_snapshot() {
    let workspace = killed();
    fs::remove_file(run_file(&workspace, journal::FILE)).expect("a journal");
    is_taken_back_all_the_same(&workspace, "journal.jsonl: could not read the journal");
}

#[test]
fn a_driver_whose_journal_was_lost_takes_the_traffic_back_and_cleanup_spares_its_stacks() {
    let (workspace, driver) = at_50_percent(LONG);
    fs::remove_file(run_file(&workspace, journal::FILE)).expect("a journal");
    let cleanup = workspace.cutover(["cleanup", "--output", "json"]);
    let spared = cleanup.json()["spared"][0]["driver"].clone();
    assert_eq!(spared, driver.pid().as_raw(), "{cleanup}");
    assert_serves(&workspace);
    driver.wait(QUICK_RUN).expect_exit(3).expect_told(&[
        "could not find the journal",
        "all traffic is back on the source",
    ]);
    assert_none_left(&workspace);
}

/// The journal of a killed run, whole, and what becomes of it.
fn with_journal(workspace: &Workspace, spoil: impl FnOnce(String) -> String) {
    let path = run_file(workspace, journal::FILE);
    let whole = fs::read_to_string(&path).expect("a journal");
    fs::write(&path, spoil(whole)).expect("a journal to spoil");
}

/// `status` names the damage; `rollback` names it too, and needs no journal.
fn is_taken_back_all_the_same(workspace: &Workspace, damage: &str) {
    workspace
        .cutover(["status"])
        .expect_exit(1)
        .expect_told(&[damage, "its edge still serves"]);
    workspace
        .cutover(["resume", "--yes"])
        .expect_exit(1)
        .expect_told(&[damage]);
    assert_eq!(edge_weight(workspace), Ok(50.0));
    workspace
        .cutover(["rollback"])
        .expect_exit(0)
        .expect_told(&[damage, "taking back from", "snapshot.json instead"]);
    assert_eq!(edge_weight(workspace), Ok(0.0));
    clean_up(workspace);
}

#[test]
fn a_journal_that_was_cut_is_called_cut_and_the_traffic_goes_back() {
    let workspace = killed();
    with_journal(&workspace, |whole| {
        let lines: Vec<_> = whole.lines().collect();
        lines[..lines.len() - 2].join("\n") + "\n"
    });
    is_taken_back_all_the_same(&workspace, "the journal was cut");
}

#[test]
fn a_journal_that_was_edited_is_called_changed_and_the_traffic_goes_back() {
    let workspace = killed();
    with_journal(&workspace, |whole| {
        assert!(whole.contains("\"applied\":5000"), "{whole}");
        whole.replace("\"applied\":5000", "\"applied\":4000")
    });
    is_taken_back_all_the_same(&workspace, "the journal was changed");
}

#[test]
fn a_journal_that_was_torn_by_the_crash_is_called_torn_and_still_counts() {
    let workspace = killed();
    with_journal(&workspace, |whole| whole + "{\"seq\":99,\"at\":\"2026-");
    let told = status::of(&workspace);
    assert_eq!(told["journal_torn"], true, "{told:#}");
    workspace
        .cutover(["rollback"])
        .expect_exit(0)
        .expect_told(&["last line was cut off by the crash"]);
    assert_eq!(edge_weight(&workspace), Ok(0.0));
    let told = status::of(&workspace);
    assert_eq!(told["outcome"], "rolled_back", "{told:#}");
    assert_eq!(told["journal_torn"], false, "{told:#}");
    clean_up(&workspace);
}

#[test]
fn a_snapshot_is_not_used_over_the_head_of_a_living_driver_unless_forced() {
    let (workspace, driver) = at_50_percent(LONG);
    from_snapshot(&workspace, &[]).expect_exit(6).expect_told(&[
        "is under way",
        "ask its driver: cutover rollback",
        "--force",
    ]);
    assert_eq!(edge_weight(&workspace), Ok(50.0));
    from_snapshot(&workspace, &["--force"])
        .expect_exit(0)
        .expect_told(&["going back without the lock"]);
    assert_eq!(edge_weight(&workspace), Ok(0.0));
    // The driver sees a weight that it did not write, and does not write over it.
    status::wait_until_it_waits_for(&workspace, "now it is 0 %");
    assert_eq!(edge_weight(&workspace), Ok(0.0));
    workspace.cutover(["rollback"]).expect_exit(0);
    driver.wait(QUICK_RUN).expect_exit(3);
    assert_none_left(&workspace);
}

/// Somebody else writes a weight at the edge; the run must wait and say who.
fn changed_by_somebody_else(steps: &str) -> (Workspace, Running) {
    let (workspace, driver) = at_50_percent(steps);
    let edge = part(&workspace, "edge").expect("an edge");
    let body = r#"{"weights":{"source":7000,"target":3000},"by":"terraform"}"#;
    let answer = put(edge.admin, "/weights", body).expect("an edge that takes it");
    assert_eq!(answer.status, 200, "{answer:?}");
    let reason = status::wait_until_it_waits_for(&workspace, "now it is 30 %");
    for part in [
        "a person",
        "this run set the target's weight to 50 %",
        "terraform",
    ] {
        assert!(reason.contains(part), "{part}: {reason}");
    }
    // Only a person settles it.
    assert_eq!(edge_weight(&workspace), Ok(30.0));
    (workspace, driver)
}

#[test]
fn a_foreign_change_stops_the_run_until_a_person_goes_on() {
    let (workspace, driver) = changed_by_somebody_else(SHORT_STEPS);
    workspace.cutover(["resume"]).expect_exit(0);
    wait_for_weight(&workspace, 50.0, QUICK_RUN);
    driver.wait(QUICK_RUN).expect_exit(0);
    let records = journal::records(&workspace).expect("a journal");
    assert_eq!(journal::outcome(&records), Some("done"));
    assert_eq!(journal::weights_set(&records), [50.0, 50.0, 100.0]);
    assert_none_left(&workspace);
}

#[test]
fn a_foreign_change_can_be_answered_with_rollback() {
    let (workspace, driver) = changed_by_somebody_else(LONG);
    workspace.cutover(["rollback"]).expect_exit(0);
    driver.wait(QUICK_RUN).expect_exit(3);
    let records = journal::records(&workspace).expect("a journal");
    assert_eq!(journal::outcome(&records), Some("rolled_back"));
    assert_none_left(&workspace);
}

fn kill_part(workspace: &Workspace, name: &str) {
    let part = part(workspace, name).expect("a part");
    kill(Pid::from_raw(part.pid), Signal::SIGKILL).expect("it lives");
}

#[test]
fn a_run_does_not_go_back_to_a_source_that_is_dead_unless_forced() {
    let (workspace, driver) = at_50_percent(SHORT_STEPS);
    kill_part(&workspace, "source-proxy");
    status::wait_until_it_waits_for(&workspace, "the source to recover: its proxy does not run");
    fall_ill(&workspace).expect("a target");
    wait_for("the line about both stacks", QUICK_RUN, || {
        let told = driver.stderr();
        let says_so = told.contains("is broken on the source too: going back would not help");
        says_so.then_some(()).ok_or(told)
    });
    workspace
        .cutover(["rollback"])
        .expect_exit(1)
        .expect_told(&["the source is down: its proxy does not run", "--force"]);
    assert_eq!(edge_weight(&workspace), Ok(50.0));
    let records = journal::records(&workspace).expect("a journal");
    assert!(!journal::goes_back(&records), "{records:#?}");
    workspace.cutover(["rollback", "--force"]).expect_exit(0);
    driver.wait(QUICK_RUN).expect_exit(3);
    assert_none_left(&workspace);
}

#[test]
fn a_killed_run_is_not_taken_back_to_a_dead_source_unless_forced() {
    let workspace = killed();
    kill_part(&workspace, "source-proxy");
    workspace
        .cutover(["rollback"])
        .expect_exit(1)
        .expect_told(&["nothing was changed", "the source is down", "--force"]);
    assert_eq!(edge_weight(&workspace), Ok(50.0));
    workspace.cutover(["rollback", "--force"]).expect_exit(0);
    assert_eq!(edge_weight(&workspace), Ok(0.0));
    clean_up(&workspace);
}

#[test]
fn past_the_point_of_no_return_a_breach_holds_and_going_back_must_be_forced() {
    let (workspace, driver) = at_50_percent_with(LONG, "point_of_no_return: 50%");
    fall_ill(&workspace).expect("a target");
    driver
        .wait(QUICK_RUN)
        .expect_exit(4)
        .expect_told(&["BREACH", "the point of no return (50 %) is passed"]);
    assert_eq!(edge_weight(&workspace), Ok(50.0));
    let told = status::of(&workspace);
    assert_eq!(told["outcome"], "held", "{told:#}");
    workspace
        .cutover(["rollback"])
        .expect_exit(1)
        .expect_told(&["nothing was changed", "point of no return", "--force"]);
    assert_eq!(edge_weight(&workspace), Ok(50.0));
    workspace.cutover(["rollback", "--force"]).expect_exit(0);
    assert_eq!(edge_weight(&workspace), Ok(0.0));
    clean_up(&workspace);
}

#[test]
fn resume_compares_the_journal_with_the_world_and_changes_nothing_unasked() {
    let workspace = killed();
    let before = journal::records(&workspace).expect("a journal");
    workspace.cutover(["resume"]).expect_exit(1).expect_told(&[
        "stopped in phase shift",
        "the journal says 50 %; the edge has 50 %: that agrees",
        "source   takes requests",
        "target   takes requests",
        "going on would write 50 % again",
        "nothing was changed",
        "--yes",
    ]);
    assert_eq!(journal::records(&workspace), Ok(before.clone()));
    assert_eq!(edge_weight(&workspace), Ok(50.0));

    let edge = part(&workspace, "edge").expect("an edge");
    let body = r#"{"weights":{"source":9000,"target":1000}}"#;
    put(edge.admin, "/weights", body).expect("an edge that takes it");
    kill_part(&workspace, "target-proxy");
    workspace.cutover(["resume"]).expect_exit(1).expect_told(&[
        "the edge has 10 %: THAT DIFFERS",
        "target   DOWN: its proxy does not run",
    ]);
    assert_eq!(journal::records(&workspace), Ok(before));
    assert_eq!(edge_weight(&workspace), Ok(10.0));
    workspace.cutover(["rollback"]).expect_exit(0);
    clean_up(&workspace);
}
