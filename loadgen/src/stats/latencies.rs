//! A histogram of durations, after HdrHistogram.

use std::time::Duration;

use hdrhistogram::Histogram;

use crate::clock::nanos;

/// Durations from a microsecond to an hour, to three significant digits, in constant memory.
///
/// Longer ones count as an hour. Grows with the longest duration seen: some 70 KB for one of
/// 50 ms, 200 KB for a minute.
#[derive(Debug, Clone)]
pub struct Latencies(Histogram<u64>);

/// A duration and how often it occurred.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// In nanoseconds, rounded as a [`Latencies`] rounds it: counting it again loses nothing.
    pub nanos: u64,
    /// At least 1.
    pub count: u64,
}

/// Everything above is counted here.
const LONGEST: u64 = 3_600_000_000_000;

impl Latencies {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        // 1 µs is the finest step that matters: a request over loopback takes 20 of them.
        let mut histogram = Histogram::new_with_bounds(1_000, 4_000_000, 3)
            .expect("the bounds are constants that a test has tried");
        histogram.auto(true);
        Latencies(histogram)
    }

    /// Counts one duration.
    pub fn record(&mut self, duration: Duration) {
        self.add(&[Sample {
            nanos: nanos(duration),
            count: 1,
        }]);
    }

    /// Counts samples.
    pub fn add(&mut self, samples: &[Sample]) {
        for sample in samples {
            let recorded = self.0.record_n(sample.nanos.min(LONGEST), sample.count);
            debug_assert!(recorded.is_ok(), "it grows to any value up to `LONGEST`");
        }
    }

    /// Counts all that another one counted.
    pub fn merge(&mut self, other: &Latencies) {
        for sample in other.samples() {
            self.add(&[sample]);
        }
    }

    /// What was counted, ascending.
    pub fn samples(&self) -> impl Iterator<Item = Sample> {
        self.0.iter_recorded().map(|bucket| Sample {
            nanos: bucket.value_iterated_to(),
            count: bucket.count_at_value(),
        })
    }

    /// Durations counted.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.0.len()
    }

    /// No duration was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The duration that a share `q` (0 to 1) of all lie at or below; `None` if there are none.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<Duration> {
        (!self.is_empty()).then(|| Duration::from_nanos(self.0.value_at_quantile(q)))
    }

    /// The longest.
    #[must_use]
    pub fn max(&self) -> Option<Duration> {
        (!self.is_empty()).then(|| Duration::from_nanos(self.0.max()))
    }

    /// The arithmetic mean.
    #[must_use]
    pub fn mean(&self) -> Option<Duration> {
        (!self.is_empty()).then(|| Duration::from_secs_f64(self.0.mean() / 1e9))
    }

    /// Forgets everything, keeping the memory.
    pub(crate) fn clear(&mut self) {
        self.0.reset();
    }
}

impl Default for Latencies {
    fn default() -> Self {
        Latencies::new()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn quantiles_of_nothing_are_nothing() {
        let none = Latencies::new();
        assert_eq!(none.quantile(0.99), None);
        assert_eq!(none.max(), None);
        assert_eq!(none.mean(), None);
    }

    #[test]
    fn extremes_are_held() {
        let mut latencies = Latencies::new();
        latencies.record(Duration::ZERO);
        latencies.record(Duration::MAX);
        assert_eq!(latencies.len(), 2);
        assert!(latencies.max().unwrap() >= Duration::from_nanos(LONGEST));
    }

    proptest! {
        #[test]
        fn durations_are_held_to_three_digits(nanos in 2_000_000_u64..LONGEST) {
            let mut latencies = Latencies::new();
            latencies.record(Duration::from_nanos(nanos));
            let held = latencies.quantile(1.0).unwrap().as_nanos() as f64;
            let off = (held - nanos as f64).abs() / nanos as f64;
            prop_assert!(off <= 0.001, "{nanos} held as {held}");
        }
    }
}
