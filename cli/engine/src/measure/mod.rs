//! Measurements of a run: what the load generator reports, added up three ways.
//!
//! | module | adds up |
//! | --- | --- |
//! | [`traffic`] | what screens show: totals, the last seconds, one point a second |
//! | this one | what decisions need: the current step, the judge's batches, bad requests over time |
//!
//! Everything that arrives carries the mark that was current when its request was *sent*, so that
//! a request on its way while the weight changed is never counted for the wrong step.

use std::collections::VecDeque;
use std::time::Duration;

use cutover_scenarios::plan::Objective;
use cutover_scenarios::units::Weight;

use crate::assess::Assessment;
use crate::fact::{BreachFact, StepObservation};
use crate::narrate::percent;
use crate::verdict::{ArmCounts, Batch, Channel, GuardKind, Interval, Judge, Unit};
use crate::view::{GuardView, IntervalView};

#[cfg(test)]
mod tests;
pub mod traffic;

use traffic::Traffic;

/// Measurements of one flush of the load generator, of one channel.
#[derive(Debug, Clone)]
pub struct Sample {
    /// The mark that was current when the requests were sent.
    pub mark: u32,
    /// Counts of both arms; `batch.at` is when the sample was taken, on the driver's clock.
    pub batch: Batch,
    /// Requests to the source that failed.
    pub source_failed: u64,
    /// Requests to the target that failed.
    pub target_failed: u64,
    /// Requests through the edge that no stack answered; all of them failed.
    pub unattributed: u64,
}

/// Requests with this mark were sent while a weight was being written.
pub const NO_MARK: u32 = 0;

/// Batches of one channel are gathered this long before the judge sees them, so that what one
/// cause breaks at one moment arrives together.
const GATHER: Duration = Duration::from_millis(100);

/// A source that fails this share of its requests is in trouble itself.
const BROKEN_SOURCE: f64 = 0.1;

/// … if it was asked at least so often in the last seconds.
const LEAST_OF_SOURCE: u64 = 20;

/// Most entries kept of bad requests over time.
const KEPT_BAD: usize = 4096;

/// Adds up the measurements of a run.
pub struct Measure {
    judge: Judge,
    objectives: Vec<Objective>,
    alpha: f64,
    /// How many judges the run has had, with this one.
    nth: u32,
    weight: Weight,
    mark: u32,
    /// Evidence counts from this mark on.
    fresh_from: u32,
    quiet_until: Duration,
    seen: StepObservation,
    target_answers: u64,
    last_answer: Option<Duration>,
    unanswered: u64,
    gathering: [Option<(Duration, Batch)>; 2],
    bad: VecDeque<BadMoment>,
    /// Through the edge, whoever answered.
    pub edge: Traffic,
    /// The source, through the edge or directly.
    pub source: Traffic,
    /// The target, through the edge or directly.
    pub target: Traffic,
}

/// Bad answers of the target that arrived at one moment.
struct BadMoment {
    at: Duration,
    objective: usize,
    channel: Channel,
    count: u64,
}

impl Measure {
    /// Nothing measured yet. `alpha` is the plan's, for the whole run; `nth` counts from 1 how often the
    /// run's evidence has begun anew: once, and once more for each resume and each
    /// [`forget_evidence`](Measure::forget_evidence) before.
    #[must_use]
    pub fn new(objectives: &[Objective], alpha: f64, nth: u32) -> Self {
        Measure {
            judge: Judge::nth(objectives, alpha, nth),
            objectives: objectives.to_vec(),
            alpha,
            nth,
            weight: Weight::ZERO,
            mark: NO_MARK,
            fresh_from: NO_MARK,
            quiet_until: Duration::ZERO,
            seen: StepObservation::default(),
            target_answers: 0,
            last_answer: None,
            unanswered: 0,
            gathering: [None, None],
            bad: VecDeque::new(),
            edge: Traffic::default(),
            source: Traffic::default(),
            target: Traffic::default(),
        }
    }

    /// A weight was applied (or qualify began, with weight 0): what is sent with `mark` from now
    /// on belongs to it.
    pub fn begin_segment(&mut self, mark: u32, weight: Weight) {
        self.flush();
        self.mark = mark;
        self.weight = weight;
        self.seen = StepObservation::default();
        self.target_answers = 0;
        self.judge.begin_segment(weight.fraction());
    }

