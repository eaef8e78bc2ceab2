//! Timeouts without timers: every client connection notes what it waits for and since which tick,
//! and one sweep for each core and tick wakes those that waited too long.

use std::cell::{Cell, RefCell};
use std::task::{Context, Waker};

use crate::config::Timeouts;

/// What a client connection waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waiting {
    /// The first byte of a request. → `Head`
    Idle,
    /// The rest of a request head. → `Upstream`
    Head,
    /// A response head. → `Transfer`
    Upstream,
    /// Bytes of a body, in either direction. → `Idle`
    Transfer,
    /// Nothing: an upgraded connection lives until one side closes it.
    Tunnel,
}

/// One client connection's place in the sweep.
#[derive(Debug)]
pub(crate) struct Watch {
    waiting: Cell<Waiting>,
    /// Milliseconds, by the core's coarse clock.
    since: Cell<u64>,
    expired: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Watch {
    pub(crate) fn new(now: u64) -> Self {
        Watch {
            waiting: Cell::new(Waiting::Idle),
            since: Cell::new(now),
            expired: Cell::new(false),
            waker: RefCell::new(None),
        }
    }

    pub(crate) fn waiting(&self) -> Waiting {
        self.waiting.get()
    }

    pub(crate) fn enter(&self, waiting: Waiting, now: u64) {
        self.waiting.set(waiting);
        self.since.set(now);
        self.expired.set(false);
    }

    /// Something moved, so the wait begins anew.
    pub(crate) fn touch(&self, now: u64) {
        self.since.set(now);
    }

    pub(crate) fn is_expired(&self) -> bool {
        self.expired.get()
    }

    pub(crate) fn register(&self, cx: &Context<'_>) {
        let mut waker = self.waker.borrow_mut();
        if !waker
            .as_ref()
            .is_some_and(|known| known.will_wake(cx.waker()))
        {
            *waker = Some(cx.waker().clone());
        }
    }

    pub(crate) fn wake(&self) {
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }

    /// Marks and wakes the connection if it waited too long.
    pub(crate) fn sweep(&self, now: u64, timeouts: &Timeouts) {
        let limit = match self.waiting.get() {
            Waiting::Idle => timeouts.client_idle,
            Waiting::Head => timeouts.client_head,
            Waiting::Upstream => timeouts.response_head,
            Waiting::Transfer => timeouts.transfer_idle,
            Waiting::Tunnel => return,
        };
        if u128::from(now.saturating_sub(self.since.get())) >= limit.as_millis() {
            self.expired.set(true);
            self.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_wait_has_its_own_limit() {
        let timeouts = Timeouts::default();
        for (waiting, limit) in [
            (Waiting::Idle, 75_000),
            (Waiting::Head, 15_000),
            (Waiting::Upstream, 60_000),
            (Waiting::Transfer, 60_000),
        ] {
            let watch = Watch::new(0);
            watch.enter(waiting, 100);
            watch.sweep(100 + limit - 1, &timeouts);
            assert!(!watch.is_expired(), "{waiting:?}");
            watch.sweep(100 + limit, &timeouts);
            assert!(watch.is_expired(), "{waiting:?}");
        }
    }

    #[test]
    fn a_tunnel_never_expires() {
        let watch = Watch::new(0);
        watch.enter(Waiting::Tunnel, 0);
        watch.sweep(u64::MAX, &Timeouts::default());
        assert!(!watch.is_expired());
    }
}
