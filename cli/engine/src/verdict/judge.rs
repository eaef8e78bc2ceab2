//! The judge: all guards of a plan, fed with batches.

use std::time::Duration;

use cutover_scenarios::plan::{Bound, Objective, Signal};

use super::absolute::AbsoluteTest;
use super::counts::{Batch, Channel};
use super::known_split::KnownSplitTest;
use super::quantile::QuantileTest;
use super::report::{Breach, Finding, GuardKind, GuardReport};
use super::shadow::SourceShadow;
use crate::view::GuardState;

/// Evidence that can only have fallen is weighed anew after so many batches, about a second's.
const STALE: u32 = 20;

/// Watches the objectives of a plan.
///
/// A value without clock: time and counts come in, evidence goes out. Begin a segment, then feed
/// batches; the order of batches is the order of time.
///
/// # Guarantees
/// While every objective holds, the chance that [`breach`](Judge::breach) ever becomes `Some` is at
/// most the plan's α, however long the run and however often one looks. α is split evenly over the
/// guards (Bonferroni: it asks nothing of how guards depend on each other), so each has the
/// threshold `ln(guards/α)`.
///
/// # Assumptions
/// Requests of a stack are independent given its state; what a burst may count is capped. Both
/// stacks get the same mix of requests. A judge that is made anew, when a run is resumed, spends
/// its α anew.
#[derive(Debug, Clone)]
pub struct Judge {
    guards: Vec<Guard>,
    /// The source against the absolute bounds.
    source: Vec<SourceShadow>,
    threshold: f64,
    breach: Option<Breach>,
}

#[derive(Debug, Clone)]
struct Guard {
    name: String,
    objective: usize,
    objective_name: String,
    kind: GuardKind,
    test: Test,
    /// The evidence when it was last weighed, and how many batches ago that was.
    latest: Finding,
    age: u32,
    /// Reached its threshold at some time.
    breached: bool,
}

#[derive(Debug, Clone)]
enum Test {
    Absolute(AbsoluteTest),
    KnownSplit(Box<KnownSplitTest>),
    Quantile(Box<QuantileTest>),
}

impl Judge {
    /// Guards for every bound in `objectives`; `alpha` is the chance of a false breach over the
    /// whole run, between 0 and 0.5 (exclusive). The target has no traffic until a segment begins.
    #[must_use]
    pub fn new(objectives: &[Objective], alpha: f64) -> Judge {
        let count: u32 = objectives
            .iter()
            .map(|objective| {
                u32::from(objective.at_most.is_some())
                    + 2 * u32::from(objective.versus_source.is_some())
            })
            .sum();
        let alpha_each = alpha / f64::from(count.max(1));
        let mut guards = Vec::new();
        let mut source = Vec::new();
        for (index, objective) in objectives.iter().enumerate() {
            let guard = |name, kind, test| Guard {
                name,
                objective: index,
                objective_name: objective.name.clone(),
                kind,
                test,
                latest: Finding::default(),
                age: 0,
                breached: false,
            };
            if let Some(bound) = objective.at_most {
                let test = AbsoluteTest::new(tolerated_share(objective.signal, bound), alpha_each);
                source.push(SourceShadow::new(index, test.clone()));
                let name = format!("{} at most {}", objective.name, bound_text(bound));
                guards.push(guard(name, GuardKind::Absolute, Test::Absolute(test)));
            }
            if let Some(ratio) = objective.versus_source {
                for (channel, place) in [(Channel::Edge, "edge"), (Channel::Paired, "paired")] {
                    let test = match objective.signal {
                        Signal::Errors => {
                            Test::KnownSplit(Box::new(KnownSplitTest::new(channel, ratio)))
                        }
                        Signal::Latency { quantile } => Test::Quantile(Box::new(
                            QuantileTest::new(channel, quantile, ratio, alpha_each),
                        )),
                    };
                    let name = format!("{} at most {ratio}x source ({place})", objective.name);
                    guards.push(guard(name, GuardKind::VersusSource { channel }, test));
                }
            }
        }
        let mut judge = Judge {
            guards,
            source,
            threshold: (1.0 / alpha_each).ln(),
            breach: None,
        };
        judge.begin_segment(0.0);
        judge
    }

    /// From now on this share of the requests through the edge goes to the target, between 0 and 1.
    ///
    /// A change of weight is where regressions begin, so every guard opens a start point.
    pub fn begin_segment(&mut self, target_share: f64) {
        for guard in &mut self.guards {
            match &mut guard.test {
                Test::Absolute(test) => test.open_start_point(),
                Test::KnownSplit(test) => test.begin_segment(target_share),
                Test::Quantile(test) => test.begin_segment(),
            }
            guard.weigh();
        }
        for shadow in &mut self.source {
            shadow.open_start_point();
        }
    }

