//! Log-normal latencies, drawn by cells.

use std::f64::consts::SQRT_2;
use std::time::Duration;

use libm::erfc;

use super::float;
use super::random::Random;
use crate::verdict::LatencyCounts;

/// Cells in each doubling of the latency.
const PER_DOUBLING: f64 = 64.0;
/// The distribution is cut this many standard deviations below and above its median.
const WIDTH: f64 = 4.5;
/// Entries of the guide table that tells where to begin looking for a cell.
const GUIDES: usize = 1_024;
/// Up to this many latencies are drawn one by one, more of them cell by cell.
const ONE_BY_ONE: u64 = 1_000;

/// Standard deviation of the logarithm: the p99 is 3.2 times the median.
///
/// Web services lie between 0.3 (even) and 1 (ragged).
pub const SIGMA: f64 = 0.5;

/// [`normal_quantile`] of 0.99.
const Z99: f64 = 2.326_347_874_040_841;

/// The standard normal distribution function.
#[must_use]
pub fn normal_below(z: f64) -> f64 {
    0.5 * erfc(-z / SQRT_2)
}

/// `z` below which a standard normal variable lies with chance `p`, between 0 and 1 (exclusive).
#[must_use]
pub fn normal_quantile(p: f64) -> f64 {
    let (mut low, mut high) = (-40.0, 40.0);
    for _ in 0..80 {
        let middle = f64::midpoint(low, high);
        if normal_below(middle) < p {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}

/// A log-normal distribution by its p99.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LogNormal {
    /// 99 % of the latencies lie at or below this.
    pub p99: Duration,
    /// Standard deviation of the logarithm; above 0.
    pub sigma: f64,
}

impl LogNormal {
    /// The share of latencies above `latency`, when all are multiplied by `factor`.
    #[must_use]
    pub fn slower_than(&self, latency: Duration, factor: f64) -> f64 {
        let above_p99 = (latency.as_secs_f64() / (self.p99.as_secs_f64() * factor)).ln();
        1.0 - normal_below(Z99 + above_p99 / self.sigma)
    }
}

/// Latencies in cells whose edges lie around the p99, which is an edge itself: so the p99 of what is
/// drawn is the p99 that was asked for.
#[derive(Debug, Clone)]
pub(super) struct Cells {
    /// Upper edges, as latencies that stand for their cells.
    edges: Vec<Duration>,
    /// Chance of this cell or a faster one.
    cumulated: Vec<f64>,
    guide: Vec<usize>,
}

impl Cells {
    pub(super) fn new(model: LogNormal) -> Self {
        let per_cell = std::f64::consts::LN_2 / PER_DOUBLING / model.sigma;
        let reach = |sigmas: f64| (sigmas / per_cell).ceil();
        let (first, last) = (-reach(WIDTH + Z99), reach(WIDTH - Z99));
        let (mut edges, mut cumulated) = (Vec::new(), Vec::new());
        let mut cell = first;
        while cell <= last {
            edges.push(model.p99.mul_f64((cell / PER_DOUBLING).exp2()));
            cumulated.push(normal_below(Z99 + cell * per_cell));
            cell += 1.0;
        }
        if let Some(end) = cumulated.last_mut() {
            *end = 1.0;
        }
        let guide = (0..GUIDES)
            .map(|entry| {
                let u = float(entry as u64) / float(GUIDES as u64);
                cumulated.partition_point(|below| *below <= u)
            })
            .collect();
        Cells {
            edges,
            cumulated,
            guide,
        }
    }

    /// Draws `n` latencies, each multiplied by `factor`. Returns them counted, and how many were slower
    /// than each of `bounds`.
    pub(super) fn draw(
        &self,
        random: &mut Random,
        n: u64,
        factor: f64,
        bounds: &[Option<Duration>],
        scratch: &mut Vec<u64>,
    ) -> (LatencyCounts, Vec<u64>) {
        scratch.clear();
        scratch.resize(self.edges.len(), 0);
        if n <= ONE_BY_ONE {
            for _ in 0..n {
                scratch[self.cell(random.uniform())] += 1;
            }
        } else {
            self.draw_by_cell(random, n, scratch);
        }
        let mut counts = LatencyCounts::default();
        let mut slow = vec![0; bounds.len()];
        for (edge, count) in self.edges.iter().zip(scratch.iter()) {
            if *count == 0 {
                continue;
            }
            let latency = edge.mul_f64(factor);
            counts.record_n(latency, *count);
            for (slow, bound) in slow.iter_mut().zip(bounds) {
                if bound.is_some_and(|bound| latency > bound) {
                    *slow += count;
                }
            }
        }
        (counts, slow)
    }

    fn cell(&self, u: f64) -> usize {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 0 and GUIDES"
        )]
        let mut cell = self.guide[(u * float(GUIDES as u64)) as usize];
        while self.cumulated[cell] <= u {
            cell += 1;
        }
        cell
    }

    /// A multinomial draw: of those that are not faster, how many belong here?
    fn draw_by_cell(&self, random: &mut Random, n: u64, counts: &mut [u64]) {
        let (mut left, mut below) = (n, 0.0);
        for (count, cumulated) in counts.iter_mut().zip(&self.cumulated) {
            if left == 0 {
                return;
            }
            let here = ((cumulated - below) / (1.0 - below)).clamp(0.0, 1.0);
            *count = random.binomial(left, here);
            left -= *count;
            below = *cumulated;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODEL: LogNormal = LogNormal {
        p99: Duration::from_millis(200),
        sigma: SIGMA,
    };

    #[test]
    fn the_normal_distribution_agrees_with_its_table() {
        assert!((normal_quantile(0.99) - Z99).abs() < 1e-12);
        assert!((normal_below(1.0) - 0.841_344_746).abs() < 1e-8);
    }

    #[test]
    fn drawn_latencies_have_the_p99_that_was_asked_for_either_way_of_drawing() {
        let cells = Cells::new(MODEL);
        let limit = [
            Some(Duration::from_millis(200)),
            Some(Duration::from_millis(300)),
            None,
        ];
        for n in [ONE_BY_ONE, 100_000] {
            let mut random = Random::new(3, n);
            let (mut slow, mut all, mut scratch) = ([0, 0], 0, Vec::new());
            while all < 400_000 {
                let (counts, found) = cells.draw(&mut random, n, 1.5, &limit, &mut scratch);
                assert_eq!(counts.total(), n);
                assert_eq!(found[2], 0);
                slow[0] += found[0];
                slow[1] += found[1];
                all += n;
            }
            let [above_200, above_300] = slow.map(|slow| float(slow) / float(all));
            assert!((above_300 - 0.01).abs() < 0.001, "p99 x 1.5: {above_300}");
            let expected = MODEL.slower_than(Duration::from_millis(200), 1.5);
            // Edges are 1.1 % apart, and 200 ms is not one of those that were multiplied by 1.5.
            assert!(
                (above_200 / expected - 1.0).abs() < 0.06,
                "{above_200}, {expected}"
            );
        }
    }
}
