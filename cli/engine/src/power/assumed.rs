//! What is taken for granted about the source.

use std::time::Duration;

use cutover_scenarios::plan::{Bound, Objective, Plan, Signal};
use serde::Serialize;

use crate::simulation::latency::{LogNormal, SIGMA, normal_quantile};
use crate::simulation::traffic::Scene;

/// Without a word on it the source fails this share of what its bound allows …
const ERRORS_OF_BOUND: f64 = 0.1;
/// … or this share of its requests, where there is no bound, …
const ERRORS: f64 = 0.001;
/// … and its latencies lie at this share of their bound, …
const LATENCY_OF_BOUND: f64 = 0.5;
/// … or its p99 is this, where there is no bound.
const P99: Duration = Duration::from_millis(100);

/// The source, and the traffic that both stacks get.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Assumed {
    /// Requests a second through the edge.
    pub requests_per_s: f64,
    /// Pairs a second, directly to both stacks.
    pub pairs_per_s: f64,
    /// The share of requests that the source fails, 0 to 1.
    pub error_rate: f64,
    /// The p99 of the source, in seconds. Latencies are log-normal around it.
    pub p99_s: f64,
    /// Standard deviation of the logarithm of latencies.
    pub log_sigma: f64,
}

impl Assumed {
    /// What a plan leads to expect: its own load, a tenth of the errors and half of the latency that it
    /// allows. A source that is at its bounds already could not be told from a target that breaks them.
    #[must_use]
    pub fn of(plan: &Plan) -> Self {
        let rate = |objective: &Objective| match (objective.signal, objective.at_most) {
            (Signal::Errors, Some(Bound::Rate(rate))) => Some(rate * ERRORS_OF_BOUND),
            _ => None,
        };
        let p99 = |objective: &Objective| match (objective.signal, objective.at_most) {
            (Signal::Latency { quantile }, Some(Bound::Latency(bound))) => {
                let sigmas = normal_quantile(0.99) - normal_quantile(quantile);
                Some(bound.as_secs_f64() * LATENCY_OF_BOUND * (SIGMA * sigmas).exp())
            }
            _ => None,
        };
        let least = |least: Option<f64>, value: f64| Some(least.map_or(value, |it| it.min(value)));
        let objectives = || plan.objectives.iter();
        Assumed {
            requests_per_s: plan.load.rate,
            pairs_per_s: plan.load.paired,
            error_rate: objectives()
                .filter_map(rate)
                .fold(None, least)
                .unwrap_or(ERRORS),
            p99_s: objectives()
                .filter_map(p99)
                .fold(None, least)
                .unwrap_or(P99.as_secs_f64()),
            log_sigma: SIGMA,
        }
    }

    /// Latencies of the source.
    #[must_use]
    pub fn latency(&self) -> LogNormal {
        LogNormal {
            p99: Duration::from_secs_f64(self.p99_s),
            sigma: self.log_sigma,
        }
    }

    /// The same to be simulated.
    #[must_use]
    pub fn scene(&self) -> Scene {
        Scene {
            rate: self.requests_per_s,
            paired: self.pairs_per_s,
            error_rate: self.error_rate,
            latency: self.latency(),
            drift: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{objectives, plan};

    #[test]
    fn a_source_is_taken_to_keep_its_bounds_well() {
        let mut plan = plan();
        plan.objectives = objectives();
        let assumed = Assumed::of(&plan);
        assert!((assumed.error_rate - 0.001).abs() < 1e-12);
        assert!((assumed.p99_s - 0.125).abs() < 1e-9);
        plan.objectives[1].signal = Signal::Latency { quantile: 0.5 };
        // A median of 125 ms is a p99 of 125 ms · e^(2.326 σ).
        assert!((Assumed::of(&plan).p99_s - 0.4).abs() < 0.001);
        plan.objectives.clear();
        let assumed = Assumed::of(&plan);
        assert!((assumed.error_rate - 0.001).abs() < 1e-12 && (assumed.p99_s - 0.1).abs() < 1e-12);
    }
}
