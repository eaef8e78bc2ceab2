//! Errors of the target against errors of the source, where the split of requests is known.
//!
//! If the target fails `r` times as often as the source and gets a share `s` of the requests, the
//! next failure is the target's with probability
//!
//! ```text
//! θ(r) = s·r / ((1−s) + s·r)
//! ```
//!
//! whatever the common failure rate does meanwhile: load, time of day and a broken database that
//! both stacks use all cancel. (Lindon & Malek, NeurIPS 2022, arXiv 2011.03567.) The claim is
//! `r ≤ R`, the ratio in the plan; so only failures matter, and each is a bet on whose it is.
//!
//! The bet is a mixture over a grid of ratios above `R`. It knows nothing of weights, so evidence
//! goes on growing while the share changes from step to step: each failure is weighed with the
//! share of the segment in which it happened.
//!
//! # Guarantees
//! With requests assigned at random, each request multiplies a bettor's capital by 1 on average if
//! `r = R`, at any failure rate (not only a small one), and by less if `r < R`.
//!
//! # Caveats
//! An answer that comes late, after the next step began, is weighed with that step's share. Weights
//! rise during a shift, so `θ` is then too high for it and the evidence too low: the safe side.

use super::burst::BurstCap;
use super::capital::Capital;
use super::counts::{Batch, Channel};
use super::eprocess::float;
use super::report::Finding;
use super::start_points::{StartPoints, Weighed};

/// Ratios that are bet on: `R · 1.25 · 2^(g/2)`, up to about 200 times `R`.
const GRID: usize = 16;

/// Failures, of both stacks, between two start points of a segment. In that many the evidence of
/// health cannot grow so large that a regression would be hidden for long.
const FAILURES_PER_START_POINT: u64 = 16;

/// Evidence that the target fails more than `R` times as often as the source, through the edge.
#[derive(Debug, Clone)]
pub(super) struct KnownSplitTest {
    /// `R`.
    ratio: f64,
    /// The target's share of requests; `None` while only one stack gets any.
    share: Option<f64>,
    /// What any failure adds to each grid point, at this share: `ln((1−θ)/(1−θ_R))`.
    per_failure: [f64; GRID],
    /// What a failure of the target adds besides: `ln(r/R)`.
    per_target_failure: [f64; GRID],
    /// One bettor for each grid point.
    seen: Capital<GRID>,
    burst: BurstCap,
    points: StartPoints<Capital<GRID>>,
}

impl KnownSplitTest {
    /// `ratio` is at least 1.
    pub(super) fn new(ratio: f64) -> Self {
        KnownSplitTest {
            ratio,
            share: None,
            per_failure: [0.0; GRID],
            per_target_failure: std::array::from_fn(|point| multiple(point).ln()),
            seen: Capital::NEW,
            burst: BurstCap::default(),
            points: StartPoints::new(),
        }
    }

    /// A segment begins in which the target gets this share of the requests through the edge.
    pub(super) fn begin_segment(&mut self, share: f64) {
        self.share = (share > 0.0 && share < 1.0).then_some(share);
        if let Some(share) = self.share {
            let allowed = (1.0 - share) + share * self.ratio;
            for (point, gain) in self.per_failure.iter_mut().enumerate() {
                *gain = (allowed / ((1.0 - share) + share * self.ratio * multiple(point))).ln();
            }
        }
        self.open_start_point();
    }

    fn open_start_point(&mut self) {
        let KnownSplitTest { seen, points, .. } = self;
        if points
            .newest()
            .is_none_or(|base| base.failures < seen.failures)
        {
            points.open(*seen, |base| seen.log_e(base));
        }
    }

