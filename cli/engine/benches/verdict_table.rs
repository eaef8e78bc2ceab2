//! Proven by simulation: false rollbacks of healthy runs under continuous looking, and how soon
//! regressions are found, beside the fixed-window rules of other tools that see the same traffic.
//!
//! `cargo bench -p cutover-engine --bench verdict_table -- [--runs N] [--regressions M] [--seed S]`
//! prints the tables of `tests/bench/RESULTS.md` as Markdown: `N` healthy runs each, and `M` for each
//! regression, by default a twenty-fifth of `N`.

#![expect(clippy::print_stdout, reason = "a benchmark prints")]

use std::time::Duration;

use cutover_engine::simulation::rivals::Rule;
use cutover_engine::simulation::series::Share;
use cutover_engine::simulation::table::{self, CALLERS, Speed};
use cutover_engine::simulation::traffic::Regression;

/// Requests a second through the edge; the last is the demo's.
const RATES: [f64; 3] = [10.0, 50.0, 250.0];

fn main() {
    let runs = argument("--runs", 200).max(10);
    let regressions = argument("--regressions", runs / 25).max(1);
    let seed = argument("--seed", 1);
    println!("{runs} healthy runs each, seed {seed}:\n");
    header(&["requests/s", "error rate"]);
    for drift in [None, Some(table::DRIFT)] {
        for rate in RATES {
            let shares = table::false_rollbacks(rate, drift, runs, seed);
            let errors = if drift.is_some() { "drifts" } else { "steady" };
            println!(
                "| {rate} | {errors} | {} |",
                shares.map(percent).join(" | ")
            );
        }
    }
    let runs = regressions;
    println!("\n{runs} runs each, median / 95 %:\n");
    header(&["requests/s", "regression", "bad requests"]);
    let worse = [1.5, 2.0, 3.0, 5.0].map(|x| (format!("errors x {x}"), Regression::of_errors(x)));
    let slower = [1.3, 1.5, 2.0].map(|x| (format!("p99 x {x}"), Regression::of_latency(x)));
    for rate in RATES {
        for (name, regression) in worse.iter().chain(&slower) {
            let speeds = table::speed(rate, *regression, runs, seed);
            let bad = both(speeds[0].bad_median, speeds[0].bad_95, |bad| {
                bad.to_string()
            });
            println!(
                "| {rate} | {name} | {bad} | {} |",
                speeds.map(delays).join(" | ")
            );
        }
    }
}

fn header(first: &[&str]) {
    let callers: Vec<_> = std::iter::once("cutover")
        .chain(Rule::ALL.map(Rule::name))
        .collect();
    assert_eq!(callers.len(), CALLERS);
    println!("| {} | {} |", first.join(" | "), callers.join(" | "));
    println!("|{}", " --- |".repeat(first.len() + CALLERS));
}

/// `0.12 % (0.07–0.21)`.
fn percent(share: Share) -> String {
    let percent = |share: f64| share * 100.0;
    format!(
        "{:.2} % ({:.2}–{:.2})",
        percent(share.rate()),
        percent(share.low),
        percent(share.high)
    )
}

fn delays(speed: Speed) -> String {
    let (half, most) = (speed.delays.quantile(0.5), speed.delays.quantile(0.95));
    if half.is_none() {
        let found = speed.delays.within(table::LIMIT) * 100.0;
        return format!("found in {found:.0} %");
    }
    both(half, most, seconds)
}

fn both<T>(half: Option<T>, most: Option<T>, say: impl Fn(T) -> String) -> String {
    let say = |value: Option<T>| value.map_or_else(|| "–".to_owned(), &say);
    format!("{} / {}", say(half), say(most))
}

fn seconds(delay: Duration) -> String {
    let seconds = delay.as_secs_f64();
    match seconds {
        ..10.0 => format!("{seconds:.1} s"),
        _ => format!("{seconds:.0} s"),
    }
}

/// The number after a name on the command line. Cargo adds `--bench`, which is passed over.
fn argument(name: &str, otherwise: u64) -> u64 {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    let value = arguments.nth(1).and_then(|value| value.parse().ok());
    value.unwrap_or(otherwise)
}
