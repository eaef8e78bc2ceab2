//! What the engine needs of the world: three narrow seams.
//!
//! `cli/rehearsal` implements them with processes on this machine; the AWS and Kubernetes crates
//! implement them with the real thing. Each call is idempotent, and each is bounded in time by the
//! runner.

use async_trait::async_trait;
use cutover_scenarios::units::Weight;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::measure::Sample;

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
