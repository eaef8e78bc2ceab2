//! Bounds of the ratio of error rates where nobody knows how requests are split.
//!
//! A ratio `c` is ruled out from above by the evidence against `p_b ≥ c·p_a`, and from below by the
//! evidence against `p_b ≤ c·p_a`: the bet of [`two_by_two`](super::two_by_two) and its mirror
//! image, on candidates `R·2^(i/4)`. (Turner & Grünwald, Statistics & Probability Letters 198:109835,
//! 2023.) What rules out one candidate from above rules out all ratios beyond it, so bounds are
//! rounded outwards to the next candidate. Each side is held at α/2.
//!
//! The bettor is the published one, who believes what earlier blocks have shown. It bets against
//! every candidate from the side on which its belief lies.

use super::eprocess::float;
use super::known_ratio::KnownRatio;
use super::two_by_two::{Table, log_gain};

/// Candidates on either side of `R`: down to `R/64`, up to `64·R`.
const EACH_SIDE: usize = 24;

/// A block ends when each stack has answered so many requests. Larger than the guard's: nothing
/// hangs on the moment, and every block asks about all candidates.
const BLOCK: f64 = 64.0;

/// Evidence against ratios, from above and from below.
#[derive(Debug, Clone)]
pub(super) struct UnknownRatio {
    candidates: Vec<Candidate>,
    block: Table,
    past: Table,
}

#[derive(Debug, Clone, Copy)]
struct Candidate {
    ratio: f64,
    /// `ln E` against "the ratio is this or more", and against "this or less".
    from_above: f64,
    from_below: f64,
}

impl UnknownRatio {
    /// Candidates around `ratio`, at least 1.
    pub(super) fn around(ratio: f64) -> Self {
        let quarters = (0..=2 * EACH_SIDE).map(|i| float(i as u64) - float(EACH_SIDE as u64));
        Self::with(quarters.map(|quarter| ratio * (quarter / 4.0).exp2()))
    }

    /// Only `ratio` itself.
    pub(super) fn only(ratio: f64) -> Self {
        Self::with(std::iter::once(ratio))
    }

    fn with(ratios: impl Iterator<Item = f64>) -> Self {
        let candidate = |ratio| Candidate {
            ratio,
            from_above: 0.0,
            from_below: 0.0,
        };
        UnknownRatio {
            candidates: ratios.map(candidate).collect(),
            block: Table::default(),
            past: Table::default(),
        }
    }

    /// Counts requests and failures of the source (`a`) and the target (`b`).
    pub(super) fn add(&mut self, n_a: u64, k_a: u64, n_b: u64, k_b: u64) {
        self.block.add(n_a, k_a, n_b, k_b);
        if self.block.source.0 < BLOCK || self.block.target.0 < BLOCK {
            return;
        }
        let block = std::mem::take(&mut self.block);
        let belief = self.past.belief(&block);
        // Of the first block nobody knows anything, and to bet on half of it failing would be folly.
        let bets = if self.past.source.0 > 0.0 {
            self.candidates.as_mut_slice()
        } else {
            &mut []
        };
        for candidate in bets {
            if belief.target > candidate.ratio * belief.source {
                candidate.from_below += log_gain(&block, belief, candidate.ratio);
            } else {
                // "p_b ≥ c·p_a" is "p_a ≤ p_b/c" with the stacks' names exchanged.
                candidate.from_above +=
                    log_gain(&block.mirrored(), belief.mirrored(), 1.0 / candidate.ratio);
            }
        }
        self.past.merge(&block);
    }

    pub(super) fn clear(&mut self) {
        (self.block, self.past) = (Table::default(), Table::default());
        for candidate in &mut self.candidates {
            (candidate.from_above, candidate.from_below) = (0.0, 0.0);
        }
    }

    /// Whether there are too few failures to rule out a ratio of `r` or more: as if requests had been
    /// split by chance in the proportion in which they came, which is what is known at best.
    pub(super) fn is_scarce(&self, r: f64, threshold: f64) -> bool {
        let all = self.counted();
        let mut known = KnownRatio::default();
        let share = all.target.0 / (all.source.0 + all.target.0);
        if share > 0.0 && share < 1.0 {
            known.add(share, all.source.1, all.target.1);
        }
        known.is_scarce(r, threshold)
    }

    fn counted(&self) -> Table {
        let mut all = self.past;
        all.merge(&self.block);
        all
    }

    /// Whether a ratio of `r`, which is a candidate, or more is ruled out with `threshold` nats.
    pub(super) fn rules_out_from(&self, r: f64, threshold: f64) -> bool {
        self.candidates
            .iter()
            .any(|candidate| candidate.ratio <= r && candidate.from_above >= threshold)
    }

    /// Estimate, low and high end of the ratio; `None` without failures.
    pub(super) fn interval(&self, threshold: f64) -> Option<(f64, f64, f64)> {
        let Table {
            source: (n_a, k_a),
            target: (n_b, k_b),
        } = self.counted();
        if k_a + k_b == 0.0 {
            return None;
        }
        let estimate = if k_a > 0.0 && n_b > 0.0 {
            (k_b / n_b) / (k_a / n_a)
        } else {
            f64::INFINITY
        };
        let mut candidates = self.candidates.iter();
        let high = candidates.find(|candidate| candidate.from_above >= threshold);
        let mut candidates = self.candidates.iter().rev();
        let low = candidates.find(|candidate| candidate.from_below >= threshold);
        Some((
            estimate,
            low.map_or(0.0, |candidate| candidate.ratio),
            high.map_or(f64::INFINITY, |candidate| candidate.ratio),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::simulations::Random;

    /// Counts `blocks` times 64 requests to either stack.
    fn feed(ratio: &mut UnknownRatio, random: &mut Random, blocks: u64, p_a: f64, p_b: f64) {
        for _ in 0..blocks {
            let mut fails = |p: f64| (0..64).filter(|_| random.coin(p)).count() as u64;
            ratio.add(64, fails(p_a), 64, fails(p_b));
        }
    }

    #[test]
    fn bounds_close_in_on_the_ratio() {
        let mut random = Random(3);
        let mut ratio = UnknownRatio::around(2.0);
        assert_eq!(ratio.interval(6.0), None);
        feed(&mut ratio, &mut random, 300, 0.02, 0.03);
        let (estimate, low, high) = ratio.interval(200.0_f64.ln()).unwrap();
        assert!((1.2..1.9).contains(&estimate), "{estimate}");
        assert!((1.0..1.5).contains(&low), "{low}");
        assert!((1.6..2.9).contains(&high), "{high}");
        feed(&mut ratio, &mut random, 3_000, 0.02, 0.03);
        assert!(ratio.rules_out_from(2.0, 200.0_f64.ln()));
    }

    #[test]
    fn bounds_seldom_miss_at_any_time_while_the_rate_drifts() {
        let runs = if cfg!(debug_assertions) { 60 } else { 600 };
        let alpha: f64 = 0.1;
        let missed = (0..runs)
            .filter(|seed| {
                let mut random = Random(*seed);
                let mut ratio = UnknownRatio::around(1.5);
                (0..60).any(|round| {
                    let rate = 0.03 + 0.025 * (f64::from(round) / 9.0).sin();
                    feed(&mut ratio, &mut random, 2, rate, 1.5 * rate);
                    ratio
                        .interval((2.0 / alpha).ln())
                        .is_some_and(|(_, low, high)| low >= 1.5 || high <= 1.5)
                })
            })
            .count();
        assert!(
            float(missed as u64) <= alpha * float(runs),
            "{missed} of {runs}"
        );
    }
}
