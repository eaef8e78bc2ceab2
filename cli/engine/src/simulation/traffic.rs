//! Traffic of two stacks, in batches of 100 ms as the judge gets them.

use std::f64::consts::TAU;
use std::time::Duration;

use cutover_scenarios::plan::{Bound, Objective, Signal};

use super::latency::{Cells, LogNormal};
use super::random::Random;
use crate::verdict::{ArmCounts, Batch, Channel};

/// One batch holds what ended within this long.
pub const INTERVAL: Duration = Duration::from_millis(100);

/// What both stacks and their traffic are like.
#[derive(Debug, Clone, PartialEq)]
pub struct Scene {
    /// Requests a second through the edge.
    pub rate: f64,
    /// Pairs a second, directly to both stacks.
    pub paired: f64,
    /// The share of requests that the source fails; between 0 and 1.
    pub error_rate: f64,
    /// Latencies of the source.
    pub latency: LogNormal,
    /// How the error rate of both stacks moves together; `None` keeps it where it is.
    pub drift: Option<Drift>,
}

/// The error rate of both stacks swings up and down by a factor, evenly on a logarithmic scale. Each
/// run begins somewhere else in the period.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Drift {
    /// Most and least are this many times above and below the middle; at least 1.
    pub factor: f64,
    /// From most to most.
    pub period: Duration,
}

/// How the target differs from the source.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Regression {
    /// It fails this many times as often.
    pub errors: f64,
    /// Its latencies are this many times as long.
    pub latency: f64,
}

impl Regression {
    /// It does not differ.
    pub const NONE: Regression = Regression {
        errors: 1.0,
        latency: 1.0,
    };

    /// Fails `ratio` times as often.
    #[must_use]
    pub fn of_errors(ratio: f64) -> Self {
        Regression {
            errors: ratio,
            ..Self::NONE
        }
    }

    /// Takes `ratio` times as long.
    #[must_use]
    pub fn of_latency(ratio: f64) -> Self {
        Regression {
            latency: ratio,
            ..Self::NONE
        }
    }
}

/// What ended within one interval, over both channels; a batch may be empty.
#[derive(Debug, Clone, PartialEq)]
pub struct Interval {
    /// Through the edge.
    pub edge: Batch,
    /// Directly.
    pub paired: Batch,
    /// Target answers, over both channels, that failed, …
    pub failed: u64,
    /// … and that took longer than the p99 of the source.
    pub slow: u64,
}

/// Draws one interval after another.
#[derive(Debug, Clone)]
pub struct Traffic {
    scene: Scene,
    /// For each objective, whether it counts failures, …
    counts_failures: Vec<bool>,
    /// … and what it calls slow; last comes the source's own p99.
    slow_above: Vec<Option<Duration>>,
    cells: Cells,
    random: Random,
    /// Where in its period the drift begins; between 0 and 1.
    phase: f64,
    intervals: u32,
    /// Requests that were due in no interval yet: the part of one that is left over.
    due: [f64; 2],
    scratch: Vec<u64>,
}

impl Traffic {
    /// The traffic of one run.
    #[must_use]
    pub fn new(scene: &Scene, objectives: &[Objective], mut random: Random) -> Self {
        let slow_above = |objective: &Objective| match objective.at_most {
            Some(Bound::Latency(bound)) => Some(bound),
            _ => None,
        };
        Traffic {
            counts_failures: objectives
                .iter()
                .map(|objective| objective.signal == Signal::Errors)
                .collect(),
            slow_above: objectives
                .iter()
                .map(slow_above)
                .chain([Some(scene.latency.p99)])
                .collect(),
            cells: Cells::new(scene.latency),
            phase: random.uniform(),
            random,
            scene: scene.clone(),
            intervals: 0,
            due: [0.0; 2],
            scratch: Vec::new(),
        }
    }

    /// What was drawn so far is so long.
    #[must_use]
    pub fn now(&self) -> Duration {
        INTERVAL * self.intervals
    }

    /// From here on with other luck: two runs that part have nothing in common afterwards.
    pub fn part(&mut self, random: Random) {
        self.random = random;
    }

    /// The next interval, in which the target gets `share` of the requests through the edge.
    pub fn next(&mut self, share: f64, target: Regression) -> Interval {
        self.intervals += 1;
        let error_rate = self.error_rate();
        let through_edge = self.due(0, self.scene.rate);
        let to_target = self.random.binomial(through_edge, share);
        let pairs = self.due(1, self.scene.paired);
        let (mut failed, mut slow) = (0, 0);
        let mut batch = |channel, to_source, to_target| {
            let at = INTERVAL * self.intervals;
            let of_source = self.answers(at, to_source, error_rate, Regression::NONE);
            let of_target = self.answers(at, to_target, error_rate, target);
            failed += of_target.failed;
            slow += of_target.slow;
            Batch {
                channel,
                at,
                source: of_source.counts,
                target: of_target.counts,
            }
        };
        let edge = batch(Channel::Edge, through_edge - to_target, to_target);
        let paired = batch(Channel::Paired, pairs, pairs);
        Interval {
            edge,
            paired,
            failed,
            slow,
        }
    }

