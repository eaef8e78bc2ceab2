//! What each turn of the loop leads to.

use std::sync::atomic::Ordering;

use super::gates::Answered;
use super::interface::{Asked, RunEvent};
use super::probes::Seen;
use super::{LEAST_COMPARED, LONG_WAIT, Left, Runner, STALL};
use crate::assess::source_worse;
use crate::fact::Output;
use crate::gate;
use crate::machine::{EffectError, Input, Now};
use crate::measure::Sample;
use crate::ports::PortError;
use crate::verdict::Channel;
use crate::view::Level;

impl Runner {
    pub(super) async fn effect_ended(
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

    pub(super) fn tick(&mut self) -> Result<(), Left> {
        let now = self.clock.now();
        self.look(now)?;
        if now.elapsed.as_secs() > self.last_second {
            self.last_second = now.elapsed.as_secs();
            // A driver that wakes has nothing to decide, perhaps for hours; it ends all the same.
            self.ports.lease.still_ours().map_err(Left::Lost)?;
            self.journal.check().map_err(Left::Journal)?;
            let view = Box::new(self.view());
            let _ = self.audience.events.send(RunEvent::Second(view));
        }
        Ok(())
    }

    /// A driver that was stopped has seen nothing; what was under way meanwhile took as long as the
    /// driver slept, whatever the stacks did.
    pub(super) fn notice_a_stall(&mut self) -> Result<(), Left> {
        let now = self.clock.now();
        let gap = now.elapsed.saturating_sub(self.last_turn);
        self.last_turn = now.elapsed;
        if gap < STALL {
            return Ok(());
        }
        let facts = self.machine.handle(now, Input::Stalled(gap));
        self.follow(now, facts)
    }

    pub(super) fn seen(&mut self, seen: Seen) -> Result<(), Left> {
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

    pub(super) fn gate_answered(&mut self, answered: &Answered) -> Result<(), Left> {
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

    /// Carries out what was asked, or says why not.
    pub(super) fn asked(&mut self, asked: Asked) -> Result<(), Left> {
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

    /// Looks at the measurements, lets the machine decide, and shows how things stand.
    pub(super) fn look(&mut self, now: Now) -> Result<(), Left> {
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
        self.tell_long_waits(now, waiting.as_deref())?;
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

    /// What the run waits for is written down, and told to those who are not at a screen, once it
    /// has lasted; once for each time it waits.
    fn tell_long_waits(&mut self, now: Now, waiting: Option<&str>) -> Result<(), Left> {
        let Some(reason) = waiting else {
            self.waits_since = None;
            return Ok(());
        };
        let (since, told) = *self.waits_since.get_or_insert((now.elapsed, false));
        if told || now.elapsed.saturating_sub(since) < LONG_WAIT {
            return Ok(());
        }
        self.waits_since = Some((since, true));
        let facts = self
            .machine
            .handle(now, Input::WaitsLong(reason.to_owned()));
        self.follow(now, facts)
    }

    /// What stacks say of themselves, beside what was measured.
    pub(super) fn add_health(&mut self, now: Now) {
        let source_down = self.health.source_down();
        let target_down = self.health.target_down();
        let target_fails = self
            .measure
            .target
            .recent_error_rate(now.elapsed, LEAST_COMPARED);
        let assessment = &mut self.assessment;
        assessment.source_worse = source_worse(
            (source_down.as_deref(), target_down.as_deref()),
            (assessment.source_fails, target_fails),
        );
        if self.machine.asks_for_proof() {
            assessment.unproven = self.measure.judge().unproven();
        }
        assessment.source_down = source_down;
        assessment.target_down = target_down;
    }

    pub(super) fn take(&mut self, sample: Sample) {
        if sample.batch.channel == Channel::Paired {
            self.paired += sample.batch.source.requests + sample.batch.target.requests;
        }
        self.measure.take(sample);
    }

    /// Once both stacks stand, requests begin.
    pub(super) async fn after_effect(
        &mut self,
        result: Result<Output, EffectError>,
    ) -> Result<Output, EffectError> {
        if let Ok(Output::Addresses(addresses)) = &result {
            self.start_load(addresses).await?;
        }
        result
    }

    pub(super) async fn start_load(
        &mut self,
        addresses: &[(String, String)],
    ) -> Result<(), PortError> {
        if let Some(load) = &mut self.ports.load {
            self.samples = Some(load.start(addresses, self.clock.epoch()).await?);
        }
        Ok(())
    }
}
