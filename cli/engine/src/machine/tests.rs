//! The machine as a story: inputs on one side, facts on the other.

use std::time::Duration;

use super::inputs::ROLLBACK_ATTEMPTS;
use super::*;
use crate::fact::{BreachFact, Record, StepObservation};
use crate::testing::{now, plan, run_created, weight};
use cutover_scenarios::plan::{Gate, Missing, OnBreach, OnBrokenSource, OnMissing, Plan, Window};
use cutover_scenarios::units::Weight;

/// A machine and the clock it is shown.
pub(super) struct Story {
    pub(super) machine: Machine,
    pub(super) journal: Vec<Record>,
    pub(super) at: f64,
}

impl Story {
    pub(super) fn of(plan: Plan) -> Self {
        let Fact::RunCreated {
            format, run, fault, ..
        } = run_created()
        else {
            unreachable!()
        };
        let created = Fact::RunCreated {
            format,
            run,
            plan: Box::new(plan),
            fault,
        };
        let first = Record {
            seq: 0,
            at: now(0.0).wall,
            elapsed_ms: 0,
            fact: created,
        };
        let state = State::begin(&first).unwrap();
        Story {
            machine: Machine::new(state, true),
            journal: vec![first],
            at: 0.0,
        }
    }

    fn unattended(mut self) -> Self {
        self.machine.attended = false;
        self
    }

    pub(super) fn tell(&mut self, input: Input<'_>) -> Vec<Fact> {
        let facts = self.machine.handle(now(self.at), input);
        for fact in &facts {
            let seq = self.journal.len() as u64;
            let record = Record {
                seq,
                at: now(0.0).wall,
                elapsed_ms: 0,
                fact: fact.clone(),
            };
            self.journal.push(record);
        }
        facts
    }

    pub(super) fn command(&mut self, command: Command) -> Vec<Fact> {
        self.tell(Input::Command {
            command,
            by: "test".to_owned(),
        })
    }

    /// Ends the effect under way well, and answers with that effect.
    fn succeed(&mut self) -> Effect {
        let (id, effect) = self.machine.state().in_flight.expect("an effect under way");
        let output = match effect {
            Effect::Inspect | Effect::Preflight => Output::Findings(vec![]),
            Effect::Deploy => Output::Addresses(vec![]),
            Effect::ProveWayBack => Output::WayBack {
                snapshot: "snapshot.json".to_owned(),
                commands: vec![],
                findings: vec![],
            },
            Effect::SetWeight { weight, .. } => Output::Applied(weight),
        };
        self.tell(Input::Done {
            id,
            result: Ok(output),
        });
        match effect {
            Effect::SetWeight { weight, .. } => set(weight),
            other => other,
        }
    }

    fn fail(&mut self) -> Vec<Fact> {
        let (id, _) = self.machine.state().in_flight.expect("an effect under way");
        self.tell(Input::Done {
            id,
            result: Err(EffectError::Failed("the edge does not answer".to_owned())),
        })
    }

    /// Looks at healthy measurements every 100 ms for so many seconds.
    fn healthy_for(&mut self, seconds: f64) -> Vec<Fact> {
        let end = self.at + seconds;
        let mut facts = Vec::new();
        while self.at < end && self.machine.state().in_flight.is_none() {
            self.at += 0.1;
            let assessment = healthy(self.machine.state());
            facts.extend(self.tell(Input::Tick(&assessment)));
        }
        facts
    }

    fn breach(&mut self) -> Vec<Fact> {
        let broken = Assessment {
            breach: Some(breach_fact(false)),
            ..Default::default()
        };
        self.tell(Input::Tick(&broken))
    }

    /// Up to the first step being held.
    fn at_first_hold(plan: Plan) -> Self {
        let mut story = Story::of(plan);
        story.tell(Input::Begin);
        for expected in [
            Effect::Inspect,
            Effect::Preflight,
            Effect::Deploy,
            Effect::ProveWayBack,
        ] {
            assert_eq!(story.succeed(), expected);
        }
        story.healthy_for(7.0);
        assert_eq!(story.succeed(), set(weight(50.0)));
        story
    }

    pub(super) fn outcome(&self) -> Option<Outcome> {
        self.machine
            .state()
            .outcome
            .as_ref()
            .map(|(outcome, _)| *outcome)
    }
}

