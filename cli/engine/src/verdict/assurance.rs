//! What the target was shown to be: the interval beside a guard, and whether it proves enough.
//!
//! A guard looks for evidence that its bound is broken; that it finds none proves nothing. The proof
//! is the other side of the interval: its upper end at or below the bound.
//!
//! # Whose evidence counts
//! A target that was good at 5 % is probably good at 25 %, and to begin from nothing at every step
//! would make a cautious plan a slow one. But what was seen before a regression must not carry a
//! step past it. So two things are asked for:
//!
//! 1. the upper end of the interval over *the whole run* (since the judge was made) is within the
//!    bound, at the guard's α, and
//! 2. the requests of *the current segment alone* go half way there: evidence of `½ ln(1/α)`. While
//!    the target is at or beyond the bound in a segment, the chance that they ever do is at most
//!    `√α`, whatever was seen before.
//!
//! Through the edge, latencies of different segments cannot be pooled (see
//! [`quantile`](super::quantile)), so there the current segment has to prove everything.

use super::counts::{Batch, Channel};
use super::eprocess::float;
use super::interval::{Interval, Unit};
use super::known_ratio::KnownRatio;
use super::quantile_ratio::QuantileRatio;
use super::rate_bounds::{RateBounds, Tally};
use super::unknown_ratio::UnknownRatio;

/// Bounds are computed anew when what they rest on has grown by one part in so many.
const GROWTH: u64 = 32;

/// The interval beside a guard.
#[derive(Debug, Clone)]
pub(super) struct Assurance {
    estimator: Estimator,
    /// What the target must not exceed: a rate, or a ratio.
    limit: f64,
    unit: Unit,
    /// `ln(1/α)` of the guard.
    nats: f64,
    /// Requests and bad ones, of the run and of the current segment.
    run: Tally,
    segment: Tally,
    /// … when it was last computed.
    computed: Option<(Tally, Tally)>,
    shown: Shown,
}

/// What was shown when it was last computed.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Shown {
    pub(super) interval: Option<Interval>,
    /// Over the run, the upper end is within the limit.
    by_run: bool,
    /// The current segment alone goes half way.
    by_segment: bool,
    /// Too few requests failed to compare, over the run and in the segment.
    run_is_scarce: bool,
    segment_is_scarce: bool,
}

impl Shown {
    pub(super) fn proven(&self) -> bool {
        self.by_run && self.by_segment
    }

    /// Whether nothing but too few failures to compare stands between this and a proof.
    pub(super) fn is_scarce(&self) -> bool {
        (self.by_run || self.run_is_scarce) && (self.by_segment || self.segment_is_scarce)
    }
}

#[derive(Debug, Clone)]
enum Estimator {
    Rate(RateBounds),
    KnownRatio {
        share: Option<f64>,
        run: KnownRatio,
        segment: KnownRatio,
    },
    UnknownRatio {
        channel: Channel,
        run: UnknownRatio,
        segment: UnknownRatio,
    },
    Quantile {
        channel: Channel,
        run: Box<QuantileRatio>,
        segment: Box<QuantileRatio>,
    },
}

impl Assurance {
    /// Of the target's rate of bad requests, over both channels.
    pub(super) fn of_rate(p0: f64, unit: Unit, alpha: f64) -> Self {
        Self::new(Estimator::Rate(RateBounds::new(p0, alpha)), p0, unit, alpha)
    }

    /// Of the ratio of error rates through an edge that splits by weight.
    pub(super) fn of_known_ratio(ratio: f64, alpha: f64) -> Self {
        let estimator = Estimator::KnownRatio {
            share: None,
            run: KnownRatio::default(),
            segment: KnownRatio::default(),
        };
        Self::new(estimator, ratio, Unit::ErrorRatio, alpha)
    }

    /// Of the ratio of error rates over a channel whose split is not known.
    pub(super) fn of_unknown_ratio(channel: Channel, ratio: f64, alpha: f64) -> Self {
        let estimator = Estimator::UnknownRatio {
            channel,
            run: UnknownRatio::around(ratio),
            segment: UnknownRatio::only(ratio),
        };
        Self::new(estimator, ratio, Unit::ErrorRatio, alpha)
    }

    /// Of the ratio of a latency quantile.
    pub(super) fn of_quantile(channel: Channel, quantile: f64, ratio: f64, alpha: f64) -> Self {
        let answers = Box::new(QuantileRatio::new(quantile, alpha));
        let estimator = Estimator::Quantile {
            channel,
            run: answers.clone(),
            segment: answers,
        };
        Self::new(estimator, ratio, Unit::QuantileRatio(quantile), alpha)
    }

    fn new(estimator: Estimator, limit: f64, unit: Unit, alpha: f64) -> Self {
        Assurance {
            estimator,
            limit,
            unit,
            nats: (1.0 / alpha).ln(),
            run: Tally::default(),
            segment: Tally::default(),
            computed: None,
            shown: Shown::default(),
        }
    }

    /// A segment begins in which the target has this share of the requests through the edge.
    pub(super) fn begin_segment(&mut self, target_share: f64) {
        self.segment = Tally::default();
        match &mut self.estimator {
            Estimator::Rate(_) => {}
            Estimator::KnownRatio { share, segment, .. } => {
                *share = (target_share > 0.0 && target_share < 1.0).then_some(target_share);
                segment.clear();
            }
            Estimator::UnknownRatio { segment, .. } => segment.clear(),
            Estimator::Quantile {
                channel,
                run,
                segment,
            } => {
                segment.clear();
                if *channel == Channel::Edge {
                    run.clear();
                    self.run = Tally::default();
                }
            }
        }
        self.compute();
    }

