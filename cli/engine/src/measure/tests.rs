use cutover_scenarios::plan::{Bound, Signal};

use super::*;

const MARK: u32 = 3;

fn measure() -> Measure {
    let errors = Objective {
        name: "errors".to_owned(),
        signal: Signal::Errors,
        at_most: Some(Bound::Rate(0.01)),
        versus_source: None,
    };
    let mut measure = Measure::new(&[errors], 0.01, 1);
    measure.begin_segment(MARK, Weight::FULL);
    measure
}

/// Good answers through the edge to requests that were sent with this mark.
fn answered(mark: u32, by_source: u64, by_target: u64) -> Sample {
    let arm = |requests| ArmCounts {
        requests,
        ..ArmCounts::default()
    };
    Sample {
        mark,
        batch: Batch {
            source: arm(by_source),
            target: arm(by_target),
            ..Batch::default()
        },
        source_failed: 0,
        target_failed: 0,
        unattributed: 0,
    }
}

#[test]
fn only_requests_of_the_current_weight_are_held_against_it() {
    let mut measure = measure();
    measure.take(answered(MARK, 0, 100));
    // Sent at the weight before, and while the weight was being written.
    measure.take(answered(MARK - 1, 500, 0));
    measure.take(answered(NO_MARK, 500, 0));
    assert_eq!(measure.judge().share_mismatch(), None);
    measure.take(answered(MARK, 100, 100));
    let mismatch = measure.judge().share_mismatch().expect("a mismatch");
    assert_eq!(mismatch.requests, 300);
}

#[test]
fn before_the_first_weight_no_share_is_expected() {
    let mut measure = Measure::new(&[], 0.01, 1);
    measure.take(answered(NO_MARK, 0, 1_000));
    assert_eq!(measure.judge().share_mismatch(), None);
}

#[test]
fn evidence_that_begins_anew_spends_less_of_alpha() {
    let mut measure = measure();
    let first = measure.judge().alpha_statement();
    assert!(first.contains(": 0.5 % for this driver"), "{first}");
    measure.forget_evidence();
    let second = measure.judge().alpha_statement();
    assert!(second.contains(": 0.17 % for this driver"), "{second}");
}

#[test]
fn requests_to_the_target_are_not_bad_for_going_there() {
    let mut measure = measure();
    measure.take(answered(MARK, 0, 100));
    let guards = measure.guards();
    let share = guards.last().expect("the share of requests");
    assert_eq!(share.objective, None);
    assert_eq!((share.requests, share.bad), (100, 0));
    assert_eq!(guards[0].objective.as_deref(), Some("errors"));
}

#[test]
fn an_interval_without_an_upper_end_survives_json() {
    let open = Interval {
        estimate: f64::INFINITY,
        low: 1.3,
        high: f64::INFINITY,
        unit: Unit::ErrorRatio,
    };
    let edge = GuardKind::VersusSource {
        channel: Channel::Edge,
    };
    let view = interval_view(open, edge);
    assert!(view.whole_run);
    let json = serde_json::to_value(&view).unwrap();
    assert_eq!(json["low"], 1.3);
    assert!(
        json["estimate"].is_null() && json["high"].is_null(),
        "{json}"
    );
    assert_eq!(json["unit"], "error-rate ratio");
    assert_eq!(serde_json::from_value::<IntervalView>(json).unwrap(), view);
}
