//! A healthy demo ends done; one whose target gets worse goes back by itself.

use std::time::Duration;

use cutover_tests::processes::assert_none_left;
use cutover_tests::workspace::Workspace;
use serde_json::Value;

/// The demo promises an end within 60 s; a busy machine gets some more.
const DEMO: Duration = Duration::from_secs(90);

#[test]
fn a_healthy_demo_moves_all_traffic_and_fails_no_request() {
    let workspace = Workspace::new();
    let arguments = ["demo", "--no-tui", "--output", "json"];
    let finished = workspace.start(arguments).wait(DEMO).expect_exit(0);
    let report = finished.json();
    assert_eq!(report["outcome"], "done", "{finished}");
    assert_eq!(report["failed_requests"], 0, "{finished}");
    assert!(number(&report["requests"]) >= 5000.0, "{finished}");
    assert!(number(&report["duration_s"]) <= 60.0, "{finished}");
    assert_eq!(number(&report["weight"]["applied"]), 100.0, "{finished}");
    let steps = report["steps"].as_array().expect("steps");
    assert_eq!(steps.len(), 7, "{finished}");
    for step in steps {
        assert_eq!(step["applied"], step["set"], "{step}");
        assert_eq!(step["passed"], true, "{step}");
        assert_observed_is_applied(step);
    }
    for line in finished.stderr.lines() {
        let (seconds, event) = line.split_once(" s  ").unwrap_or_default();
        let is_progress = seconds.trim().parse::<f64>().is_ok() && !event.is_empty();
        assert!(is_progress, "not progress: `{line}`");
    }
    assert_none_left(&workspace);
}

/// The target's count is binomial: within four standard deviations and the one request that may
/// be on its way while the weight changes. A fair split is outside once in 16,000 times.
fn assert_observed_is_applied(step: &Value) {
    let share = number(&step["applied"]) / 100.0;
    let requests = number(&step["requests"]);
    let target = number(&step["target_requests"]);
    let sigma = (requests * share * (1.0 - share)).sqrt();
    let off = (target - requests * share).abs();
    assert!(off <= 4.0 * sigma + 1.0, "{off} requests off: {step}");
    let observed = number(&step["observed"]);
    assert!(
        (observed - target / requests * 100.0).abs() < 1e-6,
        "{step}"
    );
}

#[test]
fn a_target_that_answers_errors_is_left_within_two_seconds_and_thirty_bad_requests() {
    let report = rolls_back("errors=20%@25", "errors", 25.0);
    assert!(back_after(&report) <= 2.0, "{report:#}");
    assert!(
        number(&report["breach"]["bad_requests"]) <= 30.0,
        "{report:#}"
    );
}

#[test]
fn a_target_that_gets_slow_is_left_within_five_seconds() {
    let report = rolls_back("latency=+300ms@50", "p99", 50.0);
    assert!(back_after(&report) <= 5.0, "{report:#}");
}

#[test]
fn a_target_that_crashes_is_left_within_five_seconds() {
    let report = rolls_back("crash@50", "errors", 50.0);
    assert!(back_after(&report) <= 5.0, "{report:#}");
}

#[test]
fn a_target_that_stalls_is_left_within_five_seconds() {
    let report = rolls_back("stall@10", "", 10.0);
    assert!(back_after(&report) <= 5.0, "{report:#}");
}

/// Runs the demo with a fault; it must end rolled back, because of this objective (any, if empty)
/// at this weight. Yields the report.
fn rolls_back(fault: &str, objective: &str, at_weight: f64) -> Value {
    let workspace = Workspace::new();
    let arguments = ["demo", "--no-tui", "--output", "json", "--fault", fault];
    let finished = workspace.start(arguments).wait(DEMO).expect_exit(3);
    let report = finished.json();
    assert_eq!(report["outcome"], "rolled_back", "{finished}");
    assert_eq!(number(&report["weight"]["applied"]), 0.0, "{finished}");
    assert_eq!(
        number(&report["breach"]["at_weight"]),
        at_weight,
        "{finished}"
    );
    let broken = report["breach"]["objective"]
        .as_str()
        .expect("an objective");
    assert!(objective.is_empty() || broken == objective, "{finished}");
    assert_none_left(&workspace);
    report
}

fn back_after(report: &Value) -> f64 {
    number(&report["breach"]["rolled_back_after_s"])
}

fn number(value: &Value) -> f64 {
    value
        .as_f64()
        .unwrap_or_else(|| panic!("no number: {value}"))
}
