//! Numbers as people read them: short, rounded, always with their unit.
//!
//! Every limit below is the value at which rounding would carry into the next form, so that no
//! number is ever shown as `10.0 ms` next to `10 ms`.

use std::time::Duration;

/// Shown where there is nothing to show.
pub(crate) const ABSENT: &str = "–";

/// A latency: `0.8 ms`, `12 ms`, `1.2 s`, `30 s`; beyond a quarter of an hour, `>999 s`.
pub(crate) fn latency(value: Duration) -> String {
    let ms = value.as_secs_f64() * 1_000.0;
    if ms < 9.95 {
        format!("{ms:.1} ms")
    } else if ms < 999.5 {
        format!("{ms:.0} ms")
    } else if ms < 9_950.0 {
        format!("{:.1} s", ms / 1_000.0)
    } else if ms < 999_500.0 {
        format!("{:.0} s", ms / 1_000.0)
    } else {
        ">999 s".to_owned()
    }
}

/// Something a second: `0 /s`, `8.4 /s`, `120 /s`, `1.2 k/s`, `3.4 M/s`.
pub(crate) fn rate(per_second: f64) -> String {
    let value = per_second.max(0.0);
    if value == 0.0 {
        "0 /s".to_owned()
    } else if value < 9.95 {
        format!("{value:.1} /s")
    } else if value < 999.5 {
        format!("{value:.0} /s")
    } else {
        format!("{}/s", thousands(value))
    }
}

/// A count: exact up to `9999`, then `12 k`, `3.4 M`.
pub(crate) fn count(value: u64) -> String {
    if value < 10_000 {
        value.to_string()
    } else {
        #[expect(
            clippy::cast_precision_loss,
            reason = "two or three digits of it are shown"
        )]
        thousands(value as f64)
    }
}

/// A value of about a thousand or more: `1.2 k`, `120 k`, `3.4 M`, `12 G`.
fn thousands(value: f64) -> String {
    let mut scaled = value;
    let mut unit = "";
    for next in ["k", "M", "G"] {
        if scaled < 999.5 {
            break;
        }
        scaled /= 1_000.0;
        unit = next;
    }
    if scaled < 9.95 {
        format!("{scaled:.1} {unit}")
    } else {
        format!("{scaled:.0} {unit}")
    }
}

/// A share between 0 and 1: `0 %`, `<0.01 %`, `0.25 %`, `24.6 %`, `100 %`.
pub(crate) fn share(value: f64) -> String {
    let percent = value * 100.0;
    if percent <= 0.0 {
        "0 %".to_owned()
    } else if percent < 0.01 {
        "<0.01 %".to_owned()
    } else if percent < 9.995 {
        format!("{percent:.2} %")
    } else if percent < 99.95 {
        format!("{percent:.1} %")
    } else {
        format!("{percent:.0} %")
    }
}

/// A span of time as a clock shows it: `0:42`, `12:05`, `1:02:03`.
pub(crate) fn clock(span: Duration) -> String {
    let seconds = span.as_secs();
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes}:{seconds:02}")
    }
}

/// `text` cut to `width` columns, its end replaced by `…` when it does not fit.
pub(crate) fn fit(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    if width == 0 {
        String::new()
    } else {
        format!("{}…", kept.trim_end())
    }
}

/// `text` broken at spaces into lines of at most `width` columns; longer words are cut.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut used = 0;
    for word in text.split_whitespace() {
        let mut letters: Vec<char> = word.chars().collect();
        if used > 0 && used + 1 + letters.len() <= width {
            line.push(' ');
            used += 1;
        } else if used > 0 {
            lines.push(std::mem::take(&mut line));
            used = 0;
        }
        while letters.len() > width {
            lines.push(letters.drain(..width).collect());
        }
        used += letters.len();
        line.extend(letters);
    }
    if !line.is_empty() || lines.is_empty() {
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_keep_two_digits_and_their_unit() {
        for (micros, shown) in [
            (0, "0.0 ms"),
            (800, "0.8 ms"),
            (9_949, "9.9 ms"),
            (9_950, "10 ms"),
            (12_400, "12 ms"),
            (999_499, "999 ms"),
            (999_500, "1.0 s"),
            (1_234_000, "1.2 s"),
            (30_000_000, "30 s"),
            (999_499_999, "999 s"),
            (999_500_000, ">999 s"),
        ] {
            assert_eq!(latency(Duration::from_micros(micros)), shown, "{micros} µs");
        }
    }

    #[test]
    fn rates_change_their_unit_at_a_thousand() {
        for (value, shown) in [
            (0.0, "0 /s"),
            (-1.0, "0 /s"),
            (0.2, "0.2 /s"),
            (9.96, "10 /s"),
            (120.4, "120 /s"),
            (999.5, "1.0 k/s"),
            (1_234.0, "1.2 k/s"),
            (45_600.0, "46 k/s"),
            (999_600.0, "1.0 M/s"),
        ] {
            assert_eq!(rate(value), shown, "{value}");
        }
    }

    #[test]
    fn counts_are_exact_below_ten_thousand() {
        for (value, shown) in [
            (0, "0"),
            (9_999, "9999"),
            (10_000, "10 k"),
            (123_456, "123 k"),
            (1_234_567, "1.2 M"),
            (7_000_000_000, "7.0 G"),
        ] {
            assert_eq!(count(value), shown);
        }
    }

    #[test]
    fn a_small_share_is_never_shown_as_none() {
        for (value, shown) in [
            (0.0, "0 %"),
            (0.000_01, "<0.01 %"),
            (0.0025, "0.25 %"),
            (0.099_96, "10.0 %"),
            (0.2461, "24.6 %"),
            (0.9996, "100 %"),
            (1.0, "100 %"),
        ] {
            assert_eq!(share(value), shown, "{value}");
        }
    }

    #[test]
    fn clocks_show_hours_only_when_there_are_any() {
        for (seconds, shown) in [
            (0, "0:00"),
            (42, "0:42"),
            (725, "12:05"),
            (3_600, "1:00:00"),
            (90_061, "25:01:01"),
        ] {
            assert_eq!(clock(Duration::from_secs(seconds)), shown);
        }
    }

    #[test]
    fn what_does_not_fit_says_so() {
        assert_eq!(fit("shop", 4), "shop");
        assert_eq!(fit("shop-api", 5), "shop…");
        assert_eq!(fit("a b", 2), "a…");
        assert_eq!(fit("shop", 0), "");
    }

    #[test]
    fn text_breaks_at_spaces_and_long_words_are_cut() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("abcdefgh ij", 3), ["abc", "def", "gh", "ij"]);
        assert_eq!(wrap("", 5), [""]);
    }
}
