//! What the measurements say at one moment, as a value that decisions are made on.

use std::time::Duration;

use cutover_scenarios::units::Weight;

use crate::fact::{BreachFact, StepObservation};
use crate::narrate::percent;

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
    /// The share of its requests that the source fails itself, when that is alarming.
    pub source_fails: Option<f64>,
    /// Why the source is worse off than the target, when it is.
    pub source_worse: Option<String>,
    /// The source takes no requests, by its own word.
    pub source_down: Option<String>,
    /// The target takes no requests, by its own word, asked more than once.
    pub target_down: Option<String>,
    /// The split of requests is not that of the applied weight: nothing measured means what it
    /// seems to.
    pub share_mismatch: Option<String>,
    /// What has still to be seen before the target is shown to be no worse than allowed.
    pub unproven: Vec<String>,
    /// Requests through the edge that nobody answered since somebody last did.
    pub unanswered: u64,
    /// Seconds since a stack last answered through the edge; `None` before the first answer.
    pub data_age: Option<f64>,
}

impl Assessment {
    /// Users get no answer at all, for longer than a moment: whatever the cause, the shift is not
    /// to go on.
    #[must_use]
    pub fn nobody_answers(&self) -> bool {
        self.unanswered >= UNANSWERED && self.data_age.is_some_and(|age| age >= NOBODY_AFTER)
    }

    /// A failure so gross that no statistics are needed, as a sentence.
    #[must_use]
    pub fn gross_failure(&self) -> Option<String> {
        if let Some(down) = &self.target_down
            && self.source_down.is_none()
        {
            return Some(format!("the target is down: {down}"));
        }
        self.nobody_answers().then(|| {
            format!(
                "nobody answers through the edge: {} requests failed in a row",
                self.unanswered
            )
        })
    }
}

/// Why going back would make things worse: the source is down, or fails more than the target, as
/// far as each is known. `None` when it is not worse; both down is not worse.
#[must_use]
pub fn source_worse(
    (source_down, target_down): (Option<&str>, Option<&str>),
    (source_fails, target_fails): (Option<f64>, Option<f64>),
) -> Option<String> {
    if let Some(down) = source_down {
        let target_up = target_down.is_none();
        return target_up.then(|| format!("the source is down: {down}"));
    }
    let (source, target) = (source_fails?, target_fails.unwrap_or(0.0));
    (target < source).then(|| {
        format!(
            "the source itself fails {} of its requests, the target {}",
            percent(source),
            percent(target)
        )
    })
}

/// So many requests in a row, for so many seconds, make [`Assessment::nobody_answers`].
const UNANSWERED: u64 = 20;
const NOBODY_AFTER: f64 = 5.0;

/// The three outcomes of looking at the evidence.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// An objective is broken.
    Breach(BreachFact),
    /// Enough was seen and nothing points to a breach.
    Pass,
    /// Neither: the run holds.
    Inconclusive {
        /// What it waits for.
        reason: String,
        /// Measurements are not there, rather than too few or unclear.
        missing: bool,
    },
}

impl Verdict {
    fn unclear(reason: String) -> Self {
        Verdict::Inconclusive {
            reason,
            missing: false,
        }
    }

    fn missing(reason: String) -> Self {
        Verdict::Inconclusive {
            reason,
            missing: true,
        }
    }
}

/// Answers older than this are missing answers, in seconds.
const STALE_AFTER: f64 = 2.0;

/// … unless the load is so slow that this many requests take longer.
const STALE_REQUESTS: f64 = 5.0;

/// How far the observed share may lie from the applied weight, in standard errors, before the
/// shift is doubted. A split by chance lies further off once in 370 looks, and then holds a moment
/// longer.
const SHARE_TOLERANCE: f64 = 3.0;

/// Weighs an assessment. `weight` is the weight applied at the edge, or `None` while nothing is
/// shifted (qualify): then only direct answers count. `rate` is that of the load, a second, and
/// `full_rate_for` how long the step has seen it.
#[must_use]
pub fn verdict(
    assessment: &Assessment,
    weight: Option<Weight>,
    min_requests: u64,
    rate: f64,
    full_rate_for: Duration,
) -> Verdict {
    if let Some(breach) = &assessment.breach {
        return Verdict::Breach(breach.clone());
    }
    match assessment.data_age {
        None => return Verdict::missing("the first answer through the edge".to_owned()),
        Some(age) if age > STALE_AFTER.max(STALE_REQUESTS / rate) => {
            return Verdict::missing(format!("answers through the edge: none for {age:.0} s"));
        }
        Some(_) => {}
    }
    if let Some(down) = &assessment.source_down
        && weight != Some(Weight::FULL)
    {
        return Verdict::unclear(format!("the source to recover: {down}"));
    }
    if let Some(failed) = assessment.source_fails
        && weight != Some(Weight::FULL)
    {
        return Verdict::unclear(format!(
            "the source to recover: it fails {:.0} % of its requests itself",
            failed * 100.0
        ));
    }
    let (answers, place) = match weight {
        Some(_) => (assessment.seen.target_requests, "through the edge"),
        None => (assessment.target_answers, "directly"),
    };
    if answers < min_requests {
        return Verdict::unclear(format!(
            "more data: the target has answered {answers} of {min_requests} requests {place}"
        ));
    }
    if let Some(mismatch) = &assessment.share_mismatch {
        return Verdict::unclear(mismatch.clone());
    }
    if weight.is_some()
        && let Some(reason) = answers_missing(&assessment.seen, rate, full_rate_for)
    {
        return Verdict::missing(reason);
    }
    if let Some(reason) = weight.and_then(|weight| share_disagrees(&assessment.seen, weight)) {
        return Verdict::unclear(reason);
    }
    if let Some(guard) = &assessment.near {
        return Verdict::unclear(format!(
            "calmer evidence: `{guard}` is more than half way to a breach"
        ));
    }
    Verdict::Pass
}

