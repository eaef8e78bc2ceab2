//! The beta function and its incomplete cousin, in logarithms, where they neither overflow nor
//! underflow.
//!
//! `B(a, b) = ∫₀¹ tᵃ⁻¹(1−t)ᵇ⁻¹ dt`, and `I_x(a, b)` is the share of that integral below `x`. For the
//! numbers of a run (millions of requests) both leave the range of `f64`, so only their logarithms
//! appear here. The formulas are those of the NIST Digital Library of Mathematical Functions, §5.12,
//! §8.17(v), evaluated by Lentz's method (Press et al., *Numerical Recipes*, §5.2 and §6.4).

use libm::lgamma;

/// `ln B(a, b)` for `a, b > 0`.
pub(super) fn ln_beta(a: f64, b: f64) -> f64 {
    lgamma(a) + lgamma(b) - lgamma(a + b)
}

/// `ln(1 − eʸ)` for `y ≤ 0`, without losing the digits of small results.
pub(super) fn ln_one_minus_exp(y: f64) -> f64 {
    if y > -std::f64::consts::LN_2 {
        (-y.exp_m1()).ln()
    } else {
        (-y.exp()).ln_1p()
    }
}

/// Whether [`ln_partial_ratio`] converges quickly at `x`, that is, whether `x` lies below the bulk
/// of the Beta(a, b) distribution (DLMF 8.17.22). Otherwise swap `a, b` and use `1 − x`.
pub(super) fn is_lower_side(x: f64, a: f64, b: f64) -> bool {
    x * (a + b + 2.0) < a + 1.0
}

/// `ln [ ∫₀ˣ tᵃ⁻¹(1−t)ᵇ⁻¹ dt / (xᵃ(1−x)ᵇ) ]`: the incomplete beta function without the factor that
/// underflows. Needs [`is_lower_side`].
pub(super) fn ln_partial_ratio(x: f64, a: f64, b: f64) -> f64 {
    (continued_fraction(x, a, b) / a).ln()
}

/// `ln I_x(a, b)`, given `ln B(a, b)`, which callers have at hand.
pub(super) fn ln_regularised(x: f64, a: f64, b: f64, ln_beta_ab: f64) -> f64 {
    let ln_front = a * x.ln() + b * (-x).ln_1p() - ln_beta_ab;
    // Rounding may lift a share of all but everything just above 1.
    if is_lower_side(x, a, b) {
        (ln_front + ln_partial_ratio(x, a, b)).min(0.0)
    } else {
        ln_one_minus_exp((ln_front + ln_partial_ratio(1.0 - x, b, a)).min(0.0))
    }
}

/// The continued fraction needs about `√(a + b)` terms next to the mean and a handful elsewhere, so
/// this bound is met for a thousand million requests.
const MOST_TERMS: u32 = 200_000;

/// A term this close to 1 ends the fraction. Rounding alone moves a term by a few 10⁻¹⁶: a tighter
/// limit would at times not be met at all.
const CONVERGED: f64 = 1e-14;

/// Replaces a denominator that vanishes, as Lentz's method asks for.
const TINY: f64 = 1e-300;

/// The continued fraction of DLMF 8.17.22, by the modified Lentz method.
fn continued_fraction(x: f64, a: f64, b: f64) -> f64 {
    let away_from_zero = |v: f64| if v.abs() < TINY { TINY } else { v };
    let mut c = 1.0;
    let mut d = 1.0 / away_from_zero(1.0 - (a + b) * x / (a + 1.0));
    let mut value = d;
    for term in 1..=MOST_TERMS {
        let m = f64::from(term);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / away_from_zero(1.0 + even * d);
        c = away_from_zero(1.0 + even / c);
        value *= d * c;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / away_from_zero(1.0 + odd * d);
        c = away_from_zero(1.0 + odd / c);
        let factor = d * c;
        value *= factor;
        if (factor - 1.0).abs() < CONVERGED {
            break;
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn close(found: f64, expected: f64) {
        assert!(
            (found - expected).abs() < 1e-12,
            "found {found}, expected {expected}"
        );
    }

    fn ln_share(x: f64, a: f64, b: f64) -> f64 {
        ln_regularised(x, a, b, ln_beta(a, b))
    }

    #[test]
    fn incomplete_beta_agrees_with_its_closed_forms() {
        // I_x(1, b) = 1 − (1−x)ᵇ, I_x(a, 1) = xᵃ, I_½(a, a) = ½.
        close(ln_share(0.3, 1.0, 5.0), (1.0 - 0.7_f64.powi(5)).ln());
        close(ln_share(0.3, 7.0, 1.0), 7.0 * 0.3_f64.ln());
        close(ln_share(0.5, 40.0, 40.0), 0.5_f64.ln());
    }

    #[test]
    fn incomplete_beta_agrees_with_a_binomial_tail() {
        // I_p(k, n−k+1) = P(Binomial(n, p) ≥ k); here n = 10, k = 3, p = 0.2.
        let below = 0.8_f64.powi(10) + 10.0 * 0.2 * 0.8_f64.powi(9) + 45.0 * 0.04 * 0.8_f64.powi(8);
        close(ln_share(0.2, 3.0, 8.0), (1.0 - below).ln());
    }

    #[test]
    fn a_tail_far_below_the_smallest_double_keeps_its_logarithm() {
        close(ln_share(0.01, 1e4, 1.0) / 1e4, 0.01_f64.ln());
    }

    proptest! {
        #[test]
        fn both_sides_add_up_to_one(x in 0.001..0.999_f64, a in 0.01..500.0_f64, b in 0.01..500.0_f64) {
            let total = ln_share(x, a, b).exp() + ln_share(1.0 - x, b, a).exp();
            prop_assert!((total - 1.0).abs() < 1e-9, "{total}");
        }
    }
}
