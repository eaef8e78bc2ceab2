//! Whole runs of a plan, and the time until a regression is found.

use std::time::Duration;

use cutover_scenarios::plan::{Objective, Plan};
use cutover_scenarios::units::Weight;

use super::random::Random;
use super::traffic::{Interval, Regression, Scene, Traffic, requests};
use crate::assess::{Assessment, Verdict, verdict};
use crate::fact::StepObservation;
use crate::verdict::{Batch, GuardKind, Judge};

/// What a run goes through, and what watches it.
#[derive(Debug, Clone, PartialEq)]
pub struct Course {
    /// What must hold.
    pub objectives: Vec<Objective>,
    /// The chance of a false rollback over the whole run.
    pub alpha: f64,
    /// Answers of the target that a stage needs.
    pub min_requests: u64,
    /// Qualification, each step, bake.
    pub stages: Vec<Stage>,
}

/// A time in which the weight stays the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stage {
    /// The target's share; `None` while only pairs are sent to it.
    pub weight: Option<Weight>,
    /// The shortest time it takes.
    pub hold: Duration,
    /// It lasts until the target is shown to be no worse.
    pub prove: bool,
}

impl Course {
    /// The course of a plan: its first stage is the qualification, its last the bake.
    #[must_use]
    pub fn of(plan: &Plan) -> Self {
        let stage = |weight, hold, prove| Stage {
            weight,
            hold,
            prove,
        };
        let steps = plan
            .steps
            .iter()
            .map(|step| stage(Some(step.weight), step.hold, step.prove));
        let bake = stage(Some(Weight::FULL), plan.bake, false);
        Course {
            objectives: plan.objectives.clone(),
            alpha: plan.alpha,
            min_requests: plan.min_requests,
            stages: std::iter::once(stage(None, plan.qualify, false))
                .chain(steps)
                .chain([bake])
                .collect(),
        }
    }
}

/// A run under way: traffic, and the judge that watches it.
#[derive(Debug, Clone)]
pub struct Walk<'a> {
    course: &'a Course,
    rate: f64,
    traffic: Traffic,
    judge: Judge,
    /// How many judges the run has had.
    nth: u32,
    weight: Option<Weight>,
    seen: StepObservation,
    /// Answers of the target in this stage, over both channels.
    target_answers: u64,
}

/// What one look at the judge says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// No breach.
    Quiet,
    /// All traffic goes back.
    Breach,
    /// Both stacks break the objective: going back would not help, and the hold begins anew.
    Shared,
}

/// A breach that sends all traffic back.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// Since the regression began, or since the run did.
    pub after: Duration,
    /// Name of the guard.
    pub guard: String,
    /// Bad answers of the target since then: failed ones if the guard counts failures, otherwise those
    /// slower than the p99 of the source.
    pub bad: u64,
}

impl<'a> Walk<'a> {
    /// A run that begins now, with this luck.
    #[must_use]
    pub fn new(course: &'a Course, scene: &Scene, random: Random) -> Self {
        Walk {
            course,
            rate: scene.rate,
            traffic: Traffic::new(scene, &course.objectives, random),
            judge: Judge::nth(&course.objectives, course.alpha, 1),
            nth: 1,
            weight: None,
            seen: StepObservation::default(),
            target_answers: 0,
        }
    }

