//! One thread of a session: everything between the schedule and the report.
//!
//! Its tasks run on one runtime and share a [`Worker`] by plain reference counting; no borrow of
//! a cell lasts over an `await`, so none can fail.

mod client;
mod deadline;
mod lane;
mod pacer;
mod recorder;
mod timer;

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use tokio::runtime::{Builder, LocalOptions, LocalRuntime};
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::MissedTickBehavior;

use crate::clock::{Clock, Nanos, nanos};
use crate::config::{Attribution, Config, Stream};
use crate::http::request::Request;
use crate::http::response::ArmHeader;
use crate::mix::Mix;
use crate::report::{End, Report};
use crate::schedule::{Stripe, Timetable};
use crate::stats::{FailureKind, Finished, Outcome};

use client::Client;
use lane::{Arrival, Lane, Offered, Refill};
use pacer::Pacer;
use recorder::{Key, Recorder};
use timer::Timer;

/// How often a thread looks for arrivals that waited too long, and whether it is to stop.
const TICK: Duration = Duration::from_millis(10);

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

    fn mark(&self) -> u32 {
        self.mark.load(Ordering::Relaxed)
    }

    pub(crate) fn stop_arrivals(&self) {
        self.arrivals_stopped.store(true, Ordering::Relaxed);
    }

    fn arrivals_stopped(&self) -> bool {
        self.arrivals_stopped.load(Ordering::Relaxed)
    }

    /// Stops when nothing is under way any more, and at `limit` in any case.
    pub(crate) fn stop_by(&self, limit: Nanos) {
        self.stop_arrivals();
        self.stop_at.store(limit, Ordering::Relaxed);
        self.draining.store(true, Ordering::Relaxed);
    }
}

/// What the tasks of one thread share.
struct Worker {
    clock: Clock,
    control: Arc<Control>,
    streams: Vec<Flow>,
    recorder: RefCell<Recorder>,
    /// A task panicked.
    defect: Cell<bool>,
}

/// A stream as a thread works with it.
struct Flow {
    requests: Vec<Request>,
    mix: Mix,
    timeout: Nanos,
    slow_over: Vec<Duration>,
    arm_header: Option<ArmHeader>,
    lanes: Vec<Rc<Lane>>,
}

impl Flow {
    fn new(stream: &Stream, arms: &[String]) -> Self {
        let lane = |endpoint: &crate::Endpoint| {
            Rc::new(Lane::new(
                endpoint.address,
                endpoint.arm,
                stream.connections,
                stream.queue,
            ))
        };
        Flow {
            requests: stream.requests.iter().map(Request::render).collect(),
            mix: Mix::new(stream.requests.iter().map(|request| request.share)),
            timeout: nanos(stream.timeout),
            slow_over: stream.slow_over.clone(),
            arm_header: match &stream.attribution {
                Attribution::Endpoint => None,
                Attribution::Header(name) => Some(ArmHeader {
                    name: name.clone(),
                    arms: arms.to_vec(),
                }),
            },
            lanes: stream.endpoints.iter().map(lane).collect(),
        }
    }

    /// The arm of a request that got no answer.
    fn arm_unanswered(&self, lane: &Lane) -> Option<usize> {
        match self.arm_header {
            Some(_) => None,
            None => lane.arm,
        }
    }
}

impl Worker {
    /// Brings an arrival to every endpoint of its stream.
    fn arrive(self: &Rc<Self>, stream: usize, arrival: Arrival) {
        for lane in &self.streams[stream].lanes {
            match lane.offer(arrival) {
                Offered::Accepted => {}
                Offered::NeedsConnection => self.start_client(stream, lane),
                Offered::Dropped => {
                    let key = self.unanswered(stream, lane);
                    self.recorder.borrow_mut().counters(key).dropped += 1;
                }
            }
        }
    }

    fn start_client(self: &Rc<Self>, stream: usize, lane: &Rc<Lane>) {
        let client = Client::new(Rc::clone(self), Rc::clone(lane), stream);
        tokio::task::spawn_local(client.run());
    }

    fn unanswered(&self, stream: usize, lane: &Lane) -> Key {
        Key {
            stream,
            mark: self.control.mark(),
            arm: self.streams[stream].arm_unanswered(lane),
        }
    }

    fn finished(&self, key: Key, request: &Finished) {
        let slow_over = &self.streams[key.stream].slow_over;
        self.recorder.borrow_mut().finished(key, request, slow_over);
    }

