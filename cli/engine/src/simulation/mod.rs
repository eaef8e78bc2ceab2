//! Runs that never happened: two stacks, their traffic, and the real judge that watches them.
//!
//! A simulated run has errors, latencies and a split that are drawn from stated distributions, and
//! everything else is the product: the [`Judge`](crate::verdict::Judge) gets batches of 100 ms, and a
//! step is over when the machine's own [`verdict`](crate::assess::verdict) would pass. So what comes out
//! is what the product would do: how often a healthy target is sent back, and how soon a bad one.
//!
//! | module | subject |
//! | --- | --- |
//! | [`random`] | a seeded generator, and exact binomial draws |
//! | [`latency`] | log-normal latencies |
//! | [`traffic`] | batches of answers of both stacks |
//! | [`run`] | whole runs of a plan, and the time until a regression is found |
//! | [`rivals`] | rules that look at fixed windows, as other tools have them |
//! | [`series`] | many runs at once, and what they add up to |
//! | [`table`] | the benchmark: false rollbacks and delays, beside those rules |
//!
//! # Assumptions
//! Requests are independent given the state of a stack, and arrive at a constant rate; the edge splits
//! them by chance. Latencies are log-normal. Real services are less even: a simulated figure says what
//! the statistics can do, not what a network will do.
//!
//! Pure: the same seed gives the same runs.

pub mod latency;
pub mod random;
pub mod rivals;
pub mod run;
pub mod series;
pub mod table;
pub mod traffic;

/// Counts stay far below 2⁵², so they are exact as `f64`.
#[expect(clippy::cast_precision_loss, reason = "exact below 2^52")]
pub(crate) fn float(count: u64) -> f64 {
    count as f64
}
