//! What intervals and proofs promise.

use std::time::Duration;

use super::world::{ALPHA, HEALTHY, Stack, World, failing};
use crate::verdict::eprocess::float;
use crate::verdict::{GuardKind, Judge, Unit};

/// Simulations are tried on fewer seeds where they are slow.
pub(super) const fn runs(debug: u64, release: u64) -> u64 {
    if cfg!(debug_assertions) {
        debug
    } else {
        release
    }
}

/// The most that chance explains, of `runs` with this probability each: three standard errors.
pub(super) fn most(runs: u64, probability: f64) -> f64 {
    let expected = probability * float(runs);
    expected + 3.0 * expected.sqrt()
}

const SOME: Stack = Stack {
    errors: 0.001,
    slow: 0.001,
    ..HEALTHY
};

#[test]
fn a_good_target_is_proven_at_every_step_in_reasonable_time() {
    for (stack, most) in [(HEALTHY, 120), (SOME, 150)] {
        let mut world = World::new(5);
        (world.source, world.target) = (stack, stack);
        assert!(!world.judge.proven(), "nothing was seen");
        for share in [0.0, 0.05, 0.25, 0.5, 1.0] {
            world.shift(share);
            let began = world.now;
            while !world.judge.proven() {
                world.interval();
                let spent = world.now - began;
                assert!(
                    spent < Duration::from_secs(most),
                    "share {share}: {:?}",
                    world.judge.unproven()
                );
            }
            assert_eq!(world.judge.unproven(), Vec::<String>::new());
        }
        assert_eq!(world.judge.breach(), None);
    }
}

#[test]
fn what_was_seen_before_a_regression_does_not_carry_a_step_past_it() {
    // Errors at 1.1 %, hardly above the bound of 1 %: too little to be called quickly.
    let (runs, mut passed) = (runs(20, 200), 0_u32);
    for seed in 0..runs {
        let mut world = World::new(seed);
        world.shift(0.5);
        world.run(60);
        assert!(world.judge.proven(), "{:?}", world.judge.unproven());
        world.target = failing(0.011);
        world.shift(0.75);
        passed += u32::from((0..200).any(|_| {
            world.interval();
            world.judge.proven()
        }));
    }
    // √α of this guard is 4 %.
    assert!(f64::from(passed) <= most(runs, 0.04), "{passed} of {runs}");
}

#[test]
fn a_target_at_its_bound_is_seldom_proven_and_never_quickly() {
    let (runs, mut proven) = (runs(15, 150), 0_u32);
    for seed in 0..runs {
        let mut world = World::new(seed);
        world.target = failing(0.01);
        world.shift(0.5);
        proven += u32::from((0..300).any(|_| {
            world.interval();
            world.judge.proven()
        }));
    }
    assert!(f64::from(proven) <= most(runs, ALPHA), "{proven} of {runs}");
}

#[test]
fn what_is_missing_to_a_proof_is_said() {
    let mut world = World::new(8);
    world.shift(0.5);
    world.run(1);
    let unproven = world.judge.unproven();
    let [errors, ratio, slow, quantile] = unproven.as_slice() else {
        panic!("{unproven:?}");
    };
    let prefix = "errors at most 1 %: upper bound ";
    assert!(
        errors.starts_with(prefix) && errors.contains(" % after "),
        "{errors}"
    );
    assert!(ratio.starts_with("errors at most 2x source"), "{ratio}");
    assert!(slow.starts_with("p99 at most 250ms: upper bound"), "{slow}");
    assert!(quantile.ends_with("requests"), "{quantile}");
    world.run(60);
    assert_eq!(world.judge.unproven(), Vec::<String>::new());
    world.shift(0.75);
    let unproven = world.judge.unproven();
    let expected =
        "errors at most 1 %: after 0 requests the current weight has not shown it by itself";
    assert_eq!(unproven.first().map(String::as_str), Some(expected));
}

#[test]
fn a_few_failures_of_a_clean_service_do_not_hold_it_for_ever() {
    let mut world = World::new(4);
    world.shift(0.5);
    (world.source, world.target) = (failing(0.0005), failing(0.0005));
    world.run(120);
    let ratios = |judge: &Judge| -> Vec<bool> {
        let is_ratio = |kind| matches!(kind, GuardKind::VersusSource { .. });
        let guards = judge
            .guards()
            .filter(|guard| is_ratio(guard.kind) && guard.objective == Some(0));
        guards.map(|guard| guard.proven).collect()
    };
    assert_eq!(
        ratios(&world.judge),
        [true, true],
        "{:?}",
        world.judge.unproven()
    );
}

#[test]
fn every_guard_reports_an_interval_that_holds_the_truth_all_the_time() {
    let (source, target) = (
        Stack {
            errors: 0.02,
            ..SOME
        },
        Stack {
            errors: 0.03,
            slow: 0.005,
            median: Duration::from_millis(15),
        },
    );
    let truth = |unit, share| match unit {
        Unit::ErrorRate => target.errors,
        Unit::SlowerThan(_) => target.slow,
        Unit::ErrorRatio => target.errors / source.errors,
        Unit::QuantileRatio(_) => 1.5,
        Unit::TargetShare => share,
    };
    let (runs, mut missed) = (runs(6, 60), 0_u32);
    for seed in 0..runs {
        let mut world = World::new(seed);
        (world.source, world.target) = (source, target);
        let mut inside = true;
        for share in [0.1, 0.5, 0.9] {
            world.shift(share);
            for _ in 0..30 {
                world.run(1);
                for guard in world.judge.guards() {
                    let Some(interval) = guard.interval else {
                        continue;
                    };
                    // Latency is counted in buckets of 4.4 %.
                    let truth = truth(interval.unit, share);
                    inside &= interval.low <= 1.05 * truth && truth <= 1.05 * interval.high;
                }
            }
        }
        missed += u32::from(!inside);
        let reported = world
            .judge
            .guards()
            .filter(|guard| guard.interval.is_some());
        assert_eq!(reported.count(), 7);
    }
    // α is 1 % for all six together.
    assert!(f64::from(missed) <= most(runs, ALPHA), "{missed} of {runs}");
}

#[test]
fn a_share_that_is_not_what_was_applied_is_a_mismatch_and_no_breach() {
    let mut world = World::new(2);
    world.shift(0.25);
    world.run(20);
    assert_eq!(world.judge.share_mismatch(), None);
    // The rule says 5 %, a quarter of the requests goes to the target all the same.
    world.judge.begin_segment(0.05);
    world.run(10);
    let mismatch = world.judge.share_mismatch().expect("a mismatch");
    assert!((mismatch.observed - 0.25).abs() < 0.03, "{mismatch:?}");
    assert_eq!((mismatch.expected, mismatch.requests), (0.05, 2_500));
    assert_eq!((world.judge.breach(), world.judge.near()), (None, None));
    let report = world.judge.guards().last().expect("guards");
    assert_eq!(report.name, "share of requests on the target");
    assert_eq!(
        (report.kind, report.requests),
        (GuardKind::ShareMismatch, 2_500)
    );
    world.shift(0.25);
    assert_eq!(
        world.judge.share_mismatch(),
        None,
        "a new weight, a new question"
    );
}
