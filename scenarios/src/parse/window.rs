//! Windows: days and hours in which a step may begin.

use jiff::tz::TimeZoneDatabase;

use super::fields::{Field, Fields, Mistakes, Reported};
use super::values;
use crate::diagnostic::did_you_mean;
use crate::keys;
use crate::plan::Window;
use crate::quantity::Misread;

/// Reads `{ days: …, hours: …, time_zone: … }`.
pub(super) fn window(field: &Field<'_>, mistakes: &mut Mistakes) -> Result<Window, Reported> {
    let fields = Fields::of(field, keys::WINDOW, &[], mistakes)?;
    let days = fields
        .required("days", mistakes)
        .and_then(|field| days(field, mistakes));
    let hours = fields
        .required("hours", mistakes)
        .and_then(|field| values::quantity(field, hours, mistakes));
    let time_zone = fields
        .required("time_zone", mistakes)
        .and_then(|field| time_zone(field, mistakes));
    let (opens, closes) = hours?;
    Ok(Window {
        days: days?,
        opens,
        closes,
        time_zone: time_zone?,
    })
}

/// Reads `mon-fri`, `mon`, or a list of those; gives ISO 8601 numbers, sorted.
fn days(field: &Field<'_>, mistakes: &mut Mistakes) -> Result<Vec<u8>, Reported> {
    let mut chosen: Vec<u8> = if values::scalar(field).is_some() {
        values::quantity(field, day_range, mistakes)?
    } else {
        let items = field.items(
            "days such as `[mon, tue]`, or a range such as `mon-fri`",
            mistakes,
        )?;
        let read: Vec<_> = items
            .iter()
            .map(|item| values::quantity(item, day_range, mistakes))
            .collect();
        let ranges: Vec<Vec<u8>> = read.into_iter().collect::<Result<_, _>>()?;
        ranges.into_iter().flatten().collect()
    };
    chosen.sort_unstable();
    if let Some(twice) = chosen.windows(2).find(|pair| pair[0] == pair[1]) {
        let found = format!("`{}` twice", keys::DAYS[usize::from(twice[0]) - 1]);
        return Err(values::conflict(
            field,
            found,
            "each day once",
            None,
            mistakes,
        ));
    }
    Ok(chosen)
}

/// Reads `mon` or `mon-fri`; a range may run over the end of the week.
fn day_range(text: &str) -> Result<Vec<u8>, Misread> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let number = |name: &str| keys::DAYS.iter().position(|day| *day == name.trim());
    let wrong = |word: &str| Misread {
        expected: "days of `mon` to `sun`, or a range such as `mon-fri`".to_owned(),
        help: match keys::DAYS
            .iter()
            .find(|day| word.to_lowercase().starts_with(**day))
        {
            Some(day) => Some(format!("write `{day}`")),
            None => did_you_mean(word.trim(), keys::DAYS.iter().copied()),
        },
    };
    let first = number(first).ok_or_else(|| wrong(first))?;
    let last = number(last).ok_or_else(|| wrong(last))?;
    let length = (last + 7 - first) % 7 + 1;
    // Monday is 1; the sum never exceeds 7.
    Ok((1u8..=7).cycle().skip(first).take(length).collect())
}

/// Reads `09:00-17:00` as minutes after midnight; `24:00` closes at midnight.
fn hours(text: &str) -> Result<(u16, u16), Misread> {
    let wrong = || Misread {
        expected: "hours such as `\"09:00-17:00\"`".to_owned(),
        help: None,
    };
    let (opens, closes) = text.trim().split_once('-').ok_or_else(wrong)?;
    let opens = minutes(opens).ok_or_else(wrong)?;
    let closes = minutes(closes).ok_or_else(wrong)?;
    if opens >= closes {
        return Err(Misread {
            expected: "hours that close after they open, within one day".to_owned(),
            help: Some("for a night, give the next step a window of its own".to_owned()),
        });
    }
    Ok((opens, closes))
}

/// Minutes after midnight of `hh:mm`, up to `24:00`.
fn minutes(text: &str) -> Option<u16> {
    let (hour, minute) = text.trim().split_once(':')?;
    let two_digits = |part: &str| {
        let fits = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
        fits.then(|| part.parse::<u16>().ok()).flatten()
    };
    let (hour, minute) = (two_digits(hour)?, two_digits(minute)?);
    let total = hour * 60 + minute;
    (minute < 60 && total <= 24 * 60).then_some(total)
}

/// Reads an IANA name, and gives it as the bundled database spells it.
fn time_zone(field: &Field<'_>, mistakes: &mut Mistakes) -> Result<String, Reported> {
    let expected = "an IANA time zone such as `Europe/Berlin`";
    let text = values::text(field, expected, mistakes)?;
    // The bundled database, not the system's: a plan means the same on every machine.
    let database = TimeZoneDatabase::bundled();
    if let Ok(zone) = database.get(text)
        && let Some(name) = zone.iana_name()
    {
        return Ok(name.to_owned());
    }
    let names: Vec<String> = database.available().map(|name| name.to_string()).collect();
    let help = did_you_mean(text, names.iter().map(String::as_str));
    Err(mistakes.wrong(field, expected, help))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn day_ranges_run_over_the_end_of_the_week() {
        for (text, days) in [
            ("mon", vec![1]),
            ("mon-fri", vec![1, 2, 3, 4, 5]),
            ("sat-mon", vec![6, 7, 1]),
            ("sun-sun", vec![7]),
            ("sun-sat", vec![7, 1, 2, 3, 4, 5, 6]),
        ] {
            assert_eq!(day_range(text).unwrap(), days, "{text}");
        }
        for text in ["", "monday", "Mon", "mon-", "1-5", "mon-fri-sun"] {
            assert!(day_range(text).is_err(), "{text}");
        }
    }

    #[test]
    fn hours_open_before_they_close() {
        assert_eq!(hours("09:00-17:30"), Ok((540, 1050)));
        assert_eq!(hours("00:00-24:00"), Ok((0, 1440)));
        for text in [
            "",
            "9-17",
            "9:00-17:00",
            "17:00-09:00",
            "09:00-09:00",
            "23:60-24:00",
            "24:01-24:02",
        ] {
            assert!(hours(text).is_err(), "{text}");
        }
    }
}