    /// Since the run began.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.traffic.now()
    }

    /// What watches the run.
    #[must_use]
    pub fn judge(&self) -> &Judge {
        &self.judge
    }

    /// From here on with other luck, so that one run can be continued in several ways.
    #[must_use]
    pub fn parted(&self, random: Random) -> Self {
        let mut other = self.clone();
        other.traffic.part(random);
        other
    }

    /// A stage begins.
    pub fn begin(&mut self, stage: &Stage) {
        self.weight = stage.weight;
        self.seen = StepObservation::default();
        self.target_answers = 0;
        self.judge.begin_segment(self.share());
    }

    fn share(&self) -> f64 {
        self.weight.map_or(0.0, Weight::fraction)
    }

    /// One interval of traffic, judged.
    pub fn interval(&mut self, target: Regression) -> Interval {
        let interval = self.traffic.next(self.share(), target);
        self.observe(&interval.edge);
        self.observe(&interval.paired);
        let (all, to_target) = (requests(&interval.edge), interval.edge.target.requests);
        self.judge.observe_share(all, to_target);
        self.seen.requests += all;
        self.seen.target_requests += to_target;
        self.target_answers += to_target + interval.paired.target.requests;
        interval
    }

    /// One interval of traffic that the judge does not see.
    pub fn unjudged(&mut self, target: Regression) -> Interval {
        self.traffic.next(self.share(), target)
    }

    fn observe(&mut self, batch: &Batch) {
        if requests(batch) > 0 {
            self.judge.observe(batch);
        }
    }

    /// Whether a breach was called, and whose it is. One that both stacks are to blame for makes the
    /// evidence begin anew, as in a real run.
    pub fn look(&mut self) -> Look {
        let Some(breach) = self.judge.breach() else {
            return Look::Quiet;
        };
        if breach.kind != GuardKind::Absolute || !self.judge.source_breaks(breach.objective) {
            return Look::Breach;
        }
        self.nth = self.nth.saturating_add(1);
        self.judge = Judge::nth(&self.course.objectives, self.course.alpha, self.nth);
        self.judge.begin_segment(self.share());
        Look::Shared
    }

    /// Whether a stage that was held for so long may end: what the machine asks for.
    fn may_end(&self, stage: &Stage, held: Duration) -> bool {
        if held < stage.hold {
            return false;
        }
        let assessment = Assessment {
            near: self.judge.near().map(str::to_owned),
            seen: self.seen,
            target_answers: self.target_answers,
            data_age: Some(0.0),
            share_mismatch: self.judge.share_mismatch().map(|_| "the split".to_owned()),
            ..Assessment::default()
        };
        let least = self.course.min_requests;
        let passes = verdict(&assessment, self.weight, least, self.rate, held) == Verdict::Pass;
        passes && (!stage.prove || self.judge.proven())
    }

    /// Goes through a stage with a target that does not differ. It may take `longest` at most.
    ///
    /// # Errors
    /// The breach, if there was one.
    pub fn through(&mut self, stage: &Stage, longest: Duration) -> Result<(), Found> {
        self.begin(stage);
        let (mut held, mut bad) = (Duration::ZERO, Bad::default());
        let began = self.now();
        while !self.may_end(stage, held) && self.now() < began + longest {
            let before = self.now();
            bad.add(&self.interval(Regression::NONE));
            held += self.now().saturating_sub(before);
            match self.look() {
                Look::Breach => return Err(self.found(Duration::ZERO, bad)),
                Look::Shared => held = Duration::ZERO,
                Look::Quiet => {}
            }
        }
        Ok(())
    }

    /// A stage begins, and with it a regression that stays. How soon is it found, within `limit`?
    pub fn until_found(
        &mut self,
        stage: &Stage,
        target: Regression,
        limit: Duration,
    ) -> Option<Found> {
        self.begin(stage);
        let (began, mut bad) = (self.now(), Bad::default());
        while self.now() < began + limit {
            bad.add(&self.interval(target));
            if self.look() == Look::Breach {
                return Some(self.found(began, bad));
            }
        }
        None
    }

    /// A stage begins with a target that does not differ. How soon is it shown, within `limit`, to be
    /// no worse than the objectives allow?
    pub fn until_proven(&mut self, stage: &Stage, limit: Duration) -> Option<Duration> {
        /// Bounds move slowly, and asking for them costs more than an interval does.
        const LOOK_EVERY: u32 = 10;
        self.begin(stage);
        let began = self.now();
        let mut intervals = 0_u32;
        while self.now() < began + limit {
            self.interval(Regression::NONE);
            intervals += 1;
            if intervals.is_multiple_of(LOOK_EVERY) && self.judge.proven() {
                return Some(self.now().saturating_sub(began));
            }
        }
        None
    }

    fn found(&self, began: Duration, bad: Bad) -> Found {
        let breach = self.judge.breach();
        let counts_failures = breach.is_some_and(|breach| {
            let signal = self.course.objectives[breach.objective].signal;
            signal == cutover_scenarios::plan::Signal::Errors
        });
        Found {
            after: self.now().saturating_sub(began),
            guard: breach.map_or_else(String::new, |breach| breach.guard.clone()),
            bad: if counts_failures {
                bad.failed
            } else {
                bad.slow
            },
        }
    }
}

