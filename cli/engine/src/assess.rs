//! What the measurements say at one moment, as a value that decisions are made on.

use cutover_scenarios::units::Weight;

use crate::fact::{BreachFact, StepObservation};

/// What the measurements say at one moment.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Assessment {
    /// The evidence of a broken objective.
    pub breach: Option<BreachFact>,
    /// The guard that is more than half way to a breach, if any.
    pub near: Option<String>,
    /// What was measured since the current weight was applied (or qualify began).
    pub seen: StepObservation,
    /// Requests that the target answered since then, through the edge or directly.
    pub target_answers: u64,
    /// Seconds since a stack last answered through the edge; `None` before the first answer.
    pub data_age: Option<f64>,
}

/// The three outcomes of looking at the evidence.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// An objective is broken.
    Breach(BreachFact),
    /// Enough was seen and nothing points to a breach.
    Pass,
    /// Neither: the run holds, and this is what it waits for.
    Inconclusive(String),
}

/// Answers older than this are missing answers, in seconds.
const STALE_AFTER: f64 = 2.0;

/// … unless the load is so slow that this many requests take longer.
const STALE_REQUESTS: f64 = 5.0;

/// How far the observed share may lie from the applied weight, in standard errors, before the
/// shift is doubted. Four standard errors are reached by chance once in 16,000 looks.
const SHARE_TOLERANCE: f64 = 4.0;

/// Weighs an assessment. `weight` is the weight applied at the edge, or `None` while nothing is
/// shifted (qualify): then only direct answers count. `rate` is that of the load, a second.
#[must_use]
pub fn verdict(
    assessment: &Assessment,
    weight: Option<Weight>,
    min_requests: u64,
    rate: f64,
) -> Verdict {
    if let Some(breach) = &assessment.breach {
        return Verdict::Breach(breach.clone());
    }
    match assessment.data_age {
        None => return Verdict::Inconclusive("the first answer through the edge".to_owned()),
        Some(age) if age > STALE_AFTER.max(STALE_REQUESTS / rate) => {
            return Verdict::Inconclusive(format!("answers through the edge: none for {age:.0} s"));
        }
        Some(_) => {}
    }
    let (answers, place) = match weight {
        Some(_) => (assessment.seen.target_requests, "through the edge"),
        None => (assessment.target_answers, "directly"),
    };
    if answers < min_requests {
        return Verdict::Inconclusive(format!(
            "more data: the target has answered {answers} of {min_requests} requests {place}"
        ));
    }
    if let Some(reason) = weight.and_then(|weight| share_disagrees(&assessment.seen, weight)) {
        return Verdict::Inconclusive(reason);
    }
    if let Some(guard) = &assessment.near {
        return Verdict::Inconclusive(format!(
            "calmer evidence: `{guard}` is more than half way to a breach"
        ));
    }
    Verdict::Pass
}

/// A write counts when the measured share agrees with it.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
fn share_disagrees(seen: &StepObservation, weight: Weight) -> Option<String> {
    let expected = weight.fraction();
    let n = seen.requests as f64;
    let error = (expected * (1.0 - expected) * n).sqrt();
    let off = (seen.target_requests as f64 - expected * n).abs();
    (off > SHARE_TOLERANCE * error + 1.0).then(|| {
        format!(
            "the observed share to agree: {:.2} % of {} requests on the target, applied {weight}",
            seen.observed_share().unwrap_or(0.0) * 100.0,
            seen.requests,
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn healthy(requests: u64, target_requests: u64) -> Assessment {
        Assessment {
            seen: StepObservation {
                requests,
                target_requests,
                ..StepObservation::default()
            },
            target_answers: target_requests,
            data_age: Some(0.1),
            ..Assessment::default()
        }
    }

    fn weight(percent: f64) -> Option<Weight> {
        Some(Weight::from_percent(percent).unwrap())
    }

    fn reason(verdict: Verdict) -> String {
        match verdict {
            Verdict::Inconclusive(reason) => reason,
            other => panic!("expected inconclusive, found {other:?}"),
        }
    }

    #[test]
    fn enough_healthy_requests_pass() {
        assert_eq!(
            verdict(&healthy(1000, 250), weight(25.0), 50, 100.0),
            Verdict::Pass
        );
        assert_eq!(verdict(&healthy(0, 50), None, 50, 100.0), Verdict::Pass);
        assert_eq!(
            verdict(&healthy(400, 400), weight(100.0), 50, 100.0),
            Verdict::Pass
        );
    }

    #[test]
    fn missing_or_too_little_data_is_not_healthy() {
        assert!(reason(verdict(&healthy(900, 9), weight(1.0), 10, 100.0)).contains("9 of 10"));
        let mut silent = healthy(1000, 250);
        silent.data_age = None;
        assert!(reason(verdict(&silent, weight(25.0), 50, 100.0)).contains("the first answer"));
        silent.data_age = Some(7.2);
        assert_eq!(
            verdict(&silent, weight(25.0), 50, 0.5),
            Verdict::Pass,
            "one every 2 s"
        );
        assert!(reason(verdict(&silent, weight(25.0), 50, 100.0)).contains("7 s"));
    }

    #[test]
    fn a_share_that_disagrees_with_the_weight_holds() {
        assert!(reason(verdict(&healthy(1000, 400), weight(25.0), 50, 100.0)).contains("40.00 %"));
        assert!(reason(verdict(&healthy(1000, 990), weight(100.0), 50, 100.0)).contains("99.00 %"));
    }

    #[test]
    fn a_guard_that_is_near_holds() {
        let mut near = healthy(1000, 250);
        near.near = Some("errors at most 1 %".to_owned());
        assert!(reason(verdict(&near, weight(25.0), 50, 100.0)).contains("errors at most 1 %"));
    }
}
