//! Whatever happens, in whatever order, a run stays in states that its plan allows.
//!
//! The number of cases is `PROPTEST_CASES`, a few thousand if it is not set.

use cutover_scenarios::plan::{Endpoint, EndpointUrl};
use cutover_scenarios::plan::{
    Gate, Missing, OnBreach, OnBrokenSource, OnMissing, Plan, WebhookGate,
};
use cutover_scenarios::units::Weight;
use proptest::prelude::*;

use super::tests::{Story, breach_fact, healthy};
use super::*;
use crate::fact::{Record, RollbackCause};
use crate::testing::{now, plan, weight};

/// What a person, the network, other people and time may do to a run.
#[derive(Debug, Clone)]
enum Happening {
    /// Time passes and everything is well.
    Healthy,
    /// Time passes and nothing is measured.
    Silent,
    Breach {
        source_too: bool,
        source_worse: bool,
    },
    TargetDown {
        source_too: bool,
    },
    /// The effect under way ends: the write landed or not, the answer came or not.
    EffectEnds {
        landed: bool,
        well: bool,
    },
    /// An answer that was delayed or came twice.
    StaleEffectEnds,
    /// Someone else writes the weight; seen at once, or only at the next write.
    ForeignEdit {
        percent: u8,
        seen: bool,
    },
    GateOpens,
    Stalled,
    Asked(Command),
    Killed {
        resumed_as_rollback: bool,
    },
}

fn happening() -> impl Strategy<Value = Happening> {
    let command = prop_oneof![
        Just(Command::Pause),
        Just(Command::Continue),
        Just(Command::Hold),
        Just(Command::Advance),
        Just(Command::Approve),
        Just(Command::Abort),
        any::<bool>().prop_map(|force| Command::Rollback { force }),
        Just(Command::Interrupt)
    ];
    prop_oneof![
        16 => Just(Happening::Healthy),
        1 => Just(Happening::Silent),
        1 => any::<(bool, bool)>().prop_map(|(source_too, source_worse)| {
            Happening::Breach { source_too, source_worse }
        }),
        1 => any::<bool>().prop_map(|source_too| Happening::TargetDown { source_too }),
        16 => (prop::bool::weighted(0.9), prop::bool::weighted(0.9))
            .prop_map(|(landed, well)| Happening::EffectEnds { landed, well }),
        1 => Just(Happening::StaleEffectEnds),
        1 => (0_u8..=100, any::<bool>())
            .prop_map(|(percent, seen)| Happening::ForeignEdit { percent, seen }),
        2 => Just(Happening::GateOpens),
        1 => Just(Happening::Stalled),
        3 => command.prop_map(Happening::Asked),
        1 => any::<bool>().prop_map(|b| Happening::Killed { resumed_as_rollback: b }),
    ]
}

fn a_plan() -> impl Strategy<Value = Plan> {
    let webhook = Gate::Webhook(WebhookGate {
        endpoint: Endpoint {
            url: EndpointUrl::Env("GATE_URL".to_owned()),
            secret_env: None,
        },
        timeout: Duration::from_secs(1),
        every: Duration::from_secs(1),
    });
    let gate = prop_oneof![Just(None), Just(Some(Gate::Manual)), Just(Some(webhook))];
    (gate, any::<[bool; 5]>()).prop_map(
        |(gate, [hold, back_when_missing, brave, return_ends, prove])| {
            let mut plan = plan();
            plan.steps[1].gate = gate;
            plan.steps[0].prove = prove;
            plan.on_breach = if hold {
                OnBreach::Hold
            } else {
                OnBreach::Rollback
            };
            plan.on_missing = OnMissing {
                after: Duration::from_secs(3),
                then: if back_when_missing {
                    Missing::Rollback
                } else {
                    Missing::Hold
                },
            };
            if brave {
                plan.on_broken_source = OnBrokenSource::Rollback;
            }
            plan.point_of_no_return = return_ends.then_some(Weight::FULL);
            plan
        },
    )
}

/// A run, the live weight, and what has been asked of the run so far.
struct World {
    story: Story,
    live: Weight,
    /// Someone else wrote the weight since this run last read it.
    edited: bool,
    forced: bool,
    source_worse: bool,
    /// A foreign change was found, and no person has answered yet.
    drift_open: bool,
    checked: usize,
}

impl World {
    fn begin(plan: Plan) -> Self {
        let mut story = Story::of(plan);
        story.tell(Input::Begin);
        World {
            story,
            live: Weight::ZERO,
            edited: false,
            forced: false,
            source_worse: false,
            drift_open: false,
            checked: 1,
        }
    }

    fn state(&self) -> &State {
        self.story.machine.state()
    }