    /// Counts a batch and calls a breach if a guard reaches its threshold with it.
    pub fn observe(&mut self, batch: &Batch) {
        for shadow in &mut self.source {
            shadow.observe(batch);
        }
        for guard in &mut self.guards {
            if guard.observe(batch) && guard.latest.log_e >= self.threshold {
                guard.breached = true;
                if self.breach.is_none() {
                    self.breach = Some(guard.breach(self.threshold, batch.at));
                }
            }
        }
    }

    /// All guards as they stand, in the order of the plan's objectives.
    pub fn guards(&self) -> impl Iterator<Item = GuardReport> + '_ {
        self.guards.iter().map(|guard| guard.report(self.threshold))
    }

    /// The first guard that is more than half way to a breach, by name.
    #[must_use]
    pub fn near(&self) -> Option<&str> {
        self.guards
            .iter()
            .find(|guard| guard.state(self.threshold) == GuardState::Near)
            .map(|guard| guard.name.as_str())
    }

    /// The first guard that reached its threshold. Once set it stays, whatever comes after.
    #[must_use]
    pub fn breach(&self) -> Option<&Breach> {
        self.breach.as_ref()
    }

    /// Whether the source, measured the same way, looks as if it broke the same absolute bound, so
    /// that going back would not help.
    ///
    /// Half the threshold is enough here (a healthy source gets there in less than one run in
    /// twelve): what hurts both stacks seldom reaches both thresholds in the same instant. It says
    /// how things stand now and is not latched. `false` for an objective without an absolute bound.
    #[must_use]
    pub fn source_breaks(&self, objective: usize) -> bool {
        self.source
            .iter()
            .any(|shadow| shadow.objective == objective && shadow.log_e() >= self.threshold / 2.0)
    }
}

impl Guard {
    /// Counts a batch; says whether the evidence was weighed anew.
    ///
    /// Weighing costs far more than counting, and a batch without bad requests can only lower the
    /// evidence. So it is weighed when it may have grown, which is when a breach is called, and
    /// otherwise now and then, so that what is read is at most [`STALE`] batches old.
    fn observe(&mut self, batch: &Batch) -> bool {
        self.age += 1;
        let may_have_grown = self.count(batch);
        let weighs = may_have_grown || self.age >= STALE;
        if weighs {
            self.weigh();
        }
        weighs
    }

    fn weigh(&mut self) {
        self.age = 0;
        self.latest = match &mut self.test {
            Test::Absolute(test) => test.weigh(),
            Test::KnownSplit(test) => test.finding(),
            Test::Quantile(test) => test.finding(),
        };
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
            Test::Quantile(test) => test.observe(batch, self.objective),
        }
    }

    fn state(&self, threshold: f64) -> GuardState {
        if self.breached {
            GuardState::Breach
        } else if self.latest.log_e >= threshold / 2.0 {
            GuardState::Near
        } else {
            GuardState::Quiet
        }
    }

    fn report(&self, threshold: f64) -> GuardReport {
        let finding = self.latest;
        let (requests, bad) = self.test.totals();
        GuardReport {
            name: self.name.clone(),
            objective: self.objective,
            kind: self.kind,
            log_e: finding.log_e,
            threshold,
            requests,
            bad,
            state: self.state(threshold),
            first_bad_at: finding.first_bad_at,
            bad_edge: finding.bad.edge,
            bad_paired: finding.bad.paired,
        }
    }

    fn breach(&self, threshold: f64, at: Duration) -> Breach {
        let finding = self.latest;
        Breach {
            guard: self.name.clone(),
            objective_name: self.objective_name.clone(),
            objective: self.objective,
            kind: self.kind,
            log_e: finding.log_e,
            threshold,
            at,
            first_bad_at: finding.first_bad_at,
            bad_requests: finding.bad.total(),
            bad_edge: finding.bad.edge,
            bad_paired: finding.bad.paired,
        }
    }
}

impl Test {
    fn totals(&self) -> (u64, u64) {
        match self {
            Test::Absolute(test) => test.totals(),
            Test::KnownSplit(test) => test.totals(),
            Test::Quantile(test) => test.totals(),
        }
    }
}

/// The share of requests that may be bad: for "p99 at most 300 ms", 1 % may be slower than 300 ms.
fn tolerated_share(signal: Signal, bound: Bound) -> f64 {
    match (signal, bound) {
        (Signal::Latency { quantile }, _) => 1.0 - quantile,
        (Signal::Errors, Bound::Rate(rate)) => rate,
        // A plan with this pairing is refused; zero tolerance would be the only other reading.
        (Signal::Errors, Bound::Latency(_)) => f64::MIN_POSITIVE,
    }
}

/// `1 %`, `250ms`.
fn bound_text(bound: Bound) -> String {
    match bound {
        // Through three decimals of a percent, so that 0.07 prints as 7 and not 7.000000000000001.
        Bound::Rate(rate) => format!("{} %", (rate * 100_000.0).round() / 1000.0),
        Bound::Latency(latency) => format!("{latency:?}"),
    }
}
