//! What a run prints: lines while it goes on, a summary or a document at its end.

use cutover_engine::report::RunReport;
use cutover_engine::runner::RunEvent;
use serde_json::{Value, json};

use crate::args::Output;
use crate::console;
use crate::run::ArmLatency;

pub(crate) mod preview;
mod summary;

/// Tells events as they happen.
pub(crate) struct Teller {
    output: Output,
}

impl Teller {
    pub(crate) fn new(output: Output) -> Self {
        Teller { output }
    }

    /// One readable line on standard error (while `lines` says so), and one line of JSON on
    /// standard output where that was asked for.
    pub(crate) fn tell(&self, event: &RunEvent, lines: bool) {
        if self.output == Output::Ndjson {
            console::data(&event_json(event).to_string());
        }
        if !lines {
            return;
        }
        match event {
            RunEvent::Recorded {
                record,
                told: Some((level, text)),
            } => {
                console::levelled(*level, &line(record.elapsed_ms, text));
            }
            RunEvent::Told { at, level, text } => {
                console::levelled(*level, &line(millis(*at), text));
            }
            RunEvent::Waiting {
                at,
                reason: Some(reason),
            } => {
                let text = format!("waiting for {reason}");
                console::levelled(cutover_engine::view::Level::Warn, &line(millis(*at), &text));
            }
            RunEvent::Recorded { .. } | RunEvent::Waiting { .. } | RunEvent::Second(_) => {}
        }
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

/// Prints how the run ended.
pub(crate) fn finish(output: Output, report: &RunReport, latencies: &[ArmLatency]) {
    let mut document = json!(report);
    document["stacks"] = json!(latencies);
    match output {
        Output::Human => console::data(&summary::text(report, latencies)),
        Output::Json => console::data(&format!("{document:#}")),
        Output::Ndjson => {
            document["event"] = json!("ended");
            console::data(&document.to_string());
        }
    }
}
