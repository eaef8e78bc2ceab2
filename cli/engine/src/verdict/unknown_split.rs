//! Errors of the target against errors of the source, where nobody knows how requests are split.
//!
//! Behind DNS weights, resolvers decide who asks whom, so whose the next failure is says nothing by
//! itself. What remains is a 2×2 table: requests and failures of both stacks. Answers are gathered
//! into blocks, and each block is a bet as in [`two_by_two`](super::two_by_two). The common failure
//! rate may be another one in each block.
//!
//! One bettor is the published one, who believes what earlier blocks have shown. After a long good
//! time it learns slowly that something has changed. So others bet besides it, who believe in a fixed
//! multiple of what the source did lately, and start points are opened as in the other tests.
//!
//! # Assumptions
//! A block ends when both stacks have answered so many requests, however many of them failed. What
//! bettors believe comes from earlier blocks. Failures that take longer than answers (timeouts) come
//! in later blocks than their pairs do; the rates of a block are those of what ended in it.

use super::burst::BurstCap;
use super::capital::Capital;
use super::counts::{Batch, Channel};
use super::eprocess::float;
use super::report::Finding;
use super::start_points::{StartPoints, Weighed};
use super::two_by_two::{Belief, Table, estimate, log_gain};

/// A block ends with the batch in which each stack has answered at least so many requests since it
/// began. Small, because a block is evidence only when it ends.
const BLOCK: u64 = 4;

/// Bettors who believe in a ratio: `R · 1.5 · 2^g`, up to about 200 times `R`.
const RATIOS: usize = 8;
/// … and one who believes what the blocks have shown so far, as published.
const BETTORS: usize = RATIOS + 1;

/// Who believes in a ratio takes the source's rate from about its latest so many answers, …
const MEMORY: f64 = 10_000.0;

/// … and does not bet before it has given so many.
const KNOWN_AFTER: f64 = 100.0;

/// The highest rate that anyone believes in. Above it, odds hardly improve for failures and become
/// ruinous for successes.
const HIGHEST: f64 = 0.5;

/// Failures of both stacks between two start points, and answers of the target: clean answers are
/// evidence of health here, and must not pile up either.
const FAILURES_PER_START_POINT: u64 = 16;
const REQUESTS_PER_START_POINT: u64 = 1_000;

/// Evidence that the target fails more than `R` times as often as the source, over one channel.
#[derive(Debug, Clone)]
pub(super) struct UnknownSplitTest {
    channel: Channel,
    /// `R`.
    ratio: f64,
    /// The block that is not full yet; bursts are capped.
    block: Table,
    /// All blocks so far.
    past: Table,
    /// The source's requests and failures, older ones counting less and less.
    lately: (f64, f64),
    seen: Capital<BETTORS>,
    burst: BurstCap,
    points: StartPoints<Capital<BETTORS>>,
}

impl UnknownSplitTest {
    /// `ratio` is at least 1.
    pub(super) fn new(channel: Channel, ratio: f64) -> Self {
        UnknownSplitTest {
            channel,
            ratio,
            block: Table::default(),
            past: Table::default(),
            lately: (0.0, 0.0),
            seen: Capital::NEW,
            burst: BurstCap::default(),
            points: StartPoints::new(),
        }
    }

    /// Opens a start point, unless one was opened here already.
    pub(super) fn open_start_point(&mut self) {
        let UnknownSplitTest { seen, points, .. } = self;
        if points.newest().is_none_or(|base| base.log != seen.log) {
            points.open(*seen, |base| seen.log_e(base));
        }
    }

    /// Counts a batch; says whether the evidence may have grown.
    pub(super) fn observe(&mut self, batch: &Batch, objective: usize) -> bool {
        if batch.channel != self.channel {
            return false;
        }
        let (n_a, n_b) = (batch.source.requests, batch.target.requests);
        let k_a = batch.source.bad(objective).min(n_a);
        let k_b = batch.target.bad(objective).min(n_b);
        // At the claim's edge a request to the target fails R times as often.
        let expected = float(k_a) * self.ratio * float(n_b) / float(n_a.max(1));
        let counted = self.burst.admit(batch.at, expected, k_b);
        if k_b > 0 {
            self.points
                .saw_bad(batch.target.first_bad_at(objective).unwrap_or(batch.at));
        }
        self.seen.requests += n_b;
        self.seen.failures += k_a + k_b;
        self.seen.bad.add(self.channel, k_b);
        self.block.add(n_a, k_a, n_b, counted);
        let full = self.block.source.0 >= float(BLOCK) && self.block.target.0 >= float(BLOCK);
        if !full {
            return false;
        }
        let block = std::mem::take(&mut self.block);
        self.settle(&block);
        let due = self.points.newest().is_none_or(|base| {
            self.seen.failures >= base.failures + FAILURES_PER_START_POINT
                || self.seen.requests >= base.requests + REQUESTS_PER_START_POINT
        });
        if due {
            self.open_start_point();
        }
        block.target.1 > 0.0
    }

