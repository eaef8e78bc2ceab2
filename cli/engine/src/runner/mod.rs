//! Carries a run out: the thin shell around the [`Machine`].
//!
//! It waits for whatever comes first (an effect's end, a sample, a command, the next tick), hands
//! it to the machine, writes the facts that follow to the journal, and only then performs the
//! effect that they start. It decides nothing itself, with one exception: when the journal cannot
//! be written any more it stops changing things and takes the weight back, because that needs
//! nothing but the shifter.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use cutover_scenarios::units::Weight;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::sync::{oneshot, watch};
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::assess::Assessment;
use crate::clock::Clock;
use crate::fact::{Effect, Fact, Output, Record, StepObservation};
use crate::gate;
use crate::journal::{Journal, JournalError};
use crate::lock::{Lease, LeaseLost};
use crate::machine::{EffectError, Input, Machine, Now};
use crate::measure::traffic::Traffic;
use crate::measure::{Measure, NO_MARK, Sample};
use crate::narrate;
use crate::phase::{Outcome, Phase};
use crate::ports::{Hooks, Load, PortError, Shifter, Stacks};
use crate::report::{RunReport, report};
use crate::state::State;
use crate::view::{Command, Level, RunView};

mod effects;
mod ending;
mod gates;
mod mail;
mod probes;
mod screen_view;

use gates::{Answered, GateKeeper};
use mail::Mail;
use probes::{HealthLog, Probes, Seen};
use screen_view::Log;

pub use ending::{take_back, take_back_unrecorded};
pub use screen_view::first_view;

/// How often measurements are looked at.
const TICK: Duration = Duration::from_millis(50);

/// A driver that was not there for so long was stopped, or the machine slept.
const STALL: Duration = Duration::from_secs(2);

/// Error rates of the two stacks are compared when each answered so often in the last seconds.
const LEAST_COMPARED: u64 = 20;

/// The world, as the run sees it.
pub struct Ports {
    /// The two stacks.
    pub stacks: Arc<dyn Stacks>,
    /// What moves traffic.
    pub shifter: Arc<dyn Shifter>,
    /// What sends requests; a rollback needs none.
    pub load: Option<Box<dyn Load>>,
    /// The hold on the service; once it is lost, nothing is changed any more.
    pub lease: Arc<dyn Lease>,
    /// What asks webhook gates; a rollback needs none.
    pub hooks: Option<Arc<dyn Hooks>>,
    /// The run's folder, for what is written beside the journal.
    pub folder: PathBuf,
}

/// How a driver begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// A new run.
    Fresh,
    /// A killed run goes on from its journal; the shifter reads this weight.
    Resume(Weight),
    /// A killed run is taken back.
    Rollback {
        /// What the shifter reads, if anything was ever shifted.
        live: Option<Weight>,
        /// Who asked for it.
        by: String,
    },
}

/// A request to a run, and where its answer goes.
#[derive(Debug)]
pub struct Asked {
    /// What is asked for.
    pub command: Command,
    /// Who asks: `ann@laptop (process 4711)`, `signal`. The journal keeps it.
    pub by: String,
    /// Gets `Ok` once the request stands in the journal, or why it was refused.
    pub answer: Option<oneshot::Sender<Result<(), String>>>,
}

impl Asked {
    /// A request that nobody waits for.
    pub fn new(command: Command, by: impl Into<String>) -> Self {
        Asked {
            command,
            by: by.into(),
            answer: None,
        }
    }
}

/// What may be asked of a driver.
#[derive(Debug)]
pub enum Control {
    /// A request to the run.
    Command(Asked),
    /// Leave everything as it stands, at once.
    StopNow,
}

/// Something that happened, for those who follow a run.
#[derive(Debug, Clone)]
pub enum RunEvent {
    /// A fact was recorded; the sentence is what to tell a person.
    Recorded {
        /// As it stands in the journal.
        record: Box<Record>,
        /// `None` for facts that say nothing to a person.
        told: Option<(Level, String)>,
    },
    /// The driver says something that stands in no journal.
    Told {
        /// Since the driver began.
        at: Duration,
        /// How loud it is.
        level: Level,
        /// One sentence.
        text: String,
    },
    /// The run began or ceased to wait for something.
    Waiting {
        /// Since the driver began.
        at: Duration,
        /// `None` when it goes on.
        reason: Option<String>,
    },
    /// Once a second.
    Second(Box<RunView>),
}

