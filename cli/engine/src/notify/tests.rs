use jiff::Timestamp;

use super::*;
use crate::fact::{BreachFact, Drift, Effect, RollbackCause, StepObservation};
use crate::testing::{plan, run_created, weight};

/// The state after the last of some facts, and the note that it is worth.
fn note_after(facts: &[Fact]) -> Option<Note> {
    note_in(plan(), facts)
}

fn note_in(plan: cutover_scenarios::plan::Plan, facts: &[Fact]) -> Option<Note> {
    let begin = match run_created() {
        Fact::RunCreated {
            format, run, fault, ..
        } => Fact::RunCreated {
            format,
            run,
            plan: Box::new(plan),
            fault,
        },
        other => other,
    };
    let records: Vec<Record> = std::iter::once(&begin)
        .chain(facts)
        .zip(0..)
        .map(|(fact, seq)| Record {
            seq,
            at: "2026-11-20T10:00:00Z".parse::<Timestamp>().unwrap(),
            elapsed_ms: 0,
            fact: fact.clone(),
        })
        .collect();
    let state = State::replay(&records).unwrap();
    note(&state, records.last().unwrap())
}

fn driver(pid: u32) -> Fact {
    Fact::DriverStarted {
        pid,
        host: "laptop".to_owned(),
        version: "0.1.0".to_owned(),
    }
}

fn set(id: u32, percent: f64) -> [Fact; 2] {
    let weight = weight(percent);
    let effect = Effect::SetWeight {
        weight,
        replaces: None,
    };
    let output = Output::Applied(weight);
    [
        Fact::EffectStarted { id, effect },
        Fact::EffectSucceeded { id, output },
    ]
}

/// From the beginning to the first step's weight.
fn shifted() -> Vec<Fact> {
    let mut facts = vec![
        driver(1),
        Fact::PhaseEntered {
            phase: Phase::Shift,
        },
        Fact::StepReached { step: 0 },
    ];
    facts.extend(set(0, 50.0));
    facts
}

fn breach() -> Fact {
    Fact::Breached {
        breach: BreachFact {
            objective: "errors".to_owned(),
            guard: "errors at most 1 %".to_owned(),
            at_weight: weight(50.0),
            log_e: 7.0,
            threshold: 6.0,
            bad_requests: 12,
            detected_after: Duration::from_secs(1),
            source_breaks_too: false,
        },
    }
}

/// What a note is about, and its sentence.
fn told(facts: &[Fact]) -> (NotifyOn, String) {
    let note = note_after(facts).unwrap();
    (note.on, note.text)
}

#[test]
fn a_beginning_and_a_take_over_are_told_apart() {
    assert_eq!(
        told(&[driver(7)]),
        (
            NotifyOn::Start,
            "the run begins: process 7 on laptop".to_owned()
        )
    );
    let mut facts = shifted();
    facts.push(driver(8));
    assert_eq!(
        told(&facts).1,
        "the run was taken over by process 8 on laptop"
    );
}

#[test]
fn a_step_is_told_once_its_weight_was_read_back() {
    let facts = shifted();
    assert_eq!(
        note_after(&facts[..facts.len() - 1]),
        None,
        "only asked for"
    );
    let note = note_after(&facts).unwrap();
    assert_eq!(note.on, NotifyOn::Step);
    assert_eq!(note.text, "step 1 of 2: the target's weight is 50 %");
    assert_eq!(note.weight_percent, Some(50.0));
    assert_eq!((note.seq, note.phase), (5, Phase::Shift));
    assert_eq!(note.run, "20261120-100000-shop-0001");
}

#[test]
fn a_person_is_told_when_the_run_waits_for_one() {
    let mut with_gate = plan();
    with_gate.steps[0].gate = Some(Gate::Manual);
    let facts = &shifted()[..3];
    let note = note_in(with_gate, facts).unwrap();
    assert_eq!(note.on, NotifyOn::Hold);
    assert_eq!(note.text, "waits for a person to open the gate before 50 %");
    assert_eq!(note_after(facts), None, "a step without a gate");
    for command in [Command::Pause, Command::Hold] {
        let mut facts = shifted();
        let by = "ann@laptop".to_owned();
        facts.push(Fact::Commanded { command, by });
        let (on, text) = told(&facts);
        assert_eq!(on, NotifyOn::Hold);
        assert!(text.contains("ann@laptop"), "{text}");
    }
}

