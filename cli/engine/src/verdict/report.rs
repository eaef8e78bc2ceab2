//! What the judge says about its guards.

use std::time::Duration;

use super::counts::Channel;
use super::interval::Interval;
use crate::view::GuardState;

/// What a guard holds the target against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GuardKind {
    /// The objective's own bound, over both channels.
    Absolute,
    /// The source, over one channel.
    VersusSource {
        /// Where both stacks are compared.
        channel: Channel,
    },
    /// The applied weight: do requests go where they should? Reaching the threshold is no breach of
    /// an objective, but a reason to hold: see [`Judge::share_mismatch`](super::Judge::share_mismatch).
    ShareMismatch,
}

/// One watched hypothesis and the evidence against it.
#[derive(Debug, Clone, PartialEq)]
pub struct GuardReport {
    /// `errors at most 1 %`, `p99 at most 3x source (edge)`.
    pub name: String,
    /// Index of the objective in the plan; `None` for [`GuardKind::ShareMismatch`].
    pub objective: Option<usize>,
    /// What the target is held against.
    pub kind: GuardKind,
    /// Natural logarithm of the e-value: evidence that the objective is broken.
    pub log_e: f64,
    /// A breach is called when `log_e` reaches this: `ln(1/α_i)`.
    pub threshold: f64,
    /// Target requests that this guard has looked at; for [`GuardKind::ShareMismatch`] those of both
    /// stacks in the current segment.
    pub requests: u64,
    /// Of those, bad; bursts are counted in full here. For [`GuardKind::ShareMismatch`] the target's.
    pub bad: u64,
    /// What the evidence says; a breach stays a breach.
    pub state: GuardState,
    /// When the first bad target request ended since the start point that explains most of the
    /// evidence; since the run began.
    pub first_bad_at: Option<Duration>,
    /// Bad target requests through the edge since that start point.
    pub bad_edge: u64,
    /// Bad target requests among the paired ones since that start point.
    pub bad_paired: u64,
    /// What the guard watches, with bounds at the guard's α; `None` before there is anything to
    /// bound. Through the edge, latencies are those of the current segment; all else is of the run.
    pub interval: Option<Interval>,
    /// The target was shown to be no worse than the bound: see [`Judge::proven`](super::Judge::proven).
    pub proven: bool,
}

/// An objective is broken: the first guard that reached its threshold, as it stood then.
#[derive(Debug, Clone, PartialEq)]
pub struct Breach {
    /// Name of the guard, as in [`GuardReport::name`].
    pub guard: String,
    /// Name of the objective, as in the plan.
    pub objective_name: String,
    /// Index of the objective in the plan.
    pub objective: usize,
    /// What the target was held against.
    pub kind: GuardKind,
    /// Natural logarithm of the e-value.
    pub log_e: f64,
    /// What it reached: `ln(1/α_i)`.
    pub threshold: f64,
    /// End of the interval whose requests gave the last evidence, since the run began.
    pub at: Duration,
    /// When the first bad target request ended since the regression seems to have begun.
    pub first_bad_at: Option<Duration>,
    /// Bad target requests since then, over all channels that the guard looks at.
    pub bad_requests: u64,
    /// Of those, through the edge: the ones that users saw.
    pub bad_edge: u64,
    /// Of those, paired ones.
    pub bad_paired: u64,
}

/// What a test found, before it is held against a threshold.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Finding {
    /// `ln E`.
    pub(super) log_e: f64,
    /// See [`GuardReport::first_bad_at`].
    pub(super) first_bad_at: Option<Duration>,
    /// Bad requests since the start point that explains most.
    pub(super) bad: ByChannel,
}

/// A count for each channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct ByChannel {
    pub(super) edge: u64,
    pub(super) paired: u64,
}

impl ByChannel {
    pub(super) fn add(&mut self, channel: Channel, n: u64) {
        match channel {
            Channel::Edge => self.edge += n,
            Channel::Paired => self.paired += n,
        }
    }

    pub(super) fn total(self) -> u64 {
        self.edge + self.paired
    }

    /// What came after `earlier`.
    pub(super) fn since(self, earlier: ByChannel) -> ByChannel {
        ByChannel {
            edge: self.edge.saturating_sub(earlier.edge),
            paired: self.paired.saturating_sub(earlier.paired),
        }
    }
}