/// Those who follow a run and talk to it.
pub struct Audience {
    /// What is asked of the run.
    pub controls: UnboundedReceiver<Control>,
    /// What happens, as it happens.
    pub events: UnboundedSender<RunEvent>,
    /// The run as it stands, several times a second.
    pub views: watch::Sender<RunView>,
}

type EffectInFlight = Pin<Box<dyn Future<Output = (u32, Result<Output, EffectError>)> + Send>>;

/// Drives one run to its end.
pub struct Runner {
    machine: Machine,
    journal: Journal,
    clock: Clock,
    ports: Ports,
    audience: Audience,
    measure: Measure,
    assessment: Assessment,
    samples: Option<UnboundedReceiver<Sample>>,
    in_flight: Option<EffectInFlight>,
    probes: Option<Probes>,
    gate_keeper: GateKeeper,
    mail: Mail,
    health: HealthLog,
    /// When the driver was last seen to run.
    last_turn: Duration,
    last_second: u64,
    mark: u32,
    paired: u64,
    log: Log,
    waiting: Option<String>,
    /// From the breach's first bad response, on the driver's clock.
    first_bad_at: Option<Duration>,
    rolled_back_after: Option<Duration>,
    last_step: StepObservation,
    /// When the weight in force was applied, on the driver's clock.
    segment_began: Duration,
}

/// What came next.
enum Turn {
    Effect(u32, Result<Output, EffectError>),
    Control(Control),
    Sample(Sample),
    Seen(Seen),
    Gate(Answered),
    Told(Fact),
    Tick,
}

/// Why a run was left before its end.
enum Left {
    StopNow,
    Journal(JournalError),
    Lost(LeaseLost),
}

impl Runner {
    /// A runner for the run in `state`, whose journal is open. `attended` says whether a person
    /// can be asked.
    #[must_use]
    pub fn new(
        state: State,
        journal: Journal,
        clock: Clock,
        ports: Ports,
        audience: Audience,
        attended: bool,
    ) -> Self {
        Runner {
            measure: Measure::new(
                &state.plan.objectives,
                state.plan.alpha,
                state.judges.max(1),
            ),
            machine: Machine::new(state, attended),
            journal,
            clock,
            gate_keeper: GateKeeper::new(ports.hooks.clone()),
            mail: Mail::start(None, &[]),
            ports,
            audience,
            assessment: Assessment::default(),
            samples: None,
            in_flight: None,
            probes: None,
            health: HealthLog::default(),
            last_turn: Duration::ZERO,
            last_second: 0,
            mark: NO_MARK,
            paired: 0,
            log: Log::default(),
            waiting: None,
            first_bad_at: None,
            rolled_back_after: None,
            last_step: StepObservation::default(),
            segment_began: Duration::ZERO,
        }
    }

    /// Drives the run until it ends, is told to stop, or cannot be recorded any more.
    pub async fn run(mut self, start: Start) -> RunReport {
        self.open_mail();
        let left = match self.drive(start).await {
            Ok(()) => None,
            Err(Left::StopNow) => Some(self.stopped_at_once()),
            Err(Left::Journal(error)) => Some(self.save_traffic(&error).await),
            Err(Left::Lost(lost)) => Some(self.lost(&lost)),
        };
        let at_once = left
            .as_ref()
            .is_some_and(|left| left.outcome == Outcome::Interrupted);
        self.finish_load(at_once).await;
        self.publish();
        self.close_mail(left.is_some()).await;
        let state = self.machine.state();
        let next = self.next_for(state, left.as_ref());
        report(state, &self.measured(), left, next)
    }

    async fn drive(&mut self, start: Start) -> Result<(), Left> {
        let now = self.clock.now();
        let facts = match start {
            Start::Fresh => self.machine.handle(now, Input::Begin),
            Start::Resume(applied) => {
                if self.machine.state().phase >= Phase::Qualify {
                    let addresses = self.machine.state().addresses.clone();
                    if let Err(error) = self.start_load(&addresses).await {
                        self.tell(Level::Bad, error.to_string());
                    }
                    self.begin_segment(applied);
                    self.probes = Some(Probes::start(&self.ports));
                }
                self.machine.handle(now, Input::Resume { applied })
            }
            Start::Rollback { live, by } => {
                let applied = live;
                self.machine.handle(now, Input::TakeBack { applied, by })
            }
        };
        self.follow(now, facts)?;

        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.last_turn = self.clock.now().elapsed;
        while self.machine.state().outcome.is_none() {
            let turn = self.next_turn(&mut tick).await;
            // Before anything is believed that happened while the driver was not there.
            self.notice_a_stall()?;
            match turn {
                Turn::Effect(id, result) => self.effect_ended(id, result).await?,
                Turn::Control(Control::Command(asked)) => self.asked(asked)?,
                Turn::Control(Control::StopNow) => return Err(Left::StopNow),
                Turn::Sample(sample) => self.take(sample),
                Turn::Seen(seen) => self.seen(seen)?,
                Turn::Told(fact) => {
                    let now = self.clock.now();
                    let facts = self.machine.handle(now, Input::Notified(fact));
                    self.follow(now, facts)?;
                }
                Turn::Gate(answered) => self.gate_answered(&answered)?,
                Turn::Tick => self.tick()?,
            }
        }
        Ok(())
    }

