//! What was measured: a batch of answers from both stacks over one channel.

use std::time::Duration;

use super::latency::LatencyCounts;

/// How requests reached the stacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Channel {
    /// Through the edge, split by weight, as users' requests are.
    #[default]
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
}
