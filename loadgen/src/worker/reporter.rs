//! The way of a thread's counts to whoever reads them.

use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;

use crate::clock::Clock;
use crate::report::{End, Entry, Report};

/// Sends a thread's reports; makes sure that the last one says how it ended.
pub(super) struct Reporter {
    thread: usize,
    clock: Clock,
    reports: UnboundedSender<Report>,
    ended: bool,
}

impl Reporter {
    pub(super) fn new(thread: usize, clock: Clock, reports: UnboundedSender<Report>) -> Self {
        Reporter {
            thread,
            clock,
            reports,
            ended: false,
        }
    }

    pub(super) fn send(&self, entries: Vec<Entry>, end: Option<End>) {
        let report = Report {
            thread: self.thread,
            at: Duration::from_nanos(self.clock.now()),
            entries,
            end,
        };
        // Whoever dropped the receiver does not want to know; the load goes on all the same.
        let _ = self.reports.send(report);
    }

    pub(super) fn end(mut self, entries: Vec<Entry>, end: End) {
        self.ended = true;
        self.send(entries, Some(end));
    }
}

impl Drop for Reporter {
    fn drop(&mut self) {
        if !self.ended {
            self.send(Vec::new(), Some(End::Died("the thread panicked".into())));
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    fn last_words(tell: impl FnOnce(Reporter)) -> Vec<Option<End>> {
        let (sender, mut reports) = mpsc::unbounded_channel();
        tell(Reporter::new(3, Clock::start(), sender));
        std::iter::from_fn(|| reports.try_recv().ok())
            .map(|report| report.end)
            .collect()
    }

    #[test]
    fn a_thread_that_dies_says_so() {
        let died = Some(End::Died("the thread panicked".into()));
        assert_eq!(last_words(drop), [died]);
    }

    #[test]
    fn a_thread_that_stops_says_only_that() {
        let stopped = last_words(|reporter| reporter.end(Vec::new(), End::Stopped));
        assert_eq!(stopped, [Some(End::Stopped)]);
    }
}
