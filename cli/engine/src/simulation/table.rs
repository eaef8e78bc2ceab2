//! What the judge promises, and what it takes to find a regression, beside rules of other tools that
//! see the very same traffic. The benchmark prints these tables; a test holds a small one.

use std::time::Duration;

use cutover_scenarios::plan::{Bound, Objective, Signal};
use cutover_scenarios::units::Weight;

use super::latency::{LogNormal, SIGMA};
use super::random::Random;
use super::rivals::Rivals;
use super::run::{Course, Look, Stage, Walk};
use super::series::{Delays, Share, series};
use super::traffic::{Drift, Regression, Scene};

/// The judge, and the rules of [`Rule::ALL`](super::rivals::Rule::ALL) after it.
pub const CALLERS: usize = 4;

/// Both stacks fail this share of their requests; the bound is twice that.
pub const ERROR_RATE: f64 = 0.005;
/// The p99 of the source; the bound is a quarter above it.
pub const P99: Duration = Duration::from_millis(200);
/// The chance of a false rollback that is promised.
pub const ALPHA: f64 = 0.01;

/// The weights of a run.
const WEIGHTS: [u32; 5] = [1, 5, 25, 50, 100];
/// How long each of them is held.
pub const HOLD: Duration = Duration::from_mins(2);
/// A regression begins at this weight, in percent, …
pub const REGRESSION_AT: u32 = 25;
/// … and is given this long to be found.
pub const LIMIT: Duration = Duration::from_mins(15);

/// How a shared error rate drifts: between 0.28 % and 0.9 %, so that the bound is kept.
pub const DRIFT: Drift = Drift {
    factor: 1.8,
    period: Duration::from_mins(5),
};

/// Traffic of `rate` requests a second through the edge, and no other.
fn scene(rate: f64, drift: Option<Drift>) -> Scene {
    Scene {
        rate,
        paired: 0.0,
        error_rate: ERROR_RATE,
        latency: LogNormal {
            p99: P99,
            sigma: SIGMA,
        },
        drift,
    }
}

/// "Errors at most 1 % and p99 at most 250 ms, both no worse than the source": a target that is as good
/// as the source stands at the very border of what is allowed, where false alarms are likeliest.
fn course() -> Course {
    let objective = |name: &str, signal, at_most| Objective {
        name: name.to_owned(),
        signal,
        at_most: Some(at_most),
        versus_source: Some(1.0),
    };
    let latency = Signal::Latency { quantile: 0.99 };
    let stage = |percent: u32| Stage {
        weight: Weight::from_parts(percent * Weight::SCALE / 100).ok(),
        hold: HOLD,
        prove: false,
    };
    Course {
        objectives: vec![
            objective("errors", Signal::Errors, Bound::Rate(2.0 * ERROR_RATE)),
            objective("p99", latency, Bound::Latency(P99 * 5 / 4)),
        ],
        alpha: ALPHA,
        min_requests: 50,
        stages: WEIGHTS.into_iter().map(stage).collect(),
    }
}

/// What each objective of [`course`] allows.
fn rivals() -> Rivals {
    Rivals::new(vec![2.0 * ERROR_RATE, 0.01])
}

/// In how many healthy runs each caller went back.
#[must_use]
pub fn false_rollbacks(rate: f64, drift: Option<Drift>, runs: u64, seed: u64) -> [Share; CALLERS] {
    let (course, scene) = (course(), scene(rate, drift));
    let called = series(runs, |run| {
        let mut walk = Walk::new(&course, &scene, Random::new(seed, run));
        let (mut rivals, mut judge) = (rivals(), false);
        for stage in &course.stages {
            walk.begin(stage);
            let ends = walk.now() + stage.hold;
            while walk.now() < ends {
                rivals.observe(&walk.interval(Regression::NONE));
                judge = judge || walk.look() == Look::Breach;
            }
        }
        let [one, two, three] = rivals.called().map(|at| at.is_some());
        [judge, one, two, three]
    });
    std::array::from_fn(|caller| {
        let hits = called.iter().filter(|called| called[caller]).count() as u64;
        Share::of(hits, runs)
    })
}

