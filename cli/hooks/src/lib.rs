//! Webhooks: the engine's port [`Hooks`] over HTTP and HTTPS.
//!
//! | module | subject |
//! | --- | --- |
//! | [`signature`] | how bodies are signed, and how receivers verify it |
//! | `environment` | addresses and keys out of environment variables |
//! | `body` | a note in the form of its receiver |
//! | `client` | one request and its answer |
//! | `answer` | what a server said, safe to show |
//! | `failure` | why it said nothing |
//! | `clock` | the only door to the wall clock |
//!
//! # Guarantees
//! - A call ends within its limit, whatever the other side does.
//! - No message contains a key, or more of an address than scheme and host; of an address out of
//!   the environment it contains only the variable's name.
//! - Redirects are not followed, and at most 4 KiB of an answer are read.

use std::time::Duration;

use async_trait::async_trait;
use cutover_engine::gate;
use cutover_engine::ports::{GateAnswer, Hooks, Note, PortError};
use cutover_scenarios::plan::{Endpoint, Notify, WebhookGate};
use http::StatusCode;
use rustls::RootCertStore;
use serde_json::Value;

mod answer;
mod body;
mod client;
mod clock;
mod environment;
mod failure;
pub mod signature;

use client::{Answer, Client};

pub use environment::{Variables, check, check_with, process};

/// One delivery takes no longer.
const DELIVERY_LIMIT: Duration = Duration::from_secs(10);

/// Webhooks over the network.
pub struct HttpHooks {
    client: Client,
    variables: Variables,
}

impl HttpHooks {
    /// Webhooks that trust the certificate authorities of this machine and find addresses and keys
    /// in its environment.
    ///
    /// # Errors
    /// When the TLS library refuses to begin.
    pub fn new() -> Result<Self, PortError> {
        Self::with(client::trusted(), process())
    }

    /// Webhooks that trust these certificate authorities and find addresses and keys there.
    ///
    /// # Errors
    /// When the TLS library refuses to begin.
    pub fn with(roots: RootCertStore, variables: Variables) -> Result<Self, PortError> {
        let client =
            Client::new(roots).map_err(|error| PortError::new("prepare for webhooks", error))?;
        Ok(HttpHooks { client, variables })
    }

    async fn post(
        &self,
        endpoint: &Endpoint,
        at: &str,
        body: Vec<u8>,
        limit: Duration,
    ) -> Result<Answer, String> {
        let resolved = environment::resolve(endpoint, at, &self.variables)
            .map_err(|problems| problems.join("; "))?;
        self.client.post(&resolved, body, limit).await
    }
}

#[async_trait]
impl Hooks for HttpHooks {
    async fn ask(&self, webhook: &WebhookGate, question: &Value) -> Result<GateAnswer, PortError> {
        let endpoint = &webhook.endpoint;
        let body = question.to_string().into_bytes();
        let answer = self
            .post(endpoint, "gate.webhook", body, webhook.timeout)
            .await
            .map_err(|error| {
                PortError::new(
                    format!("ask the gate at {}", gate::endpoint(endpoint)),
                    error,
                )
            })?;
        Ok(if answer.status == StatusCode::OK {
            GateAnswer::Open
        } else {
            GateAnswer::Closed(answer.sentence)
        })
    }

    async fn deliver(&self, to: &Notify, note: &Note) -> Result<(), PortError> {
        let failed =
            |cause: String| PortError::new(format!("tell {}", gate::endpoint(&to.endpoint)), cause);
        let body =
            body::notification(to.format, note).map_err(|error| failed(error.to_string()))?;
        let answer = self
            .post(&to.endpoint, "notify", body, DELIVERY_LIMIT)
            .await
            .map_err(failed)?;
        if answer.status.is_success() {
            Ok(())
        } else {
            Err(failed(answer.sentence))
        }
    }
}