/// Requests that were sent and not answered are no reason to advance: a stalled target answers
/// nothing at all. A sixth of them may be on their way, and those of the last half second.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
fn answers_missing(seen: &StepObservation, rate: f64, full_rate_for: Duration) -> Option<String> {
    let sent = rate * full_rate_for.as_secs_f64();
    let answered = seen.requests as f64;
    (answered < sent * 5.0 / 6.0 - rate / 2.0)
        .then(|| format!("answers: {answered} of at least {sent:.0} requests so far"))
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

    const HELD: Duration = Duration::from_secs(2);

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
            Verdict::Inconclusive { reason, .. } => reason,
            other => panic!("expected inconclusive, found {other:?}"),
        }
    }

    #[test]
    fn enough_healthy_requests_pass() {
        assert_eq!(
            verdict(&healthy(1000, 250), weight(25.0), 50, 100.0, HELD),
            Verdict::Pass
        );
        assert_eq!(
            verdict(&healthy(0, 50), None, 50, 100.0, HELD),
            Verdict::Pass
        );
        assert_eq!(
            verdict(&healthy(400, 400), weight(100.0), 50, 100.0, HELD),
            Verdict::Pass
        );
    }

    #[test]
    fn missing_or_too_little_data_is_not_healthy() {
        assert!(
            reason(verdict(&healthy(900, 9), weight(1.0), 10, 100.0, HELD)).contains("9 of 10")
        );
        let mut silent = healthy(1000, 250);
        silent.data_age = None;
        assert!(
            reason(verdict(&silent, weight(25.0), 50, 100.0, HELD)).contains("the first answer")
        );
        silent.data_age = Some(7.2);
        assert_eq!(
            verdict(&silent, weight(25.0), 50, 0.5, HELD),
            Verdict::Pass,
            "one every 2 s"
        );
        assert!(reason(verdict(&silent, weight(25.0), 50, 100.0, HELD)).contains("7 s"));
    }

    #[test]
    fn a_share_that_disagrees_with_the_weight_holds() {
        assert!(
            reason(verdict(&healthy(1000, 400), weight(25.0), 50, 100.0, HELD)).contains("40.00 %")
        );
        assert!(
            reason(verdict(&healthy(1000, 990), weight(100.0), 50, 100.0, HELD))
                .contains("99.00 %")
        );
    }

    #[test]
    fn a_source_in_trouble_holds_until_the_target_carries_all() {
        let mut dying = healthy(1000, 250);
        dying.source_fails = Some(0.35);
        assert!(reason(verdict(&dying, weight(25.0), 50, 100.0, HELD)).contains("35 %"));
        let mut alone = healthy(400, 400);
        alone.source_fails = Some(1.0);
        assert_eq!(
            verdict(&alone, weight(100.0), 50, 100.0, HELD),
            Verdict::Pass
        );
    }

    #[test]
    fn a_source_is_worse_when_it_is_down_or_fails_more_and_not_when_both_are_down() {
        let down = |source, target| source_worse((source, target), (None, None));
        assert!(down(Some("refused"), None).is_some_and(|why| why.contains("refused")));
        assert_eq!(down(Some("refused"), Some("refused")), None);
        assert_eq!(down(None, Some("refused")), None);
        let fails = |source, target| source_worse((None, None), (source, target));
        assert!(fails(Some(0.3), Some(0.1)).is_some_and(|why| why.contains("30.0 %")));
        assert!(
            fails(Some(0.3), None).is_some(),
            "nothing is known against the target"
        );
        assert_eq!(fails(Some(0.3), Some(0.3)), None);
        assert_eq!(fails(None, Some(0.1)), None);
    }

    #[test]
    fn requests_that_nobody_answered_hold() {
        let stalled = verdict(
            &healthy(400, 100),
            weight(25.0),
            50,
            100.0,
            Duration::from_secs(8),
        );
        assert!(reason(stalled).contains("400 of at least 800"));
    }

    #[test]
    fn silence_with_failures_is_told_apart_from_mere_silence() {
        let mut silent = Assessment {
            data_age: Some(60.0),
            ..Assessment::default()
        };
        assert!(!silent.nobody_answers());
        silent.unanswered = 20;
        assert!(silent.nobody_answers());
        silent.data_age = Some(0.5);
        assert!(!silent.nobody_answers());
    }

    #[test]
    fn a_guard_that_is_near_holds() {
        let mut near = healthy(1000, 250);
        near.near = Some("errors at most 1 %".to_owned());
        assert!(
            reason(verdict(&near, weight(25.0), 50, 100.0, HELD)).contains("errors at most 1 %")
        );
    }
}