    /// Counts a batch.
    pub(super) fn observe(&mut self, batch: &Batch, objective: usize) {
        let (n_a, n_b) = (batch.source.requests, batch.target.requests);
        let k_a = batch.source.bad(objective).min(n_a);
        let k_b = batch.target.bad(objective).min(n_b);
        let counted = match &mut self.estimator {
            Estimator::Rate(_) => Tally {
                requests: n_b,
                bad: k_b,
            },
            Estimator::KnownRatio {
                share: Some(share),
                run,
                segment,
            } if batch.channel == Channel::Edge => {
                run.add(*share, float(k_a), float(k_b));
                segment.add(*share, float(k_a), float(k_b));
                Tally {
                    requests: n_b,
                    bad: k_a + k_b,
                }
            }
            Estimator::UnknownRatio {
                channel,
                run,
                segment,
            } if *channel == batch.channel => {
                run.add(n_a, k_a, n_b, k_b);
                segment.add(n_a, k_a, n_b, k_b);
                Tally {
                    requests: n_b,
                    bad: k_a + k_b,
                }
            }
            Estimator::Quantile {
                channel,
                run,
                segment,
            } if *channel == batch.channel => {
                for answers in [run, segment] {
                    answers.add(&batch.source.latency, &batch.target.latency);
                }
                Tally {
                    requests: n_a + n_b,
                    bad: 0,
                }
            }
            _ => return,
        };
        for tally in [&mut self.run, &mut self.segment] {
            tally.requests += counted.requests;
            tally.bad += counted.bad;
        }
        if self.is_stale() {
            self.compute();
        }
    }

    /// What was shown, at most one part in [`GROWTH`] of the requests ago.
    pub(super) fn shown(&self) -> &Shown {
        &self.shown
    }

    /// What is missing to a proof, as it follows the name of a guard; `after` requests.
    pub(super) fn missing(&self, after: u64) -> String {
        let high = self.shown.interval.map(|interval| interval.high);
        match high.filter(|high| high.is_finite()) {
            Some(_) if self.shown.by_run => {
                format!(
                    "after {} requests the current weight has not shown it by itself",
                    self.segment.requests
                )
            }
            Some(high) => format!("upper bound {} after {after} requests", self.unit.say(high)),
            None => format!("no upper bound yet after {after} requests"),
        }
    }

    /// Bounds take long to compute and move little with each request: they are computed when a
    /// count has grown by a thirty-second, some hundred times in a million requests.
    fn is_stale(&self) -> bool {
        let Some((run, segment)) = self.computed else {
            return true;
        };
        let grew = |now: u64, then: u64| now > then + then / GROWTH;
        let tally =
            |now: Tally, then: Tally| grew(now.requests, then.requests) || grew(now.bad, then.bad);
        tally(self.run, run) || tally(self.segment, segment)
    }

    fn compute(&mut self) {
        self.computed = Some((self.run, self.segment));
        let (limit, unit) = (self.limit, self.unit);
        // Both ends together may miss with a chance of α.
        let (whole, one_side) = (self.nats, self.nats + std::f64::consts::LN_2);
        let half = self.nats / 2.0;
        let interval = |(estimate, low, high)| Interval {
            estimate,
            low,
            high,
            unit,
        };
        self.shown = match &self.estimator {
            Estimator::Rate(_) if self.run.requests == 0 => Shown::default(),
            Estimator::Rate(bounds) => {
                let (low, high) = bounds.interval(self.run);
                Shown {
                    interval: Some(interval((self.run.rate(), low, high))),
                    by_run: high <= limit,
                    by_segment: bounds.evidence_below(limit, self.segment) >= half,
                    ..Shown::default()
                }
            }
            Estimator::KnownRatio { run, segment, .. } => {
                let by_run = run.rules_out_from(limit, whole);
                let by_segment = segment.rules_out_from(limit, half);
                Shown {
                    interval: run.interval(whole).map(interval),
                    by_run,
                    by_segment,
                    run_is_scarce: !by_run && run.is_scarce(limit, whole),
                    segment_is_scarce: !by_segment && segment.is_scarce(limit, half),
                }
            }
            Estimator::UnknownRatio { run, segment, .. } => {
                let by_run = run.rules_out_from(limit, one_side);
                let by_segment = segment.rules_out_from(limit, half);
                Shown {
                    interval: run.interval(one_side).map(interval),
                    by_run,
                    by_segment,
                    run_is_scarce: !by_run && run.is_scarce(limit, one_side),
                    segment_is_scarce: !by_segment && segment.is_scarce(limit, half),
                }
            }
            Estimator::Quantile { run, segment, .. } => {
                let four_ends = 2.0 * std::f64::consts::LN_2;
                let over_run = run.bounds(whole + four_ends);
                let half_way = segment.bounds(half + four_ends);
                Shown {
                    interval: over_run.map(|it| interval((it.estimate, it.low, it.high))),
                    by_run: over_run.is_some_and(|it| it.high <= limit),
                    by_segment: half_way.is_some_and(|it| it.high <= limit),
                    ..Shown::default()
                }
            }
        };
    }
}
