//! The one primitive: a beta-binomial e-process.
//!
//! Someone claims that at most a share `p0` of requests is bad. We bet against the claim, starting
//! with a capital of 1, at odds that are fair if the claim holds. The capital is the *e-value*; if
//! the claim is true it has no tendency to grow, and by Ville's inequality the chance that it *ever*
//! reaches `1/α` is at most `α`. Hence one may look after every request, as often as one likes.
//!
//! The bet is a mixture over all rates `p > p0`: with `k` bad among `n`
//!
//! ```text
//! E(k, n) = ∫_{p0}^1 (p/p0)ᵏ ((1−p)/(1−p0))ⁿ⁻ᵏ  π(dp),      π = Beta(κp0, κ(1−p0)) cut at p0
//! ```
//!
//! Each factor under the integral has mean at most 1 for every true rate up to `p0`, so the bound
//! holds for all of them, not just for `p0` itself. `E` rises with `k` and falls with `n`: counting
//! fewer bad requests than there were, with all requests, can only lower the evidence. The caps in
//! [`burst`](super::burst) rest on that.
//!
//! Sources: Robbins (1970) for the mixture; Howard, Ramdas, McAuliffe, Sekhon, "Time-uniform Chernoff
//! bounds via nonnegative supermartingales" (2020) and "Time-uniform, nonparametric, nonasymptotic
//! confidence sequences" (2021), Propositions 6 and 7; `gostevehoward/confseq`,
//! `src/confseq/uniform_boundaries.h` (`BetaBinomialMixture`), whose values the tests hold.

use super::special::{is_lower_side, ln_beta, ln_one_minus_exp, ln_partial_ratio, ln_regularised};

/// How tightly the prior of [`BetaBinomial`] sits around `p0` (`κ`), such that the test is most
/// sensitive when about `horizon` requests have been seen, at error probability `alpha`.
///
/// `ρ = v / (2 ln(1/a) + ln(1 + 2 ln(1/a)))` with `v = horizon·p0(1−p0)` and `a = 2·alpha`, because
/// the test looks to one side; `κ = ρ/(p0(1−p0)) − 1`, in which `p0` cancels. (`confseq`,
/// `one_sided_best_rho` and `BetaBinomialMixture`.)
pub(super) fn concentration(horizon: f64, alpha: f64) -> f64 {
    let nats = 2.0 * (1.0 / (2.0 * alpha).min(1.0)).ln();
    (horizon / (nats + nats.ln_1p()).max(f64::MIN_POSITIVE) - 1.0).clamp(0.001, 1e6)
}

/// A bet against "at most a share `p0` is bad".
#[derive(Debug, Clone)]
pub(super) struct BetaBinomial {
    p0: f64,
    /// Parameters of the prior.
    a: f64,
    b: f64,
    ln_p0: f64,
    ln_q0: f64,
    /// `ln B(a, b)`.
    ln_prior: f64,
    /// `ln` of the prior's mass above `p0`.
    ln_prior_above: f64,
}

impl BetaBinomial {
    /// `p0` lies between 0 and 1 (exclusive), `kappa` above 0.
    pub(super) fn new(p0: f64, kappa: f64) -> Self {
        let (a, b) = (kappa * p0, kappa * (1.0 - p0));
        let ln_prior = ln_beta(a, b);
        let ln_prior_above = ln_one_minus_exp(ln_regularised(p0, a, b, ln_prior));
        BetaBinomial {
            p0,
            a,
            b,
            ln_p0: p0.ln(),
            ln_q0: (-p0).ln_1p(),
            ln_prior,
            ln_prior_above,
        }
    }

    /// `ln E(k, n)` for `k` bad among `n` requests, `k ≤ n`: evidence that more than `p0` are bad.
    pub(super) fn log_e(&self, k: u64, n: u64) -> f64 {
        let (k, n) = (float(k.min(n)), float(n));
        let (a, b) = (self.a + k, self.b + n - k);
        if is_lower_side(1.0 - self.p0, b, a) {
            // The posterior lies below p0 and its mass above p0 may underflow. In
            // ∫_{p0}^1 = p0ᵃ⁺ᵏ (1−p0)ᵇ⁺ⁿ⁻ᵏ · ratio the powers of k and n cancel against the
            // likelihood of p0, and nothing large is left.
            self.a * self.ln_p0 + self.b * self.ln_q0 + ln_partial_ratio(1.0 - self.p0, b, a)
                - self.ln_prior
                - self.ln_prior_above
        } else {
            let ln_posterior = ln_beta(a, b);
            let above = ln_one_minus_exp(ln_regularised(self.p0, a, b, ln_posterior));
            self.likelihood_ratio(k, n, ln_posterior) + above - self.ln_prior_above
        }
    }

    /// The same bet without the cut, on rates to both sides: `ln E` that the rate is not `p0`.
    pub(super) fn log_e_of_both_sides(&self, k: u64, n: u64) -> f64 {
        let (k, n) = (float(k.min(n)), float(n));
        self.likelihood_ratio(k, n, ln_beta(self.a + k, self.b + n - k))
    }