pub(super) fn healthy(state: &State) -> Assessment {
    let share = state.applied.unwrap_or_default().fraction();
    Assessment {
        seen: StepObservation {
            requests: 100_000,
            target_requests: (share * 100_000.0) as u64,
            ..Default::default()
        },
        target_answers: 1000,
        data_age: Some(0.1),
        ..Default::default()
    }
}

pub(super) fn breach_fact(source_breaks_too: bool) -> BreachFact {
    BreachFact {
        objective: "errors".to_owned(),
        guard: "errors at most 1 %".to_owned(),
        at_weight: weight(50.0),
        log_e: 9.0,
        threshold: 5.0,
        bad_requests: 8,
        detected_after: Duration::from_millis(400),
        source_breaks_too,
    }
}

/// An effect that writes a weight, whatever it replaces.
const fn set(weight: Weight) -> Effect {
    Effect::SetWeight {
        weight,
        replaces: None,
    }
}

const BACK: Effect = set(Weight::ZERO);

#[test]
fn a_healthy_run_goes_through_every_phase_and_step() {
    let mut story = Story::at_first_hold(plan());
    story.healthy_for(11.0);
    assert_eq!(story.succeed(), set(Weight::FULL));
    story.healthy_for(11.0);
    assert_eq!(story.machine.state().phase, Phase::Bake);
    story.healthy_for(21.0);
    assert_eq!(story.outcome(), Some(Outcome::Done));
    let held: Vec<_> = story
        .machine
        .state()
        .steps
        .iter()
        .map(|step| step.observed.unwrap().held)
        .collect();
    assert!(
        held.iter().all(|held| *held >= Duration::from_secs(10)),
        "{held:?}"
    );
}

#[test]
fn every_effect_is_written_down_before_it_is_performed_and_only_one_is_under_way() {
    let mut story = Story::at_first_hold(plan());
    story.breach();
    story.succeed();
    let mut under_way = None;
    for record in &story.journal {
        match &record.fact {
            Fact::EffectStarted { id, .. } | Fact::UndoStarted { id, .. } => {
                assert_eq!(under_way.replace(*id), None);
            }
            Fact::EffectSucceeded { id, .. }
            | Fact::EffectFailed { id, .. }
            | Fact::Undone { id, .. }
            | Fact::UndoFailed { id, .. } => {
                assert_eq!(under_way.take(), Some(*id));
            }
            _ => {}
        }
    }
}

#[test]
fn a_breach_sends_traffic_back_from_any_phase_that_is_watched() {
    for seconds_into_the_run in [0.0, 12.0, 25.0] {
        let mut story = Story::at_first_hold(plan());
        story.healthy_for(seconds_into_the_run);
        if story.machine.state().in_flight.is_some() {
            story.succeed();
            story.healthy_for(seconds_into_the_run);
        }
        story.breach();
        assert_eq!(story.succeed(), BACK);
        assert_eq!(story.outcome(), Some(Outcome::RolledBack));
        assert_eq!(story.machine.state().applied, Some(Weight::ZERO));
    }
}

#[test]
fn a_breach_during_qualify_writes_weight_zero_and_ends() {
    let mut story = Story::of(plan());
    story.tell(Input::Begin);
    for _ in 0..4 {
        story.succeed();
    }
    story.breach();
    assert_eq!(story.succeed(), BACK);
    assert_eq!(story.outcome(), Some(Outcome::RolledBack));
}

#[test]
fn a_breach_while_a_weight_is_being_written_waits_for_the_write_and_then_goes_back() {
    let mut story = Story::at_first_hold(plan());
    story.healthy_for(11.0);
    assert!(story.machine.state().in_flight.is_some());
    story.breach();
    assert_eq!(story.succeed(), set(Weight::FULL));
    assert_eq!(story.succeed(), BACK);
    assert_eq!(story.outcome(), Some(Outcome::RolledBack));
}

#[test]
fn a_broken_source_is_no_place_to_go_back_to() {
    let mut story = Story::at_first_hold(plan());
    story.healthy_for(9.0);
    let both = Assessment {
        breach: Some(breach_fact(true)),
        ..Default::default()
    };
    let facts = story.tell(Input::Tick(&both));
    assert!(
        matches!(facts[..], [Fact::BreachShared { .. }]),
        "{facts:?}"
    );
    assert_eq!(story.machine.state().in_flight, None);
    story.healthy_for(9.0);
    assert_eq!(story.machine.state().step, Some(0), "the hold begins anew");
    assert_eq!(
        story.tell(Input::Tick(&both)),
        vec![],
        "told once in a while, not all the time"
    );
    story.command(Command::Rollback { force: false });
    assert_eq!(story.succeed(), BACK);
    assert_eq!(story.outcome(), Some(Outcome::RolledBack));
}