/// How soon a caller found a regression.
#[derive(Debug, Clone, PartialEq)]
pub struct Speed {
    /// Since it began.
    pub delays: Delays,
    /// Bad answers of the target until then, median; `None` if it was found in less than half of the
    /// runs. What is bad is said by the regression: failures, or answers above the p99 of the source.
    pub bad_median: Option<u64>,
    /// … and in 95 % of the runs.
    pub bad_95: Option<u64>,
}

/// How soon each caller finds a regression that begins with a step of [`REGRESSION_AT`] percent. Rivals
/// count failed looks from there on.
#[must_use]
pub fn speed(rate: f64, regression: Regression, runs: u64, seed: u64) -> [Speed; CALLERS] {
    let (course, scene) = (course(), scene(rate, None));
    let steps = WEIGHTS.iter().take_while(|weight| **weight < REGRESSION_AT);
    let before = steps.count();
    let found = series(runs, |run| {
        let mut walk = Walk::new(&course, &scene, Random::new(seed, run));
        for stage in &course.stages[..before] {
            walk.begin(stage);
            let ends = walk.now() + stage.hold;
            while walk.now() < ends {
                walk.interval(Regression::NONE);
            }
        }
        if walk.look() == Look::Breach {
            return None;
        }
        walk.begin(&course.stages[before]);
        let (began, mut bad, mut rivals) = (walk.now(), 0, rivals());
        rivals.begin(began);
        let mut found: [Option<(Duration, u64)>; CALLERS] = [None; CALLERS];
        while found.iter().any(Option::is_none) && walk.now() < began + LIMIT {
            // What the judge sees after its breach changes nothing.
            let interval = match found[0] {
                None => walk.interval(regression),
                Some(_) => walk.unjudged(regression),
            };
            rivals.observe(&interval);
            bad += if regression.errors > 1.0 {
                interval.failed
            } else {
                interval.slow
            };
            let judge = found[0].is_some() || walk.look() == Look::Breach;
            let [one, two, three] = rivals.called().map(|at| at.is_some());
            for (found, called) in found.iter_mut().zip([judge, one, two, three]) {
                if called {
                    found.get_or_insert((walk.now().saturating_sub(began), bad));
                }
            }
        }
        Some(found)
    });
    // The few runs with a false alarm before the regression say nothing about how it is found.
    let found: Vec<_> = found.into_iter().flatten().collect();
    std::array::from_fn(|caller| {
        let of_caller = || found.iter().map(|found| found[caller]);
        // Counts ride on the order of durations.
        let bad =
            Delays::of(of_caller().map(|found| found.map(|(_, bad)| Duration::from_nanos(bad))));
        let count = |q| {
            let found = bad.quantile(q)?;
            u64::try_from(found.as_nanos()).ok()
        };
        Speed {
            delays: Delays::of(of_caller().map(|found| found.map(|(after, _)| after))),
            bad_median: count(0.5),
            bad_95: count(0.95),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tenth of the benchmark's runs in optimised builds, fewer in others.
    const RUNS: u64 = if cfg!(debug_assertions) { 16 } else { 300 };

    #[test]
    fn healthy_runs_are_seldom_sent_back_where_a_test_that_ignores_its_looks_does_so_often() {
        let [judge, .., z_test] = false_rollbacks(10.0, Some(DRIFT), RUNS, 1);
        // More than this has a chance below 0.5 % if alpha is kept.
        let most = RUNS / 50 + 1;
        assert!(judge.hits <= most, "{judge:?}");
        assert!(z_test.rate() > 0.15, "{z_test:?}");
    }

    #[test]
    fn the_judge_finds_a_fivefold_error_rate_within_a_minute_and_before_all_rules_of_minutes() {
        let [judge, flagger, ..] = speed(100.0, Regression::of_errors(5.0), RUNS, 2);
        let median = |speed: &Speed| speed.delays.quantile(0.5).unwrap();
        assert!(median(&judge) < Duration::from_mins(1), "{judge:?}");
        assert!(
            4 * median(&judge) < median(&flagger),
            "{judge:?} {flagger:?}"
        );
        assert!(judge.bad_median.is_some_and(|bad| bad < 50), "{judge:?}");
    }
}
