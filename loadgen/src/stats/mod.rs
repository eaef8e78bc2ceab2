//! What is counted about requests, in a form that adds up.
//!
//! A worker thread counts into its own [`ArmStats`] and hands over what is new since the last
//! time as an [`Entry`](crate::Entry); readers add entries up into an [`ArmStats`] of their own.
//! Adding is exact: the sum over threads, intervals and machines equals one big count.

mod latencies;

use std::time::Duration;

pub use latencies::{Latencies, Sample};

/// Why a request failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FailureKind {
    /// Nobody listens there.
    ConnectRefused,
    /// The connection was not made before the request's time was up.
    ConnectTimeout,
    /// The connection could not be made for another reason, such as no route.
    Connect,
    /// The peer closed or reset the connection before the response was complete.
    Closed,
    /// No complete response before the request's time was up; also while it still waited for a
    /// free connection.
    Timeout,
    /// What came back is not HTTP/1.1, or beyond our limits.
    Protocol,
    /// A complete response with a status of 500 or above.
    Status,
    /// This machine ran out of ports, file descriptors or memory: says nothing about the target.
    Local,
}

impl FailureKind {
    /// All kinds, in the order in which they are counted.
    pub const ALL: [FailureKind; 8] = [
        FailureKind::ConnectRefused,
        FailureKind::ConnectTimeout,
        FailureKind::Connect,
        FailureKind::Closed,
        FailureKind::Timeout,
        FailureKind::Protocol,
        FailureKind::Status,
        FailureKind::Local,
    ];

    /// As people say it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            FailureKind::ConnectRefused => "connection refused",
            FailureKind::ConnectTimeout => "connect timeout",
            FailureKind::Connect => "cannot connect",
            FailureKind::Closed => "connection closed early",
            FailureKind::Timeout => "timeout",
            FailureKind::Protocol => "malformed response",
            FailureKind::Status => "status 5xx",
            FailureKind::Local => "generator out of resources",
        }
    }
}

/// Numbers of failures by kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Failures([u64; FailureKind::ALL.len()]);

impl Failures {
    /// Failures of one kind.
    #[must_use]
    pub fn of(&self, kind: FailureKind) -> u64 {
        self.0[kind as usize]
    }

    /// Failures of all kinds.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The kinds that occurred, with their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (FailureKind, u64)> {
        FailureKind::ALL
            .into_iter()
            .map(|kind| (kind, self.of(kind)))
            .filter(|&(_, count)| count > 0)
    }

    fn add(&mut self, kind: FailureKind) {
        self.0[kind as usize] += 1;
    }
}

/// How one request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// A complete response with this status.
    Answered(u16),
    /// No complete response.
    Failed(FailureKind),
}

/// One request that has ended. Instants are offsets from the start of the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finished {
    /// How it ended.
    pub outcome: Outcome,
    /// When the schedule wanted it.
    pub intended: Duration,
    /// When its thread got to it.
    pub picked: Duration,
    /// When its first byte was written; `None` if it never was.
    pub sent: Option<Duration>,
    /// When the last byte of the response was read, or the request was given up.
    pub done: Duration,
}

/// Counts of requests.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counters {
    /// Requests that ended, whether answered or failed.
    pub requests: u64,
    /// Those of them that failed: no complete response, or a status of 500 or above.
    pub failed: Failures,
    /// Complete responses by the first digit of their status, 1–5; index 0 stays unused.
    pub statuses: [u64; 6],
    /// For each threshold of the stream, how many requests took longer (`done - picked`): the
    /// wait for a free connection is the target's doing and counts, the generator's own lateness
    /// does not. A request without a response counts by its age when it was given up.
    pub slow: Vec<u64>,
    /// When the first failed request ended.
    pub first_failed_at: Option<Duration>,
    /// For each threshold, when the first slow request ended.
    pub first_slow_at: Vec<Option<Duration>>,
    /// Arrivals that were not sent because the queue for free connections was full. Not among
    /// `requests`.
    pub dropped: u64,
    /// Requests that were sent again because a kept connection turned out to be closed. They are
    /// among `requests` once.
    pub retried: u64,
    /// Requests under way when the session stopped. Not among `requests`: nobody knows their end.
    pub abandoned: u64,
}

