//! A time limit that costs next to nothing when it is not reached.

use std::pin::{Pin, pin};
use std::task::Poll;

use tokio::time::Sleep;

use crate::clock::{Clock, Nanos};

/// A limit that is moved for every request while its timer is left alone.
///
/// Arming a timer means work in the runtime's timer wheel, twice for every request that ends in
/// time, as nearly all do. Here the timer stays where it was armed; when it fires too early for
/// the request of that moment, it is armed again. So there is one operation per timeout's length
/// and connection, not two per request. Limits only ever move forward.
pub(super) struct Deadline {
    clock: Clock,
    timer: Pin<Box<Sleep>>,
    armed: Nanos,
    limit: Nanos,
}

/// The limit was reached first.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Elapsed;

impl Deadline {
    /// No limit yet.
    pub(super) fn new(clock: Clock) -> Self {
        Deadline {
            clock,
            timer: Box::pin(tokio::time::sleep_until(clock.timer_instant(0))),
            armed: 0,
            limit: 0,
        }
    }

    /// Moves the limit.
    pub(super) fn set(&mut self, limit: Nanos) {
        self.limit = limit;
    }

    /// Runs `work` until it is done or the limit is reached, within the 1 ms that the runtime's
    /// timers take at a time.
    pub(super) async fn within<F: Future>(&mut self, work: F) -> Result<F::Output, Elapsed> {
        let mut work = pin!(work);
        std::future::poll_fn(|cx| {
            if let Poll::Ready(output) = work.as_mut().poll(cx) {
                return Poll::Ready(Ok(output));
            }
            while self.timer.as_mut().poll(cx).is_ready() {
                if self.armed >= self.limit {
                    return Poll::Ready(Err(Elapsed));
                }
                self.armed = self.limit;
                let at = self.clock.timer_instant(self.armed);
                self.timer.as_mut().reset(at);
            }
            Poll::Pending
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::time::Duration;

    use super::*;
    use crate::clock::nanos;

    const SECOND: Nanos = 1_000_000_000;

    #[tokio::test(start_paused = true)]
    async fn a_limit_that_moved_holds_from_where_it_moved_to() {
        let clock = Clock::start();
        let begun = tokio::time::Instant::now();
        let mut deadline = Deadline::new(clock);
        deadline.set(SECOND);
        let quick = tokio::time::sleep(Duration::from_millis(600));
        assert_eq!(deadline.within(quick).await, Ok(()));
        // The timer is still armed for 1 s, and must not end this.
        deadline.set(SECOND + SECOND / 2);
        assert_eq!(deadline.within(pending::<()>()).await, Err(Elapsed));
        let took = nanos(begun.elapsed());
        assert!(
            took.abs_diff(SECOND + SECOND / 2) <= 50_000_000,
            "{took} ns"
        );
        // Nor must the timer that fired end the next one at once.
        deadline.set(3 * SECOND);
        let quick = tokio::time::sleep(Duration::from_millis(600));
        assert_eq!(deadline.within(quick).await, Ok(()));
    }
}
