//! The judge: all guards of a plan, fed with batches.

use cutover_scenarios::plan::{Bound, Objective, Signal};

use super::absolute::AbsoluteTest;
use super::assurance::Assurance;
use super::counts::{Batch, Channel};
use super::guard::{Guard, Test};
use super::interval::Unit;
use super::known_split::KnownSplitTest;
use super::quantile::QuantileTest;
use super::report::{Breach, GuardKind, GuardReport};
use super::settings::{JudgeSettings, SplitKnowledge};
use super::shadow::SourceShadow;
use super::share::{ShareMismatch, ShareTest};
use super::unknown_split::UnknownSplitTest;
use crate::view::GuardState;

/// Watches the objectives of a plan.
///
/// A value without clock: time and counts come in, evidence goes out. Begin a segment, then feed
/// batches; the order of batches is the order of time.
///
/// # Guarantees
/// While every objective holds, the chance that [`breach`](Judge::breach) ever becomes `Some` is at
/// most α, however long the run and however often one looks. α is split evenly over the guards
/// (Bonferroni: it asks nothing of how guards depend on each other), so each has the threshold
/// `ln(guards/α)`. A judge that is made anew, when a run is resumed, makes new bets:
/// [`Judge::nth`] splits α over all that a run may ever have.
///
/// # Assumptions
/// Requests of a stack are independent given its state; what a burst may count is capped. Both
/// stacks get the same mix of requests.
#[derive(Debug, Clone)]
pub struct Judge {
    pub(super) guards: Vec<Guard>,
    /// The source against the absolute bounds.
    source: Vec<SourceShadow>,
    /// Only where the split is known.
    share: Option<ShareTest>,
    pub(super) settings: JudgeSettings,
    threshold: f64,
    breach: Option<Breach>,
}

impl Judge {
    /// Guards for every bound in `objectives`; `alpha` is the chance of a false breach over the
    /// whole run, between 0 and 0.5 (exclusive), if this judge is the only one of the run. The target
    /// has no traffic until a segment begins.
    #[must_use]
    pub fn new(objectives: &[Objective], alpha: f64) -> Judge {
        Judge::with(objectives, JudgeSettings::new(alpha))
    }

    /// The `nth` judge of a run, from 1: it spends `alpha/(nth(nth+1))`, so that `alpha` bounds the
    /// chance of a false breach over the whole run, however often its evidence begins anew.
    #[must_use]
    pub fn nth(objectives: &[Objective], alpha: f64, nth: u32) -> Judge {
        let settings = JudgeSettings {
            nth: Some(nth),
            ..JudgeSettings::new(alpha)
        };
        Judge::with(objectives, settings)
    }

    /// Guards for every bound in `objectives`, as `settings` say.
    #[must_use]
    pub fn with(objectives: &[Objective], settings: JudgeSettings) -> Judge {
        let count: u32 = objectives
            .iter()
            .map(|objective| {
                u32::from(objective.at_most.is_some())
                    + 2 * u32::from(objective.versus_source.is_some())
            })
            .sum::<u32>()
            + u32::from(settings.edge == SplitKnowledge::Known);
        let alpha = settings.alpha_here() / f64::from(count.max(1));
        let mut guards = Vec::new();
        let mut source = Vec::new();
        for (index, objective) in objectives.iter().enumerate() {
            let whose = (index, objective.name.as_str());
            if let Some(bound) = objective.at_most {
                let share = tolerated_share(objective.signal, bound);
                let test = AbsoluteTest::new(share, alpha);
                source.push(SourceShadow::new(index, test.clone()));
                let name = format!("{} at most {}", objective.name, bound_text(bound));
                let assurance = Assurance::of_rate(share, unit_of(bound), alpha);
                let tests = (Test::Absolute(test), assurance);
                guards.push(Guard::new(name, whose, GuardKind::Absolute, tests, alpha));
            }
            if let Some(ratio) = objective.versus_source {
                for (channel, place) in [(Channel::Edge, "edge"), (Channel::Paired, "paired")] {
                    let tests =
                        versus_source(objective.signal, channel, ratio, settings.edge, alpha);
                    let name = format!("{} at most {ratio}x source ({place})", objective.name);
                    let kind = GuardKind::VersusSource { channel };
                    guards.push(Guard::new(name, whose, kind, tests, alpha));
                }
            }
        }
        let mut judge = Judge {
            guards,
            source,
            share: (settings.edge == SplitKnowledge::Known).then(|| ShareTest::new(alpha)),
            settings,
            threshold: (1.0 / alpha).ln(),
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
            guard.begin_segment(target_share);
        }
        for shadow in &mut self.source {
            shadow.open_start_point();
        }
        if let Some(share) = &mut self.share {
            share.begin_segment(target_share);
        }
    }

