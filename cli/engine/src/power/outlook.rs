//! One step of a plan, by formula: when a regression that begins with it is found, and when a target
//! without one is shown to be no worse.

use cutover_scenarios::plan::{Bound, Objective, Signal};

use super::assumed::Assumed;
use super::paths::{self, Flow};
use super::proof;
use crate::simulation::run::{Course, Stage};
use crate::simulation::traffic::Regression;
use crate::verdict::{Channel, GuardKind, GuardReport, Judge};

/// `z` of the median, and of the slowest run of twenty.
pub(super) const MEDIAN: f64 = 0.0;
pub(super) const SLOWEST: f64 = 1.644_853_627;

/// What lies before a stage, and how fast it goes on.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Before {
    /// Target answers so far over both channels, and of those through the edge.
    pub(super) target: f64,
    pub(super) target_edge: f64,
    /// Pairs so far.
    pub(super) pairs: f64,
    /// Failures of both stacks through the edge while both had traffic.
    pub(super) edge_failures: f64,
    /// Stages so far.
    pub(super) stages: f64,
}

/// A judge, and one stage of its run.
pub(super) struct Outlook<'a> {
    pub(super) course: &'a Course,
    pub(super) assumed: &'a Assumed,
    pub(super) guards: &'a [GuardReport],
    pub(super) before: Before,
    pub(super) edge: Flow,
}

/// The guards that the first judge of a run has, with their thresholds.
pub(super) fn guards(course: &Course) -> Vec<GuardReport> {
    Judge::nth(&course.objectives, course.alpha, 1)
        .guards()
        .collect()
}

/// Requests a second through the edge in a stage.
pub(super) fn flow(assumed: &Assumed, stage: &Stage) -> Flow {
    let share = stage.weight.map_or(0.0, |weight| weight.fraction());
    Flow {
        source: assumed.requests_per_s * (1.0 - share),
        target: assumed.requests_per_s * share,
    }
}

impl Before {
    /// What lies before the next stage, when this one takes as long as its hold.
    pub(super) fn and(self, assumed: &Assumed, stage: &Stage) -> Self {
        let (flow, seconds) = (flow(assumed, stage), stage.hold.as_secs_f64());
        let both = flow.source > 0.0 && flow.target > 0.0;
        let failures = (flow.source + flow.target) * assumed.error_rate * seconds;
        Before {
            target: self.target + (flow.target + assumed.pairs_per_s) * seconds,
            target_edge: self.target_edge + flow.target * seconds,
            pairs: self.pairs + assumed.pairs_per_s * seconds,
            edge_failures: self.edge_failures + if both { failures } else { 0.0 },
            stages: self.stages + 1.0,
        }
    }
}

impl Outlook<'_> {
    /// Seconds until a regression is found that begins with this stage, at a quantile `z`; `None` if it
    /// is not in a year.
    pub(super) fn found(&self, regression: Regression, z: f64) -> Option<f64> {
        let times = self.guards.iter().filter_map(|guard| {
            let objective = &self.course.objectives[guard.objective?];
            self.found_by(guard, objective, regression, z)
        });
        times.min_by(f64::total_cmp)
    }

    fn found_by(
        &self,
        guard: &GuardReport,
        objective: &Objective,
        regression: Regression,
        z: f64,
    ) -> Option<f64> {
        let (before, assumed) = (&self.before, self.assumed);
        let alpha = (-guard.threshold).exp();
        let rates = (
            assumed.error_rate,
            (assumed.error_rate * regression.errors).min(1.0),
        );
        let per_s = self.edge.target + assumed.pairs_per_s;
        let reaches = |evidence: &dyn Fn(f64, f64) -> f64, j: f64| {
            paths::first_time(|t| evidence(t, z), guard.threshold + paths::price(j))
        };
        match (guard.kind, objective.signal) {
            (GuardKind::Absolute, _) => {
                let (p0, p) = self.bad(objective, regression)?;
                let worse = per_s > 0.0 && p > p0;
                let j = before.stages + before.target * p0 / 4.0;
                worse.then(|| reaches(&paths::absolute(p0, p, per_s, alpha), j))?
            }
            (GuardKind::VersusSource { channel }, Signal::Errors) => {
                let limit = objective.versus_source?;
                if regression.errors <= limit || rates.0 <= 0.0 {
                    return None;
                }
                match channel {
                    Channel::Edge if self.edge.source > 0.0 && self.edge.target > 0.0 => {
                        let j = before.stages + before.edge_failures / 16.0;
                        reaches(&paths::known_split(limit, self.edge, rates), j)
                    }
                    Channel::Paired if assumed.pairs_per_s > 0.0 => {
                        let failures = 2.0 * before.pairs * rates.0;
                        let j = before.stages + (before.pairs / 1000.0).max(failures / 16.0);
                        reaches(&paths::pairs(limit, assumed.pairs_per_s, rates), j)
                    }
                    _ => None,
                }
            }
            (GuardKind::VersusSource { channel }, Signal::Latency { quantile }) => {
                let limit = objective.versus_source?;
                let (flow, answered) = match channel {
                    Channel::Edge => (self.edge, before.target_edge),
                    Channel::Paired => (both(assumed.pairs_per_s), before.pairs),
                };
                let seen = flow.source > 0.0 && flow.target > 0.0;
                if regression.latency <= limit || !seen {
                    return None;
                }
                let j = before.stages + answered * (1.0 - quantile) / 20.0;
                let claim = (quantile, limit);
                let model = assumed.latency();
                let evidence = paths::quantile(claim, flow, model, regression, alpha);
                reaches(&evidence, j)
            }
            (GuardKind::ShareMismatch, _) => None,
        }
    }

    /// The share of bad answers that an objective allows, and the target's.
    pub(super) fn bad(&self, objective: &Objective, regression: Regression) -> Option<(f64, f64)> {
        match (objective.signal, objective.at_most?) {
            (Signal::Errors, Bound::Rate(p0)) => {
                Some((p0, (self.assumed.error_rate * regression.errors).min(1.0)))
            }
            (Signal::Latency { quantile }, Bound::Latency(bound)) => Some((
                1.0 - quantile,
                self.assumed
                    .latency()
                    .slower_than(bound, regression.latency),
            )),
            _ => None,
        }
    }

    /// Whether the objectives allow a target to be so much worse.
    pub(super) fn allows(&self, regression: Regression) -> bool {
        self.course.objectives.iter().all(|objective| {
            let ratio = match objective.signal {
                Signal::Errors => regression.errors,
                Signal::Latency { .. } => regression.latency,
            };
            let relative = objective.versus_source.is_none_or(|limit| ratio <= limit);
            let absolute = self.bad(objective, regression);
            relative && absolute.is_none_or(|(p0, p)| p <= p0)
        })
    }

    /// Seconds until a target that is as good as the source is shown to keep every objective.
    pub(super) fn proven(&self, z: f64) -> Option<f64> {
        let mut longest: f64 = 0.0;
        for guard in self.guards {
            if let Some(objective) = guard.objective
                && guard.kind
                    != (GuardKind::VersusSource {
                        channel: Channel::Paired,
                    })
            {
                let objective = &self.course.objectives[objective];
                let alpha = (-guard.threshold).exp();
                longest = longest.max(proof::seconds(self, objective, guard.kind, alpha, z)?);
            }
        }
        Some(longest)
    }
}

/// As many to each stack.
pub(super) fn both(per_s: f64) -> Flow {
    Flow {
        source: per_s,
        target: per_s,
    }
}
