//! What a plan can find out at its traffic, before it is run.
//!
//! For each step: when a regression that begins with it is found, when a healthy target is shown to be
//! no worse, and whether the hold is long enough for that; for the run: how likely a false rollback is.
//!
//! | module | subject |
//! | --- | --- |
//! | [`assumed`] | what is taken for granted about the source |
//! | `bet`, `paths` | how evidence grows, by formula |
//! | `proof` | when a target is shown to be no worse, by formula |
//! | `outlook` | one step, by formula |
//! | [`by_simulation`] | the same from whole runs through the real judge |
//!
//! # How good the formulas are
//! Their medians lie within a factor of 1.5 of simulated ones, most of them closer; a test holds that.
//! They count a step from a regression's first moment and leave out what lucky runs find early.

use std::time::Duration;

use cutover_scenarios::plan::Plan;
use serde::Serialize;

use crate::simulation::run::{Course, Stage};
use crate::simulation::series::Share;
use crate::simulation::traffic::Regression;

pub mod assumed;
mod bet;
mod by_simulation;
mod outlook;
mod paths;
mod proof;
#[cfg(test)]
mod tests;

pub use assumed::Assumed;
pub use by_simulation::by_simulation;
use outlook::{Before, MEDIAN, Outlook, SLOWEST};

/// The regressions that are asked about.
const ASKED: [(Signal, f64); 4] = [
    (Signal::Errors, 1.5),
    (Signal::Errors, 2.0),
    (Signal::Errors, 5.0),
    (Signal::P99, 1.5),
];

/// What a plan can find out. The fields are the JSON document of `cutover power`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Power {
    /// Name of the plan.
    pub plan: String,
    /// Where the figures come from.
    pub method: Method,
    /// What was taken for granted.
    pub assumed: Assumed,
    /// One entry for each step.
    pub steps: Vec<StepPower>,
    /// How likely a run of a healthy target is sent back.
    pub false_rollback: FalseRollback,
}

/// Where figures come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Method {
    /// From expected counts and their spread.
    Formula,
    /// From whole runs through the real judge.
    Simulation {
        /// How many runs.
        runs: u64,
        /// What decided their luck.
        seed: u64,
    },
}

/// One step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StepPower {
    /// The target's share of traffic, in percent.
    pub weight_percent: f64,
    /// How long it is held; for the last step with the bake.
    pub hold_s: f64,
    /// Requests a second to the target, over all channels.
    pub target_requests_per_s: f64,
    /// When regressions are found that begin with the step.
    pub regressions: Vec<RegressionPower>,
    /// When a target that is as good as the source is shown to be no worse.
    pub proof: Times,
    /// The hold is at least as long as the proof takes in 95 % of runs.
    pub hold_proves: bool,
    /// The shortest hold that does; `None` if none does in a year.
    pub proving_hold_s: Option<f64>,
}

/// One regression.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct RegressionPower {
    /// What gets worse.
    pub signal: Signal,
    /// How many times.
    pub ratio: f64,
    /// No objective forbids it, so it is never found.
    pub allowed: bool,
    /// When it is found.
    pub found: Times,
}

/// What gets worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Signal {
    /// The error rate.
    Errors,
    /// The p99, with all other latencies.
    P99,
}

/// When something happens, since a step began.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Times {
    /// By then in half of the runs; `None`: not within what was looked at.
    pub median_s: Option<f64>,
    /// By then in 95 % of the runs.
    pub p95_s: Option<f64>,
    /// What was looked at: a year by formula.
    pub searched_s: f64,
}

/// How likely a run of a healthy target is sent back.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct FalseRollback {
    /// Never more than this, whatever the traffic: the plan's α.
    pub at_most: f64,
    /// What was seen, when runs were simulated.
    pub simulated: Option<SimulatedShare>,
}

/// A share of simulated runs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct SimulatedShare {
    /// Runs in which it happened.
    pub hits: u64,
    /// All runs.
    pub runs: u64,
    /// The 95 % confidence interval of the share, 0 to 1.
    pub low_95: f64,
    /// Its upper end.
    pub high_95: f64,
}

impl From<Share> for SimulatedShare {
    fn from(share: Share) -> Self {
        SimulatedShare {
            hits: share.hits,
            runs: share.runs,
            low_95: share.low,
            high_95: share.high,
        }
    }
}

impl Times {
    /// What is looked at by formula, in seconds.
    const A_YEAR: f64 = 365.0 * 86_400.0;
}