    async fn next_turn(&mut self, tick: &mut Interval) -> Turn {
        tokio::select! {
            biased;
            (id, result) = pending_effect(&mut self.in_flight) => Turn::Effect(id, result),
            // When nobody can ask for anything any more, the run goes on.
            Some(control) = self.audience.controls.recv() => Turn::Control(control),
            Some(seen) = next_seen(&mut self.probes) => Turn::Seen(seen),
            Some(answered) = self.gate_keeper.next() => Turn::Gate(answered),
            Some(fact) = self.mail.next() => Turn::Told(fact),
            Some(sample) = next_sample(&mut self.samples) => Turn::Sample(sample),
            _ = tick.tick() => Turn::Tick,
        }
    }

    async fn effect_ended(
        &mut self,
        id: u32,
        result: Result<Output, EffectError>,
    ) -> Result<(), Left> {
        self.in_flight = None;
        self.count_write();
        let result = self.after_effect(result).await;
        let now = self.clock.now();
        let facts = self.machine.handle(now, Input::Done { id, result });
        self.follow(now, facts)
    }

    fn tick(&mut self) -> Result<(), Left> {
        let now = self.clock.now();
        self.look(now)?;
        if now.elapsed.as_secs() > self.last_second {
            self.last_second = now.elapsed.as_secs();
            // A driver that wakes has nothing to decide, perhaps for hours; it ends all the same.
            self.ports.lease.still_ours().map_err(Left::Lost)?;
            let view = Box::new(self.view());
            let _ = self.audience.events.send(RunEvent::Second(view));
        }
        Ok(())
    }

    /// A driver that was stopped has seen nothing; what was under way meanwhile took as long as the
    /// driver slept, whatever the stacks did.
    fn notice_a_stall(&mut self) -> Result<(), Left> {
        let now = self.clock.now();
        let gap = now.elapsed.saturating_sub(self.last_turn);
        self.last_turn = now.elapsed;
        if gap < STALL {
            return Ok(());
        }
        let facts = self.machine.handle(now, Input::Stalled(gap));
        self.follow(now, facts)
    }

    fn seen(&mut self, seen: Seen) -> Result<(), Left> {
        match seen {
            Seen::Health(health) => {
                self.health.note(health);
                Ok(())
            }
            Seen::Weight {
                weight,
                writer,
                writes,
            } => {
                let of_now = self
                    .probes
                    .as_ref()
                    .is_some_and(|probes| probes.writes.load(Ordering::SeqCst) == writes);
                if !of_now {
                    return Ok(());
                }
                let now = self.clock.now();
                let observed = Input::Observed { weight, writer };
                let facts = self.machine.handle(now, observed);
                self.follow(now, facts)
            }
        }
    }

    fn gate_answered(&mut self, answered: &Answered) -> Result<(), Left> {
        let now = self.clock.now();
        let Some((step, gate)) = self.machine.webhook_gate() else {
            return Ok(());
        };
        let by = gate::endpoint(&gate.endpoint);
        let every = gate.every;
        if self.gate_keeper.take(now, every, answered) && answered.step == step {
            let facts = self.machine.handle(now, Input::GateOpened { step, by });
            self.follow(now, facts)?;
        }
        Ok(())
    }