    /// As [`Measure::begin_segment`], after a time in which nobody measured: what was sent before
    /// is no evidence, nor is what was sent without a mark and ends before `quiet_until`.
    pub fn begin_fresh_segment(&mut self, mark: u32, weight: Weight, quiet_until: Duration) {
        self.gathering = [None, None];
        self.fresh_from = mark;
        self.quiet_until = quiet_until;
        self.begin_segment(mark, weight);
    }

    /// Evidence is gathered anew, at the price of a smaller share of α: what there was had a cause that
    /// both stacks share.
    pub fn forget_evidence(&mut self) {
        self.gathering = [None, None];
        self.nth = self.nth.saturating_add(1);
        self.judge = Judge::nth(&self.objectives, self.alpha, self.nth);
        self.judge.begin_segment(self.weight.fraction());
    }

    /// Takes a sample in.
    pub fn take(&mut self, sample: Sample) {
        if !self.is_fresh(&sample) {
            return;
        }
        let batch = &sample.batch;
        let at = batch.at;
        let (source, target) = (batch.source.requests, batch.target.requests);
        let both = sample.source_failed + sample.target_failed;
        if batch.channel == Channel::Edge {
            self.edge
                .add(at, source, sample.source_failed, &batch.source.latency);
            self.edge
                .add(at, target, sample.target_failed, &batch.target.latency);
            self.edge.add_unanswered(at, sample.unattributed);
            if source + target > 0 {
                self.last_answer = self.last_answer.max(Some(at));
                self.unanswered = 0;
            } else {
                self.unanswered += sample.unattributed;
            }
        }
        self.source
            .add(at, source, sample.source_failed, &batch.source.latency);
        self.target
            .add(at, target, sample.target_failed, &batch.target.latency);
        if sample.mark == self.mark {
            self.target_answers += target;
            if batch.channel == Channel::Edge {
                self.seen.requests += source + target;
                self.seen.target_requests += target;
                self.seen.failed += both + sample.unattributed;
                if self.mark != NO_MARK {
                    self.judge.observe_share(source + target, target);
                }
            }
        }
        self.remember_bad(batch);
        self.gather(sample.batch);
    }

    /// Whether a sample was measured by a driver that was there from beginning to end.
    fn is_fresh(&self, sample: &Sample) -> bool {
        sample.mark >= self.fresh_from
            || (sample.mark == NO_MARK && sample.batch.at >= self.quiet_until)
    }

    /// What the measurements say now.
    pub fn assess(&mut self, now: Duration, weight: Weight) -> Assessment {
        for slot in 0..self.gathering.len() {
            let due = self.gathering[slot]
                .as_ref()
                .is_some_and(|(since, _)| now >= *since + GATHER);
            if due && let Some((_, batch)) = self.gathering[slot].take() {
                self.judge.observe(&batch);
            }
        }
        Assessment {
            breach: self.breach(now, weight),
            near: self.judge.near().map(str::to_owned),
            seen: self.seen,
            target_answers: self.target_answers,
            unanswered: self.unanswered,
            source_fails: self
                .source
                .recent_error_rate(now, LEAST_OF_SOURCE)
                .filter(|failed| *failed >= BROKEN_SOURCE),
            data_age: self
                .last_answer
                .map(|last| now.saturating_sub(last).as_secs_f64()),
            share_mismatch: self.judge.share_mismatch().map(|mismatch| {
                format!(
                    "requests to go where they should: {} of {} went to the target, the weight says \
                     {} (a rule, stickiness or a fail-open may be at work)",
                    percent(mismatch.observed),
                    mismatch.requests,
                    percent(mismatch.expected),
                )
            }),
            ..Assessment::default()
        }
    }

    /// The judge: what it found, what is proven, and whether requests go where they should.
    #[must_use]
    pub fn judge(&self) -> &Judge {
        &self.judge
    }

    /// What was measured since the last segment began.
    #[must_use]
    pub fn seen(&self) -> StepObservation {
        self.seen
    }

