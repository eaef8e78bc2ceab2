//! Tables that were published for these tests, run again. Ours are not tuned to the very same
//! moment, split their stake over start points and count latencies in buckets, so they may take
//! somewhat longer; how much longer is what these tests hold.

use std::time::Duration;

use super::assurance::{most, runs};
use super::percentile;
use super::world::Random;
use crate::verdict::eprocess::float;
use crate::verdict::known_split::KnownSplitTest;
use crate::verdict::quantile::QuantileTest;
use crate::verdict::{ArmCounts, Batch, Channel};

const STEPS: [f64; 6] = [0.01, 0.05, 0.1, 0.25, 0.5, 0.9];
const FAILURES_PER_STEP: u64 = 250;

/// Failures come one by one, the target's with the probability that `ratio` gives it; returns how
/// many of them were the target's when `ln 100` was reached, if it was.
fn failures_needed(seed: u64, ratio: f64, failures: u64) -> Option<u64> {
    let mut random = Random(seed);
    let mut test = KnownSplitTest::new(1.0);
    let mut of_target = 0;
    for failure in 0..failures {
        let step = ((failure / FAILURES_PER_STEP) as usize).min(STEPS.len() - 1);
        let share = STEPS[step];
        if failure % FAILURES_PER_STEP == 0 {
            test.begin_segment(share);
        }
        let theta = share * ratio / (1.0 - share + share * ratio);
        let is_targets = random.coin(theta);
        let arm = |bad: bool| ArmCounts {
            requests: 1,
            bad: vec![u64::from(bad)],
            ..ArmCounts::default()
        };
        let batch = Batch {
            at: Duration::from_millis(100 * failure),
            source: arm(!is_targets),
            target: arm(is_targets),
            ..Batch::default()
        };
        of_target += u64::from(is_targets);
        if test.observe(&batch, 0) && test.finding().log_e >= 100.0_f64.ln() {
            return Some(of_target);
        }
    }
    None
}

#[test]
fn errors_needed_over_steps_of_different_weight() {
    let seeds = runs(100, 400);
    // Published: none of 400.
    let alarms = (0..seeds).filter(|seed| failures_needed(*seed, 1.0, 400).is_some());
    let alarms = alarms.count() as u64;
    assert!(float(alarms) <= most(seeds, 0.01), "{alarms} of {seeds}");
    for (ratio, published) in [(5.0, 8), (3.0, 13), (2.0, 25), (1.5, 94)] {
        let mut needed: Vec<u64> = (0..seeds)
            .map(|seed| failures_needed(seed, ratio, 5_000).unwrap_or(u64::MAX))
            .collect();
        needed.sort_unstable();
        let median = percentile(&needed, 0.5);
        assert!(
            2 * median <= 3 * published,
            "ratio {ratio}: {median}, published {published}"
        );
    }
}

/// Log-normal around 20 ms times `times`, with σ = 0.7: the published table does not say its σ.
fn wide(random: &mut Random, times: f64) -> Duration {
    let narrow = random.latency(Duration::from_secs(1)).as_secs_f64();
    Duration::from_secs_f64(0.02 * times * narrow.powf(0.7 / 0.3))
}

/// Target answers until `ln 20` is reached, of at most `answers`; a tenth of all answers are the
/// target's, whose latencies are `times` the source's.
fn answers_needed(seed: u64, times: f64, answers: u64) -> Option<u64> {
    let mut random = Random(seed);
    let mut test = QuantileTest::new(Channel::Edge, 0.99, 1.0, 0.05);
    test.begin_segment();
    for batch in 1..=answers / 5 {
        let mut counts = Batch {
            at: Duration::from_millis(100 * batch),
            ..Batch::default()
        };
        for _ in 0..45 {
            counts.source.latency.record_n(wide(&mut random, 1.0), 1);
        }
        for _ in 0..5 {
            counts.target.latency.record_n(wide(&mut random, times), 1);
        }
        if test.observe(&counts, 0) && test.finding().log_e >= 20.0_f64.ln() {
            return Some(5 * batch);
        }
    }
    None
}

#[test]
fn answers_needed_to_tell_two_quantiles_apart() {
    let seeds = runs(30, 300);
    let found = |times, answers| -> Vec<u64> {
        let needed = (0..seeds).map(|seed| answers_needed(seed, times, answers));
        let mut needed: Vec<u64> = needed.map(|found| found.unwrap_or(u64::MAX)).collect();
        needed.sort_unstable();
        needed
    };
    let told_apart = |times| {
        let needed = found(times, 2_000);
        needed.iter().filter(|needed| **needed < u64::MAX).count() as u64
    };
    // Published: none of 300 at α = 5 %.
    let alarms = told_apart(1.0);
    assert!(float(alarms) <= most(seeds, 0.05), "{alarms} of {seeds}");
    for (times, published) in [(1.5, 350), (2.0, 150)] {
        let median = percentile(&found(times, 2_000), 0.5);
        assert!(
            2 * median <= 3 * published,
            "{times} times: {median}, published {published}"
        );
    }
    // Published: 26 % within 2,000 requests.
    let slightly = told_apart(1.3);
    assert!(
        float(slightly) >= 0.26 * float(seeds),
        "{slightly} of {seeds}"
    );
}
