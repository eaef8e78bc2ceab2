//! A thread's life: prepared, started, supervised, ended.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Builder, LocalOptions, LocalRuntime};
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use super::Worker;
use super::control::Control;
use super::lane::Refill;
use super::pacer::Pacer;
use super::reporter::Reporter;
use super::timer::Timer;
use crate::clock::{Clock, nanos};
use crate::config::Config;
use crate::report::{End, Report};
use crate::schedule::{Stripe, Timetable};

/// How often a thread looks for arrivals that waited too long, and whether it is to stop.
const TICK: Duration = Duration::from_millis(10);

/// A thread that is ready to begin.
pub(crate) struct Thread {
    index: usize,
    runtime: LocalRuntime,
    timer: Timer,
}

impl Thread {
    /// On the thread itself.
    ///
    /// # Errors
    /// No file descriptor is left.
    pub(crate) fn prepare(index: usize) -> io::Result<Self> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build_local(LocalOptions::default())?;
        let timer = {
            let _inside = runtime.enter();
            Timer::new()?
        };
        Ok(Thread {
            index,
            runtime,
            timer,
        })
    }

    /// Works until told to stop. The last report says how it ended.
    pub(crate) fn run(
        self,
        config: &Config,
        threads: usize,
        clock: Clock,
        control: Arc<Control>,
        reports: UnboundedSender<Report>,
    ) {
        let Thread {
            index,
            runtime,
            timer,
        } = self;
        let reporter = Reporter::new(index, clock, reports);
        let worker = Rc::new(Worker::new(config, clock, control));
        let mut stripes = Vec::new();
        let mut saturated = Vec::new();
        for (stream, spec) in config.streams.iter().enumerate() {
            match Timetable::new(&spec.schedule) {
                Some(table) => stripes.push((stream, Stripe::new(table, index, threads))),
                None => saturated.push(stream),
            }
        }
        let refill = Refill {
            clock,
            next: index as u64,
            step: threads as u64,
        };
        runtime.block_on(async {
            let pacer = Pacer {
                worker: Rc::clone(&worker),
                stripes,
                timer,
            };
            let pacer = tokio::task::spawn_local(pacer.run());
            for stream in saturated {
                for lane in &worker.streams[stream].lanes {
                    for _ in 0..lane.saturate(refill) {
                        worker.start_client(stream, lane);
                    }
                }
            }
            let supervisor = Supervisor {
                worker: Rc::clone(&worker),
                pacer: Some(pacer),
                flush_every: config.flush_every,
                reporter,
            };
            // A task of its own, for waking the root of a runtime takes a system call more. If it
            // panics its reporter has said so.
            let _ = tokio::task::spawn_local(supervisor.run()).await;
        });
    }
}

/// Expires, flushes and listens, until it is time to stop.
struct Supervisor {
    worker: Rc<Worker>,
    pacer: Option<JoinHandle<io::Result<()>>>,
    flush_every: Duration,
    reporter: Reporter,
}

impl Supervisor {
    async fn run(mut self) {
        let every = nanos(self.flush_every);
        let mut next_flush = every;
        let mut tick = tokio::time::interval(TICK.min(self.flush_every));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let end = loop {
            tick.tick().await;
            let now = self.worker.clock.now();
            self.worker.expire(now);
            if let Some(end) = self.died().await {
                break end;
            }
            if self.worker.control.arrivals_stopped() {
                self.worker.stop_refill();
            }
            if self.worker.control.draining() && self.worker.under_way() == 0 {
                break End::Stopped;
            }
            if now >= self.worker.control.stop_at() {
                self.worker.abandon();
                break End::Stopped;
            }
            if now >= next_flush {
                self.reporter.send(self.worker.flush(), None);
                // Flushes keep to their grid; one that was missed is not made up for.
                next_flush = (now / every + 1) * every;
            }
        };
        self.reporter.end(self.worker.flush(), end);
    }

    /// What went wrong in the other tasks, if anything did.
    async fn died(&mut self) -> Option<End> {
        if self.worker.defect.get() {
            return Some(End::Died("a connection task panicked".into()));
        }
        let pacer = self.pacer.take_if(|pacer| pacer.is_finished())?;
        let why = match pacer.await {
            Ok(Ok(())) => return None,
            Ok(Err(error)) => format!("the pacer's timer failed: {error}"),
            Err(error) => format!("the pacer ended: {error}"),
        };
        Some(End::Died(why))
    }
}
