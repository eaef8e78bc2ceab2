//! Bounds of one stack's rate of bad requests: the primitive, asked about every rate in turn.
//!
//! A rate `p0` is ruled out from above when the evidence that fewer than `p0` are bad reaches its
//! threshold, and from below by the evidence that more are. What is left is an interval, at every
//! moment, and the true rate is ever outside with a chance of at most α: α/2 for either end.

use super::eprocess::{BetaBinomial, concentration, float};

/// The bets are tuned to when this many bad requests would be expected at the plan's bound: about
/// as long as it takes a clean stack to be shown to keep it.
const HORIZON: f64 = 10.0;

/// The interval is found to this relative precision; it is rounded outwards.
const PRECISION: f64 = 1e-3;

/// Rates below this are as good as none.
const TINIEST: f64 = 1e-9;

/// Bad requests among all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Tally {
    pub(super) requests: u64,
    pub(super) bad: u64,
}

impl Tally {
    /// The bad share; NaN without requests.
    pub(super) fn rate(self) -> f64 {
        float(self.bad) / float(self.requests)
    }
}

/// Bounds of a rate, at a level of `alpha` for both ends together.
#[derive(Debug, Clone)]
pub(super) struct RateBounds {
    kappa: f64,
    threshold: f64,
}

impl RateBounds {
    /// Tuned to rates around `p0`, between 0 and 1 (exclusive).
    pub(super) fn new(p0: f64, alpha: f64) -> Self {
        RateBounds {
            kappa: concentration(HORIZON / p0, alpha / 2.0),
            threshold: (2.0 / alpha).ln(),
        }
    }

    /// The rates that are not ruled out; everything without requests.
    pub(super) fn interval(&self, tally: Tally) -> (f64, f64) {
        let Tally { requests, bad } = tally;
        if requests == 0 {
            return (0.0, 1.0);
        }
        let measured = tally.rate();
        // About where a normal distribution would have its bounds.
        let nats = self.threshold;
        let variance = measured * (1.0 - measured) / float(requests);
        let step = 1.5 * (2.0 * nats * variance).sqrt() + nats / float(requests);
        let low = if bad == 0 {
            0.0
        } else {
            let above = |p0: f64| self.evidence_above(p0, tally);
            outermost(measured, 0.0, step, |p0| above(p0) >= self.threshold)
        };
        let high = if bad == requests {
            1.0
        } else {
            let below = |p0: f64| self.evidence_below(p0, tally);
            outermost(measured, 1.0, step, |p0| below(p0) >= self.threshold)
        };
        (low, high)
    }

    /// `ln E` that the rate is above `p0`.
    fn evidence_above(&self, p0: f64, tally: Tally) -> f64 {
        BetaBinomial::new(p0, self.kappa).log_e(tally.bad, tally.requests)
    }

    /// `ln E` that the rate is below `p0`: more than `1 − p0` of the requests are good.
    pub(super) fn evidence_below(&self, p0: f64, tally: Tally) -> f64 {
        BetaBinomial::new(1.0 - p0, self.kappa).log_e(tally.requests - tally.bad, tally.requests)
    }
}

/// From `inside`, the rate towards `limit` at which `ruled_out` begins, rounded to the side that is
/// ruled out; `limit` itself is not asked about. The first guess is `step` away.
fn outermost(inside: f64, limit: f64, step: f64, ruled_out: impl Fn(f64) -> bool) -> f64 {
    let towards = (limit - inside).signum();
    let (mut kept, mut step) = (inside, step);
    let mut out = loop {
        let guess = inside + towards * step;
        if (limit - guess) * towards <= 0.0 {
            break limit;
        }
        if ruled_out(guess) {
            break guess;
        }
        kept = guess;
        step *= 2.0;
    };
    while (out - kept).abs() > PRECISION * kept.max(out) {
        let middle = f64::midpoint(kept, out);
        if middle < TINIEST {
            break;
        }
        if ruled_out(middle) {
            out = middle;
        } else {
            kept = middle;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 60 } else { 400 }))]

        #[test]
        fn every_rate_outside_is_ruled_out_and_none_inside(
            n in 1..20_000_u64, share in prop_oneof![Just(0.0), 0.0..0.05_f64, 0.0..1.0_f64],
            away in 0.01..0.99_f64,
        ) {
            let bounds = RateBounds::new(0.01, 0.01);
            let tally = Tally { requests: n, bad: (float(n) * share) as u64 };
            let (low, high) = bounds.interval(tally);
            let measured = float(tally.bad) / float(n);
            prop_assert!(low <= measured && measured <= high);
            let higher = high + away * (1.0 - high);
            prop_assume!(higher < 1.0 - 1e-9);
            prop_assert!(bounds.evidence_below(higher, tally) >= bounds.threshold - 1e-6);
            let lower = low * away;
            if lower > 1e-9 {
                prop_assert!(bounds.evidence_above(lower, tally) >= bounds.threshold - 1e-6);
            }
            let inside = low + (high - low) * away;
            let within = 2.0 * PRECISION * high;
            if inside > low + within && inside < high - within {
                prop_assert!(bounds.evidence_below(inside, tally) < bounds.threshold + 1e-6);
                prop_assert!(bounds.evidence_above(inside, tally) < bounds.threshold + 1e-6);
            }
        }
    }

    #[test]
    fn a_clean_stack_is_shown_to_keep_one_percent_within_a_thousand_requests() {
        let bounds = RateBounds::new(0.01, 0.01 / 7.0);
        let high = |requests| bounds.interval(Tally { requests, bad: 0 }).1;
        assert!(high(500) > 0.01, "{}", high(500));
        assert!(high(1_200) < 0.01, "{}", high(1_200));
        assert!((0.02..0.2).contains(&high(140)), "{}", high(140));
    }
}