    /// Counts requests through the edge that a stack answered, and those of them that the target did.
    /// They must have been sent in the current segment; [`observe`](Judge::observe) does not ask for
    /// that, and so does not count them here.
    pub fn observe_share(&mut self, requests: u64, to_target: u64) {
        if let Some(share) = &mut self.share {
            share.observe(requests, to_target);
        }
    }

    /// The target's share of the requests of this segment is not what was applied, so nothing that is
    /// measured means what it seems to. It says nothing against the target; a run should hold.
    /// Always `None` with [`SplitKnowledge::Unknown`].
    #[must_use]
    pub fn share_mismatch(&self) -> Option<ShareMismatch> {
        self.share.as_ref().and_then(ShareTest::mismatch)
    }

    /// Counts a batch and calls a breach if a guard reaches its threshold with it.
    pub fn observe(&mut self, batch: &Batch) {
        for shadow in &mut self.source {
            shadow.observe(batch);
        }
        for guard in &mut self.guards {
            let breach = guard.observe(batch);
            if self.breach.is_none() {
                self.breach = breach;
            }
        }
    }

    /// All guards as they stand, in the order of the plan's objectives; the share of requests last.
    pub fn guards(&self) -> impl Iterator<Item = GuardReport> + '_ {
        self.guards
            .iter()
            .map(|guard| guard.report(self.is_proven(guard)))
            .chain(self.share.as_ref().map(ShareTest::report))
    }

    /// The first guard of an objective that is more than half way to a breach, by name.
    #[must_use]
    pub fn near(&self) -> Option<&str> {
        self.guards
            .iter()
            .find(|guard| guard.state() == GuardState::Near)
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

/// The test of an objective against the source.
///
/// Where pairs go to both stacks the split is known to be even, and yet the counts of answers need
/// not be: an answer that takes longer comes in a later batch. A test of rates does not mind.
fn versus_source(
    signal: Signal,
    channel: Channel,
    ratio: f64,
    edge: SplitKnowledge,
    alpha: f64,
) -> (Test, Assurance) {
    match (signal, channel, edge) {
        (Signal::Latency { quantile }, ..) => {
            let test = QuantileTest::new(channel, quantile, ratio, alpha);
            let assurance = Assurance::of_quantile(channel, quantile, ratio, alpha);
            (Test::Quantile(Box::new(test)), assurance)
        }
        (Signal::Errors, Channel::Edge, SplitKnowledge::Known) => {
            let test = KnownSplitTest::new(ratio);
            let assurance = Assurance::of_known_ratio(ratio, alpha);
            (Test::KnownSplit(Box::new(test)), assurance)
        }
        (Signal::Errors, ..) => {
            let test = UnknownSplitTest::new(channel, ratio);
            let assurance = Assurance::of_unknown_ratio(channel, ratio, alpha);
            (Test::UnknownSplit(Box::new(test)), assurance)
        }
    }
}

/// What is estimated beside a bound.
fn unit_of(bound: Bound) -> Unit {
    match bound {
        Bound::Rate(_) => Unit::ErrorRate,
        Bound::Latency(bound) => Unit::SlowerThan(bound),
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