/// Bad answers of the target.
#[derive(Debug, Clone, Copy, Default)]
struct Bad {
    failed: u64,
    slow: u64,
}

impl Bad {
    fn add(&mut self, interval: &Interval) {
        self.failed += interval.failed;
        self.slow += interval.slow;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulation::latency::{LogNormal, SIGMA};
    use crate::testing::{objectives, plan};

    fn scene() -> Scene {
        Scene {
            rate: 100.0,
            paired: 20.0,
            error_rate: 0.001,
            latency: LogNormal {
                p99: Duration::from_millis(150),
                sigma: SIGMA,
            },
            drift: None,
        }
    }

    #[test]
    fn a_healthy_run_takes_as_long_as_its_holds() {
        let course = Course::of(&plan());
        let mut walk = Walk::new(&course, &scene(), Random::new(1, 0));
        for stage in &course.stages {
            let began = walk.now();
            assert_eq!(walk.through(stage, Duration::from_hours(1)), Ok(()));
            assert_eq!(walk.now() - began, stage.hold, "{stage:?}");
        }
    }

    #[test]
    fn a_stage_that_asks_for_proof_lasts_until_the_target_is_proven() {
        let mut course = Course::of(&plan());
        course.stages[1].prove = true;
        let mut walk = Walk::new(&course, &scene(), Random::new(1, 0));
        let longest = Duration::from_hours(1);
        walk.through(&course.stages[0], longest).unwrap();
        let mut other = walk.clone();
        walk.through(&course.stages[1], longest).unwrap();
        assert!(walk.judge().proven());
        let proven = other.until_proven(&course.stages[1], longest).unwrap();
        assert!(proven > course.stages[1].hold, "{proven:?}");
        assert!(walk.now() <= Duration::from_secs(5) + proven);
    }

    #[test]
    fn a_target_that_fails_is_found_and_what_it_failed_is_counted() {
        let mut course = Course::of(&plan());
        course.objectives = objectives();
        let mut walk = Walk::new(&course, &scene(), Random::new(2, 0));
        let longest = Duration::from_mins(1);
        walk.through(&course.stages[0], longest).unwrap();
        let worse = Regression::of_errors(100.0);
        let found = walk.until_found(&course.stages[1], worse, longest).unwrap();
        assert!(found.guard.starts_with("errors"), "{found:?}");
        assert!((3..=30).contains(&found.bad), "{found:?}");
        assert!(found.after < Duration::from_secs(3), "{found:?}");
    }

    #[test]
    fn runs_that_part_have_the_past_in_common_and_nothing_else() {
        let course = Course::of(&plan());
        let mut walk = Walk::new(&course, &scene(), Random::new(3, 0));
        walk.through(&course.stages[0], Duration::from_mins(1))
            .unwrap();
        let mut one = walk.parted(Random::new(3, 1));
        let mut same = walk.parted(Random::new(3, 1));
        let mut other = walk.parted(Random::new(3, 2));
        let next = |walk: &mut Walk| {
            walk.begin(&course.stages[1]);
            walk.interval(Regression::NONE)
        };
        let first = next(&mut one);
        assert_eq!(first, next(&mut same));
        assert_ne!(first, next(&mut other));
    }
}
