//! Tells facts to people: one sentence each, for the event log and the lines on standard error.

use std::time::Duration;

use cutover_scenarios::units::Weight;

use crate::fact::{Effect, Fact, Output, RollbackCause};
use crate::phase::{Outcome, Phase};
use crate::state::State;
use crate::view::{Command, Level};

/// The sentence for a fact that has just been folded into `state`; `None` for facts that say
/// nothing to a person.
#[must_use]
pub fn sentence(state: &State, fact: &Fact) -> Option<(Level, String)> {
    let told = match fact {
        Fact::RunCreated { run, .. } => (Level::Info, format!("run {run}")),
        Fact::DriverStarted { pid, .. } => (Level::Info, format!("driver is process {pid}")),
        Fact::Reobserved { applied } => (
            Level::Info,
            format!("the live weight of the target is {applied}"),
        ),
        Fact::PhaseEntered { phase } => (Level::Info, format!("phase {phase}")),
        Fact::EffectStarted {
            effect: Effect::SetWeight { weight, .. },
            ..
        } => (
            Level::Info,
            format!("setting the target's weight to {weight}"),
        ),
        Fact::EffectStarted { .. } | Fact::StepReached { .. } => return None,
        Fact::EffectSucceeded { output, .. } => return output_sentence(output),
        Fact::EffectFailed { error, .. } => (Level::Bad, format!("failed: {error}")),
        Fact::UndoStarted { weight, .. } => (
            Level::Warn,
            format!("taking the target's weight back to {weight}"),
        ),
        Fact::Undone { weight, .. } => (
            Level::Good,
            format!("taken back: the target's weight reads back as {weight}"),
        ),
        Fact::UndoFailed { error, .. } => (Level::Bad, format!("taking back failed: {error}")),
        Fact::DriftFound { drift } => (
            Level::Bad,
            format!("DRIFT: {drift}; `resume` writes over it, `rollback` goes back"),
        ),
        Fact::DriverStalled { gap_ms } => (
            Level::Warn,
            format!(
                "the driver stood still for {}: what was under way does not count, and the hold \
                 begins anew",
                seconds(Duration::from_millis(*gap_ms))
            ),
        ),
        Fact::MissingTooLong { reason } => (
            Level::Bad,
            format!("measurements stayed away for too long: waiting for {reason}"),
        ),
        Fact::WaitsLong { reason } => (Level::Warn, format!("still waiting for {reason}")),
        Fact::GateOpened { by, .. } => (Level::Good, format!("the gate was opened by {by}")),
        Fact::Notified { error: None, .. } => return None,
        Fact::Notified {
            to,
            attempts,
            error: Some(error),
            ..
        } => (
            Level::Warn,
            format!("{to} could not be told, given up after {attempts} attempts: {error}"),
        ),
        Fact::RollbackWithheld { reason, .. } => (
            Level::Bad,
            format!("traffic would go back now, but stays: {reason}; a person decides"),
        ),
        Fact::StepPassed { step, observed } => {
            let weight = state
                .plan
                .steps
                .get(*step)
                .map_or(Weight::ZERO, |step| step.weight);
            let share = observed.observed_share().map_or("-".to_owned(), percent);
            let text = format!(
                "step {weight} held {}: observed {share} of {} requests, {} failed",
                seconds(observed.held),
                observed.requests,
                observed.failed
            );
            (Level::Good, text)
        }
        Fact::QualifyPassed => (
            Level::Good,
            "both stacks answer the same load alike: qualified".to_owned(),
        ),
        Fact::Commanded {
            command: Command::Advance,
            by,
        } => (Level::Warn, advances(state, by)),
        Fact::Commanded { command, by } => (Level::Warn, asked(*command, by)),
        Fact::Breached { breach } => {
            let text = format!(
                "BREACH: `{}` refuted at {} after {} bad requests, {} after the first \
                 (log evidence {:.1}, {:.1} needed)",
                breach.guard,
                breach.at_weight,
                breach.bad_requests,
                seconds(breach.detected_after),
                breach.log_e,
                breach.threshold,
            );
            (Level::Bad, text)
        }
        Fact::BreachShared { breach } => {
            let text = format!(
                "`{}` is broken on the source too: going back would not help; the hold begins anew",
                breach.guard
            );
            (Level::Warn, text)
        }
        Fact::RollbackDecided { cause } => (Level::Bad, going_back(cause)),
        // The failure itself was told when the effect failed.
        Fact::RunEnded {
            outcome: Outcome::Failed,
            ..
        } => {
            let phase = state.ended_in.unwrap_or(state.phase);
            let touched = if phase == Phase::Deploy {
                "no traffic was shifted"
            } else {
                "nothing was touched"
            };
            (Level::Bad, format!("failed in phase {phase}; {touched}"))
        }
        Fact::RunEnded { outcome, message } => {
            let level = match outcome {
                Outcome::Done => Level::Good,
                Outcome::RolledBack | Outcome::Interrupted => Level::Warn,
                Outcome::Held | Outcome::Stuck | Outcome::Failed => Level::Bad,
            };
            (level, format!("{outcome}: {message}"))
        }
    };
    Some(told)
}

