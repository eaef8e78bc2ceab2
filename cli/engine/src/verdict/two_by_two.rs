//! Failures in a 2×2 table: a bet against "the target fails at most `R` times as often".
//!
//! In a block of answers `n_a` requests went to the source and `k_a` failed, `n_b` and `k_b` for the
//! target. A bettor who believes in the failure rates `t_a, t_b` before the block ends gets
//!
//! ```text
//!     (t_a/s_a)^k_a ((1−t_a)/(1−s_a))^(n_a−k_a) · (t_b/s_b)^k_b ((1−t_b)/(1−s_b))^(n_b−k_b)
//! ```
//!
//! for each 1 of capital, where `(s_a, s_b)` are the rates nearest to `(t_a, t_b)`, by relative
//! entropy, among those that the claim `p_b ≤ R·p_a` allows. For `R = 1` that is the published
//! `s_a = s_b = (n_a t_a + n_b t_b)/n`. (Turner, Ly, Grünwald, "Generic E-variables for exact
//! sequential k-sample tests that allow for optional stopping", JSPI 230:106116, 2024; `safestats`,
//! `R/safe2x2Test.R`. For other convex claims: Turner & Grünwald, "Exact anytime-valid confidence
//! intervals for contingency tables and beyond", Statistics & Probability Letters 198:109835, 2023.)
//!
//! # Why the bet is fair
//! The nearest point lies on the border, `s_b = R·s_a`, where the derivative of the relative entropy
//! along the border vanishes:
//!
//! ```text
//!     n_a (s_a − t_a)/(1−s_a) = n_b (t_b − R·s_a)/(1 − R·s_a)
//! ```
//!
//! a quadratic equation in `s_a`. Let the true rates be `p_a = s_a + d` and `p_b ≤ R·p_a = s_b + R·d`.
//! The mean gain is largest at `p_b = R·p_a`, and there it is `(1 + u·d)^n_a (1 + v·R·d)^n_b` with
//! `u = (t_a−s_a)/(s_a(1−s_a)) < 0` and `v = (t_b−s_b)/(s_b(1−s_b)) > 0`. Its logarithm is concave in
//! `d`, 0 at `d = 0`, and flat there by the equation above. So it is at most 1, for *any* common rate,
//! which may be another one in each block. (Where `R·p_a` exceeds 1, `p_b` stays at 1 while the first
//! factor falls.) With `n_a = n_b` the rate may even change from pair to pair, and pairs that fail
//! together only lower the gain.

use super::eprocess::float;

/// Failures that both stacks are taken to have had before the first request, and as many successes:
/// the default of `safestats`.
const PRIOR: f64 = 0.18;

/// Requests, and failures among them, of both stacks.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Table {
    pub(super) source: (f64, f64),
    pub(super) target: (f64, f64),
}

/// The rates that a bettor believes in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Belief {
    pub(super) source: f64,
    pub(super) target: f64,
}

impl Belief {
    /// With the stacks' names exchanged.
    pub(super) fn mirrored(self) -> Self {
        Belief {
            source: self.target,
            target: self.source,
        }
    }
}

impl Table {
    /// With the stacks' names exchanged.
    pub(super) fn mirrored(self) -> Self {
        Table {
            source: self.target,
            target: self.source,
        }
    }

    /// Counts requests and failures of the source (`a`) and the target (`b`).
    pub(super) fn add(&mut self, n_a: u64, k_a: u64, n_b: u64, k_b: u64) {
        self.merge(&Table {
            source: (float(n_a), float(k_a)),
            target: (float(n_b), float(k_b)),
        });
    }

    pub(super) fn merge(&mut self, other: &Table) {
        self.source.0 += other.source.0;
        self.source.1 += other.source.1;
        self.target.0 += other.target.0;
        self.target.1 += other.target.1;
    }

    /// What the blocks counted here make of the next one, whose sizes alone are known: the published
    /// estimates, the target's prior scaled by `n_b/n_a`.
    pub(super) fn belief(&self, next: &Table) -> Belief {
        Belief {
            source: estimate(self.source, 1.0),
            target: estimate(self.target, next.target.0 / next.source.0),
        }
    }
}

/// The failure rate after so many requests and failures, the prior scaled.
pub(super) fn estimate((requests, failures): (f64, f64), prior_scale: f64) -> f64 {
    (failures + PRIOR * prior_scale) / (requests + 2.0 * PRIOR * prior_scale)
}

/// `ln` of what a block makes of a capital of 1 that bets on `belief` against `p_b ≤ ratio·p_a`. Who
/// believes the claim does not bet.
pub(super) fn log_gain(block: &Table, belief: Belief, ratio: f64) -> f64 {
    if belief.target <= ratio * belief.source {
        return 0.0;
    }
    let claim = nearest_claim(block.source.0, block.target.0, belief, ratio);
    let arm = |(requests, failures): (f64, f64), believed: f64, claimed: f64| {
        let success = (requests - failures) * ((claimed - believed) / (1.0 - claimed)).ln_1p();
        if failures > 0.0 {
            success + failures * (believed / claimed).ln()
        } else {
            success
        }
    };
    arm(block.source, belief.source, claim.source) + arm(block.target, belief.target, claim.target)
}