#[test]
fn what_was_found_while_both_were_broken_is_not_held_against_the_target_afterwards() {
    let mut story = Story::at_first_hold(plan());
    let both = Assessment {
        breach: Some(breach_fact(true)),
        ..Default::default()
    };
    story.tell(Input::Tick(&both));
    story.at += 2.0;
    assert_eq!(
        story.tell(Input::Tick(&both)),
        vec![],
        "a second stall, soon after"
    );
    story.at += 2.0;
    let facts = story.breach();
    assert!(
        matches!(facts[..], [Fact::BreachShared { .. }]),
        "{facts:?}"
    );
    story.breach();
    assert_eq!(story.succeed(), BACK, "evidence of its own leads back");
}

#[test]
fn a_plan_that_says_hold_holds_for_a_person_and_ends_held_without_one() {
    let hold = Plan {
        on_breach: OnBreach::Hold,
        ..plan()
    };
    let mut attended = Story::at_first_hold(hold.clone());
    attended.breach();
    attended.healthy_for(60.0);
    assert_eq!(attended.outcome(), None);
    assert_eq!(attended.machine.state().applied, Some(weight(50.0)));

    let mut alone = Story::at_first_hold(hold).unattended();
    alone.breach();
    assert_eq!(alone.outcome(), Some(Outcome::Held));
    assert_eq!(alone.machine.state().applied, Some(weight(50.0)));
}

#[test]
fn inconclusive_neither_advances_nor_goes_back() {
    let mut story = Story::at_first_hold(plan());
    let silent = Assessment::default();
    for _ in 0..1000 {
        story.at += 0.1;
        assert_eq!(story.tell(Input::Tick(&silent)), vec![]);
    }
    assert_eq!(story.machine.state().step, Some(0));
    let waiting = story.machine.waiting_for(now(story.at), &silent).unwrap();
    assert!(waiting.contains("the first answer"), "{waiting}");
}

#[test]
fn a_driver_that_was_stopped_for_a_minute_has_not_watched_for_a_minute() {
    let mut story = Story::at_first_hold(plan());
    story.healthy_for(1.0);
    story.at += 60.0;
    story.healthy_for(1.0);
    assert_eq!(
        story.machine.state().step,
        Some(0),
        "3 s of 10 s were watched"
    );
}

#[test]
fn a_pause_stops_the_hold_but_not_the_guard() {
    let mut story = Story::at_first_hold(plan());
    story.command(Command::Pause);
    story.healthy_for(60.0);
    assert_eq!(story.machine.state().step, Some(0));
    story.breach();
    assert_eq!(story.succeed(), BACK);
    assert_eq!(story.outcome(), Some(Outcome::RolledBack));
}

#[test]
fn advance_ends_a_hold_early_but_not_the_bake() {
    let mut story = Story::at_first_hold(plan());
    story.command(Command::Advance);
    story.healthy_for(0.2);
    assert_eq!(story.succeed(), set(Weight::FULL));
    story.command(Command::Advance);
    story.healthy_for(0.2);
    assert_eq!(story.machine.state().phase, Phase::Bake);
    assert_eq!(story.command(Command::Advance), vec![]);
    story.healthy_for(5.0);
    assert_eq!(story.outcome(), None);
}

#[test]
fn a_killed_run_is_taken_back_without_a_step_forward() {
    for phase in [Phase::Qualify, Phase::Shift, Phase::Bake] {
        let mut story = Story::at_first_hold(plan());
        story.machine.state.phase = phase;
        let facts = story.tell(Input::TakeBack {
            applied: Some(weight(25.0)),
            by: "test".to_owned(),
            force: false,
        });
        let writes: Vec<_> = facts
            .iter()
            .filter_map(|fact| match fact {
                Fact::EffectStarted { effect, .. } => Some(*effect),
                Fact::UndoStarted { weight, .. } => Some(set(*weight)),
                _ => None,
            })
            .collect();
        assert_eq!(writes, [BACK]);
    }
}

