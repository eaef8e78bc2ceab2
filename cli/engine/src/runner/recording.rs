//! Facts are written down, told to those who follow, and only then acted upon.

use std::sync::atomic::Ordering;

use cutover_scenarios::units::Weight;

use super::interface::RunEvent;
use super::mail::Mail;
use super::probes::Probes;
use super::{Left, Runner, effects, screen_view};
use crate::fact::{Effect, Fact, Output, Record};
use crate::machine::Now;
use crate::measure::NO_MARK;
use crate::narrate;
use crate::phase::Phase;
use crate::view::{Level, RunView};

impl Runner {
    /// Writes facts down, then performs the effect that they start.
    pub(super) fn follow(&mut self, now: Now, facts: Vec<Fact>) -> Result<(), Left> {
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
    pub(super) fn notice(&mut self, now: Now, fact: &Fact) {
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

    pub(super) fn keep_last_step(&mut self, now: Now) {
        self.last_step = self.measure.seen();
        self.last_step.held = now.elapsed.saturating_sub(self.segment_began);
    }

    /// Going back is what was decided; whether it helps, a person should know.
    pub(super) fn warn_of_a_broken_source(&mut self) {
        if let Some(failing) = self.assessment.source_fails {
            let share = narrate::percent(failing);
            self.tell(
                Level::Bad,
                format!("the source itself fails {share} of its requests: going back may not help"),
            );
        }
    }

    pub(super) fn begin_segment(&mut self, weight: Weight) {
        self.segment_began = self.clock.now().elapsed;
        self.mark += 1;
        self.set_mark(self.mark);
        self.measure.begin_segment(self.mark, weight);
    }

    pub(super) fn set_mark(&self, mark: u32) {
        if let Some(load) = &self.ports.load {
            load.set_mark(mark);
        }
    }

    /// Says what stands in no journal.
    pub(super) fn tell(&mut self, level: Level, text: String) {
        let at = self.clock.now().elapsed;
        self.log.push(at, level, text.clone());
        let _ = self
            .audience
            .events
            .send(RunEvent::Told { at, level, text });
    }

    pub(super) fn publish(&self) {
        self.audience.views.send_replace(self.view());
    }

    pub(super) fn view(&self) -> RunView {
        screen_view::view(
            &self.machine,
            self.clock.now().elapsed,
            &self.measure,
            self.waiting.clone(),
            &self.log,
        )
    }

    /// Begins to tell those whom the plan names, first that a driver is there.
    pub(super) fn open_mail(&mut self) {
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
    pub(super) async fn close_mail(&mut self, left: bool) {
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

    /// A write begins or ended: what was read of the weight meanwhile does not count.
    pub(super) fn count_write(&self) {
        if let Some(probes) = &self.probes {
            probes.writes.fetch_add(1, Ordering::SeqCst);
        }
    }
}
