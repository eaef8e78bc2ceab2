//! What a run shows of itself: one value that screens, lines and reports are drawn from.
//!
//! The run publishes a new [`RunView`] several times a second; whoever looks at it cannot change
//! the run except by sending a [`Command`].

use std::time::Duration;

use cutover_scenarios::units::Weight;
use serde::{Deserialize, Serialize};

use crate::phase::{Outcome, Phase};

/// A run as it stands now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunView {
    /// Id of the run; also the name of its folder.
    pub run: String,
    /// Name of the plan.
    pub plan: String,
    /// Where the run stands.
    pub phase: Phase,
    /// How it ended; `None` while it goes on.
    pub outcome: Option<Outcome>,
    /// Since the run began.
    pub elapsed: Duration,
    /// Holds are not counted down and steps do not advance.
    pub paused: bool,
    /// A person wants the run to stay at this weight when its hold is over.
    pub holding: bool,
    /// What the run waits for, as it follows "waiting for"; `None` when it goes on.
    pub waiting_for: Option<String>,
    /// The step timeline.
    pub steps: Vec<StepView>,
    /// Index into `steps` of the step being held, set or waited for.
    pub current_step: Option<usize>,
    /// How far the timed phase (qualify, hold, bake) is; `None` in the others.
    pub progress: Option<Progress>,
    /// The target's weight now.
    pub weight: WeightView,
    /// What users see: requests through the edge.
    pub edge: TrafficView,
    /// The source stack, whichever way it was asked.
    pub source: TrafficView,
    /// The target stack, whichever way it was asked.
    pub target: TrafficView,
    /// One entry for each hypothesis that is watched.
    pub guards: Vec<GuardView>,
    /// Where a person can look: name and address (`edge`, `http://127.0.0.1:40123`).
    pub addresses: Vec<(String, String)>,
    /// The latest events, oldest first; at most a few hundred.
    pub log: Vec<LogLine>,
}

/// How far a timed phase is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Time that counted so far.
    pub spent: Duration,
    /// Time that the plan asks for.
    pub total: Duration,
}

/// One step of the timeline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepView {
    /// The weight that the plan names.
    pub weight: Weight,
    /// The hold that the plan names.
    pub hold: Duration,
    /// `manual`, `window mon-fri 09:00-17:00 Europe/Berlin`; `None` without a gate.
    pub gate: Option<String>,
    /// How far the step is.
    pub state: StepState,
    /// What the API read back when the step's weight was written.
    pub applied: Option<Weight>,
    /// Measured share of the target among the requests of this step.
    pub observed: Option<f64>,
    /// Requests through the edge that were sent in this step.
    pub requests: u64,
}

/// How far a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    /// Not reached yet.
    Pending,
    /// Its gate is closed.
    AtGate,
    /// Its weight is being written and read back.
    Setting,
    /// Its weight is being watched.
    Holding,
    /// Its hold is over and the run went on.
    Passed,
    /// A breach or a person ended the run here.
    Broken,
}

/// Three different numbers for the target's weight; screens show all three.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct WeightView {
    /// What the run asked for last.
    pub set: Weight,
    /// What the shifter read back; `None` before the first write or while it is unknown.
    pub applied: Option<Weight>,
    /// Measured share of the target since the weight was applied; `None` without requests.
    pub observed: Option<f64>,
}

/// Requests as they were measured at one place.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct TrafficView {
    /// Since the run began.
    pub requests: u64,
    /// Of those, failed.
    pub failed: u64,
    /// Requests a second over the last few seconds.
    pub rate: f64,
    /// Failed share over the last few seconds; `None` without requests.
    pub error_rate: Option<f64>,
    /// Latency over the last few seconds, from sending; `None` without requests.
    pub latency: Option<LatencyView>,
    /// One entry a second, oldest first, at most 120.
    pub history: Vec<HistoryPoint>,
}

/// Latency quantiles.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct LatencyView {
    /// Half of the requests are faster.
    pub p50: Duration,
    /// 95 % of the requests are faster.
    pub p95: Duration,
    /// 99 % of the requests are faster.
    pub p99: Duration,
}

