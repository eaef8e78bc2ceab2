//! Picks arrivals up when they are due.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use super::Worker;
use super::lane::Arrival;
use super::timer::Timer;
use crate::clock::nanos;
use crate::schedule::Stripe;

/// Arrivals picked up at a time. A pacer that is behind lets connections work in between, or it
/// would make its own lateness into theirs.
const BATCH: usize = 64;

/// An arrival that is picked up later than this after it was due is dropped: the generator was
/// stopped, or the machine slept. To send all that was missed at once would be a flood that no
/// schedule asked for.
const TOO_LATE: Duration = Duration::from_secs(2);

/// One thread's part of every stream that follows a schedule.
pub(super) struct Pacer {
    pub(super) worker: Rc<Worker>,
    /// Index of the stream, and its arrivals.
    pub(super) stripes: Vec<(usize, Stripe)>,
    pub(super) timer: Timer,
}

impl Pacer {
    /// Runs until arrivals are stopped, or none is left in any schedule.
    ///
    /// # Errors
    /// The timer cannot be set.
    pub(super) async fn run(mut self) -> io::Result<()> {
        while !self.worker.control.arrivals_stopped() {
            let now = self.worker.clock.now();
            let Some(next) = self.pick_up(now) else {
                return Ok(());
            };
            match next.checked_sub(now) {
                Some(wait) if wait > 0 => self.timer.wait(Duration::from_nanos(wait)).await?,
                _ => tokio::task::yield_now().await,
            }
        }
        Ok(())
    }

    /// Picks up what is due; returns when the next arrival is.
    fn pick_up(&mut self, now: u64) -> Option<u64> {
        let mut room = BATCH;
        let mut next: Option<u64> = None;
        for (stream, stripe) in &mut self.stripes {
            while let Some((n, due)) = stripe.peek() {
                if due > now || room == 0 {
                    next = Some(next.map_or(due, |next| next.min(due)));
                    break;
                }
                room -= 1;
                stripe.advance();
                if due.saturating_add(nanos(TOO_LATE)) < now {
                    self.worker.miss(*stream);
                    continue;
                }
                let arrival = Arrival {
                    n,
                    intended: due,
                    picked: now,
                    mark: Some(self.worker.control.mark()),
                };
                self.worker.arrive(*stream, arrival);
            }
        }
        next
    }
}
