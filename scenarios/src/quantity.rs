//! How people write quantities: `1h30m`, `0.5%`, `250/s`, `1.5x`.
//!
//! Pure functions from text to value. Numbers are plain decimals: no exponent, no sign, no
//! underscore, because each of those is more often a slip than a wish in a plan.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::units::Weight;

/// Nothing in a plan lasts longer; a longer duration is a slip of the unit.
pub const LONGEST: Duration = Duration::from_hours(30 * 24);
/// More requests a second than one machine sends; a higher rate is a slip.
pub const HIGHEST_RATE: f64 = 1_000_000.0;
/// A target a hundred times as bad as its source is not held back by any ratio worth writing.
pub const HIGHEST_RATIO: f64 = 100.0;

/// Why a text is not the quantity it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misread {
    /// What would have been right.
    pub expected: String,
    /// What to do, where there is something better to say than the expectation.
    pub help: Option<String>,
}

impl Misread {
    fn new(expected: impl Into<String>) -> Self {
        Misread {
            expected: expected.into(),
            help: None,
        }
    }

    fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// Milliseconds of each unit of a duration, longest first: the order in which they are written.
const UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
];

/// Reads a duration: whole numbers with `d`, `h`, `m`, `s` or `ms`, longest unit first.
///
/// # Errors
/// No unit, an unknown or repeated unit, units out of order, or more than [`LONGEST`].
pub fn duration(text: &str) -> Result<Duration, Misread> {
    let wrong = || Misread::new("a duration such as `250ms`, `5s`, `10m` or `1h30m`");
    let text = text.trim();
    if is_decimal(text) {
        return Err(wrong().help(format!("write the unit: `{text}s` for seconds")));
    }
    if let Some(whole) = without_fraction(text) {
        return Err(wrong().help(format!("without a fraction: `{whole}`")));
    }
    let mut total: u64 = 0;
    let mut units = UNITS.iter();
    let mut rest = text;
    loop {
        let (digits, tail) = split_at_first(rest, |c: char| !c.is_ascii_digit());
        let (unit, tail) = split_at_first(tail, |c: char| !c.is_ascii_alphabetic());
        let (Ok(count), false) = (digits.parse::<u64>(), unit.is_empty()) else {
            return Err(wrong());
        };
        // The iterator only moves on, so a unit that comes late or twice is not found.
        let Some((_, scale)) = units.find(|(name, _)| *name == unit) else {
            return Err(
                wrong().help("units are `d`, `h`, `m`, `s`, `ms`, each once, longest first")
            );
        };
        total = total.saturating_add(count.saturating_mul(*scale));
        rest = tail;
        if rest.is_empty() {
            break;
        }
    }
    let total = Duration::from_millis(total);
    if total > LONGEST {
        return Err(Misread::new("at most 30 days (`30d`)"));
    }
    Ok(total)
}

/// How `1.5h` is written here: `1h30m`.
fn without_fraction(text: &str) -> Option<String> {
    let (number, unit) = split_at_first(text, |c: char| c.is_ascii_alphabetic());
    let (_, scale) = UNITS.iter().find(|(name, _)| *name == unit)?;
    let fraction: f64 = number.parse().ok().filter(|_| number.contains('.'))?;
    #[expect(clippy::cast_precision_loss, reason = "the scale is below 2^52")]
    let seconds = fraction * *scale as f64 / 1000.0;
    Duration::try_from_secs_f64(seconds).ok().map(show_duration)
}

/// Writes a duration as [`duration`] reads it: `1h30m`, `250ms`, `0s`. Below a millisecond is cut.
#[must_use]
pub fn show_duration(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut text = String::new();
    for (unit, scale) in UNITS {
        if rest >= scale {
            text.push_str(&format!("{}{unit}", rest / scale));
            rest %= scale;
        }
    }
    if text.is_empty() {
        text.push_str("0s");
    }
    text
}

