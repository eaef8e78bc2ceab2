//! The few numbers that a session and its threads share.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use crate::clock::Nanos;

/// What the session tells its threads.
///
/// Relaxed is enough everywhere: each value stands alone, and nothing else is read because of it.
#[derive(Debug)]
pub(crate) struct Control {
    mark: AtomicU32,
    arrivals_stopped: AtomicBool,
    /// When to stop; `u64::MAX` for not at all.
    stop_at: AtomicU64,
    /// Stop as soon as nothing is under way.
    draining: AtomicBool,
}

impl Control {
    pub(crate) fn new() -> Self {
        Control {
            mark: AtomicU32::new(0),
            arrivals_stopped: AtomicBool::new(false),
            stop_at: AtomicU64::new(Nanos::MAX),
            draining: AtomicBool::new(false),
        }
    }

    pub(crate) fn set_mark(&self, mark: u32) {
        self.mark.store(mark, Ordering::Relaxed);
    }

    pub(super) fn mark(&self) -> u32 {
        self.mark.load(Ordering::Relaxed)
    }

    pub(crate) fn stop_arrivals(&self) {
        self.arrivals_stopped.store(true, Ordering::Relaxed);
    }

    pub(super) fn arrivals_stopped(&self) -> bool {
        self.arrivals_stopped.load(Ordering::Relaxed)
    }

    /// Stops when nothing is under way any more, and at `limit` in any case.
    pub(crate) fn stop_by(&self, limit: Nanos) {
        self.stop_arrivals();
        self.stop_at.store(limit, Ordering::Relaxed);
        self.draining.store(true, Ordering::Relaxed);
    }

    pub(super) fn draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    pub(super) fn stop_at(&self) -> Nanos {
        self.stop_at.load(Ordering::Relaxed)
    }
}