#[test]
fn nobody_answering_at_all_goes_back() {
    let mut story = Story::at_first_hold(plan());
    let dead = Assessment {
        unanswered: 500,
        data_age: Some(6.0),
        ..Default::default()
    };
    story.tell(Input::Tick(&dead));
    assert_eq!(story.succeed(), BACK);
    let (_, message) = story.machine.state().outcome.clone().unwrap();
    assert!(
        message.contains("nobody answers through the edge"),
        "{message}"
    );
}

#[test]
fn a_manual_gate_waits_for_a_person_with_the_guard_armed() {
    let mut gated = plan();
    gated.steps[1].gate = Some(Gate::Manual);
    let mut story = Story::at_first_hold(gated.clone());
    story.healthy_for(60.0);
    assert_eq!(story.machine.state().step, Some(1));
    let quiet = healthy(story.machine.state());
    let waiting = story.machine.waiting_for(now(story.at), &quiet).unwrap();
    assert_eq!(waiting, "a person to open the gate before 100 %");
    story.command(Command::Advance);
    story.healthy_for(0.2);
    assert_eq!(story.succeed(), set(Weight::FULL));

    let mut story = Story::at_first_hold(gated);
    story.healthy_for(60.0);
    story.breach();
    assert_eq!(story.succeed(), BACK);
}

#[test]
fn a_pause_and_a_gate_wait_for_a_person_also_when_nobody_is_there_yet() {
    let mut paused = Story::at_first_hold(plan()).unattended();
    paused.command(Command::Pause);
    paused.healthy_for(60.0);
    assert_eq!(paused.outcome(), None, "someone may come back");
    paused.command(Command::Continue);
    paused.healthy_for(11.0);
    assert_eq!(paused.succeed(), set(Weight::FULL));

    let mut gated = plan();
    gated.steps[1].gate = Some(Gate::Manual);
    let mut story = Story::at_first_hold(gated).unattended();
    story.healthy_for(60.0);
    assert_eq!(story.outcome(), None);
    story.command(Command::Approve);
    story.healthy_for(0.2);
    assert_eq!(story.succeed(), set(Weight::FULL));
}

#[test]
fn hold_stays_at_the_weight_until_a_person_goes_on() {
    let mut story = Story::at_first_hold(plan());
    story.command(Command::Hold);
    story.healthy_for(60.0);
    let quiet = healthy(story.machine.state());
    let waiting = story.machine.waiting_for(now(story.at), &quiet).unwrap();
    assert_eq!(waiting, "a person to continue (held at this weight)");
    story.command(Command::Continue);
    story.healthy_for(0.2);
    assert_eq!(
        story.succeed(),
        set(Weight::FULL),
        "the hold was over long ago"
    );
}

#[test]
fn hold_keeps_a_gate_that_opens_from_being_passed() {
    let mut gated = plan();
    gated.steps[1].gate = Some(Gate::Manual);
    let mut story = Story::at_first_hold(gated);
    story.healthy_for(11.0);
    story.command(Command::Hold);
    story.command(Command::Approve);
    story.healthy_for(60.0);
    assert_eq!(story.machine.state().in_flight, None);
    let quiet = healthy(story.machine.state());
    let waiting = story.machine.waiting_for(now(story.at), &quiet).unwrap();
    assert_eq!(waiting, "a person to continue (held before the next step)");
    story.command(Command::Continue);
    story.healthy_for(0.2);
    assert_eq!(story.succeed(), set(Weight::FULL));
}

#[test]
fn abort_ends_the_run_and_leaves_the_weight() {
    let mut story = Story::at_first_hold(plan());
    story.command(Command::Abort);
    assert_eq!(story.outcome(), Some(Outcome::Held));
    let (_, message) = story.machine.state().outcome.clone().unwrap();
    assert!(message.contains("stays at 50 %"), "{message}");

    let mut story = Story::at_first_hold(plan());
    story.healthy_for(11.0);
    let refused = story.machine.accepts(Command::Abort).unwrap_err();
    assert!(refused.contains("is being written"), "{refused}");
}

#[test]
fn what_cannot_be_done_now_is_refused_with_the_reason() {
    let mut story = Story::at_first_hold(plan());
    let refusal = |story: &Story, command| story.machine.accepts(command).unwrap_err();
    assert!(refusal(&story, Command::Continue).contains("neither paused nor held"));
    assert!(refusal(&story, Command::Approve).contains("manual gate"));
    story.command(Command::Pause);
    assert!(refusal(&story, Command::Pause).contains("paused already"));
    story.breach();
    for command in [
        Command::Advance,
        Command::Pause,
        Command::Rollback { force: true },
    ] {
        assert!(
            refusal(&story, command).contains("rolling back"),
            "{command:?}"
        );
    }
    story.succeed();
    assert!(refusal(&story, Command::Pause).contains("has ended (rolled_back)"));
}