fn output_sentence(output: &Output) -> Option<(Level, String)> {
    match output {
        Output::Nothing => None,
        Output::Findings(findings) if findings.is_empty() => None,
        Output::Findings(findings) => Some((Level::Info, findings.join("; "))),
        Output::Addresses(addresses) => {
            let list: Vec<_> = addresses
                .iter()
                .map(|(name, url)| format!("{name} {url}"))
                .collect();
            Some((Level::Good, format!("ready: {}", list.join(", "))))
        }
        Output::WayBack {
            snapshot, findings, ..
        } => Some((
            Level::Good,
            format!(
                "the way back is open ({}); without this run: cutover rollback --from {snapshot}",
                findings.join("; ")
            ),
        )),
        Output::Applied(weight) => Some((
            Level::Info,
            format!("the target's weight reads back as {weight}"),
        )),
    }
}

/// What is cut short is said: someone may wonder later why so little was seen.
fn advances(state: &State, by: &str) -> String {
    let step = state.step.and_then(|step| state.plan.steps.get(step));
    let proof = state.step_applied && step.is_some_and(|step| step.prove);
    match state.phase {
        Phase::Qualify => format!("{by} asked to end the qualification early"),
        Phase::Shift if proof => format!("{by} asked to advance and waived the proof of this step"),
        _ => format!("{by} asked to advance"),
    }
}

fn asked(command: Command, by: &str) -> String {
    match command {
        Command::Pause => format!("paused by {by}; guards stay armed"),
        Command::Continue => format!("continued by {by}"),
        Command::Hold => format!("{by} asked to stay at this weight; guards stay armed"),
        Command::Advance => format!("{by} asked to advance"),
        Command::Approve => format!("the gate was opened by {by}"),
        Command::Rollback { force: false } => format!("{by} asked to roll back"),
        Command::Rollback { force: true } => format!("{by} asked to roll back whatever the source"),
        Command::Abort => format!("{by} asked to end the run here"),
        Command::Interrupt => format!("{by} asked to end: rolling back first"),
    }
}

fn going_back(cause: &RollbackCause) -> String {
    match cause {
        RollbackCause::Breach => "rolling back: an objective is broken".to_owned(),
        RollbackCause::Asked => "rolling back: a person asked".to_owned(),
        RollbackCause::Signal => "rolling back: the run is being ended".to_owned(),
        RollbackCause::Failure(error) => format!("rolling back: a step failed: {error}"),
    }
}

/// An error with its causes as one line, each level once.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// `25.3 %`.
#[must_use]
pub fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// `4.2 s`, `12 min 30 s`.
#[must_use]
pub fn seconds(duration: Duration) -> String {
    let whole = duration.as_secs();
    match whole {
        0..60 => format!("{:.1} s", duration.as_secs_f64()),
        60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_like_speech() {
        assert_eq!(seconds(Duration::from_millis(4_230)), "4.2 s");
        assert_eq!(seconds(Duration::from_secs(750)), "12 min 30 s");
        assert_eq!(seconds(Duration::from_secs(7_500)), "2 h 05 min");
    }
}
