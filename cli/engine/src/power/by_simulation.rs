//! What a plan can find out, from whole runs through the real judge.
//!
//! Each run goes through the plan with a healthy target, which tells about false rollbacks. Where a step
//! begins the run parts: once for each regression, and once to see when a healthy target is proven.

use std::time::Duration;

use cutover_scenarios::plan::Plan;

use super::{
    ASKED, Assumed, FalseRollback, Method, Power, RegressionPower, StepPower, Times, by_formula,
    searched, steps,
};
use crate::simulation::random::Random;
use crate::simulation::run::{Course, Stage, Walk};
use crate::simulation::series::{Delays, Share, series};

/// A stage that does not end by itself is left after so many times its hold, and an hour more.
const PATIENCE: u32 = 10;

/// What one run tells about one step.
#[derive(Clone)]
struct Seen {
    found: [Option<Duration>; ASKED.len()],
    proven: Option<Duration>,
}

/// What one run tells.
struct Run {
    /// For each step that it reached.
    steps: Vec<Seen>,
    sent_back: bool,
}

/// What a plan can find out, from `runs` simulated runs; `seed` decides their luck.
#[must_use]
pub fn by_simulation(plan: &Plan, assumed: &Assumed, runs: u64, seed: u64) -> Power {
    let course = Course::of(plan);
    let told = by_formula(plan, assumed);
    let all = series(runs, |number| run(&course, assumed, &told, (seed, number)));
    let sent_back = all.iter().filter(|run| run.sent_back).count() as u64;
    let told_steps = told.steps.iter().zip(steps(&course)).enumerate();
    Power {
        method: Method::Simulation { runs, seed },
        steps: told_steps
            .map(|(index, (told, stage))| {
                let seen: Vec<&Seen> = all.iter().filter_map(|run| run.steps.get(index)).collect();
                step(told, &stage, &seen)
            })
            .collect(),
        false_rollback: FalseRollback {
            at_most: plan.alpha,
            simulated: Some(Share::of(sent_back, runs).into()),
        },
        ..told
    }
}

fn run(course: &Course, assumed: &Assumed, told: &Power, (seed, number): (u64, u64)) -> Run {
    let branches = ASKED.len() as u64 + 1;
    let luck = |branch: u64| Random::new(seed.wrapping_add(branch), number);
    let mut walk = Walk::new(course, &assumed.scene(), luck(0));
    let asked = steps(course);
    let mut seen = Vec::new();
    for (place, stage) in course.stages.iter().enumerate() {
        let step = place.checked_sub(1).filter(|step| *step < asked.len());
        if let Some(step) = step {
            let limit = searched(asked[step].hold);
            let branch = |index: u64| luck(1 + step as u64 * branches + index);
            let mut found = [None; ASKED.len()];
            for (index, (signal, ratio)) in ASKED.into_iter().enumerate() {
                if !told.steps[step].regressions[index].allowed {
                    found[index] = walk
                        .parted(branch(index as u64))
                        .until_found(stage, signal.regression(ratio), limit)
                        .map(|found| found.after);
                }
            }
            let proven = walk.parted(branch(branches - 1)).until_proven(stage, limit);
            seen.push(Seen { found, proven });
        }
        let longest = stage.hold * PATIENCE + Duration::from_hours(1);
        if walk.through(stage, longest).is_err() {
            return Run {
                steps: seen,
                sent_back: true,
            };
        }
    }
    Run {
        steps: seen,
        sent_back: false,
    }
}

fn step(told: &StepPower, stage: &Stage, seen: &[&Seen]) -> StepPower {
    let limit = searched(stage.hold);
    let times = |of: &dyn Fn(&Seen) -> Option<Duration>| {
        let delays = Delays::of(seen.iter().map(|seen| of(seen)));
        let at = |q| delays.quantile(q).map(|delay| delay.as_secs_f64());
        Times {
            median_s: at(0.5),
            p95_s: at(0.95),
            searched_s: limit.as_secs_f64(),
        }
    };
    let proof = times(&|seen| seen.proven);
    let regressions = told.regressions.iter().enumerate();
    StepPower {
        regressions: regressions
            .map(|(index, told)| RegressionPower {
                found: times(&|seen| seen.found[index]),
                ..*told
            })
            .collect(),
        hold_proves: proof.p95_s.is_some_and(|p95| p95 <= told.hold_s),
        // Where no run got that far, the formula still tells about how long it takes.
        proving_hold_s: proof.p95_s.or(told
            .proving_hold_s
            .map(|formula| formula.max(limit.as_secs_f64()))),
        proof,
        ..told.clone()
    }
}
