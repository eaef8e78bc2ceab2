//! The promises of the judge, held by simulated traffic with fixed seeds.
//!
//! Simulations are as the demo is: 250 requests a second through the edge and 40 pairs, in intervals
//! of 100 ms. Where a claim is about chance it is tried on many seeds, so that luck proves nothing.

mod assurance;
mod published;
mod replay;
mod world;

use std::time::Duration;

use cutover_scenarios::plan::{Bound, Objective};

use self::assurance::{most, runs};
pub(super) use self::world::Random;
use self::world::{ALPHA, ERRORS, HEALTHY, P99, Stack, World, failing, objectives};
use super::absolute::AbsoluteTest;
use super::eprocess::float;
use super::{ArmCounts, Batch, Channel, GuardKind, Judge};
use crate::view::GuardState;

fn percentile(sorted: &[u64], share: f64) -> u64 {
    sorted[((float(sorted.len() as u64) * share) as usize).min(sorted.len() - 1)]
}

/// Bad target requests until the breach, sorted, over `runs` seeds.
fn bad_until_breach(runs: u64, share: f64, target: Stack, steps: &[(f64, u64)]) -> Vec<u64> {
    let mut bad: Vec<u64> = (0..runs)
        .map(|seed| {
            let mut world = World::new(seed);
            world.run(15);
            for (share, seconds) in steps {
                world.shift(*share);
                world.run(*seconds);
            }
            world.shift(share);
            world.target = target;
            let breach = world.until_breach(60).expect("a breach");
            assert!(
                breach
                    .first_bad_at
                    .is_some_and(|at| at + Duration::from_secs(60) > breach.at)
            );
            breach.bad_requests
        })
        .collect();
    bad.sort_unstable();
    bad
}

#[test]
fn a_fifth_failing_from_a_quarter_of_the_traffic_on_is_called_within_a_handful() {
    // About 3,000 good target requests before.
    let bad = bad_until_breach(60, 0.25, failing(0.2), &[(0.01, 15), (0.05, 15), (0.1, 15)]);
    let (median, most) = (percentile(&bad, 0.5), percentile(&bad, 0.95));
    assert!(median <= 8 && most <= 14, "median {median}, 95 % {most}");
}

#[test]
fn a_target_that_fails_altogether_is_called_in_the_second_interval() {
    for seed in 0..40 {
        let mut world = World::new(seed);
        for (share, seconds) in [(0.0, 15), (0.1, 10), (0.5, 0)] {
            world.shift(share);
            world.run(seconds);
        }
        world.target = failing(1.0);
        let began = world.now;
        let breach = world.until_breach(5).expect("a breach");
        assert_eq!(
            breach.at - began,
            Duration::from_millis(200),
            "seed {seed}: {breach:?}"
        );
        assert_eq!(
            breach.first_bad_at,
            Some(began + Duration::from_millis(100))
        );
    }
}

#[test]
fn bad_requests_that_come_one_by_one_need_not_be_many() {
    let mut judge = Judge::new(&objectives(), ALPHA);
    let mut at = Duration::ZERO;
    let mut answer = |judge: &mut Judge, target_fails: u64| {
        at += Duration::from_millis(100);
        let good = ArmCounts {
            requests: 1,
            bad: vec![0, 0],
            ..ArmCounts::default()
        };
        let target = ArmCounts {
            bad: vec![target_fails, 0],
            ..good.clone()
        };
        judge.observe(&Batch {
            channel: Channel::Edge,
            at,
            source: good,
            target,
        });
    };
    for share in [0.01, 0.05, 0.1, 0.25, 0.5] {
        for _ in 0..600 {
            answer(&mut judge, 0);
        }
        judge.begin_segment(share);
    }
    while judge.breach().is_none() {
        answer(&mut judge, 1);
    }
    let bad = judge.breach().map_or(0, |breach| breach.bad_requests);
    assert!((3..=6).contains(&bad), "{bad}");
}

#[test]
fn slow_answers_are_called_as_quickly_as_failures() {
    let slow = Stack {
        slow: 1.0,
        ..HEALTHY
    };
    for seed in 0..20 {
        let mut world = World::new(seed);
        world.run(3);
        world.shift(0.5);
        world.target = slow;
        let breach = world.until_breach(5).expect("a breach");
        assert_eq!((breach.objective, breach.kind), (P99, GuardKind::Absolute));
        assert!(
            breach.at <= Duration::from_millis(3_300),
            "seed {seed}: {breach:?}"
        );
    }
}