    /// Counts a batch; says whether the evidence may have grown.
    pub(super) fn observe(&mut self, batch: &Batch, objective: usize) -> bool {
        let Some(share) = self.share else {
            return false;
        };
        if batch.channel != Channel::Edge {
            return false;
        }
        let of_source = batch.source.bad(objective);
        let of_target = batch.target.bad(objective);
        self.seen.requests += batch.target.requests;
        // At the claim's edge the target fails θ/(1−θ) times for each failure of the source.
        let expected = float(of_source) * self.ratio * share / (1.0 - share);
        let counted = self.burst.admit(batch.at, expected, of_target);
        if of_source + of_target == 0 {
            return false;
        }
        if of_target > 0 {
            self.points
                .saw_bad(batch.target.first_bad_at(objective).unwrap_or(batch.at));
        }
        for (point, capital) in self.seen.log.iter_mut().enumerate() {
            // ln(θ/θ_R) = ln(r/R) + ln((1−θ)/(1−θ_R)).
            *capital += float(of_source + counted) * self.per_failure[point]
                + float(counted) * self.per_target_failure[point];
        }
        self.seen.failures += of_source + of_target;
        self.seen.bad.add(Channel::Edge, of_target);
        let due = self
            .points
            .newest()
            .map_or(0, |base| base.failures + FAILURES_PER_START_POINT);
        if self.seen.failures >= due {
            self.open_start_point();
        }
        counted > 0
    }

    /// Weighs what was counted so far.
    pub(super) fn finding(&self) -> Finding {
        let Weighed {
            log_e,
            since,
            first_bad_at,
        } = self.points.weigh(|base| self.seen.log_e(base));
        Finding {
            log_e,
            first_bad_at,
            bad: self.seen.bad.since(since.unwrap_or(Capital::NEW).bad),
        }
    }

    /// Target requests, and failed ones, while both stacks got some.
    pub(super) fn totals(&self) -> (u64, u64) {
        (self.seen.requests, self.seen.bad.total())
    }
}

/// How many times `R` a grid point stands for.
fn multiple(point: usize) -> f64 {
    const STEPS: [f64; 2] = [1.25, 1.25 * std::f64::consts::SQRT_2];
    STEPS[point % 2] * float(1 << (point / 2))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::verdict::counts::ArmCounts;

    fn failures(at_ms: u64, source: u64, target: u64) -> Batch {
        let arm = |bad: u64| ArmCounts {
            requests: 100,
            bad: vec![bad],
            ..ArmCounts::default()
        };
        Batch {
            channel: Channel::Edge,
            at: Duration::from_millis(at_ms),
            source: arm(source),
            target: arm(target),
        }
    }

    #[test]
    fn the_evidence_is_the_likelihood_ratio_of_whose_failures_they_are() {
        let mut test = KnownSplitTest::new(2.0);
        test.begin_segment(0.25);
        test.observe(&failures(0, 1, 2), 0);
        test.begin_segment(0.5);
        test.observe(&failures(100, 2, 1), 0);
        let theta = |s: f64, r: f64| s * r / ((1.0 - s) + s * r);
        let expected: f64 = (0..GRID)
            .map(|point| {
                let r = 2.0 * 1.25 * 2.0_f64.powf(float(point as u64) / 2.0);
                let first = theta(0.25, r).powi(2) * (1.0 - theta(0.25, r));
                let second = theta(0.5, r) * (1.0 - theta(0.5, r)).powi(2);
                let claim = theta(0.25, 2.0).powi(2) * (1.0 - theta(0.25, 2.0));
                let claim = claim * theta(0.5, 2.0) * (1.0 - theta(0.5, 2.0)).powi(2);
                first * second / claim
            })
            .sum::<f64>()
            / float(GRID as u64);
        assert!((test.seen.log_e(&Capital::NEW) - expected.ln()).abs() < 1e-9);
    }

    #[test]
    fn nothing_is_learnt_while_one_stack_gets_everything() {
        for share in [0.0, 1.0] {
            let mut test = KnownSplitTest::new(1.5);
            test.begin_segment(share);
            assert!(!test.observe(&failures(0, 0, 3), 0));
            assert!(test.finding().log_e.abs() < 1e-12);
        }
    }
}
