//! What several bettors own who divide one stake evenly.

use super::eprocess::float;
use super::report::ByChannel;

/// Logarithms of what `N` bettors own, and the failures that they have seen. The difference of two
/// moments is what was won in between, so a start point is a copy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Capital<const N: usize> {
    /// Failures of both stacks.
    pub(super) failures: u64,
    /// The target's answers.
    pub(super) requests: u64,
    /// The target's failures.
    pub(super) bad: ByChannel,
    /// `ln` of each bettor's capital, 0 in the beginning.
    pub(super) log: [f64; N],
}

impl<const N: usize> Capital<N> {
    /// Nothing seen, nothing won.
    pub(super) const NEW: Self = Capital {
        failures: 0,
        requests: 0,
        bad: ByChannel { edge: 0, paired: 0 },
        log: [0.0; N],
    };

    /// The logarithm of what all own together of a stake of 1 at `base`.
    pub(super) fn log_e(&self, base: &Self) -> f64 {
        let won: [f64; N] = std::array::from_fn(|bettor| self.log[bettor] - base.log[bettor]);
        let most = won.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = won.iter().map(|won| (won - most).exp()).sum();
        most + (sum / float(N as u64)).ln()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stake_is_divided_evenly() {
        let mut capital = Capital::<4>::NEW;
        assert!(capital.log_e(&Capital::NEW).abs() < 1e-12);
        capital.log = [8.0_f64.ln(), 0.0, 0.0, f64::NEG_INFINITY];
        let expected = (10.0_f64 / 4.0).ln();
        assert!((capital.log_e(&Capital::NEW) - expected).abs() < 1e-12);
    }
}