#[test]
fn a_regression_in_the_middle_of_a_bake_is_called_within_a_second() {
    // 40,000 good requests, a hundred start points, and the regression begins between two.
    for seed in 0..3 {
        let mut world = World::new(seed);
        world.shift(1.0);
        world.run(138);
        world.target = failing(0.2);
        let began = world.now;
        let breach = world.until_breach(30).expect("a breach");
        assert!(
            breach.at - began <= Duration::from_secs(1),
            "seed {seed}: {breach:?}"
        );
        assert!(
            breach.first_bad_at.is_some_and(|at| at >= began),
            "{breach:?}"
        );
    }
}

/// False breaches among `runs` seeds in which both stacks are `stack` all the time.
fn false_breaches(runs: u64, stack: Stack) -> usize {
    let breached = |seed: &u64| {
        let mut world = World::new(*seed);
        (world.source, world.target) = (stack, stack);
        for share in [0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0] {
            world.shift(share);
            world.run(4);
        }
        world.judge.breach().is_some()
    };
    (0..runs).filter(breached).count()
}

#[test]
fn a_stack_at_half_of_its_bounds_never_breaches() {
    let stack = Stack {
        errors: 0.005,
        slow: 0.005,
        median: Duration::from_millis(10),
    };
    assert_eq!(false_breaches(runs(40, 400), stack), 0);
}

#[test]
fn a_stack_exactly_at_its_bounds_seldom_breaches() {
    let stack = Stack {
        errors: 0.01,
        slow: 0.01,
        median: Duration::from_millis(10),
    };
    let runs = runs(60, 600);
    let found = false_breaches(runs, stack) as u64;
    assert!(float(found) <= most(runs, ALPHA), "{found} of {runs}");
}

#[test]
fn the_absolute_test_keeps_its_error_probability_over_many_runs() {
    // The whole chain of caps, start points and bets, at the bound itself, where it is tightest.
    let alpha: f64 = 0.05;
    let runs = 2_000;
    let mut random = Random(7);
    let mut breached = 0;
    for _ in 0..runs {
        let mut test = AbsoluteTest::new(0.01, alpha);
        test.open_start_point();
        for interval in 1..=300 {
            let bad = (0..5).filter(|_| random.coin(0.01)).count() as u64;
            let at = Duration::from_millis(100 * interval);
            let grown = test.observe(Channel::Edge, at, 5, bad, None);
            if grown && test.finding().log_e >= (1.0 / alpha).ln() {
                breached += 1;
                break;
            }
        }
    }
    assert!(breached <= 100, "{breached} of {runs} at alpha {alpha}");
    assert!(
        breached > 5,
        "{breached} of {runs}: the test has no power left"
    );
}

#[test]
fn what_hurts_both_stacks_shows_on_the_source_as_well() {
    for seed in 0..40 {
        let mut world = World::new(seed);
        world.run(10);
        world.shift(0.25);
        world.run(10);
        let slow = Stack {
            slow: 0.5,
            ..HEALTHY
        };
        (world.source, world.target) = (slow, slow);
        let breach = world.until_breach(30).expect("a breach");
        assert_eq!(
            breach.kind,
            GuardKind::Absolute,
            "the source is no better: {breach:?}"
        );
        assert!(world.judge.source_breaks(P99), "seed {seed}: {breach:?}");
        assert!(!world.judge.source_breaks(ERRORS));
    }
}

#[test]
fn stalls_that_come_again_and_again_show_on_the_source_as_well() {
    // One interval in twenty, on both stacks, all answers. The bound is broken; by both.
    let stalled = Stack {
        slow: 1.0,
        ..HEALTHY
    };
    let (mut breached, mut on_the_source) = (0, 0);
    for seed in 0..60 {
        let mut world = World::new(seed);
        world.shift(0.05);
        while world.judge.breach().is_none() && world.now < Duration::from_secs(30) {
            let stack = if world.random.coin(0.05) {
                stalled
            } else {
                HEALTHY
            };
            (world.source, world.target) = (stack, stack);
            world.interval();
        }
        if let Some(breach) = world.judge.breach() {
            breached += 1;
            on_the_source += u32::from(world.judge.source_breaks(breach.objective));
        }
    }
    assert!(breached > 30, "{breached} of 60");
    assert!(
        10 * on_the_source >= 9 * breached,
        "{on_the_source} of {breached}"
    );
}

#[test]
fn a_healthy_source_is_worth_going_back_to() {
    for seed in 0..40 {
        let mut world = World::new(seed);
        world.run(10);
        world.shift(0.25);
        world.target = failing(0.3);
        world.until_breach(30).expect("a breach");
        assert!(!world.judge.source_breaks(ERRORS), "seed {seed}");
    }
}

