//! A latency quantile of the target against the source's: "p99 at most 1.2 times the source's".
//!
//! The claim is `Q_target ≤ R·Q_source` for the `p`-quantile. Multiply the source's latencies by
//! `R`; if the claim holds, there is some latency `x` at or below which lies at least `p` of the
//! target and at most `p` of the scaled source. So for that `x` two bets are lost: that *more* than
//! `p` of the source lies below it, and that *less* than `p` of the target does. Nobody knows `x`,
//! so the evidence is what is left at the `x` that suits the claim best:
//!
//! ```text
//! ln E = min over x of [ L(#source ≤ x, n_source; p) + L(#target > x, n_target; 1−p) ]
//! ```
//!
//! (Howard & Ramdas, "Sequential estimation of quantiles", Bernoulli 28(3) 2022, Theorem 5; two-sided
//! as `QuantileABTest` in `confseq`.) On buckets `(l, u]` the first count is taken at `l` and the
//! second at `u`, and scaling rounds up: each makes the evidence smaller, never larger.
//!
//! # Assumptions
//! Both stacks get the same mix of requests, and during the same time. Through the edge the second
//! holds only while the share is constant: a slow minute at 50 % followed by a fast hour at 1 %
//! would put the slow minute into most of what one stack saw and little of what the other did
//! (Simpson's paradox). So bettors on the edge are sent home when a segment ends. Pairs are one to
//! one at all times, and their evidence goes on through the run. For the same reason channels are
//! not pooled: their mixes and sizes differ.
//!
//! # Caveats
//! The source must be known as well as the target: before about a thousand of its answers nobody can
//! say where its p99 lies, and the guard stays quiet. The absolute bound does not wait for that.

use std::time::Duration;

use super::burst::BurstCap;
use super::counts::{Batch, Channel};
use super::eprocess::{BetaBinomial, concentration, float};
use super::latency::{BUCKETS, LatencyCounts, OVERFLOW, shift_of};
use super::report::{ByChannel, Finding};
use super::start_points::{StartPoints, Weighed};

/// The bet on the source is tuned to a few times as many answers as it takes to see one above the
/// quantile; the bet on the target to few, as in [`absolute`](super::absolute).
const SOURCE_HORIZON: f64 = 10.0;
const TARGET_HORIZON: f64 = 50.0;

/// A start point is opened whenever about this many target answers above the quantile are to be
/// expected; more than for the absolute test, since the source has to become known again.
const SLOW_PER_START_POINT: f64 = 20.0;

/// The evidence is computed on one in so many batches: it takes far longer than counting.
const BATCHES_PER_LOOK: u32 = 4;

/// Below this a bettor has lost enough not to matter; it is then counted as having nothing, which
/// is less than it has, and the search for the minimum ends early.
const NEGLIGIBLE: f64 = -1.0;

/// Evidence that the target's quantile is more than `R` times the source's, over one channel.
#[derive(Debug, Clone)]
pub(super) struct QuantileTest {
    channel: Channel,
    quantile: f64,
    /// `R` in buckets, rounded up.
    shift: usize,
    /// On the share of the source below a latency.
    source_bet: BetaBinomial,
    /// On the share of the target above a latency.
    target_bet: BetaBinomial,
    spacing: u64,
    seen: Seen,
    /// The bucket of `R` times the source's quantile: target answers above it are slow.
    reference: usize,
    /// Where the claim is most likely to be seen to hold: half way between the target's quantile
    /// and the reference, or just above the reference when the target is beyond it.
    hopeful: usize,
    /// Target answers, and slow ones, bursts in full.
    answers: u64,
    slow: ByChannel,
    burst: BurstCap,
    points: StartPoints<Box<Seen>>,
    batches: u32,
    latest: Finding,
}

/// Answers at or below the upper edge of each bucket; the last entry counts all.
#[derive(Debug, Clone)]
struct Seen {
    source: [u64; BUCKETS],
    target: [u64; BUCKETS],
    slow: ByChannel,
}