#[test]
fn a_run_that_holds_by_itself_says_why() {
    let held = |plan, fact| {
        let mut facts = shifted();
        facts.push(fact);
        note_in(plan, &facts)
    };
    let drift = Fact::DriftFound {
        drift: Drift {
            expected: weight(50.0),
            found: weight(60.0),
            writer: Some("bob".to_owned()),
        },
    };
    let withheld = Fact::RollbackWithheld {
        cause: RollbackCause::Breach,
        reason: "the source is worse".to_owned(),
    };
    let missing = Fact::MissingTooLong {
        reason: "the first answer".to_owned(),
    };
    for (fact, part) in [
        (drift, "written by bob"),
        (withheld, "the source is worse"),
        (missing.clone(), "the first answer"),
    ] {
        let note = held(plan(), fact).unwrap();
        assert_eq!(note.on, NotifyOn::Hold);
        assert!(note.text.contains(part), "{}", note.text);
    }
    let mut goes_back = plan();
    goes_back.on_missing.then = Missing::Rollback;
    assert_eq!(held(goes_back, missing), None, "told as a rollback");
}

#[test]
fn a_note_about_a_note_is_never_sent() {
    let mut facts = shifted();
    facts.push(Fact::Notified {
        about: 5,
        to: "$SLACK_URL".to_owned(),
        attempts: 10,
        error: Some("503 Service Unavailable".to_owned()),
    });
    assert_eq!(note_after(&facts), None);
}

#[test]
fn breach_rollback_and_end_are_told() {
    let mut facts = shifted();
    facts.push(breach());
    let (on, text) = told(&facts);
    assert_eq!(on, NotifyOn::Breach);
    assert!(
        text.contains("`errors at most 1 %` refuted at 50 %"),
        "{text}"
    );
    facts.push(Fact::RollbackDecided {
        cause: RollbackCause::Breach,
    });
    assert_eq!(told(&facts).0, NotifyOn::Rollback);
    facts.push(Fact::PhaseEntered {
        phase: Phase::Rollback,
    });
    let weight = weight(0.0);
    for undo in [
        Fact::UndoStarted { id: 0, weight },
        Fact::Undone { id: 0, weight },
    ] {
        facts.push(undo);
        assert_eq!(note_after(&facts), None, "the end follows");
    }
    facts.push(Fact::RunEnded {
        outcome: Outcome::RolledBack,
        message: "all traffic is back".to_owned(),
    });
    let note = note_after(&facts).unwrap();
    assert_eq!(note.on, NotifyOn::Done);
    assert_eq!(note.outcome, Some(Outcome::RolledBack));
    assert_eq!(note.weight_percent, Some(0.0));
}

#[test]
fn the_end_of_a_failed_run_says_why() {
    let end = Fact::RunEnded {
        outcome: Outcome::Failed,
        message: "the port is taken".to_owned(),
    };
    assert_eq!(told(&[driver(1), end]).1, "failed: the port is taken");
}

#[test]
fn a_weight_in_doubt_is_not_told_as_known() {
    let mut facts = shifted();
    facts.push(Fact::StepPassed {
        step: 0,
        observed: StepObservation::default(),
    });
    facts.push(Fact::StepReached { step: 1 });
    let [started, _] = set(1, 100.0);
    facts.push(started);
    facts.push(breach());
    assert_eq!(note_after(&facts).unwrap().weight_percent, None);
}

#[test]
fn waits_double_up_to_a_minute_and_end_after_ten_attempts() {
    let waits: Vec<Option<u64>> = (1..=10)
        .map(|attempts| wait_before_retry(attempts, Duration::ZERO).map(|wait| wait.as_secs()))
        .collect();
    let seconds = [1, 2, 4, 8, 16, 32, 60, 60, 60].map(Some);
    assert_eq!(waits[..9], seconds);
    assert_eq!(waits[9], None);
    assert_eq!(wait_before_retry(u32::MAX, Duration::ZERO), None);
}

#[test]
fn news_of_a_quarter_of_an_hour_ago_is_given_up() {
    let tried_for = Duration::from_secs(15 * 60 - 60);
    assert!(wait_before_retry(8, tried_for).is_some());
    assert_eq!(
        wait_before_retry(8, tried_for + Duration::from_secs(1)),
        None
    );
}
