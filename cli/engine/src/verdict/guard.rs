//! One guard: a test of one bound, and what it found when it was last weighed.

use std::time::Duration;

use super::absolute::AbsoluteTest;
use super::assurance::{Assurance, Shown};
use super::counts::Batch;
use super::known_split::KnownSplitTest;
use super::quantile::QuantileTest;
use super::report::{Breach, Finding, GuardKind, GuardReport};
use super::unknown_split::UnknownSplitTest;
use crate::view::GuardState;

/// Evidence that can only have fallen is weighed anew after so many batches, about a second's.
const STALE: u32 = 20;

/// One bound of an objective, watched.
#[derive(Debug, Clone)]
pub(super) struct Guard {
    pub(super) name: String,
    /// Index of the objective, and its name.
    pub(super) objective: usize,
    objective_name: String,
    pub(super) kind: GuardKind,
    test: Test,
    assurance: Assurance,
    threshold: f64,
    /// The evidence when it was last weighed, and how many batches ago that was.
    latest: Finding,
    age: u32,
    /// Reached its threshold at some time.
    breached: bool,
}

/// What a guard tests with.
#[derive(Debug, Clone)]
pub(super) enum Test {
    Absolute(AbsoluteTest),
    KnownSplit(Box<KnownSplitTest>),
    UnknownSplit(Box<UnknownSplitTest>),
    Quantile(Box<QuantileTest>),
}

impl Guard {
    /// Guards an objective, given by its index and name, with a threshold of `ln(1/alpha)`.
    pub(super) fn new(
        name: String,
        (objective, objective_name): (usize, &str),
        kind: GuardKind,
        (test, assurance): (Test, Assurance),
        alpha: f64,
    ) -> Self {
        Guard {
            name,
            objective,
            objective_name: objective_name.to_owned(),
            kind,
            test,
            assurance,
            threshold: (1.0 / alpha).ln(),
            latest: Finding::default(),
            age: 0,
            breached: false,
        }
    }

    /// A change of weight is where regressions begin.
    pub(super) fn begin_segment(&mut self, target_share: f64) {
        match &mut self.test {
            Test::Absolute(test) => test.open_start_point(),
            Test::KnownSplit(test) => test.begin_segment(target_share),
            Test::UnknownSplit(test) => test.open_start_point(),
            Test::Quantile(test) => test.begin_segment(),
        }
        self.assurance.begin_segment(target_share);
        self.weigh();
    }

    /// Counts a batch; returns the breach if the evidence reaches its threshold with it.
    ///
    /// Weighing costs far more than counting, and a batch without bad requests can only lower the
    /// evidence. So it is weighed when it may have grown, which is when a breach is called, and
    /// otherwise now and then, so that what is read is at most [`STALE`] batches old.
    pub(super) fn observe(&mut self, batch: &Batch) -> Option<Breach> {
        self.assurance.observe(batch, self.objective);
        self.age += 1;
        let may_have_grown = self.count(batch);
        if !may_have_grown && self.age < STALE {
            return None;
        }
        self.weigh();
        let reached = self.latest.log_e >= self.threshold;
        self.breached |= reached;
        reached.then(|| self.breach(batch.at))
    }

    /// Counts a batch; says whether the evidence may have grown.
    fn count(&mut self, batch: &Batch) -> bool {
        match &mut self.test {
            Test::Absolute(test) => {
                let arm = &batch.target;
                let (bad, first) = (arm.bad(self.objective), arm.first_bad_at(self.objective));
                test.observe(batch.channel, batch.at, arm.requests, bad, first)
            }
            Test::KnownSplit(test) => test.observe(batch, self.objective),
            Test::UnknownSplit(test) => test.observe(batch, self.objective),
            Test::Quantile(test) => test.observe(batch, self.objective),
        }
    }

    fn weigh(&mut self) {
        self.age = 0;
        self.latest = match &mut self.test {
            Test::Absolute(test) => test.weigh(),
            Test::KnownSplit(test) => test.finding(),
            Test::UnknownSplit(test) => test.finding(),
            Test::Quantile(test) => test.finding(),
        };
    }

    pub(super) fn state(&self) -> GuardState {
        if self.breached {
            GuardState::Breach
        } else if self.latest.log_e >= self.threshold / 2.0 {
            GuardState::Near
        } else {
            GuardState::Quiet
        }
    }

    /// What the target was shown to be; nothing while the evidence points the other way.
    pub(super) fn shown(&self) -> Option<&Shown> {
        (self.state() == GuardState::Quiet).then(|| self.assurance.shown())
    }

    /// Whether both test the same claim: a ratio is tested on each channel.
    pub(super) fn claims_what(&self, other: &Guard) -> bool {
        let relative = |guard: &Guard| matches!(guard.kind, GuardKind::VersusSource { .. });
        self.objective == other.objective && relative(self) == relative(other)
    }

    /// The upper end of its interval.
    pub(super) fn upper_bound(&self) -> f64 {
        let interval = self.assurance.shown().interval;
        interval.map_or(f64::INFINITY, |interval| interval.high)
    }

    /// What is missing to a proof: `errors at most 1 %: upper bound 2.3 % after 140 requests`.
    pub(super) fn missing(&self) -> String {
        let missing = match self.state() {
            GuardState::Quiet => self.assurance.missing(self.totals().0),
            GuardState::Near => "more than half way to a breach".to_owned(),
            GuardState::Breach => "broken".to_owned(),
        };
        format!("{}: {missing}", self.name)
    }

    fn totals(&self) -> (u64, u64) {
        match &self.test {
            Test::Absolute(test) => test.totals(),
            Test::KnownSplit(test) => test.totals(),
            Test::UnknownSplit(test) => test.totals(),
            Test::Quantile(test) => test.totals(),
        }
    }

    /// What is reported, but for `proven`, which may hang on other guards.
    pub(super) fn report(&self, proven: bool) -> GuardReport {
        let (requests, bad) = self.totals();
        GuardReport {
            name: self.name.clone(),
            objective: Some(self.objective),
            kind: self.kind,
            log_e: self.latest.log_e,
            threshold: self.threshold,
            requests,
            bad,
            state: self.state(),
            first_bad_at: self.latest.first_bad_at,
            bad_edge: self.latest.bad.edge,
            bad_paired: self.latest.bad.paired,
            interval: self.assurance.shown().interval,
            proven,
        }
    }

    fn breach(&self, at: Duration) -> Breach {
        let finding = self.latest;
        Breach {
            guard: self.name.clone(),
            objective_name: self.objective_name.clone(),
            objective: self.objective,
            kind: self.kind,
            log_e: finding.log_e,
            threshold: self.threshold,
            at,
            first_bad_at: finding.first_bad_at,
            bad_requests: finding.bad.total(),
            bad_edge: finding.bad.edge,
            bad_paired: finding.bad.paired,
        }
    }
}
