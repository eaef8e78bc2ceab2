//! The way from the pacer to the connections of one endpoint.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use crate::clock::{Clock, Nanos};

/// A request that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Arrival {
    /// Its number in the schedule.
    pub(super) n: u64,
    /// When the schedule wanted it.
    pub(super) intended: Nanos,
    /// When its thread got to it.
    pub(super) picked: Nanos,
    /// The mark that was current then; one that was never sent is told with it. `None` for an
    /// arrival that is sent as soon as it is made.
    pub(super) mark: Option<u32>,
}

/// Arrivals that wait, and connections that do.
///
/// Connections wait in a stack: the one that was busy last is asked first, so few of them do all
/// the work when there is little, and the rest keep quiet.
pub(super) struct Lane {
    pub(super) address: SocketAddr,
    pub(super) arm: Option<usize>,
    waiting: RefCell<VecDeque<Arrival>>,
    parked: RefCell<Vec<Rc<Parking>>>,
    /// Connections there are, busy or parked.
    connections: Cell<usize>,
    most_connections: usize,
    most_waiting: usize,
    busy: Cell<usize>,
    refill: Cell<Option<Refill>>,
}

/// Where one connection waits.
#[derive(Default)]
pub(super) struct Parking {
    waker: RefCell<Option<Waker>>,
    parked: Cell<bool>,
}

/// Makes an arrival whenever a connection is free ([`Schedule::Saturate`]).
///
/// [`Schedule::Saturate`]: crate::Schedule::Saturate
#[derive(Debug, Clone, Copy)]
pub(super) struct Refill {
    pub(super) clock: Clock,
    pub(super) next: u64,
    pub(super) step: u64,
}

/// What became of an arrival.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Offered {
    /// A connection takes it, now or when it is free.
    Accepted,
    /// Accepted, and it is for the caller to start the connection that takes it.
    NeedsConnection,
    /// All connections are busy and the queue is full.
    Dropped,
}

impl Lane {
    pub(super) fn new(
        address: SocketAddr,
        arm: Option<usize>,
        most_connections: usize,
        most_waiting: usize,
    ) -> Self {
        Lane {
            address,
            arm,
            waiting: RefCell::default(),
            parked: RefCell::default(),
            connections: Cell::new(0),
            most_connections,
            most_waiting,
            busy: Cell::new(0),
            refill: Cell::new(None),
        }
    }

    /// Brings an arrival.
    pub(super) fn offer(&self, arrival: Arrival) -> Offered {
        let mut waiting = self.waiting.borrow_mut();
        let parked = self.parked.borrow_mut().pop();
        if let Some(parking) = parked {
            waiting.push_back(arrival);
            parking.wake();
            Offered::Accepted
        } else if self.connections.get() < self.most_connections {
            waiting.push_back(arrival);
            self.connections.set(self.connections.get() + 1);
            Offered::NeedsConnection
        } else if waiting.len() < self.most_waiting {
            waiting.push_back(arrival);
            Offered::Accepted
        } else {
            Offered::Dropped
        }
    }

    /// Makes arrivals from now on; returns how many connections the caller must start.
    pub(super) fn saturate(&self, refill: Refill) -> usize {
        self.refill.set(Some(refill));
        self.most_connections - self.connections.replace(self.most_connections)
    }

    /// Makes no more arrivals.
    pub(super) fn stop_refill(&self) {
        self.refill.set(None);
    }

    /// Takes the arrival that has waited longest, or parks the connection until there is one.
    /// The connection is busy until it calls [`Lane::release`].
    pub(super) fn poll_take(&self, parking: &Rc<Parking>, cx: &Context<'_>) -> Poll<Arrival> {
        let arrival = self.waiting.borrow_mut().pop_front();
        if let Some(arrival) = arrival.or_else(|| self.refilled()) {
            if parking.parked.replace(false) {
                self.parked
                    .borrow_mut()
                    .retain(|other| !Rc::ptr_eq(other, parking));
            }
            self.busy.set(self.busy.get() + 1);
            return Poll::Ready(arrival);
        }
        parking.listen(cx);
        if !parking.parked.replace(true) {
            self.parked.borrow_mut().push(Rc::clone(parking));
        }
        Poll::Pending
    }

    /// The connection is done with what it took.
    pub(super) fn release(&self) {
        self.busy.set(self.busy.get() - 1);
    }

    fn refilled(&self) -> Option<Arrival> {
        let refill = self.refill.get()?;
        self.refill.set(Some(Refill {
            next: refill.next + refill.step,
            ..refill
        }));
        let now = refill.clock.now();
        Some(Arrival {
            n: refill.next,
            intended: now,
            picked: now,
            mark: None,
        })
    }

