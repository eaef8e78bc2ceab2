//! What a plan can find out, told to people: a table that fits 100 columns, and conclusions.

use std::fmt::Write as _;

use cutover_engine::power::{Method, Power, RegressionPower, Signal, StepPower, Times, brief};

/// The table and what follows from it.
pub(crate) fn text(power: &Power) -> String {
    let mut out = heading(power);
    let asked = power.steps.first().map(|step| step.regressions.as_slice());
    let _ = write!(out, "\n{:<8}{:>9}{:>9}", "step", "hold", "target");
    for regression in asked.unwrap_or_default() {
        let _ = write!(out, "{:>WIDTH$}", name(regression));
    }
    let _ = writeln!(out, "{:>WIDTH$}", "no worse");
    for step in &power.steps {
        let _ = writeln!(out, "{}", row(step));
    }
    out.push('\n');
    for sentence in conclusions(power) {
        let _ = writeln!(out, "- {sentence}");
    }
    out.truncate(out.trim_end().len());
    out
}

/// Columns of a cell; five of them and the first three columns make 96.
const WIDTH: usize = 14;

fn row(step: &StepPower) -> String {
    let mut row = format!(
        "{:<8}{:>9}{:>9}",
        weight(step),
        brief(step.hold_s),
        per_second(step.target_requests_per_s)
    );
    for regression in &step.regressions {
        let text = match regression.allowed {
            true => "allowed".to_owned(),
            false => cell(regression.found),
        };
        let _ = write!(row, "{text:>WIDTH$}");
    }
    let _ = write!(row, "{:>WIDTH$}", cell(step.proof));
    row
}

/// `42.5/s`, `2500/s`.
fn per_second(rate: f64) -> String {
    match rate {
        ..999.5 => format!("{rate:.1}/s"),
        _ => format!("{rate:.0}/s"),
    }
}

/// `40 s/95 s`; `40 s/>120 s` and `>120 s` where it took longer than was looked.
fn cell(times: Times) -> String {
    let longer = || match times.searched_s {
        YEARS.. => "never".to_owned(),
        searched => format!(">{}", brief(searched)),
    };
    match (times.median_s, times.p95_s) {
        (Some(median), Some(p95)) => format!("{}/{}", brief(median), brief(p95)),
        (Some(median), None) => format!("{}/{}", brief(median), longer()),
        (None, _) => longer(),
    }
}

/// From here on what was looked at counts as for ever, in seconds.
const YEARS: f64 = 300.0 * 86_400.0;

fn weight(step: &StepPower) -> String {
    format!("{} %", step.weight_percent)
}

fn heading(power: &Power) -> String {
    let method = match power.method {
        Method::Formula => "by formula (--simulate N runs the real judge)".to_owned(),
        Method::Simulation { runs, seed } => {
            format!("from {runs} simulated runs through the real judge, seed {seed}")
        }
    };
    let assumed = &power.assumed;
    format!(
        "Plan `{}`: what it can find out, {method}.\n\
         Assumed: {} requests/s through the edge and {} pairs/s; the source fails {}\n\
         of its requests, its p99 is {:.0} ms. Other values: --rps, --error-rate, --p99. A regression\n\
         begins with the step and stays. Cells: found in half of the runs / in 95 % of them.\n",
        power.plan,
        assumed.requests_per_s,
        assumed.pairs_per_s,
        percent(assumed.error_rate),
        assumed.p99_s * 1000.0,
    )
}

/// `errors x1.5`.
fn name(regression: &RegressionPower) -> String {
    let signal = match regression.signal {
        Signal::Errors => "errors",
        Signal::P99 => "p99",
    };
    format!("{signal} x{}", regression.ratio)
}

/// `0.05 %`, through four decimals so that 0.07 is not 7.000000000000001 %.
fn percent(share: f64) -> String {
    format!("{} %", (share * 1e6).round() / 1e4)
}

fn conclusions(power: &Power) -> Vec<String> {
    let mut said = vec![false_rollback(power)];
    let asked = power.steps.first().map_or(0, |step| step.regressions.len());
    said.extend((0..asked).map(|index| regression(power, index)));
    said.extend(proof(power));
    said
}

