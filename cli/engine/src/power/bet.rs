//! What a beta-binomial bet owns on its mean path, for counts that need not be whole.
//!
//! The judge bets with `E(k, n) = ∫_{p0}^1 (p/p0)ᵏ((1−p)/(1−p0))ⁿ⁻ᵏ π(dp)`, `π` = Beta(κp0, κ(1−p0)) cut
//! at `p0`. At the moments that matter here `E` is in the hundreds, so all but a fraction `1/E` of the
//! posterior lies above `p0`, and the cut costs no more than the prior's mass above `p0`:
//!
//! ```text
//! ln E(k, n) ≈ ln B(κp0+k, κ(1−p0)+n−k) − ln B(κp0, κ(1−p0)) − k ln p0 − (n−k) ln(1−p0) − ln π(p > p0)
//! ```
//!
//! For a true rate `p` that is `n·KL(p‖p0) − ½ ln n + O(1)`: evidence grows by the relative entropy with
//! each request, less what it costs to find out where `p` lies. (Robbins 1970; Howard, Ramdas,
//! McAuliffe, Sekhon 2021, Prop. 7.)

use libm::lgamma;

/// What is owned when the counts point the other way: nothing to speak of.
const LOST: f64 = -1.0;

/// A bet against "at most a share `p0` is bad".
#[derive(Debug, Clone, Copy)]
pub(super) struct Bet {
    p0: f64,
    a: f64,
    b: f64,
    /// `ln B(a, b)` and `ln π(p > p0)`.
    ln_prior: f64,
    ln_above: f64,
}

impl Bet {
    /// Tuned, as the judge's are, to a decision after `horizon` requests at error probability `alpha`.
    pub(super) fn new(p0: f64, horizon: f64, alpha: f64) -> Self {
        let nats = 2.0 * (1.0 / (2.0 * alpha).min(1.0)).ln();
        let kappa =
            (horizon / (nats + nats.ln_1p()).max(f64::MIN_POSITIVE) - 1.0).clamp(0.001, 1e6);
        let (a, b) = (kappa * p0, kappa * (1.0 - p0));
        let above = if p0 < 0.5 {
            1.0 - incomplete_beta(p0, a, b)
        } else {
            incomplete_beta(1.0 - p0, b, a)
        };
        Bet {
            p0,
            a,
            b,
            ln_prior: ln_beta(a, b),
            ln_above: above.max(f64::MIN_POSITIVE).ln(),
        }
    }

    /// `ln E` after `n` requests of which `k` were bad; [`LOST`] where no more than a share `p0` was.
    pub(super) fn log_e(&self, k: f64, n: f64) -> f64 {
        let k = k.min(n);
        if k <= n * self.p0 {
            return LOST;
        }
        let two_sided = ln_beta(self.a + k, self.b + n - k)
            - self.ln_prior
            - k * self.p0.ln()
            - (n - k) * (-self.p0).ln_1p();
        (two_sided - self.ln_above).max(LOST)
    }
}

/// `ln B(a, b)`.
pub(super) fn ln_beta(a: f64, b: f64) -> f64 {
    lgamma(a) + lgamma(b) - lgamma(a + b)
}

/// `I_x(a, b)` for `x ≤ ½`, by its power series (DLMF 8.17.7, as a hypergeometric sum).
fn incomplete_beta(x: f64, a: f64, b: f64) -> f64 {
    let (mut term, mut sum, mut i) = (1.0, 1.0 / a, 1.0);
    while i < 10_000.0 {
        term *= (i - b) / i * x;
        sum += term / (a + i);
        if term.abs() < 1e-14 * sum.abs() {
            break;
        }
        i += 1.0;
    }
    (a * x.ln() - ln_beta(a, b)).exp() * sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_series_agrees_with_closed_forms_of_the_incomplete_beta_function() {
        // I_x(1, b) = 1 − (1−x)ᵇ, I_x(a, 1) = xᵃ.
        assert!((incomplete_beta(0.3, 1.0, 5.0) - (1.0 - 0.7_f64.powi(5))).abs() < 1e-12);
        assert!((incomplete_beta(0.3, 7.0, 1.0) - 0.3_f64.powi(7)).abs() < 1e-12);
        assert!((incomplete_beta(0.01, 0.03, 3.3) + incomplete_beta(0.01, 0.03, 3.3) - 1.0) < 1.0);
    }

    #[test]
    fn the_bet_agrees_with_the_published_one_sided_value() {
        // κ = 100 at p0 = 0.1: (20, 100) is 2.672145745306; there, a fortieth of the posterior lies
        // below p0, and that is what the approximation leaves out.
        let mut bet = Bet::new(0.1, 50.0, 0.01);
        (bet.a, bet.b) = (10.0, 90.0);
        bet.ln_prior = ln_beta(10.0, 90.0);
        bet.ln_above = (1.0 - incomplete_beta(0.1, 10.0, 90.0)).ln();
        let found = bet.log_e(20.0, 100.0);
        assert!((found - 2.672_145_745_306).abs() < 0.03, "{found}");
    }

    #[test]
    fn counts_that_point_the_other_way_own_next_to_nothing() {
        let bet = Bet::new(0.01, 50.0, 0.001);
        assert!((bet.log_e(1.0, 1_000.0) - LOST).abs() < 1e-12);
        assert!(bet.log_e(30.0, 1_000.0) > 5.0);
    }
}
