//! The kill series with all moments and more plans: minutes each, run by
//! `tests/soak/kill_series.sh`.

use cutover_tests::kill_series::{Moments, Series, Then};
use cutover_tests::witness::Target;

#[test]
#[ignore = "minutes long; run by tests/soak/kill_series.sh"]
fn one_step() {
    let series = Series {
        name: "one step",
        steps: "[100% for 300ms]",
        weights: &[100.0],
        target: Target::Healthy,
        again: None,
    };
    println!("{}", series.run(Moments::All));
}

#[test]
#[ignore = "minutes long; run by tests/soak/kill_series.sh"]
fn three_steps_and_a_gate() {
    let always = "{ window: { days: mon-sun, hours: \"00:00-24:00\", time_zone: UTC } }";
    let steps =
        format!("[10% for 300ms, {{ weight: 50%, hold: 300ms, gate: {always} }}, 100% for 300ms]");
    let series = Series {
        name: "three steps and a gate",
        steps: &steps,
        weights: &[10.0, 50.0, 100.0],
        target: Target::Healthy,
        again: None,
    };
    println!("{}", series.run(Moments::All));
}

#[test]
#[ignore = "minutes long; run by tests/soak/kill_series.sh"]
fn a_breach_and_the_way_back() {
    let series = Series {
        name: "a breach and the way back",
        steps: "[50% for 20s, 100% for 300ms]",
        weights: &[50.0, 100.0],
        target: Target::Ill,
        again: None,
    };
    println!("{}", series.run(Moments::All));
}

#[test]
#[ignore = "minutes long; run by tests/soak/kill_series.sh"]
fn a_resumed_run() {
    let series = Series {
        name: "a resumed run that is killed too",
        steps: "[25% for 300ms, 100% for 300ms]",
        weights: &[25.0, 100.0],
        target: Target::Healthy,
        again: Some(Then::Resume),
    };
    println!("{}", series.run(Moments::All));
}