impl Counters {
    /// Nothing happened.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.requests == 0 && self.dropped == 0 && self.abandoned == 0
    }

    /// Adds another count to this one. Where the other has more thresholds, so has the sum.
    pub fn merge(&mut self, other: &Counters) {
        self.requests += other.requests;
        for (sum, count) in self.failed.0.iter_mut().zip(other.failed.0) {
            *sum += count;
        }
        for (sum, count) in self.statuses.iter_mut().zip(other.statuses) {
            *sum += count;
        }
        self.make_room(other.slow.len());
        for (sum, count) in self.slow.iter_mut().zip(&other.slow) {
            *sum += count;
        }
        self.first_failed_at = earliest(self.first_failed_at, other.first_failed_at);
        for (first, at) in self.first_slow_at.iter_mut().zip(&other.first_slow_at) {
            *first = earliest(*first, *at);
        }
        self.dropped += other.dropped;
        self.retried += other.retried;
        self.abandoned += other.abandoned;
    }

    fn make_room(&mut self, thresholds: usize) {
        if self.slow.len() < thresholds {
            self.slow.resize(thresholds, 0);
            self.first_slow_at.resize(thresholds, None);
        }
    }

    fn record(&mut self, request: &Finished, slow_over: &[Duration]) {
        self.requests += 1;
        let failure = match request.outcome {
            Outcome::Failed(kind) => Some(kind),
            Outcome::Answered(status) => {
                if let Some(count) = self.statuses.get_mut(usize::from(status / 100)) {
                    *count += 1;
                }
                (status >= 500).then_some(FailureKind::Status)
            }
        };
        if let Some(kind) = failure {
            self.failed.add(kind);
            self.first_failed_at = earliest(self.first_failed_at, Some(request.done));
        }
        self.make_room(slow_over.len());
        let age = request.done.saturating_sub(request.picked);
        for (index, threshold) in slow_over.iter().enumerate() {
            if age > *threshold {
                self.slow[index] += 1;
                self.first_slow_at[index] = earliest(self.first_slow_at[index], Some(request.done));
            }
        }
    }
}

fn earliest(a: Option<Duration>, b: Option<Duration>) -> Option<Duration> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// Counts and latencies of the requests of one arm, or of whatever else is added up.
///
/// The two latencies hold every request that was answered, and those that timed out with the age
/// they reached: leaving these out would make a stalled target look fast. Requests that failed
/// sooner, such as refused connections, have no latency and are in the counters only.
#[derive(Debug, Clone, Default)]
pub struct ArmStats {
    /// Counts.
    pub counters: Counters,
    /// From the first byte sent to the last byte read: how fast the target is once it is asked.
    pub from_sent: Latencies,
    /// From the instant the schedule wanted to the last byte read: what a user who comes at that
    /// instant lives through. Free of coordinated omission.
    pub from_intended: Latencies,
    /// How late the generator itself picked arrivals up, for every request. When its tail comes
    /// near the latencies, the generator is saturated and they cannot be trusted.
    pub lateness: Latencies,
}

impl ArmStats {
    /// Counts one request; `slow_over` are the thresholds of its stream.
    pub fn record(&mut self, request: &Finished, slow_over: &[Duration]) {
        self.counters.record(request, slow_over);
        let since = |start: Duration| request.done.saturating_sub(start);
        self.lateness
            .record(request.picked.saturating_sub(request.intended));
        if matches!(
            request.outcome,
            Outcome::Answered(_)
                | Outcome::Failed(FailureKind::Timeout | FailureKind::ConnectTimeout)
        ) {
            self.from_intended.record(since(request.intended));
            if let Some(sent) = request.sent {
                self.from_sent.record(since(sent));
            }
        }
    }

    /// Adds what a thread reported.
    pub fn add(&mut self, entry: &crate::Entry) {
        self.counters.merge(&entry.counters);
        self.from_sent.add(&entry.from_sent);
        self.from_intended.add(&entry.from_intended);
        self.lateness.add(&entry.lateness);
    }

    /// Adds other statistics to these.
    pub fn merge(&mut self, other: &ArmStats) {
        self.counters.merge(&other.counters);
        self.from_sent.merge(&other.from_sent);
        self.from_intended.merge(&other.from_intended);
        self.lateness.merge(&other.lateness);
    }