    /// Takes an arrival that was picked up before `limit` and still waits. Arrivals wait in the
    /// order in which they were picked up, so the first one tells.
    pub(super) fn take_expired(&self, limit: Nanos) -> Option<Arrival> {
        self.waiting
            .borrow_mut()
            .pop_front_if(|arrival| arrival.picked <= limit)
    }

    /// Requests that were accepted and have not ended.
    pub(super) fn under_way(&self) -> usize {
        self.waiting.borrow().len() + self.busy.get()
    }
}

impl Parking {
    fn listen(&self, cx: &Context<'_>) {
        let mut waker = self.waker.borrow_mut();
        match waker.as_mut() {
            Some(waker) => waker.clone_from(cx.waker()),
            None => *waker = Some(cx.waker().clone()),
        }
    }

    fn wake(&self) {
        self.parked.set(false);
        if let Some(waker) = self.waker.borrow().as_ref() {
            waker.wake_by_ref();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane(connections: usize, queue: usize) -> Lane {
        Lane::new(([127, 0, 0, 1], 80).into(), None, connections, queue)
    }

    fn arrival(n: u64) -> Arrival {
        Arrival {
            n,
            intended: n,
            picked: n,
            mark: None,
        }
    }

    fn take(lane: &Lane, parking: &Rc<Parking>) -> Option<u64> {
        match lane.poll_take(parking, &Context::from_waker(Waker::noop())) {
            Poll::Ready(arrival) => Some(arrival.n),
            Poll::Pending => None,
        }
    }

    #[test]
    fn connections_are_asked_for_up_to_the_limit_then_arrivals_wait_then_they_are_dropped() {
        let lane = lane(2, 3);
        let offered: Vec<_> = (0..6).map(|n| lane.offer(arrival(n))).collect();
        use Offered::{Accepted, Dropped, NeedsConnection};
        // Two of the three that wait are on their way to the connections that start.
        let expected = [
            NeedsConnection,
            NeedsConnection,
            Accepted,
            Dropped,
            Dropped,
            Dropped,
        ];
        assert_eq!(offered, expected);
        assert_eq!(lane.under_way(), 3);
    }

    #[test]
    fn a_parked_connection_takes_an_arrival_even_without_a_queue() {
        let lane = lane(1, 0);
        let parking = Rc::new(Parking::default());
        assert_eq!(lane.offer(arrival(0)), Offered::NeedsConnection);
        assert_eq!(take(&lane, &parking), Some(0));
        assert_eq!(lane.offer(arrival(1)), Offered::Dropped);
        lane.release();
        assert_eq!(take(&lane, &parking), None);
        assert_eq!(lane.offer(arrival(2)), Offered::Accepted);
        assert_eq!(take(&lane, &parking), Some(2));
    }

    #[test]
    fn the_connection_that_was_busy_last_is_asked_first() {
        let lane = lane(2, 0);
        let (first, second) = (Rc::new(Parking::default()), Rc::new(Parking::default()));
        for (n, parking) in [(0, &first), (1, &second)] {
            lane.offer(arrival(n));
            take(&lane, parking);
        }
        for parking in [&first, &second] {
            lane.release();
            assert_eq!(take(&lane, parking), None);
            assert_eq!(take(&lane, parking), None, "polled twice, parked once");
        }
        lane.offer(arrival(2));
        assert!(!second.parked.get() && first.parked.get());
        lane.offer(arrival(3));
        assert!(!first.parked.get());
        assert_eq!(lane.offer(arrival(4)), Offered::Dropped);
    }

    #[test]
    fn only_what_waited_too_long_expires() {
        let lane = lane(0, 10);
        for n in 0..4 {
            lane.offer(arrival(n));
        }
        assert_eq!(lane.take_expired(1), Some(arrival(0)));
        assert_eq!(lane.take_expired(1), Some(arrival(1)));
        assert_eq!(lane.take_expired(1), None);
        assert_eq!(lane.under_way(), 2);
    }

    #[test]
    fn a_saturated_lane_always_has_an_arrival_of_its_stripe() {
        let lane = lane(3, 0);
        let parking = Rc::new(Parking::default());
        let missing = lane.saturate(Refill {
            clock: Clock::start(),
            next: 1,
            step: 2,
        });
        assert_eq!(missing, 3);
        let taken: Vec<_> = (0..3).map(|_| take(&lane, &parking)).collect();
        assert_eq!(taken, [Some(1), Some(3), Some(5)]);
        lane.stop_refill();
        assert_eq!(take(&lane, &parking), None);
    }
}
