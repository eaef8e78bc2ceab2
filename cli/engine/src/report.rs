//! What a run says of itself at its end: one value, printed as JSON or told in lines.

use std::time::Duration;

use cutover_scenarios::units::Weight;
use serde::{Deserialize, Serialize};

use crate::fact::StepObservation;
use crate::phase::{Outcome, Phase};
use crate::state::State;
use crate::view::{GuardState, GuardView, IntervalView};

/// The document that `--output json` prints. Field names and units are stable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunReport {
    /// Id of the run.
    pub run: String,
    /// Name of the plan.
    pub plan: String,
    /// How the run ended.
    pub outcome: Outcome,
    /// One sentence for a person.
    pub message: String,
    /// The phase in which it ended.
    pub ended_in: Phase,
    /// Of this driver, in seconds.
    pub duration_s: f64,
    /// Requests through the edge, answered or not.
    pub requests: u64,
    /// Of those, failed: no response, or a status of 500 and above.
    pub failed_requests: u64,
    /// Requests that were sent to both stacks directly.
    pub paired_requests: u64,
    /// The target's weight at the end.
    pub weight: ReportedWeight,
    /// One entry for each step that was reached.
    pub steps: Vec<ReportedStep>,
    /// The evidence, when an objective was broken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub breach: Option<ReportedBreach>,
    /// The guards as they stood at the end, each with what was measured and its bounds.
    pub guards: Vec<ReportedGuard>,
    /// How the chance of a false rollback is bounded.
    pub alpha: String,
    /// The chance of a false rollback over the whole run that the plan allows, 0 to 0.5.
    pub alpha_total: f64,
    /// What the evidence takes for granted.
    pub assumptions: Vec<String>,
    /// What a person can or must do next, one command or sentence each.
    pub next: Vec<String>,
}

/// The target's weight, in percent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ReportedWeight {
    /// What was asked for last.
    pub set: f64,
    /// What was read back; `null` when that is not known.
    pub applied: Option<f64>,
}

/// One step as it was carried out.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ReportedStep {
    /// The weight the plan names, in percent.
    pub set: f64,
    /// What was read back, in percent; `null` when the step's weight was never applied.
    pub applied: Option<f64>,
    /// Measured share of the target, in percent; `null` without requests.
    pub observed: Option<f64>,
    /// How long it was held, in seconds.
    pub hold_s: f64,
    /// Requests through the edge that were sent in this step and answered by a stack.
    pub requests: u64,
    /// Of those, answered by the target.
    pub target_requests: u64,
    /// Requests through the edge that failed.
    pub failed: u64,
    /// The hold came to its end.
    pub passed: bool,
}

/// One guard at the end of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReportedGuard {
    /// `errors at most 1 %`.
    pub name: String,
    /// Name of the objective; `null` for the share of requests on the target, which is none.
    pub objective: Option<String>,
    /// What the evidence says.
    pub state: GuardState,
    /// Target requests that it has looked at; for the share of requests those of both stacks since
    /// the weight was set.
    pub requests: u64,
    /// Of those, bad; 0 for the share of requests.
    pub bad: u64,
    /// What was measured and its bounds; `null` before there is anything to bound.
    pub interval: Option<IntervalView>,
    /// The target was shown to be no worse than the bound.
    pub proven: bool,
    /// Natural logarithm of the e-value at the end.
    pub log_e: f64,
    /// What it would have to reach.
    pub threshold: f64,
}

/// The evidence of a broken objective. Times count from the first bad response of the evidence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReportedBreach {
    /// `errors`, `p99`.
    pub objective: String,
    /// The hypothesis that was refuted.
    pub guard: String,
    /// The target's weight at the breach, in percent.
    pub at_weight: f64,
    /// Bad answers of the target through the edge, from the first one until the weight was back.
    pub bad_requests: u64,
    /// The same for requests that were sent to the target directly.
    pub bad_paired_requests: u64,
    /// Until the breach was called, in seconds.
    pub detected_after_s: f64,
    /// Until the weight was read back as 0, in seconds; `null` when it was not.
    pub rolled_back_after_s: Option<f64>,
    /// Natural logarithm of the e-value at the breach.
    pub log_e: f64,
    /// What it had to reach.
    pub threshold: f64,
}

