//! Bounds of the ratio of a latency quantile of both stacks.
//!
//! The `p`-quantile of a stack lies above a latency `u` once it is shown that fewer than `p` of its
//! answers are at or below `u`, and at or below `u` once it is shown that more than `p` are. Asked
//! about every bucket's edge, the primitive gives a confidence sequence for the quantile between two
//! edges: order statistics whose ranks are bounded by the primitive. (Howard & Ramdas, "Sequential
//! estimation of quantiles", Bernoulli 28(3) 2022, Theorem 1; `confseq`, `demo/quantiles.py`.) The
//! ratio lies between the quotients of the ends. There are four of them, each at α/4.
//!
//! Answers keep their latency here: nothing is capped.

use super::eprocess::{BetaBinomial, concentration, float};
use super::latency::{BUCKETS, LatencyCounts, OVERFLOW, ratio_of_edges};

/// The bets are tuned to when this many answers above the quantile would be expected.
const HORIZON: f64 = 20.0;

/// Answers of both stacks in buckets.
#[derive(Debug, Clone)]
pub(super) struct QuantileRatio {
    /// On the share at or below a latency, and on the share above it.
    below: BetaBinomial,
    above: BetaBinomial,
    quantile: f64,
    source: Histogram,
    target: Histogram,
}

type Histogram = Box<[u64; BUCKETS]>;

/// What is known of the ratio.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct RatioBounds {
    pub(super) estimate: f64,
    pub(super) low: f64,
    pub(super) high: f64,
}

impl QuantileRatio {
    /// `quantile` lies between 0 and 1 (exclusive); `alpha` only tunes.
    pub(super) fn new(quantile: f64, alpha: f64) -> Self {
        let kappa = concentration(HORIZON / (1.0 - quantile), alpha / 4.0);
        QuantileRatio {
            below: BetaBinomial::new(quantile, kappa),
            above: BetaBinomial::new(1.0 - quantile, kappa),
            quantile,
            source: Box::new([0; BUCKETS]),
            target: Box::new([0; BUCKETS]),
        }
    }

    /// Counts answers of both stacks.
    pub(super) fn add(&mut self, source: &LatencyCounts, target: &LatencyCounts) {
        for (histogram, counts) in [(&mut self.source, source), (&mut self.target, target)] {
            for (bucket, n) in counts.iter() {
                histogram[bucket] += n;
            }
        }
    }

    pub(super) fn clear(&mut self) {
        self.source.fill(0);
        self.target.fill(0);
    }

    /// The bounds with `threshold` nats for each of the four ends; `None` until both have answered.
    pub(super) fn bounds(&self, threshold: f64) -> Option<RatioBounds> {
        let source = self.of_stack(&self.source, threshold)?;
        let target = self.of_stack(&self.target, threshold)?;
        let ratio = |target: Option<usize>, source: Option<usize>, otherwise| match (target, source)
        {
            (Some(target), Some(source)) => ratio_of_edges(target, source),
            _ => otherwise,
        };
        Some(RatioBounds {
            estimate: ratio_of_edges(target.measured, source.measured),
            low: ratio(target.above, source.at_most, 0.0),
            high: ratio(target.at_most, source.above, f64::INFINITY),
        })
    }

    /// Between which edges the quantile of a stack lies.
    fn of_stack(&self, histogram: &Histogram, threshold: f64) -> Option<Bracket> {
        let mut at_or_below = [0; BUCKETS];
        let mut n = 0;
        for (sum, count) in at_or_below.iter_mut().zip(histogram.iter()) {
            n += count;
            *sum = n;
        }
        if n == 0 {
            return None;
        }
        // The overflow bucket has no upper edge.
        let edges = &at_or_below[..OVERFLOW];
        // Both bets are monotone in the count, and the count in the edge.
        let not_shown_above = |&k: &u64| self.above.log_e(n - k, n) < threshold;
        let shown_above = edges.partition_point(|k| !not_shown_above(k));
        let shown_at_most = edges.partition_point(|&k| self.below.log_e(k, n) < threshold);
        Some(Bracket {
            measured: at_or_below.partition_point(|&k| float(k) < self.quantile * float(n)),
            above: shown_above.checked_sub(1),
            at_most: (shown_at_most < OVERFLOW).then_some(shown_at_most),
        })
    }
}

/// Buckets whose upper edges bound a quantile.
struct Bracket {
    measured: usize,
    /// It lies above this edge; `None` if it may be anything small.
    above: Option<usize>,
    /// It lies at or below this edge; `None` if it may be anything large.
    at_most: Option<usize>,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::verdict::simulations::Random;

    fn answers(random: &mut Random, median_ms: u64, n: u64) -> LatencyCounts {
        let mut counts = LatencyCounts::default();
        for _ in 0..n {
            counts.record_n(random.latency(Duration::from_millis(median_ms)), 1);
        }
        counts
    }

    #[test]
    fn the_ratio_of_two_quantiles_lies_between_its_bounds() {
        let mut random = Random(5);
        let mut ratio = QuantileRatio::new(0.99, 0.01);
        assert_eq!(ratio.bounds(6.0), None);
        ratio.add(
            &answers(&mut random, 10, 3_000),
            &answers(&mut random, 15, 3_000),
        );
        let bounds = ratio.bounds(400.0_f64.ln()).unwrap();
        assert!((bounds.estimate - 1.5).abs() < 0.15, "{bounds:?}");
        assert!(bounds.low > 1.0 && bounds.high < 2.3, "{bounds:?}");
    }

    #[test]
    fn too_few_answers_bound_nothing_from_above() {
        let mut random = Random(6);
        let mut ratio = QuantileRatio::new(0.99, 0.01);
        ratio.add(
            &answers(&mut random, 10, 200),
            &answers(&mut random, 10, 200),
        );
        let bounds = ratio.bounds(400.0_f64.ln()).unwrap();
        assert!(bounds.high.is_infinite(), "{bounds:?}");
    }

    #[test]
    fn the_bounds_seldom_miss_at_any_time_of_a_run() {
        let runs = if cfg!(debug_assertions) { 40 } else { 400 };
        let alpha: f64 = 0.1;
        let missed = (0..runs)
            .filter(|seed| {
                let mut random = Random(*seed);
                let mut ratio = QuantileRatio::new(0.9, alpha);
                (0..50).any(|_| {
                    ratio.add(&answers(&mut random, 10, 20), &answers(&mut random, 10, 20));
                    let bounds = ratio.bounds((4.0 / alpha).ln()).unwrap();
                    // A bucket's width, since the true quantile lies within one.
                    bounds.low > 1.045 || bounds.high < 1.0 / 1.045
                })
            })
            .count();
        assert!(
            float(missed as u64) <= alpha * float(runs),
            "{missed} of {runs}"
        );
    }
}
