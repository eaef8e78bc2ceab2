//! One cause is not forty independent failures.
//!
//! Every test here takes requests as independent given the state of a stack. Reality is not so kind:
//! a machine that stalls for 300 ms makes forty requests slow at once, and forty "independent" bad
//! requests would prove anything. So within a short window only so many bad requests of a stack
//! count as bad; the rest count as requests that were fine. That keeps every guarantee, because
//! each test's evidence falls when bad requests are counted as good ones, whatever rule picks them.
//! What it costs is a window or two until a total outage is called.
//!
//! Reports show all bad requests. The cap is about what counts as evidence.

use std::time::Duration;

/// Bad requests that count in a window beyond those to be expected at the bound itself.
///
/// Three, so that one window alone, even with nothing but bad requests in it, does not reach a
/// threshold of the usual size, and two windows do.
pub(super) const BURST_CAP: f64 = 3.0;

/// What ends within this long may have one cause. A little less than the 100 ms between two
/// reports of one thread, so that jitter does not merge two intervals; long enough to merge the
/// reports of both channels and of all threads.
pub(super) const BURST_WINDOW: Duration = Duration::from_millis(80);

/// How many bad requests count in a window in which `expected` are to be expected at the bound.
///
/// Where traffic is dense, bad requests at the bound come by the dozen, and a fixed cap would blind
/// the test; two standard deviations (Poisson) are let through, worth about 2 nats a window.
fn cap(expected: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "not negative"
    )]
    let most = (BURST_CAP + expected + 2.0 * expected.sqrt()) as u64;
    most
}

/// Counts the bad requests of one stack that were let through in the current window.
#[derive(Debug, Clone, Default)]
pub(super) struct BurstCap {
    window: Option<Duration>,
    expected: f64,
    admitted: u64,
}

impl BurstCap {
    /// How many of `bad` requests that ended by `at` count, when the batch gives reason to expect
    /// `expected` more at the bound.
    pub(super) fn admit(&mut self, at: Duration, expected: f64, bad: u64) -> u64 {
        // A batch from before the window belongs to a thread that reports late: same window.
        if self.window.is_none_or(|began| at >= began + BURST_WINDOW) {
            *self = BurstCap {
                window: Some(at),
                expected: 0.0,
                admitted: 0,
            };
        }
        self.expected += expected;
        let counted = bad.min(cap(self.expected).saturating_sub(self.admitted));
        self.admitted += counted;
        counted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_burst_counts_three_times_and_the_next_window_counts_again() {
        let mut burst = BurstCap::default();
        assert_eq!(burst.admit(millis(100), 0.1, 40), 3);
        assert_eq!(
            burst.admit(millis(101), 0.0, 40),
            0,
            "the other channel's share of the burst"
        );
        assert_eq!(burst.admit(millis(200), 0.1, 2), 2);
    }

    #[test]
    fn jitter_of_a_report_does_not_merge_two_intervals() {
        let mut burst = BurstCap::default();
        assert_eq!(burst.admit(millis(108), 0.0, 3), 3);
        assert_eq!(burst.admit(millis(195), 0.0, 3), 3);
    }

    #[test]
    fn dense_traffic_passes_what_the_bound_allows_and_a_little_more() {
        let mut burst = BurstCap::default();
        assert_eq!(burst.admit(millis(100), 100.0, 5_000), 123);
    }

    #[test]
    fn good_batches_of_the_window_raise_what_later_ones_may_count() {
        let mut burst = BurstCap::default();
        assert_eq!(burst.admit(millis(100), 9.0, 0), 0);
        assert_eq!(burst.admit(millis(101), 0.0, 40), 18);
    }
}
