//! Bounds of the ratio of error rates where the split of requests is known.
//!
//! With a share `s` of the requests, the next failure is the target's with probability
//! `θ = s·r/((1−s) + s·r)`: in `d = ln r` and `logit s`, `θ` is the logistic function of `d + logit s`.
//! So the failures of all segments, each with its own share, have one likelihood in `d`, and a ratio
//! is ruled out when a mixture over all ratios is likelier by the threshold:
//!
//! ```text
//! ln ∫ π(d) Π_j θ_j(d)^k_bj (1−θ_j(d))^k_aj dd  −  ln Π_j θ_j(d0)^k_bj (1−θ_j(d0))^k_aj  ≥  ln(1/α)
//! ```
//!
//! The prior `π` is Beta(κs, κ(1−s)) on `θ` at the first share, as if `κ` failures had been seen at a
//! ratio of 1. For one segment the integral is a beta function, the published form (Lindon & Malek,
//! NeurIPS 2022, arXiv 2011.03567); for several it carries evidence over from step to step.
//!
//! # Caveats
//! An answer that comes late, after the next step began, is weighed with that step's share. Weights
//! rise during a shift, so what was on its way counts a little in the target's favour here.

use super::special::ln_beta;

/// `κ` of the prior.
const KAPPA: f64 = 10.0;

/// Most points of the integral on either side of its mode, their distance on the stretched scale, and
/// the part of the mode's height below which the rest is left out.
const POINTS: i32 = 80;
const STEP: f64 = 0.15;
const NEGLIGIBLE: f64 = 1e-12;

/// `|ln r|` is looked for up to here: beyond it one of the stacks has no failures to speak of.
const WIDEST: f64 = 25.0;

/// Failures that were counted while the target had one share of the requests.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Cell {
    share: f64,
    /// `logit` of the share.
    logit: f64,
    source: f64,
    target: f64,
}

/// Failures of both stacks at one share after another.
#[derive(Debug, Clone, Default)]
pub(super) struct KnownRatio {
    /// One cell for each different share, in the order of their first failures.
    cells: Vec<Cell>,
}

impl KnownRatio {
    /// Counts failures; the target had `share` of the requests, between 0 and 1 (exclusive).
    pub(super) fn add(&mut self, share: f64, of_source: f64, of_target: f64) {
        if of_source + of_target <= 0.0 {
            return;
        }
        let same = |cell: &&mut Cell| cell.share.to_bits() == share.to_bits();
        if let Some(cell) = self.cells.iter_mut().find(same) {
            cell.source += of_source;
            cell.target += of_target;
        } else {
            self.cells.push(Cell {
                share,
                logit: logit(share),
                source: of_source,
                target: of_target,
            });
        }
    }

    pub(super) fn clear(&mut self) {
        self.cells.clear();
    }

    /// Failures of the source and of the target.
    pub(super) fn failures(&self) -> (f64, f64) {
        self.cells
            .iter()
            .fold((0.0, 0.0), |(source, target), cell| {
                (source + cell.source, target + cell.target)
            })
    }

    /// Whether a ratio of `r` or more is ruled out with evidence of `threshold` nats.
    pub(super) fn rules_out_from(&self, r: f64, threshold: f64) -> bool {
        let d = r.ln();
        self.slope(d) < 0.0 && self.log_mixture() - self.log_likelihood(d) >= threshold
    }

    /// Whether there are too few failures to rule out a ratio of `r` or more.
    ///
    /// There are if it could not be done even with no failure of the target among them. There are
    /// too if it could not be done for a target that is just as good as the source, as long as this
    /// one has not been worse than `r`.
    pub(super) fn is_scarce(&self, r: f64, threshold: f64) -> bool {
        let supposing = |ratio: f64| {
            let divided = |cell: &Cell| {
                let all = cell.source + cell.target;
                let theta = cell.share * ratio / (1.0 - cell.share + cell.share * ratio);
                Cell {
                    source: all * (1.0 - theta),
                    target: all * theta,
                    ..*cell
                }
            };
            let cells = self.cells.iter().map(divided).collect();
            KnownRatio { cells }.rules_out_from(r, threshold)
        };
        !supposing(0.0) || (!supposing(1.0) && self.slope(r.ln()) <= 0.0)
    }

