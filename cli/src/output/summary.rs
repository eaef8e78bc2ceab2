//! The end of a run, told to people.

use std::fmt::Write as _;

use cutover_engine::report::{ReportedStep, RunReport};

use crate::run::ArmLatency;

/// A summary of some twenty lines.
pub(super) fn text(report: &RunReport, latencies: &[ArmLatency]) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "{} ({}): {}",
        report.outcome, report.run, report.message
    );
    if report.requests > 0 {
        let _ = writeln!(
            out,
            "{} requests through the edge in {:.1} s, {} failed",
            report.requests, report.duration_s, report.failed_requests
        );
    }
    if !report.steps.is_empty() {
        let _ = writeln!(
            out,
            "\n     set  applied  observed    held  requests  failed"
        );
        for step in &report.steps {
            let _ = writeln!(out, "{}", step_line(step));
        }
    }
    if !latencies.is_empty() {
        let _ = writeln!(
            out,
            "\n              stack   requests  failed      p50      p95      p99"
        );
        for arm in latencies {
            let _ = writeln!(out, "{}", latency_line(arm));
        }
    }
    let bounded = report
        .guards
        .iter()
        .filter(|guard| guard.interval.is_some());
    for (index, guard) in bounded.enumerate() {
        if index == 0 {
            let _ = writeln!(out, "\nevidence ({}):", report.alpha);
        }
        let interval = guard.interval.as_deref().unwrap_or_default();
        let proven = if guard.proven { "; proven" } else { "" };
        let _ = writeln!(out, "  {}: {interval}{proven}", guard.name);
    }
    if let Some(breach) = &report.breach {
        let back = breach
            .rolled_back_after_s
            .map_or("not rolled back".to_owned(), |after| {
                format!("rolled back after {after:.2} s")
            });
        let _ = writeln!(
            out,
            "\nbroken at {} %: {}\nfound {:.2} s after the first bad response, {back}; \
             users saw {} bad responses",
            breach.at_weight, breach.guard, breach.detected_after_s, breach.bad_requests
        );
    }
    if !report.next.is_empty() {
        let _ = writeln!(out, "\nnext:");
        for next in &report.next {
            let _ = writeln!(out, "  {next}");
        }
    }
    out.trim_end().to_owned()
}

fn step_line(step: &ReportedStep) -> String {
    let percent = |share: Option<f64>, digits: usize| {
        share.map_or("-".to_owned(), |share| format!("{share:.digits$} %"))
    };
    format!(
        "{:>8} {:>8} {:>9} {:>7} {:>9} {:>7}{}",
        format!("{} %", step.set),
        step.applied
            .map_or("-".to_owned(), |applied| format!("{applied} %")),
        percent(step.observed, 2),
        format!("{:.1} s", step.hold_s),
        step.requests,
        step.failed,
        if step.passed { "" } else { "  <- ended here" },
    )
}

fn latency_line(arm: &ArmLatency) -> String {
    let ms = |value: Option<f64>| value.map_or("-".to_owned(), |ms| format!("{ms:.1} ms"));
    format!(
        "{:>6} {:>12} {:>10} {:>7} {:>8} {:>8} {:>8}",
        arm.through,
        arm.stack,
        arm.requests,
        arm.failed,
        ms(arm.from_sent_ms.map(|quantiles| quantiles.p50)),
        ms(arm.from_sent_ms.map(|quantiles| quantiles.p95)),
        ms(arm.from_sent_ms.map(|quantiles| quantiles.p99)),
    )
}
