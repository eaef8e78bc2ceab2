//! Views of runs as they may look, for tests.

use std::time::Duration;

use cutover_engine::phase::{Outcome, Phase};
use cutover_engine::view::{
    GuardState, GuardView, HistoryPoint, IntervalView, LatencyView, Level, LogLine, Progress,
    RunView, StepState, StepView, TrafficView, WeightView,
};
use cutover_scenarios::units::Weight;

/// Weights of the demo's steps, in percent.
const STEPS: [f64; 7] = [1.0, 5.0, 10.0, 25.0, 50.0, 75.0, 100.0];

/// Step 4 of 7: users' traffic is at 25 %, and all is well.
pub(crate) fn shifting() -> RunView {
    RunView {
        run: "20261121-153544-k3f9".to_owned(),
        plan: "demo".to_owned(),
        phase: Phase::Shift,
        outcome: None,
        elapsed: Duration::from_secs(42),
        paused: false,
        holding: false,
        waiting_for: None,
        steps: steps(3),
        current_step: Some(3),
        progress: Some(progress(4, 6)),
        weight: WeightView {
            set: percent(25.0),
            applied: Some(percent(25.0)),
            observed: Some(0.2461),
        },
        edge: traffic(8_412, 0, 201.3, Some(0.0), [900, 2_100, 4_400]),
        source: traffic(7_633, 1, 191.0, Some(0.000_4), [800, 2_000, 4_100]),
        target: traffic(2_204, 0, 89.8, Some(0.0), [1_000, 2_600, 12_400]),
        guards: vec![
            guard("errors at most 1 %", -2.1, 0, GuardState::Quiet),
            guard("errors at most 3x source", 0.4, 0, GuardState::Quiet),
            guard("p99 at most 250 ms", -1.3, 2, GuardState::Quiet),
            guard("p99 at most 3x source", 1.2, 9, GuardState::Quiet),
        ],
        addresses: vec![
            ("edge".to_owned(), "http://127.0.0.1:40123".to_owned()),
            ("source".to_owned(), "http://127.0.0.1:40211".to_owned()),
            ("target".to_owned(), "http://127.0.0.1:40317".to_owned()),
        ],
        log: vec![
            line(
                0,
                Level::Info,
                "inspect: the source answers on 127.0.0.1:40211",
            ),
            line(1, Level::Info, "preflight: 6 checks passed"),
            line(2, Level::Info, "deploy: target is ready on 127.0.0.1:40317"),
            line(10, Level::Good, "qualify: 400 pairs, no guard is near"),
            line(11, Level::Info, "step 1 of 7: weight 1 % set and read back"),
            line(18, Level::Good, "step 1 of 7: held 0:06, observed 0.97 %"),
            line(18, Level::Info, "step 2 of 7: weight 5 % set and read back"),
            line(26, Level::Good, "step 2 of 7: held 0:06, observed 5.12 %"),
            line(
                32,
                Level::Info,
                "step 3 of 7: weight 10 % set and read back",
            ),
            line(38, Level::Good, "step 3 of 7: held 0:06, observed 9.8 %"),
            line(
                38,
                Level::Info,
                "step 4 of 7: weight 25 % set and read back",
            ),
        ],
    }
}

/// The target answered with errors at 25 %, and traffic goes back.
pub(crate) fn rolling_back() -> RunView {
    let mut view = shifting();
    view.phase = Phase::Rollback;
    view.elapsed = Duration::from_secs(44);
    view.progress = None;
    view.waiting_for = None;
    view.steps[3].state = StepState::Broken;
    view.weight.set = Weight::ZERO;
    view.weight.observed = Some(0.118);
    view.target.failed = 31;
    view.target.error_rate = Some(0.2214);
    view.edge.failed = 9;
    view.edge.error_rate = Some(0.0512);
    for point in view.target.history.iter_mut().rev().take(3) {
        point.failed = point.requests / 5;
    }
    view.guards[0] = guard("errors at most 1 %", 7.9, 31, GuardState::Breach);
    view.guards[1] = guard("errors at most 3x source", 4.4, 31, GuardState::Near);
    view.log.push(line(
        43,
        Level::Warn,
        "errors at most 3x source: 17 of 2150 target requests are bad, the run holds",
    ));
    view.log.push(line(
        44,
        Level::Bad,
        "errors at most 1 %: breach after 31 bad of 2204 target requests, rolling back",
    ));
    view
}

/// Waits for a person to open the gate of 50 %.
pub(crate) fn at_gate() -> RunView {
    let mut view = shifting();
    view.steps = steps(4);
    view.steps[4].state = StepState::AtGate;
    view.steps[4].applied = None;
    view.steps[4].observed = None;
    view.current_step = Some(4);
    view.progress = None;
    view.waiting_for = Some("a person to open the gate before 50 %".to_owned());
    view
}

/// At the same gate, and paused by a person on top of it.
pub(crate) fn paused_at_gate() -> RunView {
    RunView {
        paused: true,
        waiting_for: Some("a person to continue (paused)".to_owned()),
        ..at_gate()
    }
}

/// Over, and everything is on the target.
pub(crate) fn done() -> RunView {
    let mut view = shifting();
    view.phase = Phase::Ended;
    view.outcome = Some(Outcome::Done);
    view.steps = steps(7);
    view.current_step = None;
    view.progress = None;
    view.weight = WeightView {
        set: Weight::FULL,
        applied: Some(Weight::FULL),
        observed: Some(1.0),
    };
    view
}

