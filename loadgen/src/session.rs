//! The threads of a load, from outside.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::mpsc as std_mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

use crate::clock::{Clock, nanos};
use crate::config::{Config, Problem};
use crate::report::Report;
use crate::worker::{Control, Thread};

/// A load that goes on until it is stopped.
///
/// Dropping it stops it at once, without waiting: what is under way is counted as abandoned, and
/// the threads end by themselves within some milliseconds.
#[derive(Debug)]
pub struct Session {
    control: Arc<Control>,
    clock: Clock,
    threads: Vec<JoinHandle<()>>,
    /// Closes when the last thread has ended.
    ended: mpsc::Receiver<()>,
}

/// Why a session did not start. Nothing was sent.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The config cannot be; all of its problems.
    #[error("the load cannot be started as configured: {}", Listed(.0))]
    Config(Vec<Problem>),
    /// The operating system refused a thread, or the file descriptors for one.
    #[error("cannot start load thread {thread}; check the limits on threads and open files")]
    Thread {
        /// Which one, from 0.
        thread: usize,
        /// What the operating system said.
        source: io::Error,
    },
}

/// Why a session did not stop as it should.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum StopError {
    /// These threads panicked, which is a defect; their last counts are lost.
    #[error("load threads {0:?} panicked; their last counts are lost")]
    Died(Vec<usize>),
    /// These threads did not end in time, for instance because the machine is suspended.
    #[error("load threads {0:?} did not end within {1:?}")]
    Stuck(Vec<usize>, Duration),
}

struct Listed<'a>(&'a [Problem]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            write!(f, "{}{problem}", if index > 0 { "; " } else { "" })?;
        }
        Ok(())
    }
}

impl Session {
    /// Starts sending. The clock of all schedules starts once every thread is ready.
    ///
    /// The receiver gets a [`Report`] from each thread at every flush. It closes after the last
    /// thread's last report. Blocks for the millisecond or two that threads take to start.
    ///
    /// # Errors
    /// An impossible config, or a machine that has no threads or file descriptors left.
    pub fn start(config: Config) -> Result<(Session, UnboundedReceiver<Report>), StartError> {
        let problems = config.problems();
        if !problems.is_empty() {
            return Err(StartError::Config(problems));
        }
        let count = match config.threads {
            0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            count => count,
        };
        let config = Arc::new(config);
        let control = Arc::new(Control::new());
        let (reports, receiver) = mpsc::unbounded_channel();
        let (alive, ended) = mpsc::channel(1);

        let mut threads = Vec::with_capacity(count);
        let mut starts = Vec::with_capacity(count);
        for index in 0..count {
            let (ready, prepared) = std_mpsc::channel();
            let (start, started) = std_mpsc::channel();
            let body = Body {
                index,
                count,
                config: Arc::clone(&config),
                control: Arc::clone(&control),
                reports: reports.clone(),
                alive: alive.clone(),
            };
            let failed = |source| StartError::Thread {
                thread: index,
                source,
            };
            let thread = std::thread::Builder::new()
                .name(format!("load-{index}"))
                .spawn(move || body.run(&ready, &started))
                .map_err(failed)?;
            let ended = || Err(io::Error::other("it ended before it was ready"));
            prepared
                .recv()
                .unwrap_or_else(|_| ended())
                .map_err(failed)?;
            threads.push(thread);
            starts.push(start);
        }

        let clock = Clock::start();
        for start in starts {
            // A thread that is gone by now says so in its last report.
            let _ = start.send(clock);
        }
        let session = Session {
            control,
            clock,
            threads,
            ended,
        };
        Ok((session, receiver))
    }

    /// The instant that all offsets in reports are counted from.
    #[must_use]
    pub fn started_at(&self) -> Instant {
        self.clock.origin()
    }

    /// How long the session has been running: now, as an offset like those in reports.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        Duration::from_nanos(self.clock.now())
    }

    /// Marks the requests that are sent from now on, in every thread. The mark is 0 at first.
    ///
    /// Requests carry the mark that was current when they were sent. One that carries this mark
    /// was sent after this call; for a moment some that are sent after it may still carry the
    /// mark before.
    pub fn set_mark(&self, mark: u32) {
        self.control.set_mark(mark);
    }

    /// Lets no more requests become due. Those that are under way go on.
    pub fn stop_arrivals(&self) {
        self.control.stop_arrivals();
    }

    /// Lets no more requests become due, gives those under way up to `grace` to end, and waits
    /// for the threads' last reports.
    ///
    /// # Errors
    /// A thread panicked, or does not end within `grace` and two seconds.
    pub async fn stop(mut self, grace: Duration) -> Result<(), StopError> {
        /// For threads to notice and to tell their last, on a machine that is busy.
        const MARGIN: Duration = Duration::from_secs(2);
        let limit = self.clock.now().saturating_add(nanos(grace));
        self.control.stop_by(limit);
        let limit = grace.saturating_add(MARGIN);
        let in_time = tokio::time::timeout(limit, self.ended.recv()).await;
        let threads = std::mem::take(&mut self.threads).into_iter().enumerate();
        if in_time.is_err() {
            let stuck = threads.filter(|(_, thread)| !thread.is_finished());
            return Err(StopError::Stuck(
                stuck.map(|(index, _)| index).collect(),
                limit,
            ));
        }
        // They have let go of everything that is shared: joining them takes no time.
        let died: Vec<_> = threads
            .filter_map(|(index, thread)| thread.join().err().map(|_| index))
            .collect();
        if died.is_empty() {
            Ok(())
        } else {
            Err(StopError::Died(died))
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.control.stop_by(0);
    }
}

/// What a thread takes with it.
struct Body {
    index: usize,
    count: usize,
    config: Arc<Config>,
    control: Arc<Control>,
    reports: UnboundedSender<Report>,
    /// Dropped at the very end.
    alive: mpsc::Sender<()>,
}

impl Body {
    fn run(self, ready: &std_mpsc::Sender<io::Result<()>>, started: &std_mpsc::Receiver<Clock>) {
        let _alive = self.alive;
        let thread = match Thread::prepare(self.index) {
            Ok(thread) => thread,
            Err(error) => {
                // Nobody left to tell: the session was given up.
                let _ = ready.send(Err(error));
                return;
            }
        };
        let _ = ready.send(Ok(()));
        // An error means that another thread could not start, and with it the session.
        if let Ok(clock) = started.recv() {
            thread.run(&self.config, self.count, clock, self.control, self.reports);
        }
    }
}
