//! How the evidence of each guard grows after a regression has begun: the formulas.
//!
//! A guard has found a regression when its evidence reaches `ln(1/α_i)`. Evidence after a time `t` is
//! computed for counts at a quantile of their distribution: `z = 0` gives the mean counts, hence about
//! the median time; with `z = 1.645` the target has had so few bad answers as it has in one run of
//! twenty, hence the time in which 95 % of the runs have found it (normal approximation: `n·p ∓
//! z·√(n·p(1−p))`). A run may reach its threshold and fall back before `t`, which is not counted: times
//! are a little too long.
//!
//! Each guard pays for start points: a regression that begins at the `j`-th is bet on with a share
//! `1/(j(j+1))` of the stake. See [`crate::verdict`] for the bets themselves; horizons, grids and
//! spacings here are theirs, and a test holds these figures against simulated runs.

use std::time::Duration;

use super::bet::Bet;
use crate::simulation::latency::LogNormal;
use crate::simulation::traffic::Regression;

/// Requests a second of both stacks over one channel.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Flow {
    pub(super) source: f64,
    pub(super) target: f64,
}

/// What bursts may count: `3 + expected + 2√expected` in a window of a tenth of a second.
fn let_through(bad_per_s: f64, expected_per_s: f64) -> f64 {
    let expected = expected_per_s / 10.0;
    bad_per_s.min(10.0 * (3.0 + expected + 2.0 * expected.sqrt()))
}

/// `mean` less `z` standard deviations of a binomial count, at least 0.
pub(super) fn few(n: f64, p: f64, z: f64) -> f64 {
    (n * p - z * (n * p * (1.0 - p)).max(0.0).sqrt()).max(0.0)
}

/// `ln Σ exp`.
fn log_sum(terms: impl Iterator<Item = f64> + Clone) -> f64 {
    let most = terms.clone().fold(f64::NEG_INFINITY, f64::max);
    most + terms.map(|term| (term - most).exp()).sum::<f64>().ln()
}

/// What being the `j`-th start point costs.
pub(super) fn price(j: f64) -> f64 {
    let j = j.max(1.0);
    (j * (j + 1.0)).ln()
}

/// A stack against its own bound: a share `p0` of bad answers is allowed, `p` are bad.
pub(super) fn absolute(p0: f64, p: f64, per_s: f64, alpha: f64) -> impl Fn(f64, f64) -> f64 {
    let bet = Bet::new(p0, 50.0, alpha);
    let counted = let_through(per_s * p, per_s * p0) / per_s.max(f64::MIN_POSITIVE);
    move |t, z| bet.log_e(few(per_s * t, counted, z), per_s * t)
}

/// Failures through an edge that splits by weight: whose is the next? A mixture over ratios
/// `R·1.25·2^(g/2)`; each failure multiplies a bettor by the odds that it is the target's.
pub(super) fn known_split(
    limit: f64,
    flow: Flow,
    (source, target): (f64, f64),
) -> impl Fn(f64, f64) -> f64 {
    let share = flow.target / (flow.source + flow.target);
    let counted = let_through(flow.target * target, flow.target * source * limit);
    move |t, z| {
        let (of_source, of_target) = (flow.source * source * t, counted * t);
        let bettor = |g: i32| {
            let multiple = 1.25 * (f64::from(g) / 2.0).exp2();
            let allowed = (1.0 - share) + share * limit;
            let any = (allowed / ((1.0 - share) + share * limit * multiple)).ln();
            let own = any + multiple.ln();
            let spread = (of_source * any * any + of_target * own * own).sqrt();
            of_source * any + of_target * own - z * spread
        };
        log_sum((0..16).map(bettor)) - 16.0_f64.ln()
    }
}