/// Just begun: nothing is known yet.
pub(crate) fn begun() -> RunView {
    RunView {
        run: "20261121-153544-k3f9".to_owned(),
        plan: "demo".to_owned(),
        phase: Phase::Inspect,
        outcome: None,
        elapsed: Duration::ZERO,
        paused: false,
        holding: false,
        waiting_for: None,
        steps: steps(0)
            .into_iter()
            .map(|step| StepView {
                state: StepState::Pending,
                applied: None,
                observed: None,
                requests: 0,
                ..step
            })
            .collect(),
        current_step: None,
        progress: None,
        weight: WeightView::default(),
        edge: TrafficView::default(),
        source: TrafficView::default(),
        target: TrafficView::default(),
        guards: Vec::new(),
        addresses: Vec::new(),
        log: Vec::new(),
    }
}

/// Everything longer than it should be: names, steps, guards, sentences, numbers.
pub(crate) fn crowded() -> RunView {
    let mut view = rolling_back();
    view.plan = "a-plan-with-a-name-as-long-as-a-dns-label-can-be-".repeat(2)[..63].to_owned();
    view.run = format!("{}-20261121-153544", view.plan);
    view.elapsed = Duration::from_secs(400_000);
    view.steps = (1..=40)
        .map(|number| StepView {
            weight: percent(2.25 * f64::from(number)),
            hold: Duration::from_secs(86_400),
            gate: Some("window mon-fri 09:00-17:00 America/Argentina/Buenos_Aires".to_owned()),
            state: match number {
                1..30 => StepState::Passed,
                30 => StepState::Broken,
                _ => StepState::Pending,
            },
            applied: Some(percent(2.25 * f64::from(number))),
            observed: Some(0.022_5 * f64::from(number)),
            requests: 98_765_432_109,
        })
        .collect();
    view.current_step = Some(29);
    let name = "p99.95 at most 1.25x source, for a name that somebody made far too long";
    view.guards = (0..20)
        .map(|number| guard(name, f64::from(number) - 4.0, 9_999, GuardState::Quiet))
        .collect();
    view.guards[19].log_e = f64::INFINITY;
    view.guards[19].state = GuardState::Breach;
    for traffic in [&mut view.edge, &mut view.source, &mut view.target] {
        traffic.rate = 1.0e9;
        traffic.error_rate = Some(0.999_99);
        traffic.latency = Some(LatencyView {
            p50: Duration::from_secs(4_000),
            p95: Duration::from_secs(40_000),
            p99: Duration::MAX,
        });
    }
    view.waiting_for = Some("because ".repeat(60));
    view.log = (0..300)
        .map(|second| line(second * 1_000, Level::Warn, &"far too long ".repeat(30)))
        .collect();
    view
}

/// The steps when the one at `current` is being held.
fn steps(current: usize) -> Vec<StepView> {
    STEPS
        .iter()
        .enumerate()
        .map(|(index, weight)| {
            let reached = index <= current;
            StepView {
                weight: percent(*weight),
                hold: Duration::from_secs(6),
                gate: (*weight == 50.0).then(|| "manual".to_owned()),
                state: match index.cmp(&current) {
                    std::cmp::Ordering::Less => StepState::Passed,
                    std::cmp::Ordering::Equal => StepState::Holding,
                    std::cmp::Ordering::Greater => StepState::Pending,
                },
                applied: reached.then(|| percent(*weight)),
                observed: reached.then_some(weight / 100.0 * 0.984),
                requests: if reached { 1_204 } else { 0 },
            }
        })
        .collect()
}

fn guard(name: &str, log_e: f64, bad: u64, state: GuardState) -> GuardView {
    GuardView {
        name: name.to_owned(),
        objective: name.split_whitespace().next().map(str::to_owned),
        log_e,
        // ln(1/α) for α = 1 %, shared by two objectives.
        threshold: 5.3,
        requests: 2_204,
        bad,
        state,
        interval: Some(IntervalView {
            estimate: Some(1.1),
            low: Some(0.71),
            high: Some(1.9),
            unit: "error-rate ratio".to_owned(),
            whole_run: true,
            text: "error-rate ratio 1.1, between 0.71 and 1.9".to_owned(),
        }),
        proven: false,
    }
}

/// A minute of traffic; `micros` are p50, p95 and p99.
fn traffic(
    requests: u64,
    failed: u64,
    rate: f64,
    error_rate: Option<f64>,
    micros: [u64; 3],
) -> TrafficView {
    let [p50, p95, p99] = micros.map(Duration::from_micros);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "small positive numbers"
    )]
    let steady = rate as u64;
    TrafficView {
        requests,
        failed,
        rate,
        error_rate,
        latency: Some(LatencyView { p50, p95, p99 }),
        history: (0..60)
            .map(|second: u64| HistoryPoint {
                requests: steady * second.min(20) / 20,
                failed: 0,
                p99: p99.mul_f64(0.5 + 0.1 * ((second * 7 % 6) as f64)),
            })
            .collect(),
    }
}

fn line(second: u64, level: Level, text: &str) -> LogLine {
    LogLine {
        at: Duration::from_secs(second),
        level,
        text: text.to_owned(),
    }
}

fn progress(spent: u64, total: u64) -> Progress {
    Progress {
        spent: Duration::from_secs(spent),
        total: Duration::from_secs(total),
    }
}

fn percent(value: f64) -> Weight {
    Weight::from_percent(value).expect("a weight of the samples")
}