#[test]
fn a_foreign_change_waits_for_a_person_who_may_write_over_it_or_go_back() {
    for goes_on in [true, false] {
        let mut story = Story::at_first_hold(plan());
        let facts = story.tell(Input::Observed {
            weight: weight(40.0),
            writer: Some("terraform".to_owned()),
        });
        assert!(matches!(facts[..], [Fact::DriftFound { .. }]), "{facts:?}");
        story.healthy_for(60.0);
        assert_eq!(story.machine.state().step, Some(0));
        let quiet = healthy(story.machine.state());
        let waiting = story.machine.waiting_for(now(story.at), &quiet).unwrap();
        assert_eq!(
            waiting,
            "a person: this run set the target's weight to 50 %, now it is 40 %; written by terraform"
        );
        if goes_on {
            story.command(Command::Continue);
            story.healthy_for(0.2);
            let (_, effect) = story.machine.state().in_flight.unwrap();
            let replaces = Some(weight(40.0));
            let weight = weight(50.0);
            assert_eq!(effect, Effect::SetWeight { weight, replaces });
        } else {
            story.breach();
            assert_eq!(story.succeed(), BACK, "the guard stays armed");
        }
    }
}

#[test]
fn a_foreign_change_at_a_gate_is_written_over_with_what_was_set_last() {
    let mut gated = plan();
    gated.steps[1].gate = Some(Gate::Manual);
    let mut story = Story::at_first_hold(gated);
    story.healthy_for(11.0);
    assert_eq!(story.machine.state().step, Some(1), "at the gate");
    let found = weight(90.0);
    story.tell(Input::Observed {
        weight: found,
        writer: None,
    });
    story.command(Command::Continue);
    story.healthy_for(0.2);
    let (_, effect) = story.machine.state().in_flight.unwrap();
    let replaces = Some(found);
    let weight = weight(50.0);
    assert_eq!(effect, Effect::SetWeight { weight, replaces });
    story.succeed();
    story.healthy_for(60.0);
    assert_eq!(
        story.machine.state().in_flight,
        None,
        "the gate is closed still"
    );
    assert!(!story.machine.state().step_applied);
}

#[test]
fn a_foreign_change_before_the_first_step_is_seen_and_taken_back() {
    let mut story = Story::of(plan());
    story.tell(Input::Begin);
    for _ in 0..4 {
        story.succeed();
    }
    assert_eq!(story.machine.state().phase, Phase::Qualify);
    story.tell(Input::Observed {
        weight: weight(60.0),
        writer: None,
    });
    assert!(story.machine.state().drift.is_some());
    story.healthy_for(60.0);
    assert_eq!(story.machine.state().phase, Phase::Qualify, "it waits");
    story.command(Command::Rollback { force: false });
    assert_eq!(story.succeed(), BACK, "what others wrote is taken back too");
}

#[test]
fn a_foreign_change_that_shows_at_the_next_write_is_not_written_over() {
    let mut story = Story::at_first_hold(plan());
    story.healthy_for(11.0);
    let (id, _) = story.machine.state().in_flight.unwrap();
    let drift = Drift {
        expected: weight(50.0),
        found: weight(10.0),
        writer: None,
    };
    let result = Err(EffectError::Drifted(drift));
    story.tell(Input::Done { id, result });
    story.healthy_for(60.0);
    assert_eq!(story.machine.state().in_flight, None);
    assert_eq!(story.machine.state().rollback, None);
}

fn with_a_worse_source(state: &State) -> Assessment {
    Assessment {
        breach: Some(breach_fact(false)),
        source_worse: Some("the source is down: refused".to_owned()),
        ..healthy(state)
    }
}

