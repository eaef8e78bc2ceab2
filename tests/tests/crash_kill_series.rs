//! Killed after every single record of its journal, and between each effect and its record: the
//! run is left as its plan allows, and both `resume` and `rollback` bring it to an end.

use cutover_tests::kill_series::{Moments, Series, Then};
use cutover_tests::witness::Target;

#[test]
fn a_run_killed_at_any_moment_can_be_resumed_and_taken_back() {
    let series = Series {
        name: "two steps",
        steps: "[25% for 300ms, 100% for 300ms]",
        weights: &[25.0, 100.0],
        target: Target::Healthy,
        again: None,
    };
    println!("{}", series.run(Moments::Distinct));
}

#[test]
fn a_rollback_killed_at_any_moment_is_still_a_rollback() {
    let series = Series {
        name: "a rollback that is killed too",
        steps: "[25% for 300ms, 100% for 300ms]",
        weights: &[25.0, 100.0],
        target: Target::Healthy,
        again: Some(Then::Rollback),
    };
    println!("{}", series.run(Moments::Distinct));
}