    /// A block is full: bets are settled, and then it is learnt from.
    fn settle(&mut self, block: &Table) {
        let rate = estimate(self.lately, 1.0);
        if self.lately.0 >= KNOWN_AFTER {
            for (bettor, log) in self.seen.log[..RATIOS].iter_mut().enumerate() {
                let belief = Belief {
                    source: rate,
                    target: (self.ratio * multiple(bettor) * rate).min(HIGHEST),
                };
                *log += log_gain(block, belief, self.ratio);
            }
        }
        self.seen.log[RATIOS] += log_gain(block, self.past.belief(block), self.ratio);
        self.past.merge(block);
        let keep = (1.0 - block.source.0 / MEMORY).max(0.0);
        self.lately.0 = self.lately.0 * keep + block.source.0;
        self.lately.1 = self.lately.1 * keep + block.source.1;
    }

    /// Weighs what was counted so far.
    pub(super) fn finding(&self) -> Finding {
        let Weighed {
            log_e,
            since,
            first_bad_at,
        } = self.points.weigh(|base| self.seen.log_e(base));
        Finding {
            log_e,
            first_bad_at,
            bad: self.seen.bad.since(since.unwrap_or(Capital::NEW).bad),
        }
    }

    /// Target requests, and failed ones.
    pub(super) fn totals(&self) -> (u64, u64) {
        (self.seen.requests, self.seen.bad.total())
    }
}

/// How many times `R` a bettor believes in.
fn multiple(bettor: usize) -> f64 {
    1.5 * float(1 << bettor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::simulations::Random;

    /// Runs of the whole test, at the edge of a claim of `ratio`, on an edge with a share that nobody
    /// knows, which changes as the common rate does.
    fn breaches_at_the_claims_edge(runs: u64, ratio: f64, times: f64) -> u64 {
        let breached = |seed: &u64| {
            let mut random = Random(seed + 1_000);
            let mut test = UnknownSplitTest::new(Channel::Edge, ratio);
            test.open_start_point();
            (1..=1_500_u64).any(|interval| {
                let wave = (float(interval) / 100.0).sin();
                let (rate, share) = (0.02 + 0.015 * wave, 0.4 + 0.3 * wave);
                let mut batch = Batch {
                    at: std::time::Duration::from_millis(100 * interval),
                    ..Batch::default()
                };
                (batch.source.bad, batch.target.bad) = (vec![0], vec![0]);
                for _ in 0..25 {
                    let (arm, rate) = if random.coin(share) {
                        (&mut batch.target, rate * ratio * times)
                    } else {
                        (&mut batch.source, rate)
                    };
                    arm.requests += 1;
                    arm.bad[0] += u64::from(random.coin(rate));
                }
                test.observe(&batch, 0) && test.finding().log_e >= 20.0_f64.ln()
            })
        };
        (0..runs).filter(breached).count() as u64
    }

    #[test]
    fn a_tolerated_ratio_is_tolerated_at_any_rate_and_split() {
        let runs = if cfg!(debug_assertions) { 100 } else { 1_000 };
        for ratio in [1.0, 2.0, 5.0] {
            let alarms = breaches_at_the_claims_edge(runs, ratio, 1.0);
            // 5 % and three standard errors.
            let most = float(runs) * 0.05 + 3.0 * (float(runs) * 0.05 * 0.95).sqrt();
            assert!(float(alarms) <= most, "ratio {ratio}: {alarms} of {runs}");
        }
        assert_eq!(
            breaches_at_the_claims_edge(20, 2.0, 3.0),
            20,
            "three times as many are found"
        );
    }
}