#[test]
fn traffic_does_not_go_back_to_a_source_that_is_worse_until_it_recovers_or_a_person_insists() {
    let mut story = Story::at_first_hold(plan());
    let worse = with_a_worse_source(story.machine.state());
    story.tell(Input::Tick(&worse));
    story.tell(Input::Tick(&worse));
    assert_eq!(story.machine.state().in_flight, None);
    let waiting = story.machine.waiting_for(now(story.at), &worse).unwrap();
    assert_eq!(
        waiting,
        "a person: traffic would go back, but the source is down: refused"
    );
    let refused = story.machine.accepts(Command::Rollback { force: false });
    assert!(refused.unwrap_err().contains("--force"));
    story.command(Command::Rollback { force: true });
    assert_eq!(story.succeed(), BACK);

    let mut story = Story::at_first_hold(plan());
    story.tell(Input::Tick(&worse));
    story.breach();
    assert_eq!(
        story.succeed(),
        BACK,
        "the source recovered, the breach stands"
    );

    let brave = Plan {
        on_broken_source: OnBrokenSource::Rollback,
        ..plan()
    };
    let mut story = Story::at_first_hold(brave);
    story.tell(Input::Tick(&worse));
    assert_eq!(story.succeed(), BACK, "the plan decides otherwise");
}

#[test]
fn past_the_point_of_no_return_only_a_person_goes_back() {
    let no_return = Plan {
        point_of_no_return: Some(Weight::FULL),
        ..plan()
    };
    let mut story = Story::at_first_hold(no_return.clone());
    story.breach();
    assert_eq!(
        story.succeed(),
        BACK,
        "before that point it goes back as ever"
    );

    let mut story = Story::at_first_hold(no_return);
    story.healthy_for(11.0);
    story.succeed();
    story.breach();
    assert_eq!(story.machine.state().in_flight, None);
    story.command(Command::Interrupt);
    assert_eq!(story.outcome(), Some(Outcome::Held));
    let (_, message) = story.machine.state().outcome.clone().unwrap();
    assert!(message.contains("stays at 100 %"), "{message}");
}

#[test]
fn a_target_that_is_down_is_left_at_once_unless_the_source_is_down_too() {
    let mut story = Story::at_first_hold(plan());
    let down = |source: bool| Assessment {
        target_down: Some("refused".to_owned()),
        source_down: source.then(|| "refused".to_owned()),
        ..Default::default()
    };
    story.tell(Input::Tick(&down(true)));
    assert_eq!(story.machine.state().rollback, None);
    story.tell(Input::Tick(&down(false)));
    assert_eq!(story.succeed(), BACK);
    let (_, message) = story.machine.state().outcome.clone().unwrap();
    assert!(message.contains("the target is down: refused"), "{message}");
}

#[test]
fn missing_measurements_hold_and_in_the_end_do_what_the_plan_says() {
    let silent = Assessment::default();
    let after = Duration::from_secs(30);
    for then in [Missing::Hold, Missing::Rollback] {
        let mut story = Story::at_first_hold(Plan {
            on_missing: OnMissing { after, then },
            ..plan()
        });
        for _ in 0..299 {
            story.at += 0.1;
            assert_eq!(story.tell(Input::Tick(&silent)), vec![]);
        }
        for _ in 0..5 {
            story.at += 0.1;
            story.tell(Input::Tick(&silent));
        }
        if then == Missing::Rollback {
            assert_eq!(story.succeed(), BACK);
            continue;
        }
        story.healthy_for(60.0);
        assert_eq!(story.machine.state().step, Some(0), "a person decides now");
        story.command(Command::Continue);
        story.healthy_for(11.0);
        assert_eq!(story.succeed(), set(Weight::FULL));
    }
}

#[test]
fn a_step_that_must_be_proven_advances_when_it_is_and_not_before() {
    let mut proving = plan();
    proving.steps[0].prove = true;
    let mut story = Story::at_first_hold(proving);
    let unproven = Assessment {
        unproven: vec!["`errors at most 1 %`: at most 2.3 % so far".to_owned()],
        ..healthy(story.machine.state())
    };
    for _ in 0..300 {
        story.at += 0.1;
        assert_eq!(story.tell(Input::Tick(&unproven)), vec![]);
    }
    let waiting = story.machine.waiting_for(now(story.at), &unproven).unwrap();
    assert!(waiting.contains("at most 2.3 % so far"), "{waiting}");
    story.healthy_for(0.2);
    assert_eq!(story.succeed(), set(Weight::FULL));
}

#[test]
fn a_driver_that_was_stopped_begins_the_hold_anew() {
    let mut story = Story::at_first_hold(plan());
    story.healthy_for(9.0);
    story.at += 30.0;
    story.tell(Input::Stalled(Duration::from_secs(30)));
    story.healthy_for(9.0);
    assert_eq!(story.machine.state().step, Some(0));
    story.healthy_for(2.0);
    assert_eq!(story.succeed(), set(Weight::FULL));
}