fn false_rollback(power: &Power) -> String {
    let bound = percent(power.false_rollback.at_most);
    let seen = power
        .false_rollback
        .simulated
        .map_or_else(String::new, |it| {
            format!(
                "; seen in {} of {} simulated runs (95 % interval {:.1} to {:.1} %)",
                it.hits,
                it.runs,
                it.low_95 * 100.0,
                it.high_95 * 100.0
            )
        });
    format!("A healthy target is sent back in at most {bound} of runs, whatever the traffic{seen}.")
}

/// Which steps find it within their holds, and what would do for the others.
fn regression(power: &Power, index: usize) -> String {
    let of = |step: &StepPower| step.regressions[index];
    let what = name(&of(&power.steps[0]));
    if power.steps.iter().all(|step| of(step).allowed) {
        return format!("{what}: never found, the objectives allow it.");
    }
    let late: Vec<&StepPower> = power
        .steps
        .iter()
        .filter(|step| !of(step).found.p95_s.is_some_and(|p95| p95 <= step.hold_s))
        .collect();
    if late.is_empty() {
        return format!("{what}: found within the hold of every step in 95 % of runs.");
    }
    let steps = late.iter().map(|step| {
        let found = of(step).found;
        let would_do = match found.p95_s {
            Some(p95) => format!("{} would do", brief(p95)),
            None if found.searched_s >= YEARS => "never at this traffic".to_owned(),
            None => format!("not in {} either", brief(found.searched_s)),
        };
        format!("{} ({would_do})", weight(step))
    });
    let steps: Vec<String> = steps.collect();
    format!(
        "{what}: not in 95 % of runs within this hold: {}.",
        steps.join(", ")
    )
}

fn proof(power: &Power) -> Vec<String> {
    let short: Vec<&StepPower> = power
        .steps
        .iter()
        .filter(|step| !step.hold_proves)
        .collect();
    if short.is_empty() {
        return vec!["Every hold is long enough to show that the target is no worse.".to_owned()];
    }
    let steps = short.iter().map(|step| match step.proving_hold_s {
        Some(hold) => format!("{} ({} would do)", weight(step), brief(hold)),
        None => format!("{} (none would do)", weight(step)),
    });
    let steps: Vec<String> = steps.collect();
    let mut said = vec![format!(
        "Too short to show that the target is no worse: {}.",
        steps.join(", ")
    )];
    if short.iter().any(|step| step.proving_hold_s.is_none()) {
        said.push(
            "Where none would do, the margin leaves no room, the source is at its bounds itself, or \
             none of it is left to compare with: such a step must not say `prove: true`."
                .to_owned(),
        );
    }
    said
}

#[cfg(test)]
mod tests {
    use cutover_engine::power::{Assumed, by_formula};

    use super::*;

    fn of(plan: &str, rate: f64) -> String {
        let plan = cutover_scenarios::parse::plan("plan.yaml", plan).unwrap();
        let assumed = Assumed {
            requests_per_s: rate,
            ..Assumed::of(&plan)
        };
        text(&by_formula(&plan, &assumed))
    }

    fn demo() -> &'static str {
        cutover_scenarios::library::plan("demo").unwrap()
    }

    #[test]
    fn the_table_fits_a_hundred_columns_at_any_traffic() {
        for rate in [0.01, 1.0, 250.0, 100_000.0] {
            let text = of(demo(), rate);
            let table = text.lines().take_while(|line| !line.starts_with("- "));
            for line in table {
                assert!(line.chars().count() <= 100, "{line}");
            }
        }
    }

    #[test]
    fn a_hold_that_is_too_short_is_named_with_one_that_would_do() {
        let text = of(demo(), 250.0);
        assert!(
            text.contains("Too short to show that the target is no worse: 1 % ("),
            "{text}"
        );
        assert!(text.contains("would do"), "{text}");
        assert!(text.contains("at most 1 % of runs"), "{text}");
    }
}
