//! Rules that look at fixed windows, as other tools have them, to be held beside the judge.
//!
//! All look once a minute at what the target answered in that minute, through the edge.
//!
//! | rule | one look fails when | goes back |
//! | --- | --- | --- |
//! | Flagger | the error rate or the p99 is above its bound, or there is no data | at the 5th failed look, cumulated (`analysis.threshold: 5`, `interval: 1m`; `fluxcd/flagger`, `docs/gitbook/usage/metrics.md`, `pkg/controller/scheduler_metrics.go`) |
//! | Argo Rollouts | the error rate or the p99 is above its bound | at the 4th failed look (`failureLimit: 3`, `interval: 1m`; `argoproj/argo-rollouts`, `docs/features/analysis.md`) |
//! | z-test | the target fails, or is slow, more often than the source, at 1 % one-sided | at the 1st failed look: a judge in the manner of Kayenta that is asked every minute and does not know it |

use std::time::Duration;

use super::float;
use super::latency::normal_quantile;
use super::traffic::Interval;
use crate::verdict::ArmCounts;

/// One look is at what ended within this long.
pub const WINDOW: Duration = Duration::from_mins(1);

/// The level of the z-test.
const LEVEL: f64 = 0.01;

/// The rules, in the order of the table above.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Five failed looks, and no data is a failed look.
    Flagger,
    /// Four failed looks.
    Argo,
    /// One significant difference to the source.
    ZTest,
}

impl Rule {
    /// All of them.
    pub const ALL: [Rule; 3] = [Rule::Flagger, Rule::Argo, Rule::ZTest];

    /// As people know it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Rule::Flagger => "Flagger, 5 failed minutes",
            Rule::Argo => "Argo, failureLimit 3",
            Rule::ZTest => "z-test each minute",
        }
    }

    fn most_failed_looks(self) -> u32 {
        match self {
            Rule::Flagger => 5,
            Rule::Argo => 4,
            Rule::ZTest => 1,
        }
    }
}

/// All rules, fed with the same traffic.
#[derive(Debug, Clone)]
pub struct Rivals {
    /// The share of bad requests that each objective allows.
    allowed: Vec<f64>,
    source: ArmCounts,
    target: ArmCounts,
    window_ends: Duration,
    failed_looks: [u32; 3],
    /// When each rule went back.
    called: [Option<Duration>; 3],
}

impl Rivals {
    /// Before the first request. `allowed` is the share of bad requests that each objective allows: 1 %
    /// for a p99.
    #[must_use]
    pub fn new(allowed: Vec<f64>) -> Self {
        Rivals {
            allowed,
            source: ArmCounts::default(),
            target: ArmCounts::default(),
            window_ends: WINDOW,
            failed_looks: [0; 3],
            called: [None; 3],
        }
    }

    /// The target gets its first request at `now`; minutes are counted from here.
    pub fn begin(&mut self, now: Duration) {
        *self = Rivals {
            window_ends: now + WINDOW,
            ..Rivals::new(std::mem::take(&mut self.allowed))
        };
    }

    /// Counts an interval, and looks when a minute is over.
    pub fn observe(&mut self, interval: &Interval) {
        let add = |sum: &mut ArmCounts, arm: &ArmCounts| {
            sum.requests += arm.requests;
            sum.bad.resize(sum.bad.len().max(arm.bad.len()), 0);
            for (sum, bad) in sum.bad.iter_mut().zip(&arm.bad) {
                *sum += bad;
            }
        };
        add(&mut self.source, &interval.edge.source);
        add(&mut self.target, &interval.edge.target);
        let now = interval.edge.at;
        if now < self.window_ends {
            return;
        }
        self.window_ends += WINDOW;
        for (index, rule) in Rule::ALL.into_iter().enumerate() {
            self.failed_looks[index] += u32::from(self.look_fails(rule));
            if self.failed_looks[index] >= rule.most_failed_looks() {
                self.called[index].get_or_insert(now);
            }
        }
        self.source = ArmCounts::default();
        self.target = ArmCounts::default();
    }

    /// When each rule went back, since the run began; in the order of [`Rule::ALL`].
    #[must_use]
    pub fn called(&self) -> [Option<Duration>; 3] {
        self.called
    }

    fn look_fails(&self, rule: Rule) -> bool {
        let n = self.target.requests;
        if n == 0 {
            return rule == Rule::Flagger;
        }
        let objectives = self.allowed.iter().enumerate();
        let bad = |arm: &ArmCounts, objective: usize| arm.bad.get(objective).copied().unwrap_or(0);
        match rule {
            Rule::Flagger | Rule::Argo => objectives
                .into_iter()
                .any(|(index, allowed)| float(bad(&self.target, index)) > allowed * float(n)),
            Rule::ZTest => objectives.into_iter().any(|(index, _)| {
                let source = (self.source.requests, bad(&self.source, index));
                differs(source, (n, bad(&self.target, index)))
            }),
        }
    }
}

/// The textbook's test of two proportions with a pooled variance, one-sided.
fn differs((n_a, k_a): (u64, u64), (n_b, k_b): (u64, u64)) -> bool {
    if n_a == 0 {
        return false;
    }
    let (n_a, k_a, n_b, k_b) = (float(n_a), float(k_a), float(n_b), float(k_b));
    let pooled = (k_a + k_b) / (n_a + n_b);
    let variance = pooled * (1.0 - pooled) * (1.0 / n_a + 1.0 / n_b);
    variance > 0.0 && (k_b / n_b - k_a / n_a) / variance.sqrt() > normal_quantile(1.0 - LEVEL)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::Batch;

    fn minute(number: u64, source: (u64, u64), target: (u64, u64)) -> Interval {
        let arm = |(requests, bad): (u64, u64)| ArmCounts {
            requests,
            bad: vec![bad],
            ..ArmCounts::default()
        };
        Interval {
            edge: Batch {
                at: WINDOW * u32::try_from(number).unwrap(),
                source: arm(source),
                target: arm(target),
                ..Batch::default()
            },
            paired: Batch::default(),
            failed: target.1,
            slow: 0,
        }
    }

    fn called_after(minutes: u64, source: (u64, u64), target: (u64, u64)) -> [Option<u64>; 3] {
        let mut rivals = Rivals::new(vec![0.01]);
        rivals.begin(Duration::ZERO);
        for number in 1..=minutes {
            rivals.observe(&minute(number, source, target));
        }
        rivals.called().map(|at| at.map(|at| at.as_secs() / 60))
    }

    #[test]
    fn each_rule_goes_back_after_its_number_of_failed_minutes() {
        assert_eq!(
            called_after(10, (1_000, 5), (100, 9)),
            [Some(5), Some(4), Some(1)]
        );
        assert_eq!(called_after(10, (1_000, 10), (100, 1)), [None; 3]);
    }

    #[test]
    fn no_data_is_a_failed_look_to_flagger_alone() {
        assert_eq!(called_after(10, (1_000, 5), (0, 0)), [Some(5), None, None]);
    }

    #[test]
    fn a_source_that_is_just_as_bad_matters_to_the_z_test_alone() {
        assert_eq!(
            called_after(10, (1_000, 90), (100, 9)),
            [Some(5), Some(4), None]
        );
    }
}
