//! What the threads of a session tell about their work.

use std::time::Duration;

use crate::stats::{ArmStats, Counters, Sample};

/// What one thread counted since its last report. Comes at every flush, also when there is
/// nothing to tell, so that silence means something.
#[derive(Debug, Clone)]
pub struct Report {
    /// Which thread, from 0.
    pub thread: usize,
    /// When, since the start of the session.
    pub at: Duration,
    /// What was counted, by stream, mark and arm; in no order, at most one for each.
    pub entries: Vec<Entry>,
    /// The thread's last words. A thread that ends in any other way than by
    /// [`Session::stop`](crate::Session::stop) leaves its share of the schedule unsent.
    pub end: Option<End>,
}

/// How a thread ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// It was asked to, and has counted everything.
    Stopped,
    /// A defect: what it was doing, as far as it is known.
    Died(String),
}

/// Requests that have stream, mark and arm in common.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Index into the config's streams.
    pub stream: usize,
    /// The mark that was current when they were sent.
    pub mark: u32,
    /// Index into the config's arms; `None` if it is not known who would have answered.
    pub arm: Option<usize>,
    /// Counts.
    pub counters: Counters,
    /// See [`ArmStats::from_sent`].
    pub from_sent: Vec<Sample>,
    /// See [`ArmStats::from_intended`].
    pub from_intended: Vec<Sample>,
    /// See [`ArmStats::lateness`].
    pub lateness: Vec<Sample>,
}

impl Entry {
    pub(crate) fn of(stream: usize, mark: u32, arm: Option<usize>, stats: &ArmStats) -> Self {
        Entry {
            stream,
            mark,
            arm,
            counters: stats.counters.clone(),
            from_sent: stats.from_sent.samples().collect(),
            from_intended: stats.from_intended.samples().collect(),
            lateness: stats.lateness.samples().collect(),
        }
    }
}