    fn happen(&mut self, happening: Happening) {
        self.story.at += 0.9;
        match happening {
            Happening::Healthy => {
                self.source_worse = false;
                let assessment = healthy(self.state());
                self.story.tell(Input::Tick(&assessment));
            }
            Happening::Silent => {
                self.source_worse = false;
                self.story.tell(Input::Tick(&Assessment::default()));
            }
            Happening::Breach {
                source_too,
                source_worse,
            } => {
                self.source_worse = source_worse;
                let assessment = Assessment {
                    breach: Some(breach_fact(source_too)),
                    source_worse: source_worse.then(|| "the source is worse".to_owned()),
                    ..healthy(self.state())
                };
                self.story.tell(Input::Tick(&assessment));
            }
            Happening::TargetDown { source_too } => {
                self.source_worse = false;
                let down = || Some("refused".to_owned());
                let assessment = Assessment {
                    target_down: down(),
                    source_down: down().filter(|_| source_too),
                    ..healthy(self.state())
                };
                self.story.tell(Input::Tick(&assessment));
            }
            Happening::EffectEnds { landed, well } => self.effect_ends(landed, well),
            Happening::StaleEffectEnds => {
                let result = Ok(Output::Nothing);
                self.story.tell(Input::Done { id: 9_999, result });
            }
            Happening::ForeignEdit { percent, seen } => {
                self.live = weight(f64::from(percent));
                self.edited = true;
                if seen && self.state().in_flight.is_none() {
                    let (weight, writer) = (self.live, None);
                    self.story.tell(Input::Observed { weight, writer });
                }
            }
            Happening::GateOpens => {
                let step = self.state().step.unwrap_or(0);
                let by = "webhook".to_owned();
                self.story.tell(Input::GateOpened { step, by });
            }
            Happening::Stalled => {
                self.story.at += 30.0;
                self.story.tell(Input::Stalled(Duration::from_secs(30)));
            }
            Happening::Asked(command) => {
                let accepted = self.story.machine.accepts(command);
                let facts = self.story.command(command);
                assert_eq!(
                    accepted.is_ok(),
                    !facts.is_empty(),
                    "{command:?}: {facts:?}"
                );
                self.forced |= matches!(command, Command::Rollback { .. }) && accepted.is_ok();
            }
            Happening::Killed {
                resumed_as_rollback,
            } => self.killed(resumed_as_rollback),
        }
    }

    /// What the shell does with an effect, against this world.
    fn effect_ends(&mut self, landed: bool, well: bool) {
        let Some((id, effect)) = self.state().in_flight else {
            return;
        };
        let failed = || Err(EffectError::Failed("no answer".to_owned()));
        let result = match effect {
            Effect::SetWeight {
                weight,
                replaces: Some(expected),
            } if self.live != expected && self.live != weight => Err(EffectError::Drifted(Drift {
                expected,
                found: self.live,
                writer: None,
            })),
            Effect::SetWeight { weight, .. } => {
                if landed {
                    self.live = weight;
                    self.edited = false;
                }
                if landed && well {
                    Ok(Output::Applied(weight))
                } else {
                    failed()
                }
            }
            _ if !well => failed(),
            Effect::Deploy => Ok(Output::Addresses(vec![])),
            Effect::ProveWayBack if self.live != Weight::ZERO => failed(),
            Effect::ProveWayBack => Ok(Output::WayBack {
                snapshot: "snapshot.json".to_owned(),
                commands: vec![],
                findings: vec![],
            }),
            Effect::Inspect | Effect::Preflight => Ok(Output::Findings(vec![])),
        };
        let drifted = matches!(result, Err(EffectError::Drifted(_)));
        self.story.tell(Input::Done { id, result });
        let goes_on = self.state().rollback.is_none() && self.state().outcome.is_none();
        if drifted && goes_on {
            assert!(
                self.state().drift.is_some(),
                "a foreign change was passed over"
            );
        }
    }

    fn killed(&mut self, resumed_as_rollback: bool) {
        let mut state = State::replay(&self.story.journal).unwrap();
        assert_eq!(&state, self.state());
        if state.outcome.is_some() && !state.waits_for_a_person() {
            return;
        }
        let taken_over = Fact::DriverStarted {
            pid: 1,
            host: "h".to_owned(),
            version: "0".to_owned(),
        };
        state.apply(&taken_over).unwrap();
        self.story.machine = Machine::new(state, true);
        self.story.journal.push(Record {
            seq: self.story.journal.len() as u64,
            at: now(0.0).wall,
            elapsed_ms: 0,
            fact: taken_over,
        });
        self.checked = self.story.journal.len();
        let edited = std::mem::take(&mut self.edited);
        self.drift_open = false;
        self.source_worse = false;
        if resumed_as_rollback {
            self.forced = true;
            self.story.tell(Input::TakeBack {
                applied: Some(self.live),
                by: "test".to_owned(),
                force: true,
            });
        } else {
            self.story.tell(Input::Resume { applied: self.live });
            let drift = &self.state().drift;
            assert!(
                edited || drift.is_none(),
                "its own write was taken for a foreign one: {drift:?}"
            );
        }
    }

