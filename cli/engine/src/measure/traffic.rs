//! Requests at one place: totals, the last few seconds, and one point a second for sparklines.

use std::collections::VecDeque;
use std::time::Duration;

use crate::verdict::LatencyCounts;
use crate::view::{HistoryPoint, LatencyView, TrafficView};

/// Seconds kept for sparklines.
const KEPT_SECONDS: usize = 120;

/// Seconds over which rates and quantiles of "now" are taken.
const NOW_SECONDS: usize = 3;

/// Requests at one place.
#[derive(Debug, Clone, Default)]
pub struct Traffic {
    requests: u64,
    failed: u64,
    /// One entry a second, oldest first; empty seconds are there too.
    seconds: VecDeque<Second>,
}

#[derive(Debug, Clone, Default)]
struct Second {
    index: u64,
    requests: u64,
    failed: u64,
    latency: LatencyCounts,
}

impl Traffic {
    /// Adds what was answered around `at`.
    pub fn add(&mut self, at: Duration, requests: u64, failed: u64, latency: &LatencyCounts) {
        if requests == 0 {
            return;
        }
        self.requests += requests;
        self.failed += failed;
        if let Some(second) = self.second(at.as_secs()) {
            second.requests += requests;
            second.failed += failed;
            second.latency.merge(latency);
        }
    }

    /// Adds requests that nobody answered.
    pub fn add_unanswered(&mut self, at: Duration, requests: u64) {
        self.add(at, requests, requests, &LatencyCounts::default());
    }

    /// Requests and, of those, failed ones since the beginning.
    #[must_use]
    pub fn totals(&self) -> (u64, u64) {
        (self.requests, self.failed)
    }

    /// The failed share of the last few whole seconds; `None` with fewer than `least` requests.
    #[must_use]
    pub fn recent_error_rate(&self, now: Duration, least: u64) -> Option<f64> {
        let this = now.as_secs();
        let oldest = this.saturating_sub(NOW_SECONDS as u64);
        let (requests, failed) = self
            .seconds
            .iter()
            .filter(|second| (oldest..this).contains(&second.index))
            .fold((0, 0), |(requests, failed), second| {
                (requests + second.requests, failed + second.failed)
            });
        (requests >= least.max(1)).then(|| ratio(failed, requests))
    }

    /// What screens show at `now`.
    #[must_use]
    pub fn view(&self, now: Duration) -> TrafficView {
        let this = now.as_secs();
        // The second that is under way is not whole; the window ends before it.
        let oldest = this.saturating_sub(NOW_SECONDS as u64);
        let mut window = Second::default();
        for second in self
            .seconds
            .iter()
            .filter(|s| (oldest..this).contains(&s.index))
        {
            window.requests += second.requests;
            window.failed += second.failed;
            window.latency.merge(&second.latency);
        }
        let seconds = u32::try_from(this - oldest).unwrap_or(1).max(1);
        let quantile = |q| window.latency.quantile(q);
        TrafficView {
            requests: self.requests,
            failed: self.failed,
            rate: ratio(window.requests, u64::from(seconds)),
            error_rate: (window.requests > 0).then(|| ratio(window.failed, window.requests)),
            latency: quantile(0.5)
                .zip(quantile(0.95))
                .zip(quantile(0.99))
                .map(|((p50, p95), p99)| LatencyView { p50, p95, p99 }),
            history: self.history(this),
        }
    }

    fn history(&self, this: u64) -> Vec<HistoryPoint> {
        let whole = self.seconds.iter().filter(|second| second.index < this);
        let mut points: Vec<HistoryPoint> = whole
            .map(|second| HistoryPoint {
                requests: second.requests,
                failed: second.failed,
                p99: second.latency.quantile(0.99).unwrap_or_default(),
            })
            .collect();
        // Silence is a fact too: seconds after the last answer are drawn as empty ones.
        if let Some(last) = self.seconds.back() {
            let silent = this.saturating_sub(last.index + 1).min(KEPT_SECONDS as u64);
            points.extend((0..silent).map(|_| HistoryPoint::default()));
        }
        let surplus = points.len().saturating_sub(KEPT_SECONDS);
        points.drain(..surplus);
        points
    }

    /// The second with this index; answers older than what is kept have none.
    fn second(&mut self, index: u64) -> Option<&mut Second> {
        match self.seconds.back().map(|last| last.index) {
            None => self.seconds.push_back(Second {
                index,
                ..Second::default()
            }),
            Some(last) if index > last => {
                let first = (last + 1).max(index.saturating_sub(KEPT_SECONDS as u64));
                for index in first..=index {
                    self.seconds.push_back(Second {
                        index,
                        ..Second::default()
                    });
                }
                while self.seconds.len() > KEPT_SECONDS {
                    self.seconds.pop_front();
                }
            }
            Some(_) => {}
        }
        self.seconds
            .iter_mut()
            .rev()
            .find(|second| second.index == index)
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    fn latency(millis: u64, n: u64) -> LatencyCounts {
        let mut counts = LatencyCounts::default();
        counts.record_n(Duration::from_millis(millis), n);
        counts
    }

    #[test]
    fn now_is_the_last_whole_seconds() {
        let mut traffic = Traffic::default();
        for second in 0..10 {
            traffic.add(at(f64::from(second) + 0.5), 100, 1, &latency(10, 100));
        }
        let view = traffic.view(at(9.9));
        assert_eq!((view.requests, view.failed), (1000, 10));
        assert!((view.rate - 100.0).abs() < 1e-9, "{}", view.rate);
        assert_eq!(view.error_rate, Some(0.01));
        assert_eq!(traffic.recent_error_rate(at(9.9), 20), Some(0.01));
        assert_eq!(traffic.recent_error_rate(at(9.9), 1000), None);
        let p99 = view.latency.unwrap().p99;
        assert!((9..=11).contains(&p99.as_millis()), "{p99:?}");
        assert_eq!(view.history.len(), 9);
    }

    #[test]
    fn silence_shows_as_empty_seconds() {
        let mut traffic = Traffic::default();
        traffic.add(at(0.5), 10, 0, &latency(5, 10));
        let view = traffic.view(at(5.2));
        assert_eq!(view.rate, 0.0);
        assert_eq!(view.error_rate, None);
        assert_eq!(view.history.len(), 5);
        assert_eq!(view.history[0].requests, 10);
        assert_eq!(view.history[4].requests, 0);
    }

    #[test]
    fn the_past_is_kept_in_bounded_room() {
        let mut traffic = Traffic::default();
        for second in 0..1000 {
            traffic.add(at(f64::from(second)), 1, 0, &latency(5, 1));
        }
        traffic.add(at(1_000_000.0), 1, 0, &latency(5, 1));
        assert_eq!(traffic.seconds.len(), KEPT_SECONDS);
        assert_eq!(traffic.totals().0, 1001);
    }
}