    fn retried(&self, key: Key) {
        self.recorder.borrow_mut().counters(key).retried += 1;
    }

    fn lanes(&self) -> impl Iterator<Item = (usize, &Rc<Lane>)> {
        let numbered = self.streams.iter().enumerate();
        numbered.flat_map(|(index, flow)| flow.lanes.iter().map(move |lane| (index, lane)))
    }

    /// Gives up arrivals whose time ran out while they waited for a free connection. A connection
    /// would find out, too, but all of them may be busy for as long again.
    fn expire(&self, now: Nanos) {
        for (stream, lane) in self.lanes() {
            let Some(limit) = now.checked_sub(self.streams[stream].timeout) else {
                continue;
            };
            while let Some(arrival) = lane.take_expired(limit) {
                let request = Finished {
                    outcome: Outcome::Failed(FailureKind::Timeout),
                    intended: Duration::from_nanos(arrival.intended),
                    picked: Duration::from_nanos(arrival.picked),
                    sent: None,
                    done: Duration::from_nanos(now),
                };
                self.finished(self.unanswered(stream, lane), &request);
            }
        }
    }

    fn under_way(&self) -> usize {
        self.lanes().map(|(_, lane)| lane.under_way()).sum()
    }

    /// Counts what is under way as abandoned.
    fn abandon(&self) {
        for (stream, lane) in self.lanes() {
            let under_way = lane.under_way() as u64;
            if under_way > 0 {
                let key = self.unanswered(stream, lane);
                self.recorder.borrow_mut().counters(key).abandoned += under_way;
            }
        }
    }
}

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
        let mut reporter = Reporter {
            thread: index,
            clock,
            reports,
            ended: false,
        };
        let streams = config.streams.iter();
        let worker = Rc::new(Worker {
            clock,
            control,
            streams: streams
                .map(|stream| Flow::new(stream, &config.arms))
                .collect(),
            recorder: RefCell::default(),
            defect: Cell::new(false),
        });
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
            let end = supervise(&worker, pacer, config.flush_every, &reporter).await;
            reporter.end(worker.recorder.borrow_mut().flush(), end);
        });
    }
}

/// Expires, flushes and listens, until it is time to stop.
async fn supervise(
    worker: &Worker,
    pacer: tokio::task::JoinHandle<io::Result<()>>,
    flush_every: Duration,
    reporter: &Reporter,
) -> End {
    let mut tick = tokio::time::interval(TICK.min(flush_every));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut pacer = Some(pacer);
    let mut next_flush = nanos(flush_every);
    loop {
        tick.tick().await;
        let now = worker.clock.now();
        worker.expire(now);
        if worker.defect.get() {
            return End::Died("a connection task panicked".into());
        }
        if let Some(ended) = pacer.take_if(|pacer| pacer.is_finished()) {
            match ended.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return End::Died(format!("the pacer's timer failed: {error}")),
                Err(error) => return End::Died(format!("the pacer ended: {error}")),
            }
        }
        if worker.control.arrivals_stopped() {
            worker.lanes().for_each(|(_, lane)| lane.stop_refill());
        }
        let draining = worker.control.draining.load(Ordering::Relaxed);
        if draining && worker.under_way() == 0 {
            return End::Stopped;
        }
        if now >= worker.control.stop_at.load(Ordering::Relaxed) {
            worker.abandon();
            return End::Stopped;
        }
        if now >= next_flush {
            reporter.send(worker.recorder.borrow_mut().flush(), None);
            // Flushes keep to their grid; one that was missed is not made up for.
            let every = nanos(flush_every);
            next_flush = (now / every + 1) * every;
        }
    }
}

/// Sends a thread's reports; makes sure that the last one says how it ended.
struct Reporter {
    thread: usize,
    clock: Clock,
    reports: UnboundedSender<Report>,
    ended: bool,
}

impl Reporter {
    fn send(&self, entries: Vec<crate::Entry>, end: Option<End>) {
        let report = Report {
            thread: self.thread,
            at: Duration::from_nanos(self.clock.now()),
            entries,
            end,
        };
        // Whoever dropped the receiver does not want to know; the load goes on all the same.
        let _ = self.reports.send(report);
    }

    fn end(&mut self, entries: Vec<crate::Entry>, end: End) {
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
