//! The weighted split: which upstream serves the next request.
//!
//! Each core walks a Weyl sequence, `state += φ⁻¹·2⁶⁴` modulo 2⁶⁴, and looks up where the state
//! falls among cumulative thresholds. The sequence is the most evenly spread one there is
//! (three-distance theorem; Knuth, The Art of Computer Programming, vol. 3, §6.4), so the observed
//! share stays within a few requests of the weight, where random picks would stray by the square
//! root of their number. Its step is irrational against every period, so a client that sends
//! kinds of requests in turn still has each kind split by weight.

/// `⌊2⁶⁴ / φ⌋`, odd.
const GOLDEN_STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// A position in the golden-ratio Weyl sequence.
#[derive(Debug, Clone)]
pub struct Weyl {
    state: u64,
}

impl Weyl {
    /// Starts at `seed`; cores take random seeds so that they do not move in step.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Weyl { state: seed }
    }

    /// The next point, spread evenly over all of `u64`.
    pub fn next_point(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN_STEP);
        self.state
    }
}

/// Weights turned into thresholds on the circle of `u64`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// Last point (inclusive) and index of each upstream whose weight is above 0, ascending.
    ranges: Vec<(u64, usize)>,
}

impl Split {
    /// A split by `weights`, integers on any scale. `None` when they are all 0 or too many to add.
    #[must_use]
    pub fn new(weights: &[u64]) -> Option<Self> {
        let total: u128 = weights.iter().map(|weight| u128::from(*weight)).sum();
        if total == 0 || total > u128::from(u64::MAX) {
            return None;
        }
        let mut ranges = Vec::new();
        let mut below: u128 = 0;
        for (index, weight) in weights
            .iter()
            .enumerate()
            .filter(|(_, weight)| **weight > 0)
        {
            below += u128::from(*weight);
            // `below <= total < 2^64`, so the product fits and the quotient is at most 2^64; a
            // weight too small for even one point shares its last point and is never chosen.
            let end = if below == total {
                1 << 64
            } else {
                (below << 64) / total
            };
            let last = u64::try_from(end.saturating_sub(1)).unwrap_or(u64::MAX);
            ranges.push((last, index));
        }
        Some(Split { ranges })
    }

    /// The upstream that `point` belongs to.
    #[must_use]
    pub fn pick(&self, point: u64) -> usize {
        // Two or three upstreams: a scan is faster than a search.
        self.ranges
            .iter()
            .find(|(last, _)| point <= *last)
            .or(self.ranges.last())
            .map_or(0, |(_, index)| *index)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn counts(split: &Split, weyl: &mut Weyl, requests: usize, upstreams: usize) -> Vec<usize> {
        let mut counts = vec![0; upstreams];
        for _ in 0..requests {
            counts[split.pick(weyl.next_point())] += 1;
        }
        counts
    }

    #[test]
    fn all_zero_weights_are_no_split() {
        assert_eq!(Split::new(&[0, 0]), None);
        assert_eq!(Split::new(&[]), None);
    }

    #[test]
    fn the_whole_circle_belongs_to_a_single_upstream() {
        let split = Split::new(&[0, 1]).unwrap();
        for point in [0, 1, u64::MAX / 2, u64::MAX] {
            assert_eq!(split.pick(point), 1);
        }
    }

    proptest! {
        #[test]
        fn observed_share_stays_within_a_few_requests_of_the_weight(
            seed: u64, first in 0_u64..=10_000, requests in 1_usize..5_000,
        ) {
            let split = Split::new(&[first, 10_000 - first]).unwrap();
            let seen = counts(&split, &mut Weyl::new(seed), requests, 2)[0];
            let wanted = requests as f64 * first as f64 / 10_000.0;
            // Golden-ratio sequences have discrepancy below 0.5·ln(n) + 2.
            let slack = 2.0 + 0.5 * (requests as f64).ln();
            prop_assert!((seen as f64 - wanted).abs() <= slack, "{seen} of {wanted} ± {slack}");
        }

        #[test]
        fn periodic_request_patterns_do_not_alias(
            seed: u64, period in 2_usize..64, first in 500_u64..=9_500,
        ) {
            let split = Split::new(&[first, 10_000 - first]).unwrap();
            let mut weyl = Weyl::new(seed);
            let rounds = 4_000;
            let mut seen = vec![0_usize; period];
            for _ in 0..rounds {
                for slot in &mut seen {
                    *slot += usize::from(split.pick(weyl.next_point()) == 0);
                }
            }
            let wanted = first as f64 / 10_000.0;
            for slot in seen {
                let share = slot as f64 / rounds as f64;
                prop_assert!((share - wanted).abs() < 0.02, "{share} of {wanted}");
            }
        }

        #[test]
        fn weight_zero_is_never_chosen(seed: u64, other in 1_u64..u64::MAX) {
            let split = Split::new(&[0, other, 0]).unwrap();
            prop_assert_eq!(counts(&split, &mut Weyl::new(seed), 200, 3), vec![0, 200, 0]);
        }
    }
}