/// What the runner measured and the journal does not hold.
#[derive(Debug, Clone, Default)]
pub struct Measured {
    /// How long this driver ran.
    pub duration: Duration,
    /// Requests through the edge and, of those, failed.
    pub edge: (u64, u64),
    /// Requests that were sent to both stacks directly.
    pub paired: u64,
    /// What was seen of the step in which the run ended.
    pub last_step: StepObservation,
    /// Bad answers since the first of the evidence: through the edge, directly; `None` when another
    /// driver saw them.
    pub bad: Option<(u64, u64)>,
    /// From the first bad response to the weight read back as 0.
    pub rolled_back_after: Option<Duration>,
    /// The guards at the end.
    pub guards: Vec<GuardView>,
    /// How the chance of a false rollback is bounded.
    pub alpha: String,
    /// What the evidence takes for granted.
    pub assumptions: Vec<String>,
}

/// How a run was left when that is not what its journal says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftAs {
    /// How it ended for the person who started it.
    pub outcome: Outcome,
    /// One sentence for a person.
    pub message: String,
    /// The target's weight where it was written past the journal: what was asked for, and what
    /// was read back.
    pub weight: Option<(Weight, Option<Weight>)>,
}

/// The report of a run. `left` overrides what its state says.
#[must_use]
pub fn report(
    state: &State,
    measured: &Measured,
    left: Option<LeftAs>,
    next: Vec<String>,
) -> RunReport {
    let (set, applied) = left
        .as_ref()
        .and_then(|left| left.weight)
        .unwrap_or((state.set, state.applied));
    let (outcome, message) = left
        .map(|left| (left.outcome, left.message))
        .or_else(|| state.outcome.clone())
        .unwrap_or((Outcome::Interrupted, "the run has not ended".to_owned()));
    RunReport {
        run: state.run.clone(),
        plan: state.plan.name.clone(),
        outcome,
        message,
        ended_in: state.ended_in.unwrap_or(state.phase),
        duration_s: round(measured.duration),
        requests: measured.edge.0,
        failed_requests: measured.edge.1,
        paired_requests: measured.paired,
        weight: ReportedWeight {
            set: percent(set),
            applied: applied.map(percent),
        },
        steps: steps(state, measured),
        breach: state.breach.as_ref().map(|breach| ReportedBreach {
            objective: breach.objective.clone(),
            guard: breach.guard.clone(),
            at_weight: percent(breach.at_weight),
            bad_requests: measured.bad.map_or(breach.bad_requests, |(edge, _)| edge),
            bad_paired_requests: measured.bad.map_or(0, |(_, paired)| paired),
            detected_after_s: round(breach.detected_after),
            rolled_back_after_s: measured.rolled_back_after.map(round),
            log_e: breach.log_e,
            threshold: breach.threshold,
        }),
        guards: measured.guards.iter().map(guard).collect(),
        alpha: measured.alpha.clone(),
        alpha_total: state.plan.alpha,
        assumptions: measured.assumptions.clone(),
        next,
    }
}

fn guard(guard: &GuardView) -> ReportedGuard {
    ReportedGuard {
        name: guard.name.clone(),
        objective: guard.objective.clone(),
        state: guard.state,
        requests: guard.requests,
        bad: guard.bad,
        interval: guard.interval.clone(),
        proven: guard.proven,
        log_e: guard.log_e,
        threshold: guard.threshold,
    }
}

fn steps(state: &State, measured: &Measured) -> Vec<ReportedStep> {
    let reached = state.step.map_or(0, |step| step + 1);
    let entries = state.plan.steps.iter().zip(&state.steps).take(reached);
    entries
        .enumerate()
        .map(|(index, (step, record))| {
            let last = Some(index) == state.step && record.applied.is_some();
            let observed = record.observed.unwrap_or(if last {
                measured.last_step
            } else {
                StepObservation::default()
            });
            ReportedStep {
                set: percent(step.weight),
                applied: record.applied.map(percent),
                observed: observed.observed_share().map(|share| share * 100.0),
                hold_s: round(observed.held),
                requests: observed.requests,
                target_requests: observed.target_requests,
                failed: observed.failed,
                passed: record.observed.is_some(),
            }
        })
        .collect()
}

fn percent(weight: Weight) -> f64 {
    f64::from(weight.parts()) / 100.0
}

/// Seconds, to the millisecond.
fn round(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1000.0).round() / 1000.0
}