    /// What must be true of every record that was written since the last look.
    fn check(&mut self, going_back: &mut bool) {
        assert_eq!(
            &State::replay(&self.story.journal).unwrap(),
            self.state(),
            "the journal tells the live state"
        );
        let plan = self.state().plan.clone();
        for index in self.checked..self.story.journal.len() {
            match &self.story.journal[index].fact {
                Fact::EffectStarted { effect, .. } => {
                    assert!(!*going_back, "{effect:?} on the way back");
                    if let Effect::SetWeight { weight, .. } = effect {
                        assert!(
                            !self.drift_open,
                            "{effect:?} over a foreign change, unasked"
                        );
                        let before = State::replay(&self.story.journal[..index]).unwrap();
                        assert!(
                            !before.holding || before.restore,
                            "{effect:?} while a person wants it to hold"
                        );
                        let named = plan.steps.iter().any(|step| step.weight == *weight)
                            || before.restore && *weight == before.set;
                        assert!(named, "{weight} is no step of the plan");
                    }
                }
                Fact::UndoStarted { weight, .. } => {
                    assert_eq!(*weight, Weight::ZERO);
                    assert!(*going_back, "taken back without a decision");
                }
                Fact::DriftFound { .. } => self.drift_open = true,
                Fact::Commanded {
                    command: Command::Continue,
                    ..
                } => self.drift_open = false,
                Fact::RunEnded { .. } => {
                    let before = State::replay(&self.story.journal[..index]).unwrap();
                    let writing = matches!(before.in_flight, Some((_, Effect::SetWeight { .. })));
                    assert!(!writing, "ended while a weight was being written");
                }
                Fact::RollbackDecided { cause } => {
                    *going_back = true;
                    self.check_decision(&plan, index, cause);
                }
                _ => {}
            }
        }
        self.checked = self.story.journal.len();
    }

    /// A decision to go back that nobody asked for respects what the plan forbids.
    fn check_decision(&self, plan: &Plan, index: usize, cause: &RollbackCause) {
        let before = State::replay(&self.story.journal[..index]).unwrap();
        if *cause == RollbackCause::Asked {
            assert!(self.forced, "nobody asked");
            return;
        }
        assert!(!before.past_return, "past the point of no return by itself");
        if before.shifted && plan.on_broken_source == OnBrokenSource::Hold {
            assert!(!self.source_worse, "to a source that is worse, by itself");
        }
    }

    /// Everything is well from now on, and a person answers what a person must.
    fn ends_when_all_is_well(&mut self, going_back: &mut bool) {
        for _ in 0..400 {
            if self.state().outcome.is_some() {
                return;
            }
            self.effect_ends(true, true);
            self.happen(Happening::Healthy);
            self.happen(Happening::GateOpens);
            if self.story.machine.accepts(Command::Approve).is_ok() {
                self.happen(Happening::Asked(Command::Approve));
            }
            if self.story.machine.accepts(Command::Continue).is_ok() {
                self.happen(Happening::Asked(Command::Continue));
            } else if self.state().breach.is_some() && self.state().rollback.is_none() {
                self.happen(Happening::Asked(Command::Rollback { force: true }));
            }
            self.check(going_back);
        }
        panic!(
            "no end in sight: waiting for {:?} in {:#?}",
            self.story
                .machine
                .waiting_for(now(self.story.at), &healthy(self.state())),
            self.state()
        );
    }

    fn check_end(&self) {
        match self.story.outcome() {
            _ if self.edited => {}
            Some(Outcome::Done) => assert_eq!(self.live, Weight::FULL),
            Some(Outcome::RolledBack | Outcome::Interrupted) if self.state().shifted => {
                assert_eq!(self.live, Weight::ZERO);
            }
            _ => {}
        }
    }
}

fn cases() -> u32 {
    let asked = std::env::var("PROPTEST_CASES").ok();
    asked.and_then(|cases| cases.parse().ok()).unwrap_or(2_000)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    /// Only weights that the plan names are written, one effect at a time, never over what someone
    /// else wrote, never back by itself when the plan forbids it; a decided rollback never turns
    /// round; the journal replays to the live state; a run that ended well left the weight where
    /// its outcome says; and once all is well the run comes to an end.
    #[test]
    fn whatever_happens_the_run_stays_in_states_the_plan_allows(
        plan in a_plan(),
        happenings in prop::collection::vec(happening(), 1..120),
    ) {
        let mut world = World::begin(plan);
        let mut going_back = false;
        for happening in happenings {
            world.happen(happening);
            world.check(&mut going_back);
        }
        world.ends_when_all_is_well(&mut going_back);
        world.check_end();
    }
}
