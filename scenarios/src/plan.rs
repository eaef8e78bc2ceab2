//! What a plan says, as checked values.
//!
//! These types are what the rest of the product works with: defaults are filled in, units are
//! resolved, and impossible combinations have been refused. They serialise to the canonical form
//! that a run's journal keeps, which is not the YAML a person writes.

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::units::Weight;

/// One cutover: what moves, how it is measured, in which steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Names the run, its folder and its lock: `[a-z0-9]`, then `[a-z0-9-]`, at most 63 characters.
    pub name: String,
    /// Serves today.
    pub source: Stack,
    /// Where the service goes.
    pub target: Stack,
    /// What moves the traffic.
    pub traffic: Traffic,
    /// The requests that are sent while the run goes on.
    pub load: Load,
    /// What must hold; at least one.
    pub objectives: Vec<Objective>,
    /// At least one; weights rise strictly and end at 100 %.
    pub steps: Vec<Step>,
    /// How long both stacks get paired load, at weight 0, before the first step.
    pub qualify: Duration,
    /// How long the target is watched at 100 % before the run is done.
    pub bake: Duration,
    /// What a breach leads to.
    pub on_breach: OnBreach,
    /// What missing measurements lead to in the end; they hold the run at once in any case.
    pub on_missing: OnMissing,
    /// What a breach leads to while the source itself is worse than the target.
    pub on_broken_source: OnBrokenSource,
    /// Once a step of this weight or more was begun, the run never goes back by itself: what the
    /// target has written since then, the source could not read. `None`: it may always go back.
    pub point_of_no_return: Option<Weight>,
    /// Who is told about the run.
    pub notify: Vec<Notify>,
    /// The chance of a false rollback over the whole run, between 0 and 0.5 (exclusive).
    pub alpha: f64,
    /// A step does not advance before the target has answered this many requests in it.
    pub min_requests: u64,
}

/// One complete deployment of the service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stack {
    /// Processes on this machine: the service behind its own bundled proxy.
    Local(LocalStack),
}

/// A stack of processes on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalStack {
    /// The bundled service that the stack runs.
    pub service: LocalService,
    /// Where the stack's proxy listens; loopback only, port 0 takes any free port.
    pub listen: SocketAddr,
}

/// The services that are bundled with the binary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LocalService {
    /// A small shop: `/`, `/items/N`, `/checkout`.
    Demo,
}

/// What moves the traffic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Traffic {
    /// The bundled proxy on this machine, splitting by weight.
    Local(LocalEdge),
}

/// The edge of local stacks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalEdge {
    /// Where users' requests arrive; loopback only, port 0 takes any free port.
    pub listen: SocketAddr,
    /// How long the edge waits for a stack's response head before it answers 504.
    pub response_timeout: Duration,
}

/// The requests that are sent while the run goes on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Load {
    /// `Host` header of every request.
    pub host: String,
    /// Requests a second through the edge, as users would send them; above 0.
    pub rate: f64,
    /// Pairs a second sent directly to both stacks, the same request to each; 0 turns it off.
    pub paired: f64,
    /// The rate rises from 0 to `rate` over this long.
    pub ramp: Duration,
    /// The load generator gives up on a request after this long.
    pub timeout: Duration,
    /// What is sent; at least one.
    pub requests: Vec<Request>,
}

/// One kind of request, and how often it is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// `GET`, `POST`, …
    pub method: String,
    /// Path and query, begins with `/`.
    pub path: String,
    /// Sent after the head; `None` sends no body.
    pub body: Option<String>,
    /// How often, relative to the other requests; at least 1.
    pub share: u32,
}

/// A bound on the rate of bad requests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Objective {
    /// As people call it: `errors`, `p99`, `p99.9`.
    pub name: String,
    /// What makes a request bad.
    pub signal: Signal,
    /// The bound itself, whatever the source does.
    pub at_most: Option<Bound>,
    /// The target may be this many times as bad as the source; at least 1.
    pub versus_source: Option<f64>,
}

