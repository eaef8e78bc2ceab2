//! What the proxy is told: where it listens, where requests go, how long it waits.
//!
//! [`Config::from_json`] is strict and reports every mistake at once; [`Config::to_json`] writes
//! what it reads, so whoever starts a proxy can write its file from these types.

mod cidr;
mod duration;
pub(crate) mod flags;
mod read;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use http::HeaderName;
use serde_json::{Value, json};

pub use cidr::Cidr;
pub(crate) use read::MAX_WEIGHT;

/// A checked configuration. [`Config::new`] gives the defaults.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Names the proxy in its state file and metrics.
    pub name: String,
    /// Where requests arrive; port 0 takes any free port.
    pub listen: SocketAddr,
    /// Where health, metrics, weights and drain are served; port 0 takes any free port.
    pub admin: SocketAddr,
    /// Threads that forward requests; at least 1, by default one for each core.
    pub threads: usize,
    /// Where requests go; at least one, and at least one with a weight above 0.
    pub upstreams: Vec<Upstream>,
    /// How long the proxy waits for what.
    pub timeouts: Timeouts,
    /// Response field that names the upstream that was chosen, also on errors that the proxy
    /// itself answers.
    pub stack_header: Option<HeaderName>,
    /// Peers whose `X-Forwarded-*` fields are believed; nobody by default.
    pub trusted_proxies: Vec<Cidr>,
    /// Forwarding fields that are sent upstream; all by default.
    pub forwarding: Vec<ForwardingField>,
    /// After SIGTERM the proxy goes on accepting for this long, so that load balancers can take
    /// it out first; 0 by default.
    pub lame_duck: Duration,
    /// After the lame-duck window, requests in flight get this long; 30 s by default.
    pub drain_timeout: Duration,
    /// The proxy drains by itself after this long without a request to either port.
    pub idle_exit: Option<Duration>,
    /// Written once both ports are bound, removed on a clean exit.
    pub state_file: Option<PathBuf>,
}

/// One place where requests go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// What weights, metrics and the stack header call it.
    pub name: String,
    /// Where it listens.
    pub address: SocketAddr,
    /// Its share, relative to the other weights.
    pub weight: u64,
}

/// How long the proxy waits for what. Timeouts fire up to one tick late (see
/// [`Timeouts::tick`]); connecting is exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Until an upstream accepts a connection; 5 s.
    pub connect: Duration,
    /// Between the last request byte sent and the end of the response head; 60 s. Also how long
    /// a client may pause within its body while there is no response.
    pub response_head: Duration,
    /// Between the first and the last byte of a request head; 15 s.
    pub client_head: Duration,
    /// Until the next request on a kept-alive client connection; 75 s, longer than the 60 s for
    /// which an ALB keeps its side.
    pub client_idle: Duration,
    /// Without a single byte moved while bodies are transferred; 60 s.
    pub transfer_idle: Duration,
    /// How long an unused upstream connection is kept; 60 s. Keep it below the service's own.
    pub upstream_idle: Duration,
}

impl Timeouts {
    /// How often timeouts are looked at: an eighth of the shortest, between 5 ms and 100 ms.
    #[must_use]
    pub fn tick(&self) -> Duration {
        let shortest = self
            .response_head
            .min(self.client_head)
            .min(self.client_idle)
            .min(self.transfer_idle)
            .min(self.upstream_idle);
        (shortest / 8).clamp(Duration::from_millis(5), Duration::from_millis(100))
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts {
            connect: Duration::from_secs(5),
            response_head: Duration::from_secs(60),
            client_head: Duration::from_secs(15),
            client_idle: Duration::from_secs(75),
            transfer_idle: Duration::from_secs(60),
            upstream_idle: Duration::from_secs(60),
        }
    }
}