    /// A write begins or ended: what was read of the weight meanwhile does not count.
    fn count_write(&self) {
        if let Some(probes) = &self.probes {
            probes.writes.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Carries out what was asked, or says why not.
    fn asked(&mut self, asked: Asked) -> Result<(), Left> {
        let Asked {
            command,
            by,
            answer,
        } = asked;
        let now = self.clock.now();
        let accepted = self.machine.accepts(command);
        if accepted.is_ok() {
            let facts = self.machine.handle(now, Input::Command { command, by });
            self.follow(now, facts)?;
        }
        if let Some(answer) = answer {
            // Who asked may have gone away meanwhile.
            let _ = answer.send(accepted);
        }
        Ok(())
    }

    /// Begins to tell those whom the plan names, first that a driver is there.
    fn open_mail(&mut self) {
        let state = self.machine.state();
        self.mail = Mail::start(self.ports.hooks.as_ref(), &state.plan.notify);
        if let (Some(taken_over), Some(seq)) = (state.driver.clone(), self.journal.last_seq()) {
            let record = Record {
                seq,
                at: self.clock.now().wall,
                elapsed_ms: 0,
                fact: taken_over,
            };
            self.mail.post(state, &record);
        }
    }

    /// Waits a moment for notes on their way. What became of them is written down last, unless the
    /// run was `left` in a state in which nothing may be written.
    async fn close_mail(&mut self, left: bool) {
        for fact in self.mail.close().await {
            if let Some((level, text)) = narrate::sentence(self.machine.state(), &fact) {
                self.tell(level, text);
            }
            if !left {
                // The run has ended; a note about its notes may get lost.
                let _ = self.journal.append(self.clock.now(), fact);
            }
        }
    }

    /// Looks at the measurements, lets the machine decide, and shows how things stand.
    fn look(&mut self, now: Now) -> Result<(), Left> {
        let state = self.machine.state();
        let weight = state.applied.unwrap_or(state.set);
        self.assessment = self.measure.assess(now.elapsed, weight);
        self.add_health(now);
        let facts = self.machine.handle(now, Input::Tick(&self.assessment));
        self.follow(now, facts)?;
        let gate = self.machine.webhook_gate();
        self.gate_keeper.look(now, self.machine.state(), gate);
        let mut waiting = self.machine.waiting_for(now, &self.assessment);
        if let (Some(waiting), Some(told)) = (&mut waiting, self.gate_keeper.told(now)) {
            waiting.push_str(&format!(" ({told})"));
        }
        // The reason's figures change with every look; the event is the waiting itself.
        if waiting.is_some() != self.waiting.is_some() {
            let reason = waiting.clone();
            if let Some(reason) = &reason {
                self.log
                    .push(now.elapsed, Level::Warn, format!("waiting for {reason}"));
            }
            let _ = self.audience.events.send(RunEvent::Waiting {
                at: now.elapsed,
                reason,
            });
        }
        self.waiting = waiting;
        self.publish();
        Ok(())
    }

    /// What stacks say of themselves, beside what was measured.
    fn add_health(&mut self, now: Now) {
        let fails = |traffic: &Traffic| traffic.recent_error_rate(now.elapsed, LEAST_COMPARED);
        let source_down = self.health.source_down();
        let target_down = self.health.target_down();
        let assessment = &mut self.assessment;
        assessment.source_worse = match (&source_down, assessment.source_fails) {
            (Some(down), _) if target_down.is_none() => Some(format!("the source is down: {down}")),
            (None, Some(source)) => {
                let target = fails(&self.measure.target).unwrap_or(0.0);
                (target < source).then(|| {
                    format!(
                        "the source itself fails {} of its requests, the target {}",
                        narrate::percent(source),
                        narrate::percent(target)
                    )
                })
            }
            _ => None,
        };
        if self.machine.asks_for_proof() {
            assessment.unproven = self.measure.judge().unproven();
        }
        assessment.source_down = source_down;
        assessment.target_down = target_down;
    }

    fn take(&mut self, sample: Sample) {
        if sample.batch.channel == crate::verdict::Channel::Paired {
            self.paired += sample.batch.source.requests + sample.batch.target.requests;
        }
        self.measure.take(sample);
    }

    /// Writes facts down, then performs the effect that they start.
    fn follow(&mut self, now: Now, facts: Vec<Fact>) -> Result<(), Left> {
        if !facts.is_empty() {
            self.ports.lease.still_ours().map_err(Left::Lost)?;
        }
        let mut to_perform = None;
        for fact in facts {
            match fact {
                Fact::EffectStarted { id, effect } => to_perform = Some((id, effect)),
                Fact::UndoStarted { id, weight } => {
                    let replaces = None;
                    to_perform = Some((id, Effect::SetWeight { weight, replaces }));
                }
                _ => {}
            }
            let record = self.journal.append(now, fact).map_err(Left::Journal)?;
            self.notice(now, &record.fact);
            self.mail.post(self.machine.state(), &record);
            let told = narrate::sentence(self.machine.state(), &record.fact);
            if let Some((level, text)) = &told {
                self.log.push(now.elapsed, *level, text.clone());
            }
            let record = Box::new(record);
            let _ = self
                .audience
                .events
                .send(RunEvent::Recorded { record, told });
        }
        if let Some((id, effect)) = to_perform {
            if matches!(effect, Effect::SetWeight { .. }) {
                self.set_mark(NO_MARK);
            }
            self.count_write();
            let state = self.machine.state();
            let doing = effects::perform(&self.ports, state, id, effect, state.undoing);
            self.in_flight = Some(doing);
        }
        Ok(())
    }

    /// What the shell itself must do about a fact.
    fn notice(&mut self, now: Now, fact: &Fact) {
        match fact {
            Fact::PhaseEntered {
                phase: Phase::Qualify,
            } => {
                self.begin_segment(Weight::ZERO);
                self.probes = Some(Probes::start(&self.ports));
            }
            Fact::DriftFound { drift } => self.begin_segment(drift.found),
            Fact::DriverStalled { .. } => {
                self.mark += 1;
                self.set_mark(self.mark);
                let weight = self.machine.state().applied.unwrap_or_default();
                let patience = self.machine.state().plan.load.timeout;
                self.measure
                    .begin_fresh_segment(self.mark, weight, now.elapsed + patience);
            }
            Fact::BreachShared { .. } => self.measure.forget_evidence(),
            Fact::Breached { breach } => {
                self.first_bad_at = Some(now.elapsed.saturating_sub(breach.detected_after));
            }
            Fact::RollbackDecided { .. } => {
                self.keep_last_step(now);
                self.warn_of_a_broken_source();
            }
            Fact::RunEnded { .. } if self.machine.state().rollback.is_none() => {
                self.keep_last_step(now);
            }
            Fact::EffectSucceeded {
                output: Output::Applied(weight),
                ..
            }
            | Fact::Undone { weight, .. } => {
                if *weight == Weight::ZERO
                    && let Some(first_bad) = self.first_bad_at
                {
                    self.rolled_back_after = Some(now.elapsed.saturating_sub(first_bad));
                }
                self.begin_segment(*weight);
            }
            _ => {}
        }
    }

    fn keep_last_step(&mut self, now: Now) {
        self.last_step = self.measure.seen();
        self.last_step.held = now.elapsed.saturating_sub(self.segment_began);
    }

    /// Going back is what was decided; whether it helps, a person should know.
    fn warn_of_a_broken_source(&mut self) {
        if let Some(failing) = self.assessment.source_fails {
            let share = narrate::percent(failing);
            self.tell(
                Level::Bad,
                format!("the source itself fails {share} of its requests: going back may not help"),
            );
        }
    }

    /// Once both stacks stand, requests begin.
    async fn after_effect(
        &mut self,
        result: Result<Output, EffectError>,
    ) -> Result<Output, EffectError> {
        if let Ok(Output::Addresses(addresses)) = &result {
            self.start_load(addresses).await?;
        }
        result
    }

    async fn start_load(&mut self, addresses: &[(String, String)]) -> Result<(), PortError> {
        if let Some(load) = &mut self.ports.load {
            self.samples = Some(load.start(addresses, self.clock.epoch()).await?);
        }
        Ok(())
    }

    fn begin_segment(&mut self, weight: Weight) {
        self.segment_began = self.clock.now().elapsed;
        self.mark += 1;
        self.set_mark(self.mark);
        self.measure.begin_segment(self.mark, weight);
    }

    fn set_mark(&self, mark: u32) {
        if let Some(load) = &self.ports.load {
            load.set_mark(mark);
        }
    }

    /// Says what stands in no journal.
    fn tell(&mut self, level: Level, text: String) {
        let at = self.clock.now().elapsed;
        self.log.push(at, level, text.clone());
        let _ = self
            .audience
            .events
            .send(RunEvent::Told { at, level, text });
    }

    fn publish(&self) {
        self.audience.views.send_replace(self.view());
    }

    fn view(&self) -> RunView {
        screen_view::view(
            &self.machine,
            self.clock.now().elapsed,
            &self.measure,
            self.waiting.clone(),
            &self.log,
        )
    }
}

async fn pending_effect(
    in_flight: &mut Option<EffectInFlight>,
) -> (u32, Result<Output, EffectError>) {
    match in_flight {
        Some(effect) => effect.as_mut().await,
        None => std::future::pending().await,
    }
}

async fn next_seen(probes: &mut Option<Probes>) -> Option<Seen> {
    match probes {
        Some(probes) => probes.next().await,
        None => std::future::pending().await,
    }
}

async fn next_sample(samples: &mut Option<UnboundedReceiver<Sample>>) -> Option<Sample> {
    match samples {
        Some(receiver) => receiver.recv().await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
