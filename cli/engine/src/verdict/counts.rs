//! What was measured: a batch of answers from both stacks over one channel.

use std::time::Duration;

/// How requests reached the stacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Channel {
    /// Through the edge, split by weight, as users' requests are.
    Edge,
    /// Directly, the same request to both stacks.
    Paired,
}

/// Answers of both stacks over one channel within a short interval, typically 100 ms.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Batch {
    /// How the requests reached the stacks.
    pub channel: Channel,
    /// End of the interval, since the run began. Batches of one interval need not come in order.
    pub at: Duration,
    /// What the source answered.
    pub source: ArmCounts,
    /// What the target answered.
    pub target: ArmCounts,
}

impl Default for Channel {
    /// Users' traffic.
    fn default() -> Self {
        Channel::Edge
    }
}

/// What one stack answered. A request counts in the interval in which it ended.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ArmCounts {
    /// Requests that ended, well or badly.
    pub requests: u64,
    /// Bad requests, one entry for each objective: failed, for an objective on errors; slower than
    /// the bound, for a latency objective; 0 for a latency objective without a bound of its own.
    pub bad: Vec<u64>,
    /// When the first of `bad` ended, since the run began; one entry for each objective.
    pub first_bad_at: Vec<Option<Duration>>,
    /// Latencies, for latency objectives relative to the source; may stay empty without them.
    pub latency: LatencyCounts,
}

impl ArmCounts {
    /// Adds the counts of another batch of the same objectives.
    pub fn merge(&mut self, other: &ArmCounts) {
        self.requests += other.requests;
        self.latency.merge(&other.latency);
        self.bad.resize(self.bad.len().max(other.bad.len()), 0);
        for (sum, n) in self.bad.iter_mut().zip(&other.bad) {
            *sum += n;
        }
        let moments = self.first_bad_at.len().max(other.first_bad_at.len());
        self.first_bad_at.resize(moments, None);
        for (first, at) in self.first_bad_at.iter_mut().zip(&other.first_bad_at) {
            *first = first.iter().chain(at).min().copied();
        }
    }

    /// Bad requests under an objective; 0 when the entry is missing.
    pub(super) fn bad(&self, objective: usize) -> u64 {
        self.bad.get(objective).copied().unwrap_or(0)
    }

    /// When the first bad request under an objective ended.
    pub(super) fn first_bad_at(&self, objective: usize) -> Option<Duration> {
        self.first_bad_at.get(objective).copied().flatten()
    }
}

/// Buckets in each doubling of the latency: neighbours are 2^(1/16), 4.4 %, apart.
const PER_DOUBLING: f64 = 16.0;
/// Upper edge of the first bucket.
const FIRST: Duration = Duration::from_micros(50);
/// The last bucket, for what lies above 120 s: `⌈16 log₂(120 s / 50 µs)⌉ + 1`.
pub(super) const OVERFLOW: usize = 341;
/// How many buckets there are.
pub(super) const BUCKETS: usize = OVERFLOW + 1;

/// Latencies counted in logarithmic buckets: bucket `i` holds what lies above
/// `50 µs · 2^((i−1)/16)`, up to and including `50 µs · 2^(i/16)`.
///
/// Scaling a latency by a factor is then a shift by a number of buckets. Only buckets that hold
/// something are kept: a batch has few.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LatencyCounts {
    /// Bucket and count, in the order of buckets.
    buckets: Vec<(usize, u64)>,
}

impl LatencyCounts {
    /// Counts `n` requests of this latency. Cheapest when latencies come in rising order.
    pub fn record_n(&mut self, latency: Duration, n: u64) {
        self.add(bucket_of(latency), n);
    }

    /// Adds the counts of another batch.
    pub fn merge(&mut self, other: &LatencyCounts) {
        for (bucket, n) in other.iter() {
            self.add(bucket, n);
        }
    }

