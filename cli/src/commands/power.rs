//! `cutover power`: what a plan can find out at its traffic, before it is run.

use std::time::Duration;

use cutover_engine::power::{self, Assumed};
use cutover_scenarios::load;
use cutover_scenarios::quantity::{self, Misread};

use super::saved_plan;
use crate::args::{Output, Power};
use crate::console;
use crate::exit::{Exit, Failure};
use crate::output::power as told;

pub(super) fn run(asked: &Power) -> Result<Exit, Failure> {
    if load::text(&asked.file).is_ok_and(|text| saved_plan::is_saved(&text)) {
        return Err(Failure::error(format!(
            "{}: this is a saved plan; give the plan file that it was made from",
            asked.file.display(),
        )));
    }
    let plan = load::plan(&asked.file)
        .map_err(|error| Failure::chain(&error))?
        .plan;
    let expected = Assumed::of(&plan);
    let assumed = Assumed {
        requests_per_s: asked.rps.unwrap_or(expected.requests_per_s),
        error_rate: asked.error_rate.unwrap_or(expected.error_rate),
        p99_s: asked.p99.map_or(expected.p99_s, |p99| p99.as_secs_f64()),
        ..expected
    };
    let found = match asked.simulate {
        Some(runs) => power::by_simulation(&plan, &assumed, runs, asked.seed),
        None => power::by_formula(&plan, &assumed),
    };
    match asked.output {
        Output::Human => console::data(&told::text(&found)),
        Output::Json => console::data(&format!("{:#}", serde_json::json!(found))),
        Output::Ndjson => console::data(&serde_json::json!(found).to_string()),
    }
    Ok(Exit::Done)
}

/// Reads `--rps`, as a plan writes rates; above 0.
pub(crate) fn rate(text: &str) -> Result<f64, String> {
    match quantity::rate(text).map_err(said)? {
        rate if rate > 0.0 => Ok(rate),
        _ => Err("expected more than 0/s".to_owned()),
    }
}

/// Reads `--error-rate`.
pub(crate) fn fraction(text: &str) -> Result<f64, String> {
    quantity::fraction(text).map_err(said)
}

/// Reads `--p99`; latencies are counted up to two minutes.
pub(crate) fn latency(text: &str) -> Result<Duration, String> {
    match quantity::duration(text).map_err(said)? {
        Duration::ZERO => Err("expected at least 1ms".to_owned()),
        long if long > Duration::from_mins(2) => Err("expected at most 2m".to_owned()),
        p99 => Ok(p99),
    }
}

fn said(misread: Misread) -> String {
    let expected = format!("expected {}", misread.expected);
    match misread.help {
        Some(help) => format!("{expected}; {help}"),
        None => expected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_as_in_a_plan_and_slips_are_told() {
        assert_eq!(rate("250/s"), Ok(250.0));
        assert_eq!(fraction("0.1%"), Ok(0.001));
        assert_eq!(latency("80ms"), Ok(Duration::from_millis(80)));
        assert!(rate("0").unwrap_err().contains("more than 0"));
        assert!(rate("fast").unwrap_err().contains("250/s"));
        assert!(fraction("2").unwrap_err().contains("2%"));
        assert!(latency("80").unwrap_err().contains("expected"));
        assert!(latency("5m").unwrap_err().contains("at most 2m"));
    }
}
