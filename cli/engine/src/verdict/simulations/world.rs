//! Two stacks, simulated, with a judge that watches them.

use std::time::Duration;

use cutover_scenarios::plan::{Bound, Objective, Signal};

use crate::verdict::eprocess::float;
use crate::verdict::{ArmCounts, Batch, Breach, Channel, Judge};

pub(super) const ALPHA: f64 = 0.01;
const EDGE_PER_BATCH: u64 = 25;
const PAIRS_PER_BATCH: u64 = 4;
pub(super) const ERRORS: usize = 0;
pub(super) const P99: usize = 1;
const BOUND: Duration = Duration::from_millis(250);

/// SplitMix64 (Steele, Lea, Flood 2014): small, seeded, good enough for coins.
pub(in crate::verdict) struct Random(pub(in crate::verdict) u64);

impl Random {
    pub(in crate::verdict) fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        float((z ^ (z >> 31)) >> 11) / float(1 << 53)
    }

    pub(in crate::verdict) fn coin(&mut self, p: f64) -> bool {
        self.uniform() < p
    }

    /// Log-normal around `median` with σ = 0.3 (the sum of twelve uniforms is nearly normal).
    pub(in crate::verdict) fn latency(&mut self, median: Duration) -> Duration {
        let normal: f64 = (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0;
        median.mul_f64((0.3 * normal).exp())
    }
}

/// How a stack behaves.
#[derive(Clone, Copy)]
pub(super) struct Stack {
    pub(super) errors: f64,
    /// Share of requests that take 300 ms longer.
    pub(super) slow: f64,
    pub(super) median: Duration,
}

pub(super) const HEALTHY: Stack = Stack {
    errors: 0.0,
    slow: 0.0,
    median: Duration::from_millis(10),
};

pub(super) fn failing(errors: f64) -> Stack {
    Stack { errors, ..HEALTHY }
}

pub(super) fn objectives() -> Vec<Objective> {
    vec![
        Objective {
            name: "errors".to_owned(),
            signal: Signal::Errors,
            at_most: Some(Bound::Rate(0.01)),
            versus_source: Some(2.0),
        },
        Objective {
            name: "p99".to_owned(),
            signal: Signal::Latency { quantile: 0.99 },
            at_most: Some(Bound::Latency(BOUND)),
            versus_source: Some(3.0),
        },
    ]
}

fn answer(random: &mut Random, stack: Stack, at: Duration, arm: &mut ArmCounts) {
    let failed = random.coin(stack.errors);
    let mut latency = random.latency(stack.median);
    if random.coin(stack.slow) {
        latency += Duration::from_millis(300);
    }
    let mut one = ArmCounts {
        requests: 1,
        bad: vec![u64::from(failed), u64::from(latency > BOUND)],
        ..ArmCounts::default()
    };
    one.first_bad_at = one.bad.iter().map(|&bad| (bad > 0).then_some(at)).collect();
    one.latency.record_n(latency, 1);
    arm.merge(&one);
}

/// Traffic to two stacks, judged.
pub(super) struct World {
    pub(super) random: Random,
    pub(super) judge: Judge,
    pub(super) now: Duration,
    share: f64,
    pub(super) source: Stack,
    pub(super) target: Stack,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let judge = Judge::new(&objectives(), ALPHA);
        let (source, target) = (HEALTHY, HEALTHY);
        World {
            random: Random(seed),
            judge,
            now: Duration::ZERO,
            share: 0.0,
            source,
            target,
        }
    }

    pub(super) fn shift(&mut self, share: f64) {
        self.share = share;
        self.judge.begin_segment(share);
    }

    /// 100 ms of both channels: what the judge was told of the edge and of pairs.
    pub(super) fn interval(&mut self) -> (Batch, Batch) {
        self.now += Duration::from_millis(100);
        let mut edge = Batch {
            channel: Channel::Edge,
            at: self.now,
            ..Batch::default()
        };
        for _ in 0..EDGE_PER_BATCH {
            let (stack, arm) = if self.random.coin(self.share) {
                (self.target, &mut edge.target)
            } else {
                (self.source, &mut edge.source)
            };
            answer(&mut self.random, stack, self.now, arm);
        }
        self.judge.observe(&edge);
        let to_target = edge.target.requests;
        self.judge
            .observe_share(edge.source.requests + to_target, to_target);
        let mut paired = Batch {
            channel: Channel::Paired,
            at: self.now,
            ..Batch::default()
        };
        for _ in 0..PAIRS_PER_BATCH {
            answer(&mut self.random, self.source, self.now, &mut paired.source);
            answer(&mut self.random, self.target, self.now, &mut paired.target);
        }
        self.judge.observe(&paired);
        (edge, paired)
    }

    pub(super) fn run(&mut self, seconds: u64) {
        for _ in 0..10 * seconds {
            self.interval();
        }
    }

    pub(super) fn until_breach(&mut self, seconds: u64) -> Option<Breach> {
        for _ in 0..10 * seconds {
            self.interval();
            if self.judge.breach().is_some() {
                break;
            }
        }
        self.judge.breach().cloned()
    }
}
