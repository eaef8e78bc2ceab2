//! The end of a run, told to people.

use std::fmt::Write as _;

use cutover_engine::phase::Outcome;
use cutover_engine::report::{ReportedGuard, ReportedStep, RunReport};

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
    if !report.guards.is_empty() {
        let _ = writeln!(out, "\nmeasured over the whole run ({}):", report.alpha);
        for guard in &report.guards {
            let _ = writeln!(out, "{}", guard_line(guard, report.outcome));
        }
        // The first assumption is the one about bursts; the document has them all.
        if let Some(assumption) = report.assumptions.first() {
            let _ = writeln!(out, "  assumed: {assumption}");
        }
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

fn guard_line(guard: &ReportedGuard, outcome: Outcome) -> String {
    let measured = match &guard.interval {
        Some(interval) if interval.whole_run => interval.text.clone(),
        Some(interval) => format!("{} (since the last change of weight)", interval.text),
        None if guard.proven => "proven by the absolute bound".to_owned(),
        None => "no bounds yet".to_owned(),
    };
    // The share of requests has no objective: there is no bound to be within.
    let claims = guard.objective.is_some();
    let shown = match (guard.proven, guard.interval.is_some()) {
        (true, true) => "; proven",
        (false, _) if claims && outcome == Outcome::Done => "; not shown to be within the bound",
        _ => "",
    };
    format!("  {}: {measured}{shown}", guard.name)
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

#[cfg(test)]
mod tests {
    use cutover_engine::view::{GuardState, IntervalView};

    use super::*;

    fn guard() -> ReportedGuard {
        ReportedGuard {
            name: "errors at most 1 %".to_owned(),
            objective: Some("errors".to_owned()),
            state: GuardState::Quiet,
            requests: 2_000,
            bad: 4,
            interval: Some(IntervalView {
                estimate: Some(0.002),
                low: Some(0.0),
                high: Some(0.009),
                unit: "error rate".to_owned(),
                whole_run: true,
                text: "error rate 0.2 %, at most 0.9 %".to_owned(),
            }),
            proven: true,
            log_e: -3.0,
            threshold: 6.6,
        }
    }

    #[test]
    fn every_guard_says_what_it_has_shown() {
        let said = |guard: &ReportedGuard, outcome| {
            let line = guard_line(guard, outcome);
            line.strip_prefix("  errors at most 1 %: ")
                .unwrap()
                .to_owned()
        };
        let mut guard = guard();
        let measured = "error rate 0.2 %, at most 0.9 %";
        assert_eq!(said(&guard, Outcome::Done), format!("{measured}; proven"));
        guard.proven = false;
        assert_eq!(
            said(&guard, Outcome::Done),
            format!("{measured}; not shown to be within the bound")
        );
        assert_eq!(said(&guard, Outcome::RolledBack), measured);
        guard.interval = None;
        assert_eq!(
            said(&guard, Outcome::Done),
            "no bounds yet; not shown to be within the bound"
        );
        assert_eq!(said(&guard, Outcome::RolledBack), "no bounds yet");
        guard.proven = true;
        assert_eq!(said(&guard, Outcome::Done), "proven by the absolute bound");
    }

    #[test]
    fn the_share_of_requests_has_no_bound_to_be_within() {
        let mut guard = guard();
        guard.objective = None;
        guard.proven = false;
        guard.interval.as_mut().unwrap().whole_run = false;
        let line = guard_line(&guard, Outcome::Done);
        assert!(
            line.ends_with("at most 0.9 % (since the last change of weight)"),
            "{line}"
        );
    }
}