    fn error_rate(&self) -> f64 {
        let Some(Drift { factor, period }) = self.scene.drift else {
            return self.scene.error_rate;
        };
        let turns = self.now().as_secs_f64() / period.as_secs_f64() + self.phase;
        self.scene.error_rate * factor.powf((TAU * turns).sin())
    }

    fn due(&mut self, channel: usize, rate: f64) -> u64 {
        let due = self.due[channel] + rate * INTERVAL.as_secs_f64();
        self.due[channel] = due.fract();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "not negative"
        )]
        let whole = due as u64;
        whole
    }

    fn answers(&mut self, at: Duration, n: u64, errors: f64, stack: Regression) -> Answers {
        if n == 0 {
            return Answers::default();
        }
        let failed = self
            .random
            .binomial(n, (errors * stack.errors).clamp(0.0, 1.0));
        let (latency, mut bad) = self.cells.draw(
            &mut self.random,
            n,
            stack.latency,
            &self.slow_above,
            &mut self.scratch,
        );
        let slow = bad.pop().unwrap_or(0);
        for (bad, counts_failures) in bad.iter_mut().zip(&self.counts_failures) {
            if *counts_failures {
                *bad = failed;
            }
        }
        let first_bad_at = bad.iter().map(|bad| (*bad > 0).then_some(at)).collect();
        let counts = ArmCounts {
            requests: n,
            bad,
            first_bad_at,
            latency,
        };
        Answers {
            counts,
            failed,
            slow,
        }
    }
}

/// What one stack answered in one interval over one channel.
#[derive(Default)]
struct Answers {
    counts: ArmCounts,
    failed: u64,
    /// Slower than the p99 of the source.
    slow: u64,
}

/// The requests of both stacks in a batch.
pub(super) fn requests(batch: &Batch) -> u64 {
    batch.source.requests + batch.target.requests
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulation::float;
    use crate::simulation::latency::SIGMA;
    use crate::testing::objectives;

    fn scene() -> Scene {
        Scene {
            rate: 255.0,
            paired: 41.0,
            error_rate: 0.01,
            latency: LogNormal {
                p99: Duration::from_millis(200),
                sigma: SIGMA,
            },
            drift: None,
        }
    }

    fn totals(scene: &Scene, share: f64, target: Regression) -> [(u64, u64); 4] {
        let mut traffic = Traffic::new(scene, &objectives(), Random::new(1, 0));
        let mut sums = [(0, 0); 4];
        for _ in 0..6_000 {
            let Interval { edge, paired, .. } = traffic.next(share, target);
            for (sum, arm) in
                sums.iter_mut()
                    .zip([edge.source, edge.target, paired.source, paired.target])
            {
                sum.0 += arm.requests;
                sum.1 += arm.bad.first().copied().unwrap_or(0);
            }
        }
        assert_eq!(traffic.now(), Duration::from_mins(10));
        sums
    }

    #[test]
    fn ten_minutes_hold_the_requests_that_the_rates_say_and_the_split_that_the_weight_says() {
        let [source, target, from, to] = totals(&scene(), 0.25, Regression::NONE);
        assert!(
            (source.0 + target.0).abs_diff(153_000) <= 1,
            "{source:?} {target:?}"
        );
        assert!(target.0.abs_diff(38_250) < 700, "{target:?}");
        assert_eq!(from.0, to.0);
        assert!(to.0.abs_diff(24_600) <= 1, "{to:?}");
    }

    #[test]
    fn the_target_fails_as_often_as_the_regression_says() {
        let [source, target, ..] = totals(&scene(), 0.5, Regression::of_errors(3.0));
        let rate = |(requests, bad): (u64, u64)| float(bad) / float(requests);
        assert!((rate(source) - 0.01).abs() < 0.002, "{source:?}");
        assert!((rate(target) - 0.03).abs() < 0.003, "{target:?}");
    }

    #[test]
    fn a_drift_moves_both_stacks_together() {
        let drifting = Scene {
            drift: Some(Drift {
                factor: 4.0,
                period: Duration::from_mins(20),
            }),
            ..scene()
        };
        let mut traffic = Traffic::new(&drifting, &objectives(), Random::new(5, 0));
        let (mut least, mut most) = (f64::INFINITY, 0.0_f64);
        for _ in 0..12_000 {
            traffic.next(0.5, Regression::NONE);
            least = least.min(traffic.error_rate());
            most = most.max(traffic.error_rate());
        }
        assert!((least - 0.0025).abs() < 1e-5, "{least}");
        assert!((most - 0.04).abs() < 1e-4, "{most}");
    }
}
