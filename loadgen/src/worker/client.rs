//! A connection task: takes arrivals from its lane, one after the other, for the whole session.

use std::future::poll_fn;
use std::rc::Rc;
use std::time::Duration;

use super::Worker;
use super::deadline::{Deadline, Elapsed};
use super::lane::{Arrival, Lane, Parking};
use super::recorder::Key;
use crate::clock::Nanos;
use crate::http::connection::{Answer, Broken, Buffer, Connection, connect_failure};
use crate::http::request::Request;
use crate::stats::{FailureKind, Finished, Outcome};

/// One connection of a lane, open or not.
///
/// It connects when a request needs it and not before. A target that refuses connections is thus
/// asked once per arrival: what a user would do, no storm between arrivals, and no back-off that
/// would hold up the next one.
pub(super) struct Client {
    worker: Rc<Worker>,
    lane: Rc<Lane>,
    /// Index of the lane's stream.
    stream: usize,
    parking: Rc<Parking>,
    connection: Option<Connection>,
    buffer: Buffer,
    deadline: Deadline,
}

/// How a request ended, and the parts of its life that only the client knows.
struct Ending {
    outcome: Outcome,
    arm: Option<usize>,
    mark: u32,
    sent: Option<Nanos>,
}

impl Client {
    pub(super) fn new(worker: Rc<Worker>, lane: Rc<Lane>, stream: usize) -> Self {
        Client {
            deadline: Deadline::new(worker.clock),
            worker,
            lane,
            stream,
            parking: Rc::default(),
            connection: None,
            buffer: Buffer::new(),
        }
    }

    /// Never ends by itself.
    pub(super) async fn run(mut self) {
        let _alarm = Alarm(Rc::clone(&self.worker));
        loop {
            let arrival = self.next().await;
            let ending = self.serve(arrival).await;
            self.record(arrival, &ending);
            self.lane.release();
        }
    }

    /// The next arrival. Meanwhile an open connection is watched, so that one which the peer
    /// closes is found out before a request is lost on it.
    async fn next(&mut self) -> Arrival {
        poll_fn(|cx| {
            if let Some(connection) = &self.connection
                && connection.poll_unusable(cx).is_ready()
            {
                self.connection = None;
            }
            self.lane.poll_take(&self.parking, cx)
        })
        .await
    }

    async fn serve(&mut self, arrival: Arrival) -> Ending {
        let worker = Rc::clone(&self.worker);
        let stream = &worker.streams[self.stream];
        let request = &stream.requests[stream.mix.pick(arrival.n)];
        let limit = arrival.picked + stream.timeout;
        self.deadline.set(limit);
        let mut ending = Ending {
            outcome: Outcome::Failed(FailureKind::Timeout),
            arm: stream.arm_unanswered(&self.lane),
            mark: arrival.mark.unwrap_or_else(|| worker.control.mark()),
            sent: None,
        };
        let mut reused = self.connection.is_some();
        loop {
            // A connection that is not put back is closed: whatever goes wrong on it, and
            // whoever drops this future, it cannot be used in the middle of a response.
            let mut connection = match self.connection.take() {
                Some(connection) => connection,
                None => match self.connect().await {
                    Ok(connection) => connection,
                    Err(kind) => {
                        ending.outcome = Outcome::Failed(kind);
                        return ending;
                    }
                },
            };
            let now = worker.clock.now();
            if now >= limit {
                // Its time ran out while it waited; the connection is as good as before.
                self.connection = Some(connection);
                return ending;
            }
            ending.mark = worker.control.mark();
            ending.sent = Some(now);
            let arm_header = stream.arm_header.as_ref();
            let exchange = connection.exchange(request, arm_header, &mut self.buffer);
            match self.deadline.within(exchange).await {
                Err(Elapsed) => return ending,
                Ok(Err(broken)) if may_retry(broken, reused, request) => {
                    reused = false;
                    worker.retried(self.key(&ending));
                }
                Ok(Err(broken)) => {
                    ending.outcome = Outcome::Failed(match broken {
                        Broken::Unanswered | Broken::Truncated => FailureKind::Closed,
                        Broken::Malformed => FailureKind::Protocol,
                    });
                    return ending;
                }
                Ok(Ok(answer)) => {
                    let Answer {
                        status,
                        arm,
                        keep_alive,
                    } = answer;
                    self.connection = keep_alive.then_some(connection);
                    ending.outcome = Outcome::Answered(status);
                    ending.arm = arm.or(ending.arm);
                    return ending;
                }
            }
        }
    }

    async fn connect(&mut self) -> Result<Connection, FailureKind> {
        let opening = Connection::open(self.lane.address);
        match self.deadline.within(opening).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(connect_failure(&error)),
            Err(Elapsed) => Err(FailureKind::ConnectTimeout),
        }
    }

    fn key(&self, ending: &Ending) -> Key {
        Key {
            stream: self.stream,
            mark: ending.mark,
            arm: ending.arm,
        }
    }

    fn record(&self, arrival: Arrival, ending: &Ending) {
        self.worker.finished(
            self.key(ending),
            &Finished {
                outcome: ending.outcome,
                intended: Duration::from_nanos(arrival.intended),
                picked: Duration::from_nanos(arrival.picked),
                sent: ending.sent.map(Duration::from_nanos),
                done: Duration::from_nanos(self.worker.clock.now()),
            },
        );
    }
}

/// A kept connection may be closed by its peer at any moment, also just before a request reaches
/// it. Such a request was not looked at, and is sent once more if that does no harm
/// (RFC 9112 §9.3.1). On a new connection the same would be the target's failure.
fn may_retry(broken: Broken, reused: bool, request: &Request) -> bool {
    broken == Broken::Unanswered && reused && request.idempotent
}

/// Tells the worker when a client panics: the runtime would pass over it in silence, and the
/// lane would be one connection short without anyone knowing.
struct Alarm(Rc<Worker>);

impl Drop for Alarm {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.defect.set(true);
        }
    }
}
