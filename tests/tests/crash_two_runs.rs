//! Two runs of one plan: the second one is told who holds it, where and since when, and begins once
//! the first is out of the way, however that ended.

use std::time::Duration;

use cutover_tests::journal;
use cutover_tests::plan::write_quick;
use cutover_tests::processes::{assert_none_left, edge_weight, wait_for_weight};
use cutover_tests::workspace::{SHORT, Workspace};
use nix::sys::signal::Signal;

const QUICK_RUN: Duration = Duration::from_secs(60);

const MIGRATE: [&str; 5] = ["migrate", "plan.yaml", "--yes", "--output", "json"];

fn host() -> String {
    let name = nix::unistd::gethostname().expect("a name of this machine");
    name.into_string().expect("a name in UTF-8")
}

#[test]
fn the_second_run_is_told_who_where_and_since_when_and_begins_after_the_first_was_killed() {
    let workspace = Workspace::new();
    write_quick(&workspace, &[("steps", "[50% for 60s, 100% for 1s]")]);
    let first = workspace.start(MIGRATE);
    wait_for_weight(&workspace, 50.0, QUICK_RUN);
    let records = journal::records(&workspace).expect("a journal");
    let begun = records[0]["at"].as_str().expect("a time").to_owned();
    let run = records[0]["run"].as_str().expect("an id").to_owned();
    let process = format!("process {}", first.pid());
    let place = format!("on {}", host());
    let refused = workspace.cutover(MIGRATE).expect_exit(6);
    let refused = refused.expect_told(&["under way", &run, &process, &place]);
    let (_, since) = refused.stderr.split_once("since ").unwrap_or_default();
    // The lock is taken just before the first record is written.
    let earlier = journal::seconds_of_the_day(&begun) - journal::seconds_of_the_day(since);
    let around_midnight = earlier.rem_euclid(24 * 60 * 60);
    assert!(around_midnight <= 5, "the run began {begun}: {refused}");
    assert_eq!(edge_weight(&workspace), Ok(50.0), "the first goes on");

    first.kill_9();
    workspace.cutover(["cleanup"]).expect_exit(0);
    assert_none_left(&workspace);
    write_quick(&workspace, &[]);
    let second = workspace.start(MIGRATE).wait(QUICK_RUN).expect_exit(0);
    assert_eq!(second.json()["outcome"], "done", "{second}");
    assert_ne!(second.json()["run"], run.as_str(), "{second}");
    assert_none_left(&workspace);
}

#[test]
fn of_runs_that_begin_at_once_only_one_goes_on() {
    const RUNS: usize = 6;
    let workspace = Workspace::new();
    write_quick(&workspace, &[]);
    let at_once: Vec<_> = (0..RUNS).map(|_| workspace.start(MIGRATE)).collect();
    let finished: Vec<_> = at_once
        .into_iter()
        .map(|running| running.wait(QUICK_RUN))
        .collect();
    let ended_with = |code| {
        let codes = finished.iter().map(|finished| finished.status.code());
        codes.filter(|&other| other == Some(code)).count()
    };
    let told: Vec<_> = finished.iter().map(ToString::to_string).collect();
    assert_eq!(ended_with(0), 1, "{told:#?}");
    assert_eq!(ended_with(6), RUNS - 1, "{told:#?}");
    assert_none_left(&workspace);
}

#[test]
fn a_run_that_is_stopped_still_holds_its_lock() {
    let workspace = Workspace::new();
    write_quick(&workspace, &[("steps", "[50% for 60s, 100% for 1s]")]);
    let first = workspace.start(MIGRATE);
    wait_for_weight(&workspace, 50.0, QUICK_RUN);
    first.signal(Signal::SIGSTOP);
    let process = format!("process {}", first.pid());
    workspace
        .cutover(MIGRATE)
        .expect_exit(6)
        .expect_told(&["under way", &process]);
    // These ask the driver, which cannot answer, and do not go past it.
    for command in [["rollback"].as_slice(), &["resume", "--yes"]] {
        workspace
            .cutover(command)
            .expect_exit(6)
            .expect_told(&["does not answer", &process]);
    }
    workspace.cutover(["cleanup"]).expect_exit(0);
    assert_eq!(edge_weight(&workspace), Ok(50.0), "its stacks are spared");
    first.signal(Signal::SIGCONT);
    first.signal(Signal::SIGINT);
    first.wait(SHORT).expect_exit(130);
    assert_none_left(&workspace);
}