/// The rates on the border `p_b = ratio·p_a` nearest to `belief`: the smaller root of
/// `R·n·s² − [n_a(1 + R·t_a) + n_b(R + t_b)]·s + (n_a·t_a + n_b·t_b) = 0`.
fn nearest_claim(n_a: f64, n_b: f64, belief: Belief, ratio: f64) -> Belief {
    let Belief {
        source: t_a,
        target: t_b,
    } = belief;
    let square = ratio * (n_a + n_b);
    let linear = n_a * (1.0 + ratio * t_a) + n_b * (ratio + t_b);
    let constant = n_a * t_a + n_b * t_b;
    let root = (linear * linear - 4.0 * square * constant).max(0.0).sqrt();
    // The form of the smaller root that does not cancel.
    let source = 2.0 * constant / (linear + root);
    Belief {
        source,
        target: ratio * source,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::verdict::simulations::Random;
    use crate::verdict::special::ln_beta;

    fn table(n_a: u64, k_a: u64, n_b: u64, k_b: u64) -> Table {
        let mut table = Table::default();
        table.add(n_a, k_a, n_b, k_b);
        table
    }

    #[test]
    fn for_equal_rates_the_nearest_claim_is_the_published_one() {
        let belief = Belief {
            source: 0.02,
            target: 0.11,
        };
        let claim = nearest_claim(30.0, 50.0, belief, 1.0);
        let published = (30.0 * 0.02 + 50.0 * 0.11) / 80.0;
        assert!((claim.source - published).abs() < 1e-12, "{claim:?}");
        // e of §3 of the paper, written out.
        let (k_a, k_b): (f64, f64) = (1.0, 4.0);
        let expected =
            k_a * 0.02_f64.ln() + 29.0 * 0.98_f64.ln() + k_b * 0.11_f64.ln() + 46.0 * 0.89_f64.ln()
                - 5.0 * published.ln()
                - 75.0 * (1.0 - published).ln();
        let found = log_gain(&table(30, 1, 50, 4), belief, 1.0);
        assert!((found - expected).abs() < 1e-9, "{found}, {expected}");
    }

    #[test]
    fn beliefs_start_from_the_published_prior() {
        let next = table(10, 0, 20, 0);
        let belief = table(100, 3, 200, 9).belief(&next);
        assert!((belief.source - 3.18 / 100.36).abs() < 1e-12);
        assert!((belief.target - 9.36 / 200.72).abs() < 1e-12);
    }

    fn chance(n: u64, k: u64, p: f64) -> f64 {
        let ways = -(ln_beta(float(k) + 1.0, float(n - k) + 1.0) + float(n + 1).ln());
        // 0·ln 0 is 0 here: what cannot happen is not summed over.
        let power = |times: u64, p: f64| {
            if times == 0 {
                0.0
            } else {
                float(times) * p.ln()
            }
        };
        (ways + power(k, p) + power(n - k, 1.0 - p)).exp()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn no_bet_gains_on_average_while_the_claim_holds(
            n_a in 1..12_u64, n_b in 1..12_u64, ratio in 0.1..5.0_f64,
            t_a in 0.0005..0.5_f64, t_b in 0.001..0.999_f64,
            p_a in 0.0..1.0_f64, within in 0.5..1.0_f64,
        ) {
            let belief = Belief { source: t_a, target: t_b };
            let p_b = (within * ratio * p_a).min(1.0);
            let mut mean = 0.0;
            for k_a in 0..=n_a {
                for k_b in 0..=n_b {
                    let gain = log_gain(&table(n_a, k_a, n_b, k_b), belief, ratio);
                    mean += chance(n_a, k_a, p_a) * chance(n_b, k_b, p_b) * gain.exp();
                }
            }
            prop_assert!(mean < 1.0 + 1e-9, "{mean}");
        }

        #[test]
        fn a_failure_counted_as_a_success_lowers_the_evidence(
            t_a in 0.0005..0.4_f64, times in 1.01..50.0_f64, ratio in 1.0..5.0_f64, k_b in 1..20_u64,
        ) {
            let belief = Belief { source: t_a, target: (t_a * ratio * times).min(0.99) };
            let gain = |k_b| log_gain(&table(20, 1, 20, k_b), belief, ratio);
            prop_assert!(gain(k_b - 1) <= gain(k_b));
        }
    }

    /// Runs in which the published bettor, alone, reaches `ln 100`: blocks of 50 requests each, the
    /// common rate drifting between 0.1 % and 1 %, the split of requests drawn for each block.
    fn published_breaches(runs: u64, times: f64, blocks: u64) -> u64 {
        let breached = |seed: &u64| {
            let mut random = Random(*seed);
            let (mut past, mut log_e) = (Table::default(), 0.0);
            (0..blocks).any(|block| {
                let wave = (float(block) / 40.0).sin();
                let rate = if times > 1.0 {
                    0.005
                } else {
                    0.0055 + 0.0045 * wave
                };
                let to_source = 10 + (random.uniform() * 80.0) as u64;
                let mut fails = |n: u64, p: f64| (0..n).filter(|_| random.coin(p)).count() as u64;
                let (n_a, n_b) = (to_source, 100 - to_source);
                let now = table(n_a, fails(n_a, rate), n_b, fails(n_b, rate * times));
                log_e += log_gain(&now, past.belief(&now), 1.0);
                past.merge(&now);
                log_e >= 100.0_f64.ln()
            })
        };
        (0..runs).filter(breached).count() as u64
    }

    #[test]
    fn a_drifting_common_rate_is_no_evidence_and_twice_the_rate_is_found() {
        // Published table: 0.5 % false at α = 1 %, twice the rate at 0.5 % found 300 times of 300.
        let (runs, found_of) = if cfg!(debug_assertions) {
            (300, 40)
        } else {
            (2_000, 300)
        };
        let alarms = published_breaches(runs, 1.0, 600);
        assert!(alarms <= 4.max(runs / 80), "{alarms} of {runs}");
        assert_eq!(published_breaches(found_of, 2.0, 1_000), found_of);
    }
}
