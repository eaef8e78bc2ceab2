//! The load generator: sends requests on a schedule, whatever becomes of them, and tells how
//! each ended.
//!
//! It is given addresses and requests and knows nothing of what they belong to.
//!
//! # Shape
//!
//! ```text
//!  Session ──mark, stop──▶ thread 0: pacer ─▶ lanes ─▶ connections ─▶ recorder ──Report──▶ reader
//!                          thread 1: …        (each thread owns its own of everything)
//! ```
//!
//! One thread per core, each with a runtime of its own. A *pacer* picks arrivals up when they are
//! due and puts them into a *lane*, one for each stream and endpoint; a *connection*, a task that
//! lives as long as the session, takes them from there. On the way of a request there is no lock,
//! no task to start and nothing to allocate: threads share one number (the mark), and what they
//! counted leaves in a [`Report`] a few times a second.
//!
//! | module | subject |
//! | --- | --- |
//! | [`config`] | what a session is started from |
//! | [`schedule`] | when requests are due: arithmetic |
//! | `mix` | which request an arrival sends: arithmetic |
//! | `http` | requests, responses and connections of HTTP/1.1 |
//! | `worker` | a thread: pacer, lanes, connections, recorder |
//! | [`stats`] | counts and latencies that add up |
//! | [`session`] | the threads from outside |
//! | `clock` | the only place that reads the time |
//!
//! # Three instants
//!
//! Each request has an instant at which the schedule wanted it (*intended*), one at which its
//! thread got to it (*picked*), and one at which its first byte was written (*sent*). Between the
//! first two lies the generator's own lateness, between the second and the third the wait for a
//! free connection, which is the target's doing. [`ArmStats`](stats::ArmStats) keeps them apart, so
//! that a stalled target shows and a busy generator does not pass for one.

mod clock;
pub mod config;
mod http;
mod mix;
mod report;
pub mod schedule;
pub mod session;
pub mod stats;
mod worker;

pub use config::{Attribution, Config, Endpoint, RequestSpec, Stream};
pub use report::{End, Entry, Report};
pub use schedule::{Schedule, Stage};
pub use session::{Session, StartError, StopError};
