//! What is said on the control socket: one JSON object a line, in both directions.
//!
//! The driver speaks first, with a [`Hello`]. Each [`Request`] is answered by one [`Answer`], in
//! order; `watch` and `logs` are answered by many, until the run ends or the connection does.
//!
//! ```text
//! < {"cutover_control":1,"version":"0.1.0","run":"20261121-153544-shop-k3f9","pid":4711}
//! > {"request":"command","command":"pause"}
//! < {"answer":"accepted"}
//! > {"request":"command","command":"pause"}
//! < {"answer":"refused","reason":"the run is paused already"}
//! > {"request":"watch"}
//! < {"answer":"view","view":{"run":"20261121-153544-shop-k3f9","plan":"shop","phase":"shift",…}}
//! < {"answer":"view",…}
//! < {"answer":"ended","report":{"outcome":"done",…}}
//! ```

use std::time::Duration;

use cutover_engine::fact::Record;
use cutover_engine::narrate;
use cutover_engine::runner::RunEvent;
use cutover_engine::state::State;
use cutover_engine::view::{Command, Level, RunView};
use serde::{Deserialize, Serialize};

use crate::output::Document;

/// The version of the protocol. A driver and a client that differ in it do not talk.
pub(crate) const PROTOCOL: u32 = 1;

/// No request is longer, in bytes.
pub(crate) const LONGEST_REQUEST: usize = 64 * 1024;

/// No answer is longer, in bytes; a view of a run takes some hundred kilobytes at most.
pub(crate) const LONGEST_ANSWER: usize = 16 * 1024 * 1024;

/// The driver's first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hello {
    /// [`PROTOCOL`] of the driver.
    pub(crate) cutover_control: u32,
    /// The driver's version.
    pub(crate) version: String,
    /// The run that it drives.
    pub(crate) run: String,
    /// Its process id.
    pub(crate) pid: u32,
}

/// What a client asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case")]
pub(crate) enum Request {
    /// The run as it stands; answered by one view.
    Status,
    /// Answered by `accepted` once it stands in the journal, or by `refused`.
    Command {
        /// What the run is to do.
        command: Command,
    },
    /// Leave everything as it stands and end, at once.
    StopNow,
    /// Views, at most ten a second, the latest each time; the end comes last.
    Watch,
    /// What happens, one event after the other; the end comes last.
    Logs {
        /// Where to begin.
        from: LogsFrom,
    },
}

/// Where the stream of events begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LogsFrom {
    /// With the journal's first record.
    Beginning,
    /// With what happens next.
    Now,
}

/// What the driver says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub(crate) enum Answer {
    /// The command stands in the journal.
    Accepted,
    /// The run cannot do that now.
    Refused {
        /// A sentence for a person.
        reason: String,
    },
    /// The request was not understood, or cannot be answered.
    Error {
        /// What was found, and what was expected.
        message: String,
    },
    /// The run as it stands.
    View {
        /// The same that the driver's own screen would show.
        view: Box<RunView>,
    },
    /// Something happened.
    Event {
        /// What.
        event: Happening,
    },
    /// The client took too long to read; events were left out. The journal has all that count.
    Skipped {
        /// How many.
        events: u64,
    },
    /// The run has ended, and so does its driver.
    Ended {
        /// What `--output json` prints.
        report: Box<Document>,
    },
}

/// A [`RunEvent`] that travels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Happening {
    /// A fact was recorded.
    Recorded {
        /// As it stands in the journal.
        record: Box<Record>,
        /// What to tell a person, if anything.
        told: Option<(Level, String)>,
    },
    /// The driver says something that stands in no journal.
    Told {
        /// Since the driver began.
        at: Duration,
        /// How loud it is.
        level: Level,
        /// One sentence.
        text: String,
    },
    /// The run began or ceased to wait for something.
    Waiting {
        /// Since the driver began.
        at: Duration,
        /// `None` when it goes on.
        reason: Option<String>,
    },
}

impl Happening {
    /// The event as it travels; views do so on their own.
    pub(crate) fn of(event: &RunEvent) -> Option<Self> {
        Some(match event.clone() {
            RunEvent::Recorded { record, told } => Happening::Recorded { record, told },
            RunEvent::Told { at, level, text } => Happening::Told { at, level, text },
            RunEvent::Waiting { at, reason } => Happening::Waiting { at, reason },
            RunEvent::Second(_) => return None,
        })
    }

    /// The event as the run told it.
    pub(crate) fn into_event(self) -> RunEvent {
        match self {
            Happening::Recorded { record, told } => RunEvent::Recorded { record, told },
            Happening::Told { at, level, text } => RunEvent::Told { at, level, text },
            Happening::Waiting { at, reason } => RunEvent::Waiting { at, reason },
        }
    }
}

/// Records of a journal, from its first, with the sentences that were told of them.
pub(crate) fn told(records: Vec<Record>) -> Vec<Happening> {
    let mut state: Option<State> = None;
    let mut past = Vec::with_capacity(records.len());
    for record in records {
        match &mut state {
            // A journal that was read has been replayed before.
            Some(state) => drop(state.apply(&record.fact)),
            None => state = State::begin(&record).ok(),
        }
        let told = state
            .as_ref()
            .and_then(|state| narrate::sentence(state, &record.fact));
        let record = Box::new(record);
        past.push(Happening::Recorded { record, told });
    }
    past
}