    /// How many requests were counted.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.buckets.iter().map(|(_, n)| n).sum()
    }

    /// Forgets all counts and keeps the memory.
    pub fn clear(&mut self) {
        self.buckets.clear();
    }

    /// Buckets that hold something, fastest first.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = (usize, u64)> + '_ {
        self.buckets.iter().copied()
    }

    fn add(&mut self, bucket: usize, n: u64) {
        if n == 0 {
            return;
        }
        match self.buckets.last_mut() {
            Some((last, count)) if *last == bucket => *count += n,
            Some((last, _)) if *last > bucket => {
                match self.buckets.binary_search_by_key(&bucket, |entry| entry.0) {
                    Ok(found) => self.buckets[found].1 += n,
                    Err(place) => self.buckets.insert(place, (bucket, n)),
                }
            }
            _ => self.buckets.push((bucket, n)),
        }
    }
}

fn bucket_of(latency: Duration) -> usize {
    let doublings = (latency.as_secs_f64() / FIRST.as_secs_f64()).log2();
    // From −∞ for zero: the cast saturates, which is what is meant.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped"
    )]
    let bucket = (doublings * PER_DOUBLING)
        .ceil()
        .clamp(0.0, OVERFLOW as f64) as usize;
    bucket
}

/// By how many buckets a latency moves when it is multiplied by `factor`, at least 1; rounded up.
pub(super) fn shift_of(factor: f64) -> usize {
    // Without the small allowance 2.0 might become 17 buckets by rounding.
    let buckets = (factor.log2() * PER_DOUBLING - 1e-9).ceil();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped"
    )]
    let shift = buckets.clamp(0.0, BUCKETS as f64) as usize;
    shift
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_keeps_the_earliest_bad_request() {
        let seconds = Duration::from_secs;
        let arm = |bad, first| ArmCounts {
            requests: 10,
            bad: vec![0, bad],
            first_bad_at: vec![None, first],
            ..ArmCounts::default()
        };
        let mut sum = ArmCounts::default();
        for batch in [
            arm(0, None),
            arm(2, Some(seconds(5))),
            arm(1, Some(seconds(3))),
        ] {
            sum.merge(&batch);
        }
        assert_eq!(
            sum,
            ArmCounts {
                requests: 30,
                ..arm(3, Some(seconds(3)))
            }
        );
    }

    #[test]
    fn a_bucket_includes_its_upper_edge() {
        assert_eq!(bucket_of(Duration::ZERO), 0);
        assert_eq!(bucket_of(FIRST), 0);
        assert_eq!(bucket_of(Duration::from_micros(51)), 1);
        assert_eq!(bucket_of(2 * FIRST), 16);
        assert_eq!(bucket_of(Duration::from_nanos(100_001)), 17);
    }

    #[test]
    fn only_latencies_above_two_minutes_overflow() {
        assert_eq!(bucket_of(Duration::from_secs(120)), OVERFLOW - 1);
        assert_eq!(bucket_of(Duration::from_secs(130)), OVERFLOW);
        assert_eq!(bucket_of(Duration::from_secs(1 << 40)), OVERFLOW);
    }

    #[test]
    fn a_factor_is_a_shift_that_is_never_too_small() {
        assert_eq!(shift_of(1.0), 0);
        assert_eq!(shift_of(2.0), 16);
        assert_eq!(shift_of(1.2), 5);
        let three = shift_of(3.0);
        for micros in [60, 700, 9_000, 110_000] {
            let latency = Duration::from_micros(micros);
            assert!(bucket_of(3 * latency) <= bucket_of(latency) + three);
        }
    }

    #[test]
    fn counts_do_not_depend_on_the_order_of_recording() {
        let mut rising = LatencyCounts::default();
        let mut falling = LatencyCounts::default();
        for millis in 1..50 {
            rising.record_n(Duration::from_millis(millis), millis);
            falling.record_n(Duration::from_millis(50 - millis), 50 - millis);
        }
        assert_eq!(rising, falling);
        assert_eq!(rising.total(), 49 * 50 / 2);
        falling.merge(&rising);
        assert_eq!(falling.total(), 49 * 50);
    }
}
