//! When a target that is as good as the source is shown to be no worse: the confidence sequences of
//! [`crate::verdict`], inverted for expected counts.

use cutover_scenarios::plan::{Objective, Signal};

use super::bet::{Bet, ln_beta};
use super::outlook::{Outlook, both};
use super::paths::{Flow, few, first_time};
use crate::simulation::latency::LogNormal;
use crate::simulation::traffic::Regression;
use crate::verdict::GuardKind;
use std::time::Duration;

/// Seconds until a claim is shown, over whichever channel is quicker; `None` if never.
pub(super) fn seconds(
    outlook: &Outlook<'_>,
    objective: &Objective,
    kind: GuardKind,
    alpha: f64,
    z: f64,
) -> Option<f64> {
    match (kind, objective.signal) {
        (GuardKind::Absolute, _) => absolute(outlook, objective, alpha, z),
        // While failures are too few to compare, the absolute bound stands for the ratio.
        (_, Signal::Errors) if objective.at_most.is_some() => Some(0.0),
        (_, Signal::Errors) => known_ratio(outlook, objective.versus_source?, alpha, z),
        (_, Signal::Latency { quantile }) => {
            let claim = (quantile, objective.versus_source?);
            let model = outlook.assumed.latency();
            let pairs = outlook.assumed.pairs_per_s;
            let nats = (1.0 / alpha).ln();
            let edge = quantile_ratio(claim, outlook.edge, (0.0, nats), model, (alpha, z));
            // Pairs are pooled over the run, and this step alone has to go half way.
            let pooled = quantile_ratio(
                claim,
                both(pairs),
                (outlook.before.pairs, nats),
                model,
                (alpha, z),
            );
            let alone = quantile_ratio(claim, both(pairs), (0.0, nats / 2.0), model, (alpha, z));
            let paired = pooled.zip(alone).map(|(run, step)| run.max(step));
            edge.into_iter().chain(paired).min_by(f64::total_cmp)
        }
    }
}

/// Over the run the upper bound of the rate is within its limit, and this step goes half way alone.
fn absolute(outlook: &Outlook<'_>, objective: &Objective, alpha: f64, z: f64) -> Option<f64> {
    let (p0, p) = outlook.bad(objective, Regression::NONE)?;
    let per_s = outlook.edge.target + outlook.assumed.pairs_per_s;
    if p >= p0 || per_s <= 0.0 {
        return None;
    }
    let bet = Bet::new(1.0 - p0, 10.0 / p0, alpha / 2.0);
    let good = |n: f64| n * (1.0 - p) - z * (n * p * (1.0 - p)).sqrt();
    let evidence = |n: f64| bet.log_e(good(n), n);
    let run = first_time(
        |t| evidence(outlook.before.target + per_s * t),
        (2.0 / alpha).ln(),
    )?;
    let step = first_time(|t| evidence(per_s * t), (1.0 / alpha).ln() / 2.0)?;
    Some(run.max(step))
}

/// A mixture over ratios, as if ten failures had been seen at a ratio of 1, against the limit.
fn known_ratio(outlook: &Outlook<'_>, limit: f64, alpha: f64, z: f64) -> Option<f64> {
    let Flow { source, target } = outlook.edge;
    if limit <= 1.0 || source <= 0.0 || target <= 0.0 {
        return None;
    }
    let share = target / (source + target);
    let theta = share * limit / (1.0 - share + share * limit);
    let (a, b) = (10.0 * share, 10.0 * (1.0 - share));
    let failures = (source + target) * outlook.assumed.error_rate;
    first_time(
        |t| {
            let n = failures * t;
            let k = (n * share + z * (n * share * (1.0 - share)).sqrt()).min(n);
            if k >= n * theta {
                return 0.0;
            }
            let likelihood = k * theta.ln() + (n - k) * (-theta).ln_1p();
            ln_beta(a + k, b + n - k) - ln_beta(a, b) - likelihood
        },
        (1.0 / alpha).ln(),
    )
}

/// The upper end of the target's quantile over the lower end of the source's is within the limit. Both
/// are edges of buckets, `50 µs · 2^(i/16)`, and each end has a quarter of α.
fn quantile_ratio(
    (q, limit): (f64, f64),
    flow: Flow,
    (seen, nats): (f64, f64),
    model: LogNormal,
    (alpha, z): (f64, f64),
) -> Option<f64> {
    if flow.source <= 0.0 || flow.target <= 0.0 || limit <= 1.0 {
        return None;
    }
    let below = Bet::new(q, 20.0 / (1.0 - q), alpha / 4.0);
    let above = Bet::new(1.0 - q, 20.0 / (1.0 - q), alpha / 4.0);
    // Both stacks must be unlucky at once.
    let z = z * std::f64::consts::FRAC_1_SQRT_2;
    let threshold = nats + 2.0 * std::f64::consts::LN_2;
    let edges: Vec<f64> = (0..=340_u32)
        .map(|edge| {
            let edge = Duration::from_micros(50).mul_f64((f64::from(edge) / 16.0).exp2());
            model.slower_than(edge, 1.0)
        })
        .collect();
    let width = |n_a: f64, n_b: f64| {
        let at_most =
            edges.partition_point(|slow| below.log_e(few(n_b, 1.0 - slow, z), n_b) < threshold);
        let above = edges.partition_point(|slow| above.log_e(few(n_a, *slow, z), n_a) >= threshold);
        // The lower end is the last edge that the quantile was shown to lie above.
        let known = at_most < edges.len() && above > 0;
        known.then(|| ((at_most as f64 - (above as f64 - 1.0)) / 16.0).exp2())
    };
    first_time(
        |t| match width(seen + flow.source * t, seen + flow.target * t) {
            Some(ratio) if ratio <= limit => 1.0,
            _ => 0.0,
        },
        1.0,
    )
}