/// Reads a weight above 0 %: `25%`, `0.5 %`.
///
/// # Errors
/// No percent sign, 0 %, above 100 %, or finer than 0.01 %.
pub fn weight(text: &str) -> Result<Weight, Misread> {
    let text = text.trim();
    let percent = match text.strip_suffix('%') {
        Some(number) => decimal(number.trim_end()),
        None if is_decimal(text) => {
            return Err(Misread::new("a weight in percent such as `25%`")
                .help(format!("write the percent sign: `{text}%`")));
        }
        None => None,
    };
    let Some(percent) = percent else {
        return Err(Misread::new("a weight in percent such as `25%`"));
    };
    if percent <= 0.0 || percent > 100.0 {
        return Err(Misread::new("a weight above 0% and at most 100%"));
    }
    match Weight::from_percent(percent) {
        Ok(weight) if weight > Weight::ZERO => Ok(weight),
        _ => Err(Misread::new("a weight exact to 0.01%")),
    }
}

/// Reads a share of requests as a fraction: `0.5%` and `0.005` are both 0.005.
///
/// # Errors
/// Neither a percentage nor a fraction, or not between 0 and 1 (both exclusive).
pub fn fraction(text: &str) -> Result<f64, Misread> {
    let text = text.trim();
    let wrong = || Misread::new("a percentage such as `0.5%`, or a fraction such as `0.005`");
    let value = match text.strip_suffix('%') {
        Some(number) => decimal(number.trim_end()).map(|percent| percent / 100.0),
        None => decimal(text),
    };
    let value = value.ok_or_else(wrong)?;
    if value <= 0.0 || value >= 1.0 {
        let misread = Misread::new("more than 0% and less than 100%");
        return Err(if text.ends_with('%') || value <= 0.0 {
            misread
        } else {
            misread.help(format!(
                "a number without `%` is a fraction; write `{text}%`"
            ))
        });
    }
    Ok(value)
}

/// Reads a rate in events a second: `250/s`, `15000/m`, `2/h`; a plain number is per second.
///
/// # Errors
/// Not a number, an unknown unit of time, or above [`HIGHEST_RATE`].
pub fn rate(text: &str) -> Result<f64, Misread> {
    let wrong = || Misread::new("a rate such as `250/s`, `15000/m` or `2/h`");
    let (number, seconds) = match text.trim().split_once('/') {
        None => (text.trim(), 1.0),
        Some((number, "s")) => (number, 1.0),
        Some((number, "m")) => (number, 60.0),
        Some((number, "h")) => (number, 3600.0),
        Some(_) => return Err(wrong()),
    };
    let per_second = decimal(number).ok_or_else(wrong)? / seconds;
    if per_second > HIGHEST_RATE {
        return Err(Misread::new("at most 1000000/s"));
    }
    Ok(per_second)
}

/// Reads a ratio from 1 to [`HIGHEST_RATIO`]: `1.5x`.
///
/// # Errors
/// No `x`, below 1, or above [`HIGHEST_RATIO`].
pub fn ratio(text: &str) -> Result<f64, Misread> {
    let wrong = || Misread::new("a ratio such as `1.5x`");
    let text = text.trim();
    if is_decimal(text) {
        return Err(wrong().help(format!("write the `x`: `{text}x`")));
    }
    let value = text.strip_suffix('x').and_then(decimal).ok_or_else(wrong)?;
    if !(1.0..=HIGHEST_RATIO).contains(&value) {
        return Err(Misread::new("a ratio between `1x` and `100x`"));
    }
    Ok(value)
}

/// Reads a whole number in a range.
///
/// # Errors
/// Not a whole number, or outside of the range.
pub fn whole(text: &str, range: RangeInclusive<u64>) -> Result<u64, Misread> {
    let text = text.trim();
    let all_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse::<u64>() {
        Ok(value) if all_digits && range.contains(&value) => Ok(value),
        _ if *range.end() == u64::MAX => Err(Misread::new(format!(
            "a whole number, at least {}",
            range.start()
        ))),
        _ => Err(Misread::new(format!(
            "a whole number between {} and {}",
            range.start(),
            range.end()
        ))),
    }
}

/// Digits, and perhaps a point with digits on both sides.
fn is_decimal(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    match text.split_once('.') {
        None => digits(text),
        Some((whole, fraction)) => digits(whole) && digits(fraction),
    }
}

fn decimal(text: &str) -> Option<f64> {
    // Parsing rounds to the nearest value; only absurd lengths reach infinity.
    is_decimal(text)
        .then(|| text.parse::<f64>().ok())
        .flatten()
        .filter(|value| value.is_finite())
}

fn split_at_first(text: &str, stop: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(stop).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests;