/// What an objective counts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Signal {
    /// Requests that fail: no response, or a status of 500 and above.
    Errors,
    /// The latency below which this share of requests lies; between 0 and 1 (exclusive).
    Latency {
        /// 0.99 for p99.
        quantile: f64,
    },
}

/// The bound of an objective, in the unit of its signal.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// At most this share of requests fails; between 0 and 1 (exclusive).
    Rate(f64),
    /// The quantile lies at or below this latency.
    Latency(Duration),
}

/// One entry of the shift phase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// The target's share of traffic.
    pub weight: Weight,
    /// How long the weight is watched before the next step.
    pub hold: Duration,
    /// What must open before the weight is set.
    pub gate: Option<Gate>,
    /// The step advances as soon as the target is shown to be no worse than every objective
    /// allows, and holds until then; `hold` is then the shortest time it lasts.
    pub prove: bool,
}

/// What must open before a step's weight is set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gate {
    /// A person says go.
    Manual,
    /// The time lies inside the window.
    Window(Window),
    /// A web service says go.
    Webhook(WebhookGate),
}

/// A web service that is asked until it says go: a `POST` that is answered with 200 opens the gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookGate {
    /// Where to ask.
    pub endpoint: Endpoint,
    /// How long one answer may take.
    pub timeout: Duration,
    /// How long to wait before it is asked again; failures double the wait up to ten times this.
    pub every: Duration,
}

/// Where a webhook goes. Addresses are often secrets themselves, so a plan names them by the
/// environment variable that holds them, or, when they are none, in plain text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// The address.
    pub url: EndpointUrl,
    /// The environment variable that holds the key which bodies are signed with (HMAC-SHA-256).
    pub secret_env: Option<String>,
}

/// How the address of a webhook is given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndpointUrl {
    /// `http` or `https`, no user, no password, no query: nothing in it is secret.
    Plain(String),
    /// The name of the environment variable that holds the address.
    Env(String),
}

/// Someone who is told about a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notify {
    /// Where to.
    pub endpoint: Endpoint,
    /// In which form.
    pub format: NotifyFormat,
    /// About what; sorted, at least one.
    pub on: Vec<NotifyOn>,
}

/// The form of a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotifyFormat {
    /// One JSON object: run, plan, event, sentence, weights.
    Json,
    /// What Slack's incoming webhooks take.
    Slack,
}

/// What a notification can be about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotifyOn {
    /// The run began, or was taken over.
    Start,
    /// A step's weight was applied.
    Step,
    /// The run waits for a person: a gate, a pause, a drift, missing data.
    Hold,
    /// An objective was broken.
    Breach,
    /// Traffic goes back.
    Rollback,
    /// The run came to an end, whichever.
    Done,
}

/// Days and hours in which a step may begin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Monday is 1, Sunday is 7; sorted, at least one.
    pub days: Vec<u8>,
    /// Minutes after midnight at which the window opens, 0–1439.
    pub opens: u16,
    /// Minutes after midnight at which it closes, 1–1440; always after `opens`.
    pub closes: u16,
    /// IANA name, known to the bundled time zone database.
    pub time_zone: String,
}

/// What a breach leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnBreach {
    /// All traffic goes back to the source.
    Rollback,
    /// The weight stays where it is, and a person decides.
    Hold,
}

/// What missing measurements lead to in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnMissing {
    /// How long the run holds by itself and waits for measurements to come back.
    pub after: Duration,
    /// What follows then.
    pub then: Missing,
}

/// What follows when measurements stay away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// The weight stays where it is until a person goes on.
    Hold,
    /// All traffic goes back to the source.
    Rollback,
}

/// What a breach leads to while the source itself is worse than the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnBrokenSource {
    /// The weight stays where it is, and a person decides.
    Hold,
    /// Traffic goes back all the same.
    Rollback,
}
