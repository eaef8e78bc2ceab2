//! An estimate with its bounds, and how it is said.

use std::fmt;
use std::time::Duration;

/// An estimate of what a guard watches, with bounds that hold at all times at once.
///
/// A *confidence sequence*: if the quantity stays the same, the chance that it *ever* lies outside the
/// bounds is at most the guard's α, however often one looks. (Howard, Ramdas, McAuliffe, Sekhon,
/// Annals of Statistics 49(2), 2021.) All requests count here, bursts in full; where requests that
/// fail together are one event, the lower bound claims more than is known, and the upper one less.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// What was measured; infinite for a ratio to nothing.
    pub estimate: f64,
    /// Not below this; at least 0.
    pub low: f64,
    /// Not above this; infinite if nothing bounds it yet.
    pub high: f64,
    /// What is estimated.
    pub unit: Unit,
}

/// What an [`Interval`] estimates.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Unit {
    /// Share of the target's requests that fail, 0 to 1.
    ErrorRate,
    /// Share of the target's requests that are slower than this, 0 to 1.
    SlowerThan(Duration),
    /// Failures for each request to the target, over the same for the source.
    ErrorRatio,
    /// This latency quantile (0.99 for p99) of the target, over the source's.
    QuantileRatio(f64),
    /// Share of requests through the edge that the target answered, 0 to 1.
    TargetShare,
}

impl Unit {
    fn is_share(self) -> bool {
        match self {
            Unit::ErrorRate | Unit::SlowerThan(_) | Unit::TargetShare => true,
            Unit::ErrorRatio | Unit::QuantileRatio(_) => false,
        }
    }

    /// A number of this unit, to two digits: `2.3 %`, `0.7`.
    pub(super) fn say(self, value: f64) -> String {
        if value.is_infinite() {
            "any".to_owned()
        } else if self.is_share() {
            format!("{} %", two_digits(100.0 * value))
        } else {
            two_digits(value)
        }
    }
}

/// `error rate`, `share slower than 250ms`, `error-rate ratio`, `p99 ratio`.
impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unit::ErrorRate => write!(f, "error rate"),
            Unit::SlowerThan(bound) => write!(f, "share slower than {bound:?}"),
            Unit::ErrorRatio => write!(f, "error-rate ratio"),
            // Through four decimals, so that 0.999 is 99.9 and not 99.90000000000001.
            Unit::QuantileRatio(quantile) => {
                write!(f, "p{} ratio", (quantile * 1e6).round() / 1e4)
            }
            Unit::TargetShare => write!(f, "share of the target"),
        }
    }
}

/// `error-rate ratio 1.1, between 0.7 and 1.9`; `error rate 0.2 %, at most 0.9 %`.
impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Interval {
            estimate,
            low,
            high,
            unit,
        } = *self;
        if estimate.is_finite() {
            write!(f, "{unit} {}, ", unit.say(estimate))?;
        } else {
            write!(f, "{unit} not measurable yet, ")?;
        }
        match (low > 0.0, high.is_finite()) {
            (true, true) => write!(f, "between {} and {}", unit.say(low), unit.say(high)),
            (true, false) => write!(f, "at least {}", unit.say(low)),
            (false, true) => write!(f, "at most {}", unit.say(high)),
            (false, false) => write!(f, "bounds not known yet"),
        }
    }
}

/// Two significant digits, and no trailing zeros after the point: `0.7`, `1.1`, `23`, `140`.
pub(super) fn two_digits(value: f64) -> String {
    if value <= 0.0 {
        return "0".to_owned();
    }
    // What rounds up to the next power of ten has one decimal less.
    let rounded: f64 = format!("{value:.1e}").parse().unwrap_or(value);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped"
    )]
    let decimals = (1.0 - rounded.log10().floor()).clamp(0.0, 9.0) as usize;
    let text = format!("{value:.decimals$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_is_said_in_one_sentence() {
        let say = |estimate, low, high, unit| {
            Interval {
                estimate,
                low,
                high,
                unit,
            }
            .to_string()
        };
        let infinite = f64::INFINITY;
        let ratio = Unit::ErrorRatio;
        assert_eq!(
            say(1.1, 0.71, 1.94, ratio),
            "error-rate ratio 1.1, between 0.71 and 1.9"
        );
        assert_eq!(
            say(0.002, 0.0, 0.0093, Unit::ErrorRate),
            "error rate 0.2 %, at most 0.93 %"
        );
        assert_eq!(
            say(infinite, 1.3, infinite, ratio),
            "error-rate ratio not measurable yet, at least 1.3"
        );
        assert_eq!(
            say(1.0, 0.0, infinite, Unit::QuantileRatio(0.999)),
            "p99.9 ratio 1, bounds not known yet"
        );
        let slow = Unit::SlowerThan(Duration::from_millis(250));
        assert_eq!(
            say(0.1, 0.0996, 1.0, slow),
            "share slower than 250ms 10 %, between 10 % and 100 %"
        );
    }
}