/// A field that tells the upstream about the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForwardingField {
    /// `X-Forwarded-For`: the addresses that the request came through.
    For,
    /// `X-Real-IP`: the right-most of them that is not a trusted proxy.
    RealIp,
    /// `X-Forwarded-Proto`.
    Proto,
    /// `X-Forwarded-Host`.
    Host,
    /// `X-Forwarded-Port`.
    Port,
    /// `X-Request-ID`: the client's, or a new one.
    RequestId,
}

impl ForwardingField {
    /// Every field, in the order in which they are sent.
    pub const ALL: [ForwardingField; 6] = [
        ForwardingField::For,
        ForwardingField::RealIp,
        ForwardingField::Proto,
        ForwardingField::Host,
        ForwardingField::Port,
        ForwardingField::RequestId,
    ];

    /// The field's name, in lower case.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            ForwardingField::For => "x-forwarded-for",
            ForwardingField::RealIp => "x-real-ip",
            ForwardingField::Proto => "x-forwarded-proto",
            ForwardingField::Host => "x-forwarded-host",
            ForwardingField::Port => "x-forwarded-port",
            ForwardingField::RequestId => "x-request-id",
        }
    }
}

impl Config {
    /// Defaults around what has none.
    #[must_use]
    pub fn new(listen: SocketAddr, admin: SocketAddr, upstreams: Vec<Upstream>) -> Self {
        Config {
            name: "cutover-proxy".to_owned(),
            listen,
            admin,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            upstreams,
            timeouts: Timeouts::default(),
            stack_header: None,
            trusted_proxies: Vec::new(),
            forwarding: ForwardingField::ALL.to_vec(),
            lame_duck: Duration::ZERO,
            drain_timeout: Duration::from_secs(30),
            idle_exit: None,
            state_file: None,
        }
    }

    /// Reads and checks a configuration.
    ///
    /// # Errors
    /// Every mistake: the field, what was found and what was expected.
    pub fn from_json(text: &str) -> Result<Self, ConfigError> {
        let value = serde_json::from_str(text).map_err(|error| ConfigError {
            mistakes: vec![format!("not JSON: {error}")],
        })?;
        Self::from_value(&value)
    }

    /// [`Config::from_json`] for a value that was already parsed.
    ///
    /// # Errors
    /// As there.
    pub fn from_value(value: &Value) -> Result<Self, ConfigError> {
        read::config(value).map_err(|mistakes| ConfigError { mistakes })
    }

    /// The configuration with every default spelled out.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let upstreams: Vec<Value> = self
            .upstreams
            .iter()
            .map(|u| json!({ "name": u.name, "address": u.address, "weight": u.weight }))
            .collect();
        let trusted: Vec<String> = self.trusted_proxies.iter().map(Cidr::to_string).collect();
        let forwarding: Vec<&str> = self.forwarding.iter().map(|field| field.name()).collect();
        let mut value = json!({
            "name": self.name,
            "listen": self.listen,
            "admin": self.admin,
            "threads": self.threads,
            "upstreams": upstreams,
            "timeouts": {
                "connect": duration::show(self.timeouts.connect),
                "response_head": duration::show(self.timeouts.response_head),
                "client_head": duration::show(self.timeouts.client_head),
                "client_idle": duration::show(self.timeouts.client_idle),
                "transfer_idle": duration::show(self.timeouts.transfer_idle),
                "upstream_idle": duration::show(self.timeouts.upstream_idle),
            },
            "trusted_proxies": trusted,
            "forwarding": forwarding,
            "lame_duck": duration::show(self.lame_duck),
            "drain_timeout": duration::show(self.drain_timeout),
        });
        if let Some(name) = &self.stack_header {
            value["stack_header"] = json!(name.as_str());
        }
        if let Some(idle) = self.idle_exit {
            value["idle_exit"] = json!(duration::show(idle));
        }
        if let Some(path) = &self.state_file {
            value["state_file"] = json!(path);
        }
        value
    }
}

/// Every mistake in a configuration, one sentence each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// At least one.
    pub mistakes: Vec<String>,
}

impl std::fmt::Display for ConfigError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.mistakes.join("\n"))
    }
}

impl std::error::Error for ConfigError {}
