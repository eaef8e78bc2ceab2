//! What a decision costs: processor time for each batch, and memory, over a run of ten million requests.
//!
//! `cargo bench -p cutover-engine`. The promise: at most 5 µs for each batch that is counted and
//! judged, with all guards read after it, and memory that does not grow with the run.
//!
//! Traffic is the demo's: in each tenth of a second 25 requests through the edge and 4 pairs, the
//! objectives of its plan. It is run three times: without errors, with both stacks half way to
//! their bounds, and as dense traffic, where hardly a batch is free of bad requests.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a benchmark reads the clock and prints"
)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use cutover_engine::verdict::{ArmCounts, Batch, Channel, Judge};
use cutover_scenarios::plan::{Bound, Objective, Signal};

const REQUESTS: u64 = 10_000_000;
/// Different batches of a weight; they are fed again and again.
const POOL: usize = 2_048;
const WEIGHTS: [f64; 6] = [0.0, 0.01, 0.05, 0.25, 0.5, 1.0];

#[derive(Clone, Copy)]
struct Traffic {
    name: &'static str,
    edge: u64,
    pairs: u64,
    /// Share of requests that fail, and share that are slow.
    bad: f64,
}

fn main() {
    // Cargo passes `--bench`; there is nothing to choose.
    println!("traffic         requests   batches  ns/batch  resident KiB");
    for traffic in [
        Traffic {
            name: "clean",
            edge: 25,
            pairs: 4,
            bad: 0.0,
        },
        Traffic {
            name: "half way",
            edge: 25,
            pairs: 4,
            bad: 0.005,
        },
        Traffic {
            name: "dense",
            edge: 1_000,
            pairs: 100,
            bad: 0.005,
        },
    ] {
        run(traffic);
    }
}

fn run(traffic: Traffic) {
    let mut random = Random(1);
    let mut judge = Judge::new(&objectives(), 0.01);
    let mut now = Duration::ZERO;
    let (mut requests, mut batches) = (0, 0_u32);
    let mut spent = Duration::ZERO;
    let mut report_at = REQUESTS / 10;
    for (step, weight) in WEIGHTS.into_iter().enumerate() {
        let mut pool = pool(&mut random, traffic, weight);
        judge.begin_segment(weight);
        let until = REQUESTS * (step as u64 + 1) / WEIGHTS.len() as u64;
        let mut next = 0;
        let mut since = processor_time();
        while requests < until {
            let batch = &mut pool[next];
            next = (next + 1) % POOL;
            if batch.channel == Channel::Edge {
                now += Duration::from_millis(100);
            }
            stamp(batch, now);
            requests += batch.source.requests + batch.target.requests;
            batches += 1;
            judge.observe(black_box(batch));
            if batch.channel == Channel::Edge {
                let to_target = batch.target.requests;
                judge.observe_share(batch.source.requests + to_target, to_target);
            }
            for guard in judge.guards() {
                black_box(guard);
            }
            if requests >= report_at || requests >= until {
                let had = processor_time();
                spent += had.saturating_sub(since);
                since = had;
            }
            if requests >= report_at {
                println!(
                    "{:<14} {:>9} {:>9} {:>9} {:>13}",
                    traffic.name,
                    requests,
                    batches,
                    (spent / batches).as_nanos(),
                    resident_kib(),
                );
                report_at = if report_at == REQUESTS {
                    u64::MAX
                } else {
                    REQUESTS
                };
            }
        }
    }
    assert_eq!(judge.breach(), None, "healthy traffic");
    assert_eq!(judge.share_mismatch(), None, "split as it should be");
}

/// Edge and paired batches in turn.
fn pool(random: &mut Random, traffic: Traffic, weight: f64) -> Vec<Batch> {
    let mut pool = Vec::with_capacity(POOL);
    let mut owed = 0.0;
    for _ in 0..POOL / 2 {
        // Evenly, as the edge splits: a pool is fed hundreds of times, and with it what it is off by.
        owed += weight * traffic.edge as f64;
        let to_target = owed as u64;
        owed -= to_target as f64;
        pool.push(Batch {
            channel: Channel::Edge,
            at: Duration::ZERO,
            source: answers(random, traffic, traffic.edge - to_target),
            target: answers(random, traffic, to_target),
        });
        pool.push(Batch {
            channel: Channel::Paired,
            at: Duration::ZERO,
            source: answers(random, traffic, traffic.pairs),
            target: answers(random, traffic, traffic.pairs),
        });
    }
    pool
}

fn answers(random: &mut Random, traffic: Traffic, requests: u64) -> ArmCounts {
    let mut arm = ArmCounts {
        requests,
        bad: vec![0; 2],
        first_bad_at: vec![None; 2],
        ..ArmCounts::default()
    };
    let mut latencies: Vec<Duration> = (0..requests)
        .map(|_| {
            let slow = random.uniform() < traffic.bad;
            arm.bad[0] += u64::from(random.uniform() < traffic.bad);
            arm.bad[1] += u64::from(slow);
            // Log-normal, σ = 0.3: the sum of twelve uniforms is nearly normal.
            let normal: f64 = (0..12).map(|_| random.uniform()).sum::<f64>() - 6.0;
            Duration::from_millis(10).mul_f64((0.3 * normal).exp())
                + Duration::from_millis(if slow { 300 } else { 0 })
        })
        .collect();
    latencies.sort_unstable();
    for latency in latencies {
        arm.latency.record_n(latency, 1);
    }
    arm
}

fn stamp(batch: &mut Batch, now: Duration) {
    batch.at = now;
    for arm in [&mut batch.source, &mut batch.target] {
        for (first, bad) in arm.first_bad_at.iter_mut().zip(&arm.bad) {
            *first = (*bad > 0).then_some(now);
        }
    }
}

/// The objectives of the demo's plan.
fn objectives() -> Vec<Objective> {
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
            at_most: Some(Bound::Latency(Duration::from_millis(250))),
            versus_source: Some(3.0),
        },
    ]
}

/// What this process has had of a processor: on a busy machine the time on the wall says nothing.
/// Where `/proc` does not tell, the time on the wall.
fn processor_time() -> Duration {
    static BEGAN: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    let began = BEGAN.get_or_init(Instant::now);
    let stat = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let nanos = stat
        .split_whitespace()
        .next()
        .and_then(|first| first.parse().ok());
    nanos.map_or_else(|| began.elapsed(), Duration::from_nanos)
}

/// Resident memory of this process; 0 where `/proc` does not tell.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

/// SplitMix64 (Steele, Lea, Flood 2014).
struct Random(u64);

impl Random {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}
