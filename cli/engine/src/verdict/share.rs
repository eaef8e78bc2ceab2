//! Does the target get the share of requests that its weight says?
//!
//! Sample-ratio mismatch: a wrong rule, sticky sessions, or a load balancer that fails open send
//! requests elsewhere than they were meant to go. Nothing that is measured then means what it seems
//! to, and a step must not advance. It is no breach of an objective: the target may be in the best of
//! health.
//!
//! The claim is that each request of a segment goes to the target with the applied share. The bet is
//! the two-sided mixture of [`eprocess`](super::eprocess), tuned to differences of a few percent.
//! (Lindon & Malek, NeurIPS 2022, arXiv 2011.03567; `optimizely/ssrm`.) Each segment begins anew, and
//! the `j`-th may spend `α/(j(j+1))`. An edge that splits more evenly than chance does is the safe
//! side.
//!
//! At weights of 0 % and 100 % a single stray request would be a contradiction. A retry may stray, so
//! there the claim is that at most one request in ten thousand goes elsewhere, and the bet is the
//! one-sided one.

use super::eprocess::{BetaBinomial, concentration};
use super::interval::{Interval, Unit};
use super::rate_bounds::{RateBounds, Tally};
use super::report::{GuardKind, GuardReport};
use crate::view::GuardState;

/// The bet is most sensitive after so many requests.
const HORIZON: f64 = 2_000.0;

/// The share of requests that may stray at 0 % and 100 %.
const STRAY: f64 = 1e-4;

/// Name of the guard.
const NAME: &str = "share of requests on the target";

/// The target's share of requests is not what was applied.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ShareMismatch {
    /// The applied share, 0 to 1.
    pub expected: f64,
    /// The target's share of the requests of the current segment.
    pub observed: f64,
    /// Requests of the segment, to both stacks.
    pub requests: u64,
    /// Natural logarithm of the e-value: evidence that the share is another one.
    pub log_e: f64,
}

/// What is bet against.
#[derive(Debug, Clone)]
enum Bet {
    /// The target gets its share.
    Share(BetaBinomial),
    /// Next to none go to the target.
    NoneToTarget(BetaBinomial),
    /// Next to none go to the source.
    NoneToSource(BetaBinomial),
}

/// Evidence that requests are not split as they should be.
#[derive(Debug, Clone)]
pub(super) struct ShareTest {
    alpha: f64,
    expected: f64,
    bet: Bet,
    /// Requests to both stacks in this segment; the target's are the "bad" ones.
    seen: Tally,
    segment: u32,
    interval: Option<Interval>,
    interval_of: u64,
}

impl ShareTest {
    /// No segment has begun; `alpha` is for all of them together.
    pub(super) fn new(alpha: f64) -> Self {
        ShareTest {
            alpha,
            expected: 0.0,
            bet: Bet::on(0.0, alpha),
            seen: Tally::default(),
            segment: 0,
            interval: None,
            interval_of: 0,
        }
    }

    /// A segment begins in which the target is to get this share, between 0 and 1.
    pub(super) fn begin_segment(&mut self, share: f64) {
        // A segment without requests was no bet.
        let began = self.segment == 0 || self.seen.requests > 0;
        let segment = self.segment.saturating_add(u32::from(began));
        *self = ShareTest {
            expected: share,
            bet: Bet::on(share, self.alpha),
            segment,
            ..ShareTest::new(self.alpha)
        };
    }

    /// Counts requests that were sent in this segment, and those of them that the target answered.
    pub(super) fn observe(&mut self, requests: u64, to_target: u64) {
        self.seen.requests += requests;
        self.seen.bad += to_target.min(requests);
        // As bounds are elsewhere: when their ground has grown by a thirty-second.
        if self.seen.requests > self.interval_of + self.interval_of / 32 {
            self.interval_of = self.seen.requests;
            let alpha = 1.0 / self.threshold().exp();
            let around = self.expected.clamp(STRAY, 1.0 - STRAY);
            let (low, high) = RateBounds::new(around, alpha).interval(self.seen);
            self.interval = Some(Interval {
                estimate: self.seen.rate(),
                low,
                high,
                unit: Unit::TargetShare,
            });
        }
    }

    /// `ln E`, as it stands.
    pub(super) fn log_e(&self) -> f64 {
        let Tally {
            requests,
            bad: to_target,
        } = self.seen;
        match &self.bet {
            Bet::Share(bet) => bet.log_e_of_both_sides(to_target, requests),
            Bet::NoneToTarget(bet) => bet.log_e(to_target, requests),
            Bet::NoneToSource(bet) => bet.log_e(requests - to_target, requests),
        }
    }

