//! What a run prints: lines while it goes on, a summary or a document at its end.

use cutover_engine::report::RunReport;
use cutover_engine::runner::RunEvent;
use cutover_engine::view::Level;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::args::Output;
use crate::console;
use crate::run::ArmLatency;

pub(crate) mod power;
pub(crate) mod preview;
mod summary;

/// Tells events as they happen.
pub(crate) struct Teller {
    output: Output,
    run: String,
}

impl Teller {
    /// Tells events of the run `run`.
    pub(crate) fn new(output: Output, run: String) -> Self {
        Teller { output, run }
    }

    /// One readable line on standard error, and one line of JSON on standard output where that was
    /// asked for.
    pub(crate) fn tell(&self, event: &RunEvent) {
        if self.output == Output::Ndjson {
            self.tell_data(event);
        }
        if let (Some(line), Some(level)) = (self.line(event), level(event)) {
            console::levelled(level, &line);
        }
    }

    /// One line of JSON on standard output.
    pub(crate) fn tell_data(&self, event: &RunEvent) {
        console::data(&event_json(event).to_string());
    }

    /// The event as one readable line, if it says anything to a person.
    pub(crate) fn line(&self, event: &RunEvent) -> Option<String> {
        match event {
            RunEvent::Recorded {
                record,
                told: Some((_, text)),
            } => Some(line(record.elapsed_ms, text)),
            RunEvent::Told { at, text, .. } => Some(line(millis(*at), text)),
            RunEvent::Waiting {
                at,
                reason: Some(reason),
            } => {
                let text = format!("waiting for {reason}{}", self.way_on(reason));
                Some(line(millis(*at), &text))
            }
            RunEvent::Recorded { .. } | RunEvent::Waiting { .. } | RunEvent::Second(_) => None,
        }
    }

    /// What to type when the run waits for a person, who may sit elsewhere.
    fn way_on(&self, reason: &str) -> String {
        let commands = what_helps(reason);
        let ways: Vec<_> = commands
            .iter()
            .map(|command| format!("cutover {command} {}", self.run))
            .collect();
        if ways.is_empty() {
            String::new()
        } else {
            format!(": {}", ways.join(", or "))
        }
    }
}

/// The subcommands with which a person ends the waiting, when it is for a person.
pub(crate) fn what_helps(waiting_for: &str) -> &'static [&'static str] {
    match waiting_for.strip_prefix("a person") {
        Some(wish) if wish.contains("open the gate") => &["approve"],
        Some(wish) if wish.contains("continue") => &["resume"],
        Some(wish) if wish.contains("is broken") => &["rollback"],
        Some(_) => &["resume", "rollback"],
        None => &[],
    }
}

/// How loud the event is.
fn level(event: &RunEvent) -> Option<Level> {
    match event {
        RunEvent::Recorded { told, .. } => told.as_ref().map(|(level, _)| *level),
        RunEvent::Told { level, .. } => Some(*level),
        RunEvent::Waiting { .. } => Some(Level::Warn),
        RunEvent::Second(_) => None,
    }
}

fn millis(at: std::time::Duration) -> u64 {
    u64::try_from(at.as_millis()).unwrap_or(u64::MAX)
}

fn line(elapsed_ms: u64, text: &str) -> String {
    format!(
        "{:>5}.{} s  {text}",
        elapsed_ms / 1000,
        elapsed_ms % 1000 / 100
    )
}

fn event_json(event: &RunEvent) -> Value {
    match event {
        RunEvent::Recorded { record, .. } => json!({ "event": "recorded", "record": record }),
        RunEvent::Told { at, level, text } => {
            json!({ "event": "told", "at_s": at.as_secs_f64(), "level": level, "text": text })
        }
        RunEvent::Waiting { at, reason } => {
            json!({ "event": "waiting", "at_s": at.as_secs_f64(), "for": reason })
        }
        RunEvent::Second(view) => json!({
            "event": "second",
            "at_s": view.elapsed.as_secs(),
            "phase": view.phase,
            "weight": {
                "set": f64::from(view.weight.set.parts()) / 100.0,
                "applied": view.weight.applied.map(|applied| f64::from(applied.parts()) / 100.0),
                "observed": view.weight.observed.map(|share| share * 100.0),
            },
            "edge": traffic(&view.edge),
            "source": traffic(&view.source),
            "target": traffic(&view.target),
            "guards": view.guards,
        }),
    }
}

fn traffic(view: &cutover_engine::view::TrafficView) -> Value {
    let ms = |duration: std::time::Duration| duration.as_secs_f64() * 1000.0;
    json!({
        "requests": view.requests,
        "failed": view.failed,
        "rate": view.rate,
        "error_rate": view.error_rate,
        "p50_ms": view.latency.map(|latency| ms(latency.p50)),
        "p95_ms": view.latency.map(|latency| ms(latency.p95)),
        "p99_ms": view.latency.map(|latency| ms(latency.p99)),
    })
}

/// How a run ended: what `--output json` prints, and what stays in the run's folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Document {
    #[serde(flatten)]
    pub(crate) report: RunReport,
    /// What was measured, by way and stack.
    pub(crate) stacks: Vec<ArmLatency>,
}

/// Prints how the run ended.
pub(crate) fn finish(output: Output, document: &Document) {
    let mut value = json!(document);
    match output {
        Output::Human => console::data(&summary::text(&document.report, &document.stacks)),
        Output::Json => console::data(&format!("{value:#}")),
        Output::Ndjson => {
            value["event"] = json!("ended");
            console::data(&value.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_waited_for_is_told_what_to_type() {
        let teller = Teller::new(Output::Human, "r1".to_owned());
        for (waits_for, way_on) in [
            (
                "a person to open the gate before 50 %",
                ": cutover approve r1",
            ),
            ("a person to continue (paused)", ": cutover resume r1"),
            (
                "a person: `p99` is broken and the plan says hold",
                ": cutover rollback r1",
            ),
            (
                "a person: this run set the target's weight to 50 %, now it is 40 %",
                ": cutover resume r1, or cutover rollback r1",
            ),
            ("more requests", ""),
        ] {
            assert_eq!(teller.way_on(waits_for), way_on, "{waits_for}");
        }
    }
}