#[test]
fn a_resumed_run_whose_weight_someone_else_changed_waits_for_a_person() {
    let story = Story::at_first_hold(plan());
    let mut state = story.machine.state().clone();
    let taken = Fact::DriverStarted {
        pid: 1,
        host: "h".to_owned(),
        version: "0".to_owned(),
    };
    state.apply(&taken).unwrap();
    let mut story = Story {
        machine: Machine::new(state, true),
        ..story
    };
    let applied = weight(33.0);
    story.tell(Input::Resume { applied });
    story.healthy_for(60.0);
    assert_eq!(story.machine.state().in_flight, None);
    assert!(story.machine.state().drift.is_some());
}

#[test]
fn a_held_run_that_is_taken_up_again_is_judged_anew() {
    let hold = Plan {
        on_breach: OnBreach::Hold,
        ..plan()
    };
    let mut story = Story::at_first_hold(hold).unattended();
    story.breach();
    let mut state = story.machine.state().clone();
    let taken = Fact::DriverStarted {
        pid: 1,
        host: "h".to_owned(),
        version: "0".to_owned(),
    };
    state.apply(&taken).unwrap();
    story.machine = Machine::new(state, false);
    story.tell(Input::Resume {
        applied: weight(50.0),
    });
    story.healthy_for(0.2);
    assert_eq!(story.succeed(), set(weight(50.0)));
    story.healthy_for(11.0);
    assert_eq!(story.succeed(), set(Weight::FULL));
}

#[test]
fn a_window_gate_opens_by_the_wall_clock() {
    let mut gated = plan();
    let shut = Window {
        days: vec![1],
        opens: 0,
        closes: 1440,
        time_zone: "UTC".to_owned(),
    };
    gated.steps[1].gate = Some(Gate::Window(shut));
    let mut story = Story::at_first_hold(gated);
    story.healthy_for(60.0);
    assert_eq!(story.machine.state().step, Some(1));
    assert!(!story.machine.state().step_applied);
    let monday = Now {
        wall: "2026-11-23T00:00:00Z".parse().unwrap(),
        ..now(story.at)
    };
    let quiet = healthy(story.machine.state());
    let facts = story.machine.handle(monday, Input::Tick(&quiet));
    assert!(
        matches!(facts[..], [Fact::EffectStarted { .. }]),
        "{facts:?}"
    );
}

#[test]
fn a_step_that_cannot_be_written_goes_back() {
    let mut story = Story::at_first_hold(plan());
    story.healthy_for(11.0);
    story.fail();
    assert_eq!(story.succeed(), BACK);
    assert_eq!(story.outcome(), Some(Outcome::RolledBack));
}

#[test]
fn a_rollback_is_tried_again_and_then_has_a_name_stuck() {
    let mut story = Story::at_first_hold(plan());
    story.breach();
    let mut attempts = 0;
    while story.outcome().is_none() {
        story.fail();
        attempts += 1;
        story.healthy_for(30.0);
    }
    assert_eq!(attempts, ROLLBACK_ATTEMPTS);
    assert_eq!(story.outcome(), Some(Outcome::Stuck));

    let mut story = Story::at_first_hold(plan());
    story.breach();
    story.fail();
    story.healthy_for(1.0);
    assert_eq!(story.succeed(), BACK);
    assert_eq!(story.outcome(), Some(Outcome::RolledBack));
}

#[test]
fn a_signal_goes_back_and_ends_interrupted() {
    let mut story = Story::at_first_hold(plan());
    story.command(Command::Interrupt);
    assert_eq!(story.succeed(), BACK);
    assert_eq!(story.outcome(), Some(Outcome::Interrupted));

    let mut early = Story::of(plan());
    early.tell(Input::Begin);
    early.command(Command::Interrupt);
    assert_eq!(
        early.outcome(),
        Some(Outcome::Interrupted),
        "nothing to take back"
    );
}

#[test]
fn a_failed_preflight_touches_nothing() {
    let mut story = Story::of(plan());
    story.tell(Input::Begin);
    story.succeed();
    story.fail();
    assert_eq!(story.outcome(), Some(Outcome::Failed));
    assert_eq!(story.machine.state().ended_in, Some(Phase::Preflight));
    assert!(!story.machine.state().shifted);
}