impl QuantileTest {
    /// `quantile` lies between 0 and 1 (exclusive), `ratio` is at least 1; `alpha` only tunes.
    pub(super) fn new(channel: Channel, quantile: f64, ratio: f64, alpha: f64) -> Self {
        let slow_share = 1.0 - quantile;
        let source_kappa = concentration(SOURCE_HORIZON / slow_share, alpha);
        let target_kappa = concentration(TARGET_HORIZON, alpha);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "saturates"
        )]
        let spacing = (SLOW_PER_START_POINT / slow_share).ceil() as u64;
        QuantileTest {
            channel,
            quantile,
            shift: shift_of(ratio),
            source_bet: BetaBinomial::new(quantile, source_kappa),
            target_bet: BetaBinomial::new(slow_share, target_kappa),
            spacing,
            seen: Seen {
                source: [0; BUCKETS],
                target: [0; BUCKETS],
                slow: ByChannel::default(),
            },
            reference: 0,
            hopeful: 1,
            answers: 0,
            slow: ByChannel::default(),
            burst: BurstCap::default(),
            points: StartPoints::new(),
            batches: 0,
            latest: Finding::default(),
        }
    }

    /// A segment begins: see the assumptions above.
    pub(super) fn begin_segment(&mut self) {
        if self.channel == Channel::Edge {
            self.points.close_all();
        }
        self.open_start_point();
        self.look();
    }

    fn open_start_point(&mut self) {
        let mut points = std::mem::replace(&mut self.points, StartPoints::new());
        points.open(Box::new(self.seen.clone()), |base| self.log_e(base));
        self.points = points;
    }

    /// Counts a batch; says whether the evidence was computed anew.
    pub(super) fn observe(&mut self, batch: &Batch, objective: usize) -> bool {
        if batch.channel != self.channel {
            return false;
        }
        accumulate(&mut self.seen.source, batch.source.latency.iter());
        let slow = self.count_target(batch.at, &batch.target.latency);
        if slow > 0 {
            self.points
                .saw_bad(batch.target.first_bad_at(objective).unwrap_or(batch.at));
        }
        let counted = self.seen.target[OVERFLOW];
        let due = self
            .points
            .newest()
            .map_or(0, |base| base.target[OVERFLOW] + self.spacing);
        if counted >= due {
            self.open_start_point();
        }
        self.batches = self.batches.wrapping_add(1);
        let time_to_look = self.batches.is_multiple_of(BATCHES_PER_LOOK);
        if time_to_look {
            self.look();
        }
        time_to_look
    }

    /// Counts the target's answers. Of slow ones, only as many as the burst cap lets through keep
    /// their latency; the rest count as just fast enough. Moving a target's answer to a lower bucket
    /// lowers the evidence at every `x`, so the guarantee stands. Returns all slow ones.
    fn count_target(&mut self, at: Duration, latency: &LatencyCounts) -> u64 {
        let (answers, slow) = latency.iter().fold((0, 0), |(all, slow), (bucket, n)| {
            (
                all + n,
                if bucket > self.reference {
                    slow + n
                } else {
                    slow
                },
            )
        });
        self.answers += answers;
        self.slow.add(self.channel, slow);
        self.seen.slow = self.slow;
        let mut left = self
            .burst
            .admit(at, float(answers) * (1.0 - self.quantile), slow);
        let reference = self.reference;
        let capped = latency.iter().rev().flat_map(|(bucket, n)| {
            if bucket <= reference {
                return [(bucket, n), (bucket, 0)];
            }
            let kept = n.min(left);
            left -= kept;
            [(bucket, kept), (reference, n - kept)]
        });
        accumulate(&mut self.seen.target, capped);
        slow
    }

    fn look(&mut self) {
        self.reference = if self.seen.source[OVERFLOW] == 0 {
            0
        } else {
            (quantile_bucket(&self.seen.source, self.quantile) + self.shift).min(OVERFLOW)
        };
        let above = self.reference + 1;
        let of_target = quantile_bucket(&self.seen.target, self.quantile);
        self.hopeful = above - above.saturating_sub(of_target) / 2;
        let Weighed {
            log_e,
            since,
            first_bad_at,
        } = self.points.weigh(|base| self.log_e(base));
        let before = since.map_or(self.slow, |base| base.slow);
        self.latest = Finding {
            log_e,
            first_bad_at,
            bad: self.slow.since(before),
        };
    }

    /// The evidence since a start point: the minimum over all latencies, or nothing at all as soon
    /// as it is known to be negligible.
    fn log_e(&self, base: &Seen) -> f64 {
        let (n_source, n_target) = (
            self.seen.source[OVERFLOW] - base.source[OVERFLOW],
            self.seen.target[OVERFLOW] - base.target[OVERFLOW],
        );
        // Bucket `x` of the target against the source's answers surely below it once scaled.
        let at = |x: usize| {
            let below = x.checked_sub(1 + self.shift).map_or(0, |bucket| {
                let bucket = bucket.min(OVERFLOW - 1);
                self.seen.source[bucket] - base.source[bucket]
            });
            let bucket = x.min(OVERFLOW);
            let fast = self.seen.target[bucket] - base.target[bucket];
            (below, n_target - fast)
        };
        let value = |(below, above): (u64, u64)| {
            self.source_bet.log_e(below, n_source) + self.target_bet.log_e(above, n_target)
        };
        // A healthy target is dismissed here, and quickly: both counts lie far from what they would
        // be at the claim's edge, where the incomplete beta function takes few terms.
        let mut least = value(at(self.hopeful));
        let last = OVERFLOW + self.shift;
        for x in 0..=last {
            if least < NEGLIGIBLE {
                return f64::NEG_INFINITY;
            }
            // Both bets rise with their count. While the source's count stands still, the target's
            // can only fall, so the last bucket of such a stretch has its minimum.
            let here = at(x);
            if x == last || at(x + 1).0 != here.0 {
                least = least.min(value(here));
            }
        }
        least
    }

    /// The evidence at the latest look.
    pub(super) fn finding(&self) -> Finding {
        self.latest
    }

    /// Target answers, and those slower than `R` times the source's quantile at their time.
    pub(super) fn totals(&self) -> (u64, u64) {
        (self.answers, self.slow.total())
    }
}

/// The first bucket at or below which a share `quantile` of the answers lies.
fn quantile_bucket(at_or_below: &[u64; BUCKETS], quantile: f64) -> usize {
    let wanted = quantile * float(at_or_below[OVERFLOW]);
    at_or_below.partition_point(|&n| float(n) < wanted)
}

/// Adds counts of single buckets to counts of "at or below".
fn accumulate(below: &mut [u64; BUCKETS], counts: impl Iterator<Item = (usize, u64)>) {
    let mut single = [0_u64; BUCKETS];
    let mut any = false;
    for (bucket, n) in counts {
        single[bucket] += n;
        any |= n > 0;
    }
    if any {
        let mut running = 0;
        for (entry, n) in below.iter_mut().zip(single) {
            running += n;
            *entry += running;
        }
    }
}