/// One interval in which `n` answers of each stack are 300 ms late.
fn stalled(at: Duration, channel: Channel, n: u64) -> Batch {
    let mut arm = ArmCounts {
        requests: n,
        bad: vec![0, n],
        first_bad_at: vec![None, Some(at)],
        ..ArmCounts::default()
    };
    arm.latency.record_n(Duration::from_millis(310), n);
    Batch {
        channel,
        at,
        source: arm.clone(),
        target: arm,
    }
}

#[test]
fn a_stall_of_the_whole_machine_does_not_breach() {
    for seed in 0..40 {
        for share in [0.01, 0.25, 0.5, 1.0] {
            let mut world = World::new(seed);
            world.run(3);
            world.shift(share);
            world.run(2);
            let at = world.now + Duration::from_millis(400);
            world.judge.observe(&stalled(at, Channel::Edge, 40));
            world.judge.observe(&stalled(at, Channel::Paired, 12));
            assert_eq!(world.judge.breach(), None, "seed {seed}, share {share}");
        }
    }
}

#[test]
fn a_slower_but_tolerable_target_breaches_only_against_the_source() {
    // 60 ms against 10 ms: below the bound of 250 ms, above three times the source.
    let slower = Stack {
        median: Duration::from_millis(60),
        ..HEALTHY
    };
    for seed in 0..5 {
        let mut world = World::new(seed);
        world.run(10);
        world.shift(0.25);
        world.run(10);
        world.target = slower;
        let breach = world.until_breach(60).expect("a breach");
        assert_eq!(breach.objective, P99);
        assert!(
            matches!(breach.kind, GuardKind::VersusSource { .. }),
            "{breach:?}"
        );
    }
}

#[test]
fn a_target_within_its_tolerance_does_not_breach() {
    let slower = Stack {
        median: Duration::from_millis(25),
        ..HEALTHY
    };
    for seed in 0..15 {
        let mut world = World::new(seed);
        world.target = slower;
        for share in [0.0, 0.1, 0.5, 0.9] {
            world.shift(share);
            world.run(10);
        }
        assert_eq!(world.judge.breach(), None, "seed {seed}");
    }
}

#[test]
fn errors_of_the_target_alone_show_against_the_source_though_both_are_within_the_bound() {
    let loose = Objective {
        at_most: Some(Bound::Rate(0.5)),
        ..objectives().remove(ERRORS)
    };
    let mut world = World::new(1);
    world.judge = Judge::new(&[loose], ALPHA);
    world.source = failing(0.01);
    world.target = failing(0.1);
    world.shift(0.1);
    let breach = world.until_breach(60).expect("a breach");
    assert!(
        matches!(breach.kind, GuardKind::VersusSource { .. }),
        "{breach:?}"
    );
}

#[test]
fn a_breach_is_latched_and_a_guard_on_its_way_is_near() {
    let mut world = World::new(3);
    world.run(5);
    world.shift(0.25);
    world.target = failing(0.04);
    let mut near = false;
    while world.judge.breach().is_none() {
        near |= world
            .judge
            .guards()
            .any(|guard| guard.state == GuardState::Near);
        world.interval();
    }
    assert!(near, "no guard was near before one breached");
    let breach = world.judge.breach().cloned();
    world.target = HEALTHY;
    world.run(20);
    assert_eq!(world.judge.breach().cloned(), breach);
    let states: Vec<_> = world.judge.guards().map(|guard| guard.state).collect();
    assert!(states.contains(&GuardState::Breach), "{states:?}");
}

#[test]
fn guards_are_named_after_their_bounds_and_share_alpha() {
    let judge = Judge::new(&objectives(), ALPHA);
    let names: Vec<_> = judge.guards().map(|guard| guard.name).collect();
    assert_eq!(
        names,
        [
            "errors at most 1 %",
            "errors at most 2x source (edge)",
            "errors at most 2x source (paired)",
            "p99 at most 250ms",
            "p99 at most 3x source (edge)",
            "p99 at most 3x source (paired)",
            "share of requests on the target",
        ]
    );
    for guard in judge.guards() {
        let segments = match guard.kind {
            GuardKind::ShareMismatch => 2.0,
            _ => 1.0,
        };
        assert!((guard.threshold - (segments * 700.0_f64).ln()).abs() < 1e-12);
        assert!(guard.log_e.abs() < 1e-12 && guard.state == GuardState::Quiet);
    }
}
