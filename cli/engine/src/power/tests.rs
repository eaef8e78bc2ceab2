//! The formulas, held against simulated runs.

use std::time::Duration;

use super::*;
use crate::testing::{objectives, plan, step};

/// In optimised builds enough for a median to within a tenth or so.
const RUNS: u64 = if cfg!(debug_assertions) { 6 } else { 60 };
/// How far a median by formula may lie from a simulated one.
const TOLERANCE: f64 = if cfg!(debug_assertions) { 2.5 } else { 1.5 };

/// Objectives as people set them, and steps that are long enough to find something.
fn roomy() -> Plan {
    let mut plan = plan();
    plan.objectives = objectives();
    plan.objectives[0].versus_source = Some(1.2);
    plan.objectives[1].versus_source = Some(1.2);
    plan.load.rate = 400.0;
    plan.load.paired = 0.0;
    plan.qualify = Duration::from_secs(20);
    plan.steps = vec![step(5.0, 60.0), step(50.0, 30.0), step(100.0, 10.0)];
    plan.bake = Duration::from_secs(20);
    plan
}

fn compare(plan: &Plan, assumed: &Assumed) {
    let formula = by_formula(plan, assumed);
    let simulated = by_simulation(plan, assumed, RUNS, 1);
    let mut compared = 0;
    for (told, seen) in formula.steps.iter().zip(&simulated.steps) {
        let pairs = told.regressions.iter().zip(&seen.regressions);
        let found = pairs.map(|(told, seen)| (format!("{told:?}"), told.found, seen.found));
        let proof = [("proof".to_owned(), told.proof, seen.proof)];
        for (what, told, seen) in found.chain(proof) {
            let Some(median) = seen.median_s else {
                continue;
            };
            let by_formula = told.median_s.expect("found in simulation, so by formula");
            // A look every tenth of a second, and of quantiles every fourth of them.
            let slack = 0.5;
            assert!(
                by_formula < median * TOLERANCE + slack && median < by_formula * TOLERANCE + slack,
                "{} %, {what}: simulated {median}, formula {by_formula}",
                told_weight(&formula, told)
            );
            compared += 1;
        }
    }
    assert!(compared >= 4, "only {compared} figures could be compared");
}

fn told_weight(power: &Power, times: Times) -> f64 {
    let step = power
        .steps
        .iter()
        .find(|step| step.proof == times || step.regressions.iter().any(|it| it.found == times));
    step.map_or(0.0, |step| step.weight_percent)
}

#[test]
fn formulas_agree_with_simulated_runs_through_the_edge() {
    let plan = roomy();
    let assumed = Assumed {
        error_rate: 0.004,
        p99_s: 0.15,
        ..Assumed::of(&plan)
    };
    compare(&plan, &assumed);
}

#[test]
fn formulas_agree_with_simulated_runs_with_pairs() {
    let mut plan = roomy();
    plan.load.paired = 60.0;
    let assumed = Assumed {
        error_rate: 0.005,
        p99_s: 0.2,
        ..Assumed::of(&plan)
    };
    compare(&plan, &assumed);
}

#[test]
fn more_traffic_finds_everything_sooner_and_worse_is_found_before_bad() {
    let plan = roomy();
    let times = |rate: f64| {
        let assumed = Assumed {
            requests_per_s: rate,
            error_rate: 0.004,
            ..Assumed::of(&plan)
        };
        by_formula(&plan, &assumed).steps[0].clone()
    };
    let (slow, fast) = (times(50.0), times(500.0));
    for (slow, fast) in slow.regressions.iter().zip(&fast.regressions) {
        assert!(
            slow.found.median_s > fast.found.median_s,
            "{slow:?} {fast:?}"
        );
        assert!(slow.found.p95_s > slow.found.median_s, "{slow:?}");
    }
    let [_, twice, fivefold, _] = slow.regressions.as_slice() else {
        panic!("four regressions");
    };
    assert!(fivefold.found.median_s < twice.found.median_s);
}

#[test]
fn what_the_objectives_allow_is_never_found_and_said_to_be_allowed() {
    let mut plan = roomy();
    plan.objectives[0].versus_source = Some(3.0);
    let assumed = Assumed {
        error_rate: 0.001,
        ..Assumed::of(&plan)
    };
    let power = by_formula(&plan, &assumed);
    let twice = power.steps[0].regressions[1];
    assert!(twice.allowed && twice.found.median_s.is_none(), "{twice:?}");
    let told = sentences(&plan).remove(0);
    assert!(told.starts_with("finds a 5x error rate in"), "{told}");
    plan.objectives.clear();
    let told = sentences(&plan).remove(0);
    assert!(told.contains("allow"), "{told}");
}

#[test]
fn a_margin_of_nothing_cannot_be_proven() {
    let mut plan = roomy();
    plan.objectives[1].versus_source = Some(1.0);
    let power = by_formula(&plan, &Assumed::of(&plan));
    assert!(power.steps.iter().all(|step| !step.hold_proves));
    assert_eq!(power.steps[0].proving_hold_s, None);
}

#[test]
fn healthy_runs_are_not_sent_back_and_the_interval_says_how_sure_that_is() {
    let plan = plan();
    let power = by_simulation(&plan, &Assumed::of(&plan), RUNS, 7);
    let simulated = power.false_rollback.simulated.unwrap();
    assert!(simulated.hits <= 1 + RUNS / 50, "{simulated:?}");
    assert!(simulated.high_95 > 0.0 && simulated.high_95 < 1.0);
    assert_eq!(power, by_simulation(&plan, &Assumed::of(&plan), RUNS, 7));
}

#[test]
fn times_are_brief() {
    let seconds = [
        0.44, 40.2, 119.0, 120.0, 5_400.0, 7_200.0, 40_000.0, 864_000.0,
    ];
    let expected = [
        "0.4 s", "40 s", "119 s", "2 min", "90 min", "2.0 h", "11 h", "10 d",
    ];
    assert_eq!(seconds.map(brief), expected);
}