    /// The guards, for screens.
    #[must_use]
    pub fn guards(&self) -> Vec<GuardView> {
        self.judge
            .guards()
            .map(|guard| GuardView {
                objective: guard
                    .objective
                    .and_then(|index| Some(self.objectives.get(index)?.name.clone())),
                name: guard.name,
                log_e: guard.log_e,
                threshold: guard.threshold,
                requests: guard.requests,
                // The judge counts the target's requests here, and they are no failures.
                bad: match guard.kind {
                    GuardKind::ShareMismatch => 0,
                    GuardKind::Absolute | GuardKind::VersusSource { .. } => guard.bad,
                },
                state: guard.state,
                interval: guard
                    .interval
                    .map(|interval| interval_view(interval, guard.kind)),
                proven: guard.proven,
            })
            .collect()
    }

    /// Bad answers of the target for an objective since `since`: through the edge, and directly.
    #[must_use]
    pub fn bad_since(&self, objective: &str, since: Duration) -> (u64, u64) {
        let Some(index) = self
            .objectives
            .iter()
            .position(|known| known.name == objective)
        else {
            return (0, 0);
        };
        let count = |channel| {
            let counts = |bad: &&BadMoment| {
                bad.objective == index && bad.channel == channel && bad.at >= since
            };
            self.bad.iter().filter(counts).map(|bad| bad.count).sum()
        };
        (count(Channel::Edge), count(Channel::Paired))
    }

    fn breach(&self, now: Duration, weight: Weight) -> Option<BreachFact> {
        let breach = self.judge.breach()?;
        let objective = self.objectives.get(breach.objective)?;
        Some(BreachFact {
            objective: objective.name.clone(),
            guard: breach.guard.clone(),
            at_weight: weight,
            log_e: breach.log_e,
            threshold: breach.threshold,
            bad_requests: breach.bad_requests,
            detected_after: now.saturating_sub(breach.first_bad_at.unwrap_or(now)),
            // A target that is worse than the source is worth leaving, however the source is.
            source_breaks_too: breach.kind == GuardKind::Absolute
                && self.judge.source_breaks(breach.objective),
        })
    }

    fn gather(&mut self, batch: Batch) {
        let slot = match batch.channel {
            Channel::Edge => 0,
            Channel::Paired => 1,
        };
        match &mut self.gathering[slot] {
            Some((_, gathered)) => {
                gathered.source.merge(&batch.source);
                gathered.target.merge(&batch.target);
                gathered.at = gathered.at.max(batch.at);
            }
            empty => *empty = Some((batch.at, batch)),
        }
    }

    fn flush(&mut self) {
        for slot in &mut self.gathering {
            if let Some((_, batch)) = slot.take() {
                self.judge.observe(&batch);
            }
        }
    }

    fn remember_bad(&mut self, batch: &Batch) {
        let ArmCounts {
            bad, first_bad_at, ..
        } = &batch.target;
        for (objective, count) in bad.iter().enumerate().filter(|(_, count)| **count > 0) {
            if self.bad.len() == KEPT_BAD {
                self.bad.pop_front();
            }
            let at = first_bad_at
                .get(objective)
                .copied()
                .flatten()
                .unwrap_or(batch.at);
            self.bad.push_back(BadMoment {
                at,
                objective,
                channel: batch.channel,
                count: *count,
            });
        }
    }
}

/// JSON knows no infinity, so what nothing bounds is left out.
fn interval_view(interval: Interval, kind: GuardKind) -> IntervalView {
    let finite = |value: f64| value.is_finite().then_some(value);
    let edge = GuardKind::VersusSource {
        channel: Channel::Edge,
    };
    // See `GuardReport::interval`.
    let of_segment = match interval.unit {
        Unit::TargetShare => true,
        Unit::QuantileRatio(_) => kind == edge,
        Unit::ErrorRate | Unit::SlowerThan(_) | Unit::ErrorRatio => false,
    };
    IntervalView {
        estimate: finite(interval.estimate),
        low: finite(interval.low),
        high: finite(interval.high),
        unit: interval.unit.to_string(),
        whole_run: !of_segment,
        text: interval.to_string(),
    }
}
