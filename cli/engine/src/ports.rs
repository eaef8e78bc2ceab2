//! What the engine needs of the world: four narrow seams.
//!
//! `cli/rehearsal` implements them with processes on this machine; the AWS and Kubernetes crates
//! implement them with the real thing. Each call is idempotent, and each is bounded in time by the
//! runner.

use async_trait::async_trait;
use cutover_scenarios::plan::{Notify, NotifyOn, WebhookGate};
use cutover_scenarios::units::Weight;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::measure::Sample;
use crate::phase::{Outcome, Phase};

/// Why a port could not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("could not {doing}: {cause}{}", remedy.as_ref().map(|remedy| format!("; {remedy}")).unwrap_or_default())]
pub struct PortError {
    /// The deed, as in "could not …": `read the edge's weights`.
    pub doing: String,
    /// What the other side said.
    pub cause: String,
    /// What a person can do about it.
    pub remedy: Option<String>,
}

impl PortError {
    /// An error without a remedy.
    pub fn new(doing: impl Into<String>, cause: impl ToString) -> Self {
        PortError {
            doing: doing.into(),
            cause: cause.to_string(),
            remedy: None,
        }
    }

    /// The same error with a remedy.
    #[must_use]
    pub fn with_remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

/// The two stacks.
#[async_trait]
pub trait Stacks: Send + Sync {
    /// Looks at what is there; changes nothing. Yields sentences for a person.
    async fn inspect(&self) -> Result<Vec<String>, PortError>;

    /// Refuses what would fail later; changes nothing. Yields sentences for a person.
    async fn preflight(&self) -> Result<Vec<String>, PortError>;

    /// Brings up what is missing and waits until everything is ready. Yields where the parts
    /// answer: name and URL.
    async fn deploy(&self) -> Result<Vec<(String, String)>, PortError>;

    /// What both stacks say of themselves now; answers within a second or so.
    async fn health(&self) -> Health;

    /// What [`Stacks::deploy`] would do, one sentence each.
    fn describe_deploy(&self) -> Vec<String>;
}

/// What moves traffic.
#[async_trait]
pub trait Shifter: Send + Sync {
    /// The target's weight as the live system has it.
    async fn read(&self) -> Result<Weight, PortError>;

    /// Writes the target's weight.
    async fn set(&self, weight: Weight) -> Result<(), PortError>;

    /// The calls that [`Shifter::set`] would make, as a person would write them.
    fn describe_set(&self, weight: Weight) -> Vec<String>;

    /// Everything that [`Shifter::set`] may change, as it stands now, exact enough to put it back
    /// without the plan and the journal.
    async fn snapshot(&self) -> Result<Value, PortError>;

    /// Who wrote the weight last, as far as the live system tells; for the sentence about a
    /// foreign change.
    async fn last_writer(&self) -> Option<String> {
        None
    }

    /// How many more calls the other side allows now, and how many a rollback takes; `None` when
    /// it does not limit them.
    async fn budget(&self) -> Result<Option<Budget>, PortError> {
        Ok(None)
    }
}

/// Calls that the other side allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Calls that are left now.
    pub left: u32,
    /// Calls that taking everything back needs.
    pub rollback: u32,
}

/// What a stack says of itself, apart from the requests that are measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StackHealth {
    /// It takes requests; the sentence names its capacity: `3 of 3 targets healthy`.
    Ready(String),
    /// Nothing of it takes requests: `connection refused`, `0 of 3 targets healthy`.
    Down(String),
    /// That could not be found out, which says nothing about the stack.
    Unknown(String),
}

/// Both stacks at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Where traffic goes back to.
    pub source: StackHealth,
    /// Where traffic goes to.
    pub target: StackHealth,
}

/// What talks to people and programs that are no part of the cutover: webhooks.
#[async_trait]
pub trait Hooks: Send + Sync {
    /// Asks a gate once. `question` is the body, a JSON object. `Ok(Open)` when it answered 200.
    async fn ask(&self, gate: &WebhookGate, question: &Value) -> Result<GateAnswer, PortError>;

    /// Delivers one notification once; whoever calls tries again.
    async fn deliver(&self, to: &Notify, note: &Note) -> Result<(), PortError>;
}

/// What a webhook gate answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GateAnswer {
    /// 200: the step may begin.
    Open,
    /// Any other status: not yet; the sentence says which (`403 Forbidden: change freeze`), cut to a
    /// readable length and without control characters.
    Closed(String),
}

/// One notification, before it takes the form of its receiver.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Note {
    /// What it is about.
    pub on: NotifyOn,
    /// Id of the run.
    pub run: String,
    /// Name of the plan.
    pub plan: String,
    /// Number of the journal's record that it is about; receivers tell repetitions by run and seq.
    pub seq: u64,
    /// When that was written.
    pub at: Timestamp,
    /// One sentence for a person.
    pub text: String,
    /// The phase of the run.
    pub phase: Phase,
    /// The target's weight in percent, as it was read back last; `None` while it is in doubt.
    pub weight_percent: Option<f64>,
    /// How the run ended, if it did.
    pub outcome: Option<Outcome>,
}

/// What sends requests and measures the answers.
#[async_trait]
pub trait Load: Send {
    /// Begins to send. `addresses` is what [`Stacks::deploy`] yielded. Times of samples count
    /// from `epoch`, the driver's beginning.
    async fn start(
        &mut self,
        addresses: &[(String, String)],
        epoch: tokio::time::Instant,
    ) -> Result<UnboundedReceiver<Sample>, PortError>;

    /// Requests that are sent from now on carry this mark.
    fn set_mark(&self, mark: u32);

    /// Sends no more; the receiver ends when the last answers have been measured.
    fn stop(&mut self);
}