/// One second of traffic, for sparklines.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct HistoryPoint {
    /// Requests answered in that second.
    pub requests: u64,
    /// Of those, failed.
    pub failed: u64,
    /// p99 of that second; zero without requests.
    pub p99: Duration,
}

/// One watched hypothesis and the evidence against it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GuardView {
    /// `errors at most 1 %`, `p99 at most 3x source`.
    pub name: String,
    /// Natural logarithm of the e-value: evidence that the objective is broken.
    pub log_e: f64,
    /// A breach is called when `log_e` reaches this: `ln(1/α_i)`.
    pub threshold: f64,
    /// Name of the objective; `None` for the share of requests on the target, which is none.
    pub objective: Option<String>,
    /// Target requests that this guard has looked at; for the share of requests those of both
    /// stacks since the weight was set.
    pub requests: u64,
    /// Of those, bad; 0 for the share of requests, where none is bad for going to the target.
    pub bad: u64,
    /// What the evidence says now.
    pub state: GuardState,
    /// What was measured and its bounds; `None` before there is anything to bound.
    pub interval: Option<IntervalView>,
    /// The target was shown to be no worse than the bound.
    pub proven: bool,
}

impl GuardView {
    /// How far the evidence is on its way to a breach, from 0 to 1.
    ///
    /// Both are logarithms of an e-value, so that half way there is half the bar; evidence in
    /// favour of the target is negative, and counts as none.
    #[must_use]
    pub fn evidence(&self) -> f64 {
        if self.state == GuardState::Breach {
            // A breach is final, also when later requests take the evidence back.
            return 1.0;
        }
        self.log_e_share().clamp(0.0, 1.0)
    }

    /// The same without bounds, to tell which of two guards is nearer.
    #[must_use]
    pub fn log_e_share(&self) -> f64 {
        let share = self.log_e / self.threshold;
        if share.is_nan() { 0.0 } else { share }
    }
}

/// What a guard measured, with bounds that hold at all times at once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IntervalView {
    /// What was measured, in `unit`; `None` for a ratio to nothing.
    pub estimate: Option<f64>,
    /// Not below this; at least 0.
    pub low: Option<f64>,
    /// Not above this; `None` when nothing bounds it yet.
    pub high: Option<f64>,
    /// What is measured: `error rate`, `share slower than 250ms` and `share of the target` are
    /// shares from 0 to 1; `error-rate ratio` and `p99 ratio` are target over source.
    pub unit: String,
    /// Measured over the whole run; otherwise only since the weight was set last.
    pub whole_run: bool,
    /// For people: `error-rate ratio 1.1, between 0.7 and 1.9`.
    pub text: String,
}

/// What the evidence of a guard says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GuardState {
    /// Nothing points to a breach.
    Quiet,
    /// More than half way to a breach: the run holds.
    Near,
    /// The objective is broken.
    Breach,
}

/// One line of the event log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogLine {
    /// Since the run began.
    pub at: Duration,
    /// How loud it is.
    pub level: Level,
    /// One sentence.
    pub text: String,
}

/// How loud a log line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Things go as planned.
    Info,
    /// Good news worth a colour.
    Good,
    /// A person may want to look.
    Warn,
    /// Something broke.
    Bad,
}

/// What a person may ask of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Stop the clock of the step: nothing advances until [`Command::Continue`]. Guards stay armed.
    Pause,
    /// Go on after a pause or a hold.
    Continue,
    /// Stay at this weight when the step's hold is over, until [`Command::Continue`] or
    /// [`Command::Advance`]. The clock goes on and guards stay armed.
    Hold,
    /// Open the manual gate, or end the current hold early. Guards are not skipped.
    Advance,
    /// Open the manual gate that the run waits at, and nothing else.
    Approve,
    /// Send all traffic back to the source and end.
    Rollback {
        /// Also when the source itself is in trouble, or the point of no return is passed.
        force: bool,
    },
    /// End the run here and leave the weight where it is; nobody watches it from then on.
    Abort,
    /// A signal: roll back and end as interrupted.
    Interrupt,
}
