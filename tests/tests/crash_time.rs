//! Time that jumps, and time that passes while the driver does not run: neither makes a step
//! shorter, and neither is held against the target.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use cutover_tests::binary;
use cutover_tests::clock::let_pass;
use cutover_tests::command::Finished;
use cutover_tests::journal;
use cutover_tests::plan::write_quick;
use cutover_tests::processes::{assert_none_left, edge_weight, wait_for_weight};
use cutover_tests::witness::{Target, watched};
use cutover_tests::workspace::Workspace;
use nix::sys::signal::Signal;
use serde_json::Value;

const QUICK_RUN: Duration = Duration::from_secs(60);

const MIGRATE: [&str; 5] = ["migrate", "plan.yaml", "--yes", "--output", "json"];

/// The plan of all these tests; `HOLDS` repeats it in milliseconds.
const STEPS: &str = "[25% for 1s, 50% for 4s, 100% for 1s]";
const HOLDS: [(f64, u64); 3] = [(25.0, 1000), (50.0, 4000), (100.0, 1000)];

/// What a hold may take longer: the look that ends it, and enough data for a verdict.
const SLACK_MS: u64 = 3000;

/// The wall clock of the processes that are started with it; their other clocks stay as they are.
struct WallClock {
    offset: PathBuf,
}

impl WallClock {
    fn new(workspace: &Workspace) -> Self {
        let clock = WallClock {
            offset: workspace.beside("wall-clock"),
        };
        clock.jump("+0");
        clock
    }

    /// By how much it differs from the true time from now on, in seconds with a sign.
    fn jump(&self, seconds: &str) {
        // At once: nobody reads half of it.
        let new = self.offset.with_extension("new");
        fs::write(&new, format!("{seconds}\n")).expect("a file for the offset");
        fs::rename(&new, &self.offset).expect("it takes its place");
    }

    fn cutover(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary::cutover());
        command
            .args(arguments)
            .env("LD_PRELOAD", library())
            .env("FAKETIME_TIMESTAMP_FILE", &self.offset)
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .env("FAKETIME_NO_CACHE", "1");
        command
    }
}

/// The library of the program `faketime`, as it names it itself.
fn library() -> String {
    let output = Command::new("faketime")
        .args(["-m", "-f", "+0", "env"])
        .output()
        .expect("the program `faketime` is installed (Debian package `faketime`)");
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .find_map(|line| line.strip_prefix("LD_PRELOAD=").map(ToOwned::to_owned))
        .expect("faketime preloads its library")
}

fn milliseconds(record: &Value) -> u64 {
    record["elapsed_ms"].as_u64().expect("milliseconds")
}

/// How long each step was held, in milliseconds, between the records of it.
fn held(records: &[Value]) -> Vec<(f64, u64)> {
    let mut began = None;
    let mut held = Vec::new();
    for record in records {
        // The journal counts in hundredths of a percent.
        if let Some(weight) = record["output"]["applied"].as_f64() {
            began = Some((weight / 100.0, milliseconds(record)));
        }
        if record["fact"] == "step_passed" {
            let (weight, since) = began.expect("a step that passed was applied");
            held.push((weight, milliseconds(record) - since));
        }
    }
    held
}

fn assert_done_without_a_failure(finished: &Finished) {
    let report = finished.json();
    assert_eq!(report["outcome"], "done", "{finished}");
    assert_eq!(finished.status.code(), Some(0), "{finished}");
    assert_eq!(report["failed_requests"], 0, "{finished}");
}

/// Runs the plan with a wall clock that jumps at 50 %.
fn survives_a_jump_of(seconds: i64) {
    let workspace = Workspace::new();
    write_quick(&workspace, &[("steps", STEPS)]);
    let clock = WallClock::new(&workspace);
    let running = workspace.spawn(clock.cutover(&MIGRATE));
    wait_for_weight(&workspace, 50.0, QUICK_RUN);
    clock.jump(&format!("{seconds:+}"));
    let finished = running.wait(QUICK_RUN);

    let records = journal::records(&workspace).expect("a journal");
    let jumped = jumps(&records);
    assert!(
        matches!(jumped[..], [by] if by.abs_diff(seconds) <= 10),
        "the driver's clock should have jumped once by {seconds} s: {jumped:?}"
    );
    assert_done_without_a_failure(&finished);
    let held = held(&records);
    assert_eq!(held.len(), HOLDS.len(), "{held:?}");
    for ((weight, took), (planned_weight, planned)) in held.into_iter().zip(HOLDS) {
        assert_eq!(weight, planned_weight);
        assert!(
            (planned..planned + SLACK_MS).contains(&took),
            "{weight} % was held for {took} ms instead of {planned} ms"
        );
    }
    assert_none_left(&workspace);
}

/// Where the wall clock and the driver's own clock part between two records, by how many seconds.
fn jumps(records: &[Value]) -> Vec<i64> {
    let gap = |record: &Value| {
        let own = i64::try_from(milliseconds(record) / 1000).expect("a short run");
        journal::seconds_of_the_day(record["at"].as_str().unwrap_or_default()) - own
    };
    let gaps: Vec<i64> = records.iter().map(gap).collect();
    const DAY: i64 = 24 * 60 * 60;
    gaps.windows(2)
        // The shorter way around midnight.
        .map(|pair| (pair[1] - pair[0] + DAY / 2).rem_euclid(DAY) - DAY / 2)
        .filter(|by| by.abs() > 60)
        .collect()
}

#[test]
fn a_wall_clock_that_jumps_an_hour_forwards_shortens_no_hold() {
    survives_a_jump_of(3600);
}

#[test]
fn a_wall_clock_that_jumps_an_hour_backwards_prolongs_no_hold() {
    survives_a_jump_of(-3600);
}

#[test]
fn a_driver_that_was_stopped_for_30_s_has_not_watched_for_30_s() {
    const ASLEEP: Duration = Duration::from_secs(30);
    /// The most that one look may count as watched.
    const ONE_LOOK_MS: u64 = 1000;
    let workspace = Workspace::new();
    write_quick(&workspace, &[("steps", STEPS)]);
    let (finished, seen) = watched(&workspace, Target::Healthy, || {
        let running = workspace.start(MIGRATE);
        wait_for_weight(&workspace, 50.0, QUICK_RUN);
        running.signal(Signal::SIGSTOP);
        let_pass(ASLEEP);
        assert_eq!(edge_weight(&workspace), Ok(50.0), "nobody drives");
        // It will wake and go on: nobody may drive beside it, however long it slept.
        workspace.cutover(MIGRATE).expect_exit(6);
        running.signal(Signal::SIGCONT);
        running.wait(QUICK_RUN)
    });
    assert!(seen.failed.is_empty(), "users: {:?}", seen.failed);
    assert_done_without_a_failure(&finished);
    let records = journal::records(&workspace).expect("a journal");
    let held = held(&records);
    let (_, took) = held
        .iter()
        .find(|(weight, _)| *weight == 50.0)
        .copied()
        .expect("a step of 50 %");
    let least = u64::try_from(ASLEEP.as_millis()).expect("short") + 4000 - ONE_LOOK_MS;
    assert!(
        took >= least,
        "50 % was watched too short: {took} ms with the 30 s asleep, at least {least} ms"
    );
    assert_none_left(&workspace);
}