    /// Share of requests that failed, 0 to 1; `None` without requests, because no data is not
    /// good data.
    #[must_use]
    pub fn error_rate(&self) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "a share needs no 16 digits")]
        let share = self.counters.failed.total() as f64 / self.counters.requests as f64;
        (self.counters.requests > 0).then_some(share)
    }

    /// Forgets everything, keeping the memory.
    pub(crate) fn clear(&mut self) {
        self.counters = Counters::default();
        self.from_sent.clear();
        self.from_intended.clear();
        self.lateness.clear();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Entry;

    const MS: Duration = Duration::from_millis(1);

    fn answered(status: u16, [intended, picked, sent, done]: [u32; 4]) -> Finished {
        Finished {
            outcome: Outcome::Answered(status),
            intended: MS * intended,
            picked: MS * picked,
            sent: Some(MS * sent),
            done: MS * done,
        }
    }

    #[test]
    fn each_latency_has_its_own_start() {
        let mut stats = ArmStats::default();
        // 5 ms late, 20 ms in the queue, 100 ms at the target.
        stats.record(&answered(200, [10, 15, 35, 135]), &[MS * 119, MS * 120]);
        assert_eq!(stats.counters.slow, [1, 0], "slow is judged from picked");
        assert_eq!(stats.counters.first_slow_at, [Some(MS * 135), None]);
        let about = |found: Option<Duration>, ms: u32| {
            let off = found.unwrap().abs_diff(MS * ms);
            assert!(off <= MS * ms / 500, "{found:?} instead of {ms} ms");
        };
        about(stats.lateness.max(), 5);
        about(stats.from_sent.max(), 100);
        about(stats.from_intended.max(), 125);
    }

    #[test]
    fn a_timeout_is_failed_and_slow_and_has_a_latency() {
        let mut stats = ArmStats::default();
        let timeout = Finished {
            outcome: Outcome::Failed(FailureKind::Timeout),
            sent: None,
            ..answered(0, [0, 0, 0, 1_000])
        };
        stats.record(&timeout, &[MS * 500, MS * 2_000]);
        assert_eq!(stats.counters.failed.of(FailureKind::Timeout), 1);
        assert_eq!(stats.counters.slow, [1, 0]);
        assert_eq!(stats.from_intended.len(), 1);
        assert_eq!(stats.from_sent.len(), 0, "it was never sent");
    }

    #[test]
    fn a_refused_connection_has_no_latency_that_could_flatter() {
        let mut stats = ArmStats::default();
        let refused = Finished {
            outcome: Outcome::Failed(FailureKind::ConnectRefused),
            sent: None,
            ..answered(0, [0, 0, 0, 0])
        };
        stats.record(&refused, &[]);
        assert_eq!(stats.error_rate(), Some(1.0));
        assert_eq!(stats.from_intended.quantile(0.5), None);
    }

    #[test]
    fn only_5xx_statuses_fail() {
        let mut stats = ArmStats::default();
        for status in [200, 301, 404, 500, 503] {
            stats.record(&answered(status, [0, 0, 0, 1]), &[]);
        }
        assert_eq!(stats.counters.statuses, [0, 0, 1, 1, 1, 2]);
        assert_eq!(stats.counters.failed.of(FailureKind::Status), 2);
        assert_eq!(
            stats.counters.failed.iter().collect::<Vec<_>>(),
            [(FailureKind::Status, 2)]
        );
    }

    #[test]
    fn no_requests_have_no_error_rate() {
        assert_eq!(ArmStats::default().error_rate(), None);
    }

    #[test]
    fn kinds_are_counted_at_their_own_index() {
        for (index, kind) in FailureKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, index);
        }
    }

    fn any_request() -> impl Strategy<Value = Finished> {
        (
            prop_oneof![
                (200_u16..600).prop_map(Outcome::Answered),
                proptest::sample::select(&FailureKind::ALL[..]).prop_map(Outcome::Failed),
            ],
            proptest::array::uniform4(0_u32..3_000),
        )
            .prop_map(|(outcome, mut instants)| {
                instants.sort_unstable();
                Finished {
                    outcome,
                    ..answered(0, instants)
                }
            })
    }

    proptest! {
        #[test]
        fn parts_add_up_to_the_whole(
            requests in proptest::collection::vec(any_request(), 0..200),
            parts in 1_usize..5,
        ) {
            let thresholds = [MS * 100, MS * 1_000];
            let (mut whole, mut sum) = (ArmStats::default(), ArmStats::default());
            for request in &requests {
                whole.record(request, &thresholds);
            }
            for part in 0..parts {
                let mut stats = ArmStats::default();
                for request in requests.iter().skip(part).step_by(parts) {
                    stats.record(request, &thresholds);
                }
                sum.add(&Entry::of(0, 0, None, &stats));
            }
            prop_assert_eq!(&sum.counters, &whole.counters);
            for quantile in [0.0, 0.5, 0.9, 0.99, 1.0] {
                prop_assert_eq!(
                    sum.from_sent.quantile(quantile),
                    whole.from_sent.quantile(quantile)
                );
                prop_assert_eq!(
                    sum.lateness.quantile(quantile),
                    whole.lateness.quantile(quantile)
                );
            }
        }
    }
}
