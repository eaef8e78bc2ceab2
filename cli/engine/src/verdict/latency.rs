//! Latencies, counted in logarithmic buckets.

use std::time::Duration;

use super::eprocess::float;

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

    /// The latency below which a share `q` of the requests lies, to within half a bucket (2.2 %);
    /// `None` without requests. What lies above 120 s is reported as about 120 s.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<Duration> {
        let total = float(self.total());
        let mut below = 0;
        for (bucket, n) in self.iter() {
            below += n;
            if float(below) >= q * total {
                return Some(middle_of(bucket));
            }
        }
        None
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

/// The geometric middle of a bucket; the upper edge of the first.
fn middle_of(bucket: usize) -> Duration {
    if bucket == 0 {
        return FIRST;
    }
    FIRST.mul_f64(((float(bucket as u64) - 0.5) / PER_DOUBLING).exp2())
}

/// The upper edge of one bucket divided by that of another.
pub(super) fn ratio_of_edges(bucket: usize, of: usize) -> f64 {
    ((float(bucket as u64) - float(of as u64)) / PER_DOUBLING).exp2()
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
    fn a_quantile_lies_within_half_a_bucket() {
        let mut counts = LatencyCounts::default();
        assert_eq!(counts.quantile(0.5), None);
        for millis in 1..=100 {
            counts.record_n(Duration::from_millis(millis), 1);
        }
        for (q, expected) in [(0.01, 0.001), (0.5, 0.05), (0.99, 0.099), (1.0, 0.1)] {
            let found = counts
                .quantile(q)
                .map_or(0.0, |latency| latency.as_secs_f64());
            assert!(
                (found / expected - 1.0).abs() < 0.03,
                "{q}: {found}, expected {expected}"
            );
        }
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