    /// The mixture over all rates on both sides of `p0`, in logarithms.
    fn likelihood_ratio(&self, k: f64, n: f64, ln_posterior: f64) -> f64 {
        ln_posterior - self.ln_prior - k * self.ln_p0 - (n - k) * self.ln_q0
    }
}

/// Counts of requests stay far below 2⁵², so they are exact as `f64`.
#[expect(clippy::cast_precision_loss, reason = "exact below 2^52 requests")]
pub(super) fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn close(found: f64, expected: f64) {
        assert!(
            (found - expected).abs() < 1e-9,
            "found {found}, expected {expected}"
        );
    }

    #[test]
    fn the_mixture_agrees_with_the_published_values() {
        let bet = BetaBinomial::new(0.1, 100.0);
        close(bet.log_e_of_both_sides(10, 100), -0.350_784_129_414);
        close(bet.log_e_of_both_sides(20, 100), 1.920_724_002_170);
        close(bet.log_e_of_both_sides(30, 100), 8.240_110_155_925);
    }

    #[test]
    fn the_mixture_agrees_with_the_example_of_savvi() {
        // `assuncaolfi/savvi`, inhomogeneous Poisson processes: shares (.8, .2), κ = 100. It stops
        // at n = 210 with p = 0.045579631759; 62 of the 210 are the second arm's.
        let log_e = BetaBinomial::new(0.2, 100.0).log_e_of_both_sides(62, 210);
        assert!(
            ((-log_e).exp() - 0.045_579_631_759).abs() < 1e-12,
            "{log_e}"
        );
        let before = BetaBinomial::new(0.2, 100.0).log_e_of_both_sides(61, 209);
        assert!((-before).exp() > 0.05, "α = .05 was not reached before");
    }

    #[test]
    fn the_one_sided_bet_agrees_with_the_published_values() {
        close(
            BetaBinomial::new(0.1, 100.0).log_e(20, 100),
            2.672_145_745_306,
        );
    }

    #[test]
    fn bets_on_a_quantile_agree_with_the_published_values() {
        // "Fewer than 99 % below" is "more than 1 % above".
        let kappa = 789.031_745;
        let up = BetaBinomial::new(0.99, kappa);
        let down = BetaBinomial::new(0.01, kappa);
        close(up.log_e(4975, 5000), 6.339_015_568_3);
        close(down.log_e(100, 5000), 16.865_447_400_6);
    }

    #[test]
    fn the_bet_is_fair_at_the_claimed_rate() {
        // E is a martingale at p0 for the mixture cut at p0: its mean after n requests is 1.
        let bet = BetaBinomial::new(0.05, 3.0);
        let n = 60;
        let mean: f64 = (0..=n)
            .map(|k| {
                let ways = -(ln_beta(float(k) + 1.0, float(n - k) + 1.0) + float(n + 1).ln());
                let chance = ways + float(k) * bet.ln_p0 + float(n - k) * bet.ln_q0;
                (chance + bet.log_e(k, n)).exp()
            })
            .sum();
        close(mean, 1.0);
    }

    #[test]
    fn no_requests_are_no_evidence() {
        close(BetaBinomial::new(0.01, 2.5).log_e(0, 0), 0.0);
    }

    #[test]
    fn a_longer_horizon_concentrates_the_prior() {
        assert!(concentration(1000.0, 0.01) > concentration(100.0, 0.01));
        // One-sided at .01 is two-sided at .02: 2 ln 50 + ln(1 + 2 ln 50) = 10.0013...
        let nats = 2.0 * 50.0_f64.ln();
        close(
            concentration(100.0, 0.01),
            100.0 / (nats + (1.0 + nats).ln()) - 1.0,
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn evidence_is_a_number_up_to_a_thousand_million_requests(
            p0 in prop_oneof![Just(0.000_1), 0.001..0.5_f64, Just(0.999)],
            kappa in prop_oneof![Just(0.001), 0.5..800.0_f64],
            n in 0..1_000_000_000_u64,
            share in prop_oneof![Just(0.0), Just(1.0), 0.0..1.0_f64, 0.000_05..0.002_f64],
        ) {
            let k = (float(n) * share) as u64;
            let found = BetaBinomial::new(p0, kappa).log_e(k, n);
            prop_assert!(found.is_finite(), "ln E({k}, {n}) at {p0}, {kappa} is {found}");
        }

        #[test]
        fn evidence_rises_with_bad_requests_and_falls_with_good_ones(
            p0 in 0.001..0.5_f64, kappa in 0.5..100.0_f64, n in 1..5_000_u64, share in 0.0..1.0_f64,
        ) {
            let bet = BetaBinomial::new(p0, kappa);
            let k = (float(n) * share * 3.0 * p0).min(float(n) - 1.0) as u64;
            let here = bet.log_e(k, n);
            prop_assert!(bet.log_e(k + 1, n) > here - 1e-9);
            prop_assert!(bet.log_e(k, n + 1) < here + 1e-9);
        }
    }
}
