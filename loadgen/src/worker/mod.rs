//! One thread of a session: everything between the schedule and the report.
//!
//! ```text
//! thread ── starts ──▶ pacer ── arrivals ──▶ lane ──▶ client (one per connection)
//!   │                                                   │
//!   └─ supervisor ── flush ── recorder ◀── finished ────┘
//! ```
//!
//! Its tasks run on one runtime and share a [`Worker`] by plain reference counting; no borrow of
//! a cell lasts over an `await`, so none can fail.

mod client;
mod control;
mod deadline;
mod lane;
mod pacer;
mod recorder;
mod reporter;
mod thread;
mod timer;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use client::Client;
use lane::{Arrival, Lane, Offered};
use recorder::{Key, Recorder};

use crate::clock::{Clock, Nanos, nanos};
use crate::config::{Attribution, Config, Endpoint, Stream};
use crate::http::request::Request;
use crate::http::response::ArmHeader;
use crate::mix::Mix;
use crate::report::Entry;
use crate::stats::{FailureKind, Finished, Outcome};

pub(crate) use control::Control;
pub(crate) use thread::Thread;

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
        let lane = |endpoint: &Endpoint| {
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
    fn new(config: &Config, clock: Clock, control: Arc<Control>) -> Self {
        let streams = config.streams.iter();
        Worker {
            clock,
            control,
            streams: streams
                .map(|stream| Flow::new(stream, &config.arms))
                .collect(),
            recorder: RefCell::default(),
            defect: Cell::new(false),
        }
    }

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

    /// Drops an arrival at every endpoint of its stream.
    fn miss(&self, stream: usize) {
        for lane in &self.streams[stream].lanes {
            let key = self.unanswered(stream, lane);
            self.recorder.borrow_mut().counters(key).dropped += 1;
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
                let key = self.unanswered(stream, lane);
                let mark = arrival.mark.unwrap_or(key.mark);
                self.finished(Key { mark, ..key }, &request);
            }
        }
    }

    fn stop_refill(&self) {
        self.lanes().for_each(|(_, lane)| lane.stop_refill());
    }

    fn flush(&self) -> Vec<Entry> {
        self.recorder.borrow_mut().flush()
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
