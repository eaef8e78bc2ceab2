//! Seeded randomness, and exact draws of whole batches.

use libm::lgamma;

use super::float;

/// xoshiro256++ (Blackman & Vigna 2019), seeded by SplitMix64 as its authors advise.
///
/// Own code, because a simulation must give the same figures for the same seed in every version of
/// the product.
#[derive(Debug, Clone)]
pub struct Random([u64; 4]);

/// Below this mean a binomial draw counts up from zero; above it, outwards from its mode.
const COUNT_FROM_ZERO: f64 = 10.0;

impl Random {
    /// The generator of one `run` of a simulation with this `seed`. Runs do not depend on each other.
    #[must_use]
    pub fn new(seed: u64, run: u64) -> Self {
        let mut state = split_mix(&mut seed.clone()) ^ run.wrapping_mul(0xD605_1525_0D42_9F9B);
        Random(std::array::from_fn(|_| split_mix(&mut state)))
    }

    /// Between 0 (inclusive) and 1 (exclusive), in steps of 2⁻⁵³.
    pub fn uniform(&mut self) -> f64 {
        float(self.next() >> 11) / float(1 << 53)
    }

    /// How many of `n` independent requests do what each does with chance `p`. Exact: by inversion,
    /// so that one uniform number gives one draw.
    pub fn binomial(&mut self, n: u64, p: f64) -> u64 {
        if n == 0 || p <= 0.0 {
            return 0;
        }
        if p > 0.5 {
            return n - self.binomial(n, 1.0 - p);
        }
        let odds = p / (1.0 - p);
        let u = self.uniform();
        if float(n) * p < COUNT_FROM_ZERO {
            return from_zero(u, n, odds, (float(n) * (-p).ln_1p()).exp());
        }
        from_mode(u, n, p)
    }

    fn next(&mut self) -> u64 {
        let s = &mut self.0;
        let result = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        result
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014).
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (*state ^ (*state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// The smallest `k` with `P(K ≤ k) > u`; `none` is `P(K = 0)`.
fn from_zero(u: f64, n: u64, odds: f64, none: f64) -> u64 {
    let (mut k, mut chance, mut left) = (0, none, u);
    while left >= chance && k < n {
        left -= chance;
        chance *= odds * float(n - k) / float(k + 1);
        k += 1;
    }
    k
}

/// Takes chances off `u` from the mode outwards, to both sides in turn, until nothing is left of it.
/// About as many steps as the standard deviation is wide.
fn from_mode(u: f64, n: u64, p: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and n"
    )]
    let mode = (float(n + 1) * p) as u64;
    let choose = lgamma(float(n) + 1.0) - lgamma(float(mode) + 1.0) - lgamma(float(n - mode) + 1.0);
    let at_mode = (choose + float(mode) * p.ln() + float(n - mode) * (-p).ln_1p()).exp();
    let odds = p / (1.0 - p);
    let mut left = u - at_mode;
    let (mut down, mut below) = (mode, at_mode);
    let (mut up, mut above) = (mode, at_mode);
    while left >= 0.0 && (down > 0 || up < n) {
        if up < n {
            above *= odds * float(n - up) / float(up + 1);
            up += 1;
            left -= above;
            if left < 0.0 {
                return up;
            }
        }
        if down > 0 {
            below *= float(down) / (odds * float(n - down + 1));
            down -= 1;
            left -= below;
            if left < 0.0 {
                return down;
            }
        }
        // What rounding left over belongs to tails that no longer count.
        if above + below < 1e-18 {
            break;
        }
    }
    mode
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_and_run_give_the_same_numbers_and_others_do_not() {
        let first = |seed, run| Random::new(seed, run).next();
        assert_eq!(first(1, 2), first(1, 2));
        assert_ne!(first(1, 2), first(1, 3));
        assert_ne!(first(1, 2), first(2, 2));
        assert_ne!(first(1, 2), first(2, 1));
    }

    #[test]
    fn binomial_draws_have_the_right_mean_variance_and_tail() {
        let draws = 40_000;
        for (n, p) in [(25, 0.005), (400, 0.01), (1_000, 0.3), (5_000, 0.98)] {
            let mut random = Random::new(7, n);
            let drawn: Vec<f64> = (0..draws).map(|_| float(random.binomial(n, p))).collect();
            let (mean, variance) = (float(n) * p, float(n) * p * (1.0 - p));
            let found = drawn.iter().sum::<f64>() / float(draws);
            let spread = drawn.iter().map(|k| (k - mean).powi(2)).sum::<f64>() / float(draws);
            assert!(
                (found - mean).abs() < 4.0 * (variance / float(draws)).sqrt(),
                "n {n}, p {p}: mean {found}, expected {mean}"
            );
            assert!(
                (spread / variance - 1.0).abs() < 0.05,
                "n {n}, p {p}: variance {spread}, expected {variance}"
            );
        }
    }

    #[test]
    fn both_ways_of_counting_agree_on_the_distribution() {
        let (n, p) = (200_u64, 0.06_f64);
        let odds = p / (1.0 - p);
        let none = (float(n) * (-p).ln_1p()).exp();
        // Inversion from another end is a rearrangement: the shares of each k must agree.
        let points = 20_000;
        let mut shares = [[0_i64; 2]; 60];
        for point in 0..points {
            let u = (float(point) + 0.5) / float(points);
            for (way, k) in [from_zero(u, n, odds, none), from_mode(u, n, p)]
                .into_iter()
                .enumerate()
            {
                shares[k as usize][way] += 1;
            }
        }
        for (k, [zero, mode]) in shares.into_iter().enumerate() {
            assert!((zero - mode).abs() <= 2, "{k}: {zero} and {mode}");
        }
    }

    #[test]
    fn impossible_and_certain_things_are_drawn_as_such() {
        let mut random = Random::new(1, 1);
        assert_eq!(random.binomial(0, 0.5), 0);
        assert_eq!(random.binomial(100, 0.0), 0);
        assert_eq!(random.binomial(100, 1.0), 100);
    }
}
