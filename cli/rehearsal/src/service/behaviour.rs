//! How the service behaves right now: its fault, and when it was last asked.

use std::cell::Cell;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use crate::fault::Fault;

/// Shared by all connections of the one thread.
#[derive(Debug)]
pub(super) struct Behaviour {
    fault: Cell<Option<Fault>>,
    /// Walks the unit interval in steps of the golden ratio, so that any share of requests is hit
    /// evenly and never in step with a pattern of requests.
    sequence: Cell<f64>,
    last_request: Cell<Instant>,
}

impl Default for Behaviour {
    fn default() -> Self {
        Behaviour {
            fault: Cell::new(None),
            sequence: Cell::new(0.0),
            last_request: Cell::new(Instant::now()),
        }
    }
}

/// What the fault leaves of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is answered.
    Answer,
    /// It fails.
    Fail,
}

impl Behaviour {
    pub(super) fn set_fault(&self, fault: Option<Fault>) {
        self.fault.set(fault);
        if fault == Some(Fault::Crash) {
            // A real crash: no goodbye, no clean-up, whatever is on its way is lost.
            std::process::abort();
        }
    }

    pub(super) fn saw_a_request(&self) {
        self.last_request.set(Instant::now());
    }

    /// Ends once there was no request for this long.
    pub(super) async fn idle_for(&self, limit: Duration) {
        loop {
            let end = self.last_request.get() + limit;
            if Instant::now() >= end {
                return;
            }
            sleep_until(end).await;
        }
    }

    /// Waits, or fails, as the fault says.
    pub(super) async fn meet_fault(&self) -> Verdict {
        match self.fault.get() {
            None | Some(Fault::Crash) => Verdict::Answer,
            Some(Fault::Errors(share)) => {
                const GOLDEN: f64 = 0.618_033_988_749_894_8;
                let next = (self.sequence.get() + GOLDEN).fract();
                self.sequence.set(next);
                if next < share {
                    Verdict::Fail
                } else {
                    Verdict::Answer
                }
            }
            Some(Fault::Latency(by)) => {
                sleep(by).await;
                Verdict::Answer
            }
            Some(Fault::Stall) => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_share_of_requests_fails_evenly() {
        let behaviour = Behaviour::default();
        behaviour.set_fault(Some(Fault::Errors(0.2)));
        let mut failed = 0;
        for _ in 0..1000 {
            failed += u32::from(behaviour.meet_fault().await == Verdict::Fail);
        }
        assert!((195..=205).contains(&failed), "{failed}");
    }

    #[tokio::test(start_paused = true)]
    async fn latency_is_added_to_every_answer() {
        let behaviour = Behaviour::default();
        behaviour.set_fault(Some(Fault::Latency(Duration::from_millis(300))));
        let before = Instant::now();
        assert_eq!(behaviour.meet_fault().await, Verdict::Answer);
        assert_eq!(before.elapsed(), Duration::from_millis(300));
    }

    #[tokio::test(start_paused = true)]
    async fn idleness_counts_from_the_last_request() {
        let behaviour = std::rc::Rc::new(Behaviour::default());
        let before = Instant::now();
        let waiting = behaviour.idle_for(Duration::from_secs(600));
        let asking = async {
            sleep(Duration::from_secs(500)).await;
            behaviour.saw_a_request();
        };
        tokio::join!(waiting, asking);
        assert_eq!(before.elapsed(), Duration::from_secs(1100));
    }
}