    /// Estimate, low and high end of the ratio; `None` without failures.
    pub(super) fn interval(&self, threshold: f64) -> Option<(f64, f64, f64)> {
        let (of_source, of_target) = self.failures();
        if of_source + of_target <= 0.0 {
            return None;
        }
        let likely_enough = self.log_mixture() - threshold;
        let ruled_out = |d: &f64| self.log_likelihood(*d) <= likely_enough;
        // The likelihood is concave in d: on either side of its top it only falls.
        if of_target <= 0.0 {
            let high = root(-WIDEST, WIDEST, |d| !ruled_out(d)).exp();
            return Some((0.0, 0.0, high));
        }
        if of_source <= 0.0 {
            let low = root(-WIDEST, WIDEST, ruled_out).exp();
            return Some((f64::INFINITY, low, f64::INFINITY));
        }
        let top = root(-WIDEST, WIDEST, |d| self.slope(*d) > 0.0);
        let low = root(-WIDEST, top, ruled_out).exp();
        let high = root(top, WIDEST, |d| !ruled_out(d)).exp();
        Some((top.exp(), low, high))
    }

    /// `ln` of the likelihood of whose failures they are, at a ratio of `eᵈ`.
    fn log_likelihood(&self, d: f64) -> f64 {
        self.cells
            .iter()
            .map(|cell| {
                let x = d + cell.logit;
                -cell.target * softplus(-x) - cell.source * softplus(x)
            })
            .sum()
    }

    /// Its derivative in `d`.
    fn slope(&self, d: f64) -> f64 {
        self.cells
            .iter()
            .map(|cell| {
                let theta = logistic(d + cell.logit);
                cell.target - (cell.source + cell.target) * theta
            })
            .sum()
    }

    /// `ln` of the likelihood's mean under the prior.
    fn log_mixture(&self) -> f64 {
        let Some(first) = self.cells.first() else {
            return 0.0;
        };
        let (share, logit) = (first.share, first.logit);
        let (a, b) = (KAPPA * share, KAPPA * (1.0 - share));
        let prior = |d: f64| -a * softplus(-(d + logit)) - b * softplus(d + logit);
        let prior_slope = |d: f64| a - KAPPA * logistic(d + logit);
        let log_weight = |d: f64| prior(d) + self.log_likelihood(d);
        // The prior alone bounds the top to both sides, wherever the failures are.
        let top = root(-1e3, 1e3, |d| prior_slope(*d) + self.slope(*d) > 0.0);
        let bend = |logit: f64, n: f64| {
            let theta = logistic(top + logit);
            n * theta * (1.0 - theta)
        };
        let curvature = bend(logit, KAPPA)
            + self
                .cells
                .iter()
                .map(|cell| bend(cell.logit, cell.source + cell.target))
                .sum::<f64>();
        let width = 1.0 / curvature.max(1e-12).sqrt();
        let height = log_weight(top);
        // d = top + width·sinh(t): dense at the top, far-reaching where the tails are long. The
        // trapezoid rule converges geometrically for such integrands, and either tail only falls.
        let term = |point: i32| {
            let t = STEP * f64::from(point);
            (log_weight(top + width * t.sinh()) - height).exp() * t.cosh()
        };
        let tail = |side: i32| -> f64 {
            let terms = (1..=POINTS).map(|point| term(side * point));
            terms.take_while(|term| *term > NEGLIGIBLE).sum()
        };
        let sum = term(0) + tail(1) + tail(-1);
        height + (sum * STEP * width).ln() - ln_beta(a, b)
    }
}

/// Where `on_the_left` turns from true to false between `left` and `right`.
fn root(mut left: f64, mut right: f64, on_the_left: impl Fn(&f64) -> bool) -> f64 {
    while right - left > 1e-9 * (1.0 + left.abs()) {
        let middle = f64::midpoint(left, right);
        if on_the_left(&middle) {
            left = middle;
        } else {
            right = middle;
        }
    }
    f64::midpoint(left, right)
}

fn logit(share: f64) -> f64 {
    share.ln() - (-share).ln_1p()
}

fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// `ln(1 + eˣ)`.
fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: f64, expected: f64, within: f64) {
        assert!(
            (found - expected).abs() < within,
            "found {found}, expected {expected}"
        );
    }

    fn of(cells: &[(f64, u32, u32)]) -> KnownRatio {
        let mut ratio = KnownRatio::default();
        for &(share, source, target) in cells {
            ratio.add(share, f64::from(source), f64::from(target));
        }
        ratio
    }

    #[test]
    fn the_interval_agrees_with_the_published_values() {
        let (estimate, low, high) = of(&[(0.1, 180, 40)]).interval(20.0_f64.ln()).unwrap();
        close(estimate, 2.0, 1e-6);
        close(low, 1.099_814, 1e-6);
        close(high, 3.400_986, 1e-6);
    }

    #[test]
    fn upper_bounds_fall_as_the_published_ones_do() {
        // Ratio 1, share .25, α .05: 1.90 at 100 failures, 1.49 at 300, 1.26 at 1,000.
        for (failures, published) in [(100, 1.90), (300, 1.49), (1_000, 1.26)] {
            let found = of(&[(0.25, failures * 3 / 4, failures / 4)]);
            let (estimate, _, high) = found.interval(20.0_f64.ln()).unwrap();
            close(estimate, 1.0, 1e-6);
            close(high, published, 0.005);
        }
    }

    #[test]
    fn one_segment_has_a_closed_form_also_with_few_failures() {
        for (share, source, target) in [
            (0.01, 3, 0),
            (0.5, 0, 7),
            (0.9, 1, 2),
            (0.3, 90_000, 40_000),
        ] {
            let (a, b) = (KAPPA * share, KAPPA * (1.0 - share));
            let posterior = ln_beta(a + f64::from(target), b + f64::from(source));
            let found = of(&[(share, source, target)]).log_mixture();
            close(found, posterior - ln_beta(a, b), 1e-6);
        }
    }

    #[test]
    fn segments_of_different_shares_tell_the_same_ratio_together() {
        // Ratio 2 at shares of 10 %, 50 % and 90 %.
        let together = of(&[(0.1, 900, 200), (0.5, 300, 600), (0.9, 40, 720)]);
        let (estimate, low, high) = together.interval(100.0_f64.ln()).unwrap();
        close(estimate, 2.0, 0.01);
        for alone in [(0.1, 900, 200), (0.5, 300, 600), (0.9, 40, 720)] {
            let (_, wide_low, wide_high) = of(&[alone]).interval(100.0_f64.ln()).unwrap();
            assert!(wide_low < low && high < wide_high, "{alone:?}");
        }
        assert!(together.rules_out_from(high * 1.001, 100.0_f64.ln()));
        assert!(!together.rules_out_from(high * 0.999, 100.0_f64.ln()));
        assert!(!together.rules_out_from(low * 0.5, 100.0_f64.ln()));
    }

    #[test]
    fn one_sided_failures_leave_one_side_open() {
        let (estimate, low, high) = of(&[(0.5, 0, 40)]).interval(100.0_f64.ln()).unwrap();
        assert!(
            estimate.is_infinite() && high.is_infinite() && low > 2.0,
            "{low}"
        );
        let (estimate, low, high) = of(&[(0.5, 40, 0)]).interval(100.0_f64.ln()).unwrap();
        assert!(estimate == 0.0 && low == 0.0 && high < 0.5, "{high}");
        assert_eq!(KnownRatio::default().interval(1.0), None);
    }

    #[test]
    fn a_handful_of_failures_is_too_few_to_tell() {
        let few = of(&[(0.25, 2, 1)]);
        assert!(few.is_scarce(2.0, 600.0_f64.ln()));
        // Equal rates: six times as many are needed to show that it is not twice the rate.
        assert!(of(&[(0.25, 30, 10)]).is_scarce(2.0, 600.0_f64.ln()));
        assert!(!of(&[(0.25, 225, 75)]).is_scarce(2.0, 600.0_f64.ln()));
        let worse = of(&[(0.25, 30, 30)]);
        assert!(!worse.is_scarce(2.0, 600.0_f64.ln()));
        assert!(!worse.rules_out_from(2.0, 600.0_f64.ln()));
    }
}
