//! Durations as people write them: `5s`, `300ms`, `10m`.

use std::time::Duration;

/// Milliseconds in each unit, longest spelling first where one is the end of another.
const UNITS: [(&str, u64); 4] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];

/// Reads a whole number with a unit.
///
/// # Errors
/// A sentence with what was found and what was expected.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let millis = number.parse::<u64>().ok().and_then(|number| {
        let (_, millis) = UNITS.iter().find(|(name, _)| *name == unit)?;
        number.checked_mul(*millis)
    });
    millis.map(Duration::from_millis).ok_or_else(|| {
        format!("found `{text}`, expected a whole number with ms, s, m or h, such as `5s`")
    })
}

/// The shortest spelling that [`parse`] reads back as the same duration (to the millisecond).
pub(crate) fn show(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let (unit, size) = UNITS
        .iter()
        .rev()
        .find(|(_, size)| millis >= *size && millis.is_multiple_of(*size))
        .unwrap_or(&UNITS[0]);
    if millis == 0 {
        "0s".to_owned()
    } else {
        format!("{}{unit}", millis / size)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_unit_is_read() {
        for (text, millis) in [("0s", 0), ("300ms", 300), ("5s", 5_000), ("10m", 600_000)] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in [
            "",
            "5",
            "s",
            "-1s",
            "1.5s",
            "5 s",
            "99999999999999999999s",
            "5d",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_back(millis in 0_u64..1 << 40) {
            let duration = Duration::from_millis(millis);
            prop_assert_eq!(parse(&show(duration)), Ok(duration));
        }
    }
}
