//! Carries a run out: the thin shell around the [`Machine`].
//!
//! It waits for whatever comes first (an effect's end, a sample, a command, the next tick), hands
//! it to the machine, writes the facts that follow to the journal, and only then performs the
//! effect that they start. It decides nothing itself, with one exception: when the journal cannot
//! be written any more it stops changing things and takes the weight back, because that needs
//! nothing but the shifter.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::assess::Assessment;
use crate::clock::Clock;
use crate::fact::{Fact, Output, StepObservation};
use crate::journal::{Journal, JournalError};
use crate::lock::LeaseLost;
use crate::machine::{EffectError, Input, Machine};
use crate::measure::{Measure, NO_MARK, Sample};
use crate::phase::{Outcome, Phase};
use crate::report::{RunReport, report};
use crate::state::State;
use crate::view::Level;

mod effects;
mod ending;
mod gates;
mod interface;
mod mail;
mod probes;
mod recording;
mod screen_view;
mod turns;

use gates::{Answered, GateKeeper};
use mail::Mail;
use probes::{HealthLog, Probes, Seen};
use screen_view::Log;

pub use ending::{take_back, take_back_unrecorded};
pub use interface::{Asked, Audience, Control, Ports, RunEvent, Start};
pub use screen_view::first_view;

/// How often measurements are looked at.
const TICK: Duration = Duration::from_millis(50);

/// A driver that was not there for so long was stopped, or the machine slept.
const STALL: Duration = Duration::from_secs(2);

/// Waiting for longer is written down and told.
const LONG_WAIT: Duration = Duration::from_secs(15);

/// Error rates of the two stacks are compared when each answered so often in the last seconds.
const LEAST_COMPARED: u64 = 20;

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
    /// Since when the run waits, and whether that stands in the journal.
    waits_since: Option<(Duration, bool)>,
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
            waits_since: None,
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
            Start::Rollback { live, by, force } => {
                let applied = live;
                self.machine
                    .handle(now, Input::TakeBack { applied, by, force })
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
