//! Which request an arrival sends: a fixed function of its number.
//!
//! Choosing by number instead of by chance makes runs repeatable, gives both members of a pair
//! the same request without a word between them, and keeps every share within a request or two
//! of exact over any stretch of the run.

/// Chooses among requests in proportion to their shares.
#[derive(Debug, Clone)]
pub(crate) struct Mix {
    /// Running sums of the shares; the last one is the whole.
    sums: Vec<u64>,
}

impl Mix {
    /// A mix of as many requests as there are shares.
    pub(crate) fn new(shares: impl IntoIterator<Item = u32>) -> Self {
        let sums = shares
            .into_iter()
            .scan(0_u64, |sum, share| {
                *sum += u64::from(share);
                Some(*sum)
            })
            .collect();
        Mix { sums }
    }

    /// The request that arrival `n` sends.
    ///
    /// The fractional parts of `n·φ` are spread over 0..1 more evenly than those of any other
    /// multiplier (Knuth, The Art of Computer Programming vol. 3, §6.4, Fibonacci hashing), and
    /// φ being irrational they fall in step with no period: neither with the stripes of threads
    /// nor with a target that takes every second request elsewhere.
    pub(crate) fn pick(&self, n: u64) -> usize {
        /// 2^64 / φ, rounded to odd.
        const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;
        let whole = self.sums.last().copied().unwrap_or(0);
        let point = (u128::from(n.wrapping_mul(GOLDEN)) * u128::from(whole)) >> 64;
        self.sums.partition_point(|&sum| u128::from(sum) <= point)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_single_request_is_always_chosen() {
        let mix = Mix::new([7]);
        assert!((0..1_000).all(|n| mix.pick(n) == 0));
    }

    #[test]
    fn a_share_of_zero_is_never_chosen() {
        let mix = Mix::new([0, 1, 0, 1]);
        assert!((0..1_000).all(|n| [1, 3].contains(&mix.pick(n))));
    }

    proptest! {
        #[test]
        fn shares_hold_over_any_stretch_and_any_stripe(
            shares in proptest::collection::vec(1_u32..50, 1..6),
            first in 0_u64..1_000_000_000,
            threads in 1_u64..9,
        ) {
            let mix = Mix::new(shares.iter().copied());
            let whole: u32 = shares.iter().sum();
            let mut counts = vec![0_u32; shares.len()];
            for k in 0..2_000 {
                counts[mix.pick(first + k * threads)] += 1;
            }
            for (count, share) in counts.iter().zip(&shares) {
                let expected = 2_000.0 * f64::from(*share) / f64::from(whole);
                let off = (f64::from(*count) - expected).abs();
                // Chance would allow ±45 on 2,000 throws of a fair coin at two sigma.
                prop_assert!(off <= 20.0, "{counts:?} for {shares:?}");
            }
        }
    }
}