/// Failures in pairs: bettors who believe that the target fails `R·1.5·2^g` times as often, against
/// the nearest pair of rates that the claim allows. See `verdict::two_by_two`.
pub(super) fn pairs(
    limit: f64,
    per_s: f64,
    (source, target): (f64, f64),
) -> impl Fn(f64, f64) -> f64 {
    let counted = let_through(per_s * target, per_s * source * limit) / per_s;
    let bettor = move |g: i32, n: f64, z: f64| {
        let (a, b) = (
            source,
            (limit * source * 1.5 * f64::from(g).exp2()).min(0.5),
        );
        if b <= limit * a {
            return 0.0;
        }
        // The nearest claim: the smaller root of 2R·s² − [(1+R·a) + (R+b)]·s + (a+b) = 0.
        let linear = (1.0 + limit * a) + (limit + b);
        let root = (linear * linear - 8.0 * limit * (a + b)).max(0.0).sqrt();
        let claim_a = 2.0 * (a + b) / (linear + root);
        let claim_b = limit * claim_a;
        let good_a = ((1.0 - a) / (1.0 - claim_a)).ln();
        let good_b = ((1.0 - b) / (1.0 - claim_b)).ln();
        let (bad_a, bad_b) = ((a / claim_a).ln() - good_a, (b / claim_b).ln() - good_b);
        let (k_a, k_b) = (n * source, n * counted);
        let spread = (k_a * bad_a * bad_a + k_b * bad_b * bad_b).sqrt();
        n * (good_a + good_b) + k_a * bad_a + k_b * bad_b - z * spread
    };
    move |t, z| log_sum((0..8).map(|g| bettor(g, per_s * t, z))) - 9.0_f64.ln()
}

/// A latency quantile of the target against the source's, over one channel: the least, over latencies
/// `x`, of the evidence that more than `q` of the scaled source lies below `x` and less than `q` of the
/// target does. `log_q` tells the model's quantile apart from its p99.
pub(super) fn quantile(
    (q, limit): (f64, f64),
    flow: Flow,
    model: LogNormal,
    regression: Regression,
    alpha: f64,
) -> impl Fn(f64, f64) -> f64 {
    let source_bet = Bet::new(q, 10.0 / (1.0 - q), alpha);
    let target_bet = Bet::new(1.0 - q, 50.0, alpha);
    // Buckets are a sixteenth of a doubling wide, and the scale is rounded up to whole ones.
    let bucket = |sixteenths: f64| (sixteenths / 16.0).exp2();
    let scale = bucket((limit.log2() * 16.0 - 1e-9).ceil());
    let reference = quantile_of(model, q) * scale;
    let reach = (regression.latency / scale).log2() * 16.0;
    let points: Vec<(f64, f64)> = (-4..=(reach.ceil().clamp(0.0, 160.0) as i32 + 4))
        .map(|point| {
            let x = Duration::from_secs_f64(reference * bucket(f64::from(point)));
            let lower = x.div_f64(scale * bucket(1.0));
            (
                1.0 - model.slower_than(lower, 1.0),
                model.slower_than(x, regression.latency),
            )
        })
        .collect();
    move |t, z| {
        // Each count is at its own quantile: together they are as unlikely as one at z.
        let z = z * std::f64::consts::FRAC_1_SQRT_2;
        let (n_a, n_b) = (flow.source * t, flow.target * t);
        let at = |(below, above): &(f64, f64)| {
            let fast = few(n_a, *below, z);
            source_bet.log_e(fast, n_a) + target_bet.log_e(few(n_b, *above, z), n_b)
        };
        points.iter().map(at).fold(f64::INFINITY, f64::min)
    }
}

/// The latency below which a share `q` of the model lies, in seconds.
pub(super) fn quantile_of(model: LogNormal, q: f64) -> f64 {
    use crate::simulation::latency::normal_quantile;
    let sigmas = normal_quantile(q) - normal_quantile(0.99);
    model.p99.as_secs_f64() * (model.sigma * sigmas).exp()
}

/// Longer than this counts as never, in seconds: a year.
const NEVER: f64 = 365.0 * 86_400.0;

/// When `evidence` first reaches `threshold`, in seconds.
pub(super) fn first_time(evidence: impl Fn(f64) -> f64, threshold: f64) -> Option<f64> {
    let mut high = 0.1;
    while evidence(high) < threshold {
        high *= 1.5;
        if high > NEVER {
            return None;
        }
    }
    let mut low = high / 1.5;
    for _ in 0..12 {
        let middle = f64::midpoint(low, high);
        if evidence(middle) < threshold {
            low = middle;
        } else {
            high = middle;
        }
    }
    Some(high)
}
