//! What a run is given: its world, its beginning, and those who follow it and talk to it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cutover_scenarios::units::Weight;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::sync::{oneshot, watch};

use crate::fact::Record;
use crate::lock::Lease;
use crate::ports::{Hooks, Load, Shifter, Stacks};
use crate::view::{Command, Level, RunView};

/// The world, as the run sees it.
pub struct Ports {
    /// The two stacks.
    pub stacks: Arc<dyn Stacks>,
    /// What moves traffic.
    pub shifter: Arc<dyn Shifter>,
    /// What sends requests; a rollback needs none.
    pub load: Option<Box<dyn Load>>,
    /// The hold on the service; once it is lost, nothing is changed any more.
    pub lease: Arc<dyn Lease>,
    /// What asks webhook gates; a rollback needs none.
    pub hooks: Option<Arc<dyn Hooks>>,
    /// The run's folder, for what is written beside the journal.
    pub folder: PathBuf,
}

/// How a driver begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// A new run.
    Fresh,
    /// A killed run goes on from its journal; the shifter reads this weight.
    Resume(Weight),
    /// A killed run is taken back.
    Rollback {
        /// What the shifter reads, if anything was ever shifted.
        live: Option<Weight>,
        /// Who asked for it.
        by: String,
        /// Whatever state the source is in.
        force: bool,
    },
}

/// A request to a run, and where its answer goes.
#[derive(Debug)]
pub struct Asked {
    /// What is asked for.
    pub command: Command,
    /// Who asks: `ann@laptop (process 4711)`, `signal`. The journal keeps it.
    pub by: String,
    /// Gets `Ok` once the request stands in the journal, or why it was refused.
    pub answer: Option<oneshot::Sender<Result<(), String>>>,
}

impl Asked {
    /// A request that nobody waits for.
    pub fn new(command: Command, by: impl Into<String>) -> Self {
        Asked {
            command,
            by: by.into(),
            answer: None,
        }
    }
}

/// What may be asked of a driver.
#[derive(Debug)]
pub enum Control {
    /// A request to the run.
    Command(Asked),
    /// Leave everything as it stands, at once.
    StopNow,
}

/// Something that happened, for those who follow a run.
#[derive(Debug, Clone)]
pub enum RunEvent {
    /// A fact was recorded; the sentence is what to tell a person.
    Recorded {
        /// As it stands in the journal.
        record: Box<Record>,
        /// `None` for facts that say nothing to a person.
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
    /// Once a second.
    Second(Box<RunView>),
}

/// Those who follow a run and talk to it.
pub struct Audience {
    /// What is asked of the run.
    pub controls: UnboundedReceiver<Control>,
    /// What happens, as it happens.
    pub events: UnboundedSender<RunEvent>,
    /// The run as it stands, several times a second.
    pub views: watch::Sender<RunView>,
}