    /// What `log_e` must reach to be a mismatch: `ln(j(j+1)/α)` in the `j`-th segment.
    pub(super) fn threshold(&self) -> f64 {
        let j = f64::from(self.segment.max(1));
        (j * (j + 1.0) / self.alpha).ln()
    }

    /// The mismatch, while the evidence of this segment is at its threshold. A split that comes right
    /// again takes the evidence back: a hold should end when its reason does.
    pub(super) fn mismatch(&self) -> Option<ShareMismatch> {
        let log_e = self.log_e();
        (log_e >= self.threshold()).then(|| ShareMismatch {
            expected: self.expected,
            observed: self.seen.rate(),
            requests: self.seen.requests,
            log_e,
        })
    }

    /// A mismatch is no breach: it is reported as near, which holds a run.
    pub(super) fn report(&self) -> GuardReport {
        let threshold = self.threshold();
        let state = if self.log_e() >= threshold / 2.0 {
            GuardState::Near
        } else {
            GuardState::Quiet
        };
        GuardReport {
            name: NAME.to_owned(),
            objective: None,
            kind: GuardKind::ShareMismatch,
            log_e: self.log_e(),
            threshold,
            requests: self.seen.requests,
            bad: self.seen.bad,
            state,
            first_bad_at: None,
            bad_edge: 0,
            bad_paired: 0,
            interval: self.interval,
            proven: false,
        }
    }
}

impl Bet {
    fn on(share: f64, alpha: f64) -> Self {
        if share <= STRAY {
            return Bet::NoneToTarget(BetaBinomial::new(STRAY, concentration(HORIZON, alpha)));
        }
        if share >= 1.0 - STRAY {
            return Bet::NoneToSource(BetaBinomial::new(STRAY, concentration(HORIZON, alpha)));
        }
        // Two-sided: `concentration` is told half, as it doubles what it is told.
        let kappa = concentration(HORIZON, alpha / 2.0);
        Bet::Share(BetaBinomial::new(share, kappa))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::simulations::Random;

    fn requests_until_mismatch(expected: f64, actual: f64, most: u64, seed: u64) -> Option<u64> {
        let mut random = Random(seed);
        let mut test = ShareTest::new(0.001);
        test.begin_segment(expected);
        for _ in 0..most / 10 {
            let to_target = (0..10).filter(|_| random.coin(actual)).count() as u64;
            test.observe(10, to_target);
            if let Some(mismatch) = test.mismatch() {
                return Some(mismatch.requests);
            }
        }
        None
    }

    #[test]
    fn a_split_by_chance_at_the_applied_share_is_no_mismatch() {
        for seed in 0..100 {
            for share in [0.0, 0.01, 0.25, 1.0] {
                assert_eq!(requests_until_mismatch(share, share, 5_000, seed), None);
            }
        }
    }

    #[test]
    fn a_wrong_rule_is_found_soon_whatever_it_does() {
        for (expected, actual, within) in [
            (0.25, 0.0, 100),
            (0.25, 0.5, 200),
            (0.05, 0.10, 1_500),
            (0.0, 0.05, 200),
            (1.0, 0.9, 100),
        ] {
            for seed in 0..10 {
                let found = requests_until_mismatch(expected, actual, 5_000, seed);
                assert!(
                    found.is_some_and(|found| found <= within),
                    "{actual} instead of {expected}: {found:?}"
                );
            }
        }
    }

    #[test]
    fn one_stray_request_at_weight_zero_is_not_a_mismatch_and_a_handful_is() {
        let mut test = ShareTest::new(0.001);
        test.begin_segment(0.0);
        test.observe(100, 1);
        assert_eq!(test.mismatch(), None);
        test.observe(100, 5);
        let mismatch = test.mismatch().expect("a mismatch");
        assert_eq!(mismatch.requests, 200);
        assert!((mismatch.observed - 0.03).abs() < 1e-12);
        test.begin_segment(0.03);
        assert_eq!(test.mismatch(), None, "a segment begins anew");
        assert!(
            test.threshold() > (2.0_f64 / 0.001).ln(),
            "and costs a little more"
        );
    }

    #[test]
    fn an_edge_that_never_strays_is_no_mismatch_however_long_it_runs() {
        for (share, to_target) in [(0.0, 0), (1.0, 1_000), (0.25, 250)] {
            let mut test = ShareTest::new(0.001);
            test.begin_segment(share);
            for _ in 0..10_000 {
                test.observe(1_000, to_target);
            }
            assert_eq!(test.mismatch(), None, "{share}");
        }
    }
}