impl Signal {
    fn regression(self, ratio: f64) -> Regression {
        match self {
            Signal::Errors => Regression::of_errors(ratio),
            Signal::P99 => Regression::of_latency(ratio),
        }
    }
}

/// The steps of a plan as they are asked about: the last one goes on through the bake.
fn steps(course: &Course) -> Vec<Stage> {
    let Some((bake, rest)) = course.stages.split_last() else {
        return Vec::new();
    };
    let mut steps: Vec<Stage> = rest.iter().skip(1).copied().collect();
    if let Some(last) = steps.last_mut() {
        last.hold += bake.hold;
    }
    steps
}

/// What a plan can find out, by formula: instant.
#[must_use]
pub fn by_formula(plan: &Plan, assumed: &Assumed) -> Power {
    let course = Course::of(plan);
    let guards = outlook::guards(&course);
    let qualify = course.stages.first();
    let mut before = qualify.map_or_else(Before::default, |stage| {
        Before::default().and(assumed, stage)
    });
    let mut told = Vec::new();
    for stage in &steps(&course) {
        let outlook = Outlook {
            course: &course,
            assumed,
            guards: &guards,
            before,
            edge: outlook::flow(assumed, stage),
        };
        told.push(step(&outlook, stage));
        before = before.and(assumed, stage);
    }
    Power {
        plan: plan.name.clone(),
        method: Method::Formula,
        assumed: *assumed,
        steps: told,
        false_rollback: FalseRollback {
            at_most: plan.alpha,
            simulated: None,
        },
    }
}

fn step(outlook: &Outlook<'_>, stage: &Stage) -> StepPower {
    let times = |at: &dyn Fn(f64) -> Option<f64>| Times {
        median_s: at(MEDIAN),
        p95_s: at(SLOWEST),
        searched_s: Times::A_YEAR,
    };
    let regressions = ASKED.map(|(signal, ratio)| {
        let regression = signal.regression(ratio);
        RegressionPower {
            signal,
            ratio,
            allowed: outlook.allows(regression),
            found: times(&|z| outlook.found(regression, z)),
        }
    });
    let proof = times(&|z| outlook.proven(z));
    StepPower {
        weight_percent: stage.weight.map_or(0.0, |weight| weight.fraction() * 100.0),
        hold_s: stage.hold.as_secs_f64(),
        target_requests_per_s: outlook.edge.target + outlook.assumed.pairs_per_s,
        regressions: regressions.to_vec(),
        hold_proves: proof
            .p95_s
            .is_some_and(|p95| p95 <= stage.hold.as_secs_f64()),
        proving_hold_s: proof.p95_s,
        proof,
    }
}

/// One sentence for each step, for a preview: `finds a 2x error rate in 40 s (median), 95 s (95 %)`.
/// Where the objectives allow twice the errors of the source, it is about five times as many.
#[must_use]
pub fn sentences(plan: &Plan) -> Vec<String> {
    let power = by_formula(plan, &Assumed::of(plan));
    power.steps.iter().map(sentence).collect()
}

fn sentence(step: &StepPower) -> String {
    let forbidden =
        |it: &&RegressionPower| it.signal == Signal::Errors && it.ratio >= 2.0 && !it.allowed;
    let Some(asked) = step.regressions.iter().find(forbidden) else {
        return "a 5x error rate is within what the objectives allow".to_owned();
    };
    let ratio = asked.ratio;
    match (asked.found.median_s, asked.found.p95_s) {
        (Some(median), Some(p95)) => format!(
            "finds a {ratio}x error rate in {} (median), {} (95 %)",
            brief(median),
            brief(p95)
        ),
        _ => format!("does not find a {ratio}x error rate at this traffic"),
    }
}

/// `0.4 s`, `40 s`, `12 min`, `3.1 h`, `9 d`: two digits, as good as such figures are.
#[must_use]
pub fn brief(seconds: f64) -> String {
    match seconds {
        ..9.95 => format!("{seconds:.1} s"),
        ..119.5 => format!("{seconds:.0} s"),
        ..5_970.0 => format!("{:.0} min", seconds / 60.0),
        ..35_800.0 => format!("{:.1} h", seconds / 3_600.0),
        ..172_000.0 => format!("{:.0} h", seconds / 3_600.0),
        _ => format!("{:.0} d", seconds / 86_400.0),
    }
}

/// How long is simulated for one answer: twice the hold, but at least a minute and at most half an hour.
fn searched(hold: Duration) -> Duration {
    (2 * hold).clamp(Duration::from_mins(1), Duration::from_mins(30))
}
