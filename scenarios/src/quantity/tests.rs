use super::*;
use proptest::prelude::*;

/// The expectation and the help of a text that must not be read.
fn refusal<T: std::fmt::Debug>(result: Result<T, Misread>) -> String {
    let misread = result.unwrap_err();
    match misread.help {
        Some(help) => format!("{}; {help}", misread.expected),
        None => misread.expected,
    }
}

#[test]
fn durations_are_read_in_every_unit() {
    for (text, milliseconds) in [
        ("250ms", 250),
        ("5s", 5_000),
        ("10m", 600_000),
        ("2h", 7_200_000),
        ("1h30m", 5_400_000),
        ("1d2h3m4s5ms", 93_784_005),
        (" 5s ", 5_000),
        ("0s", 0),
        ("90m", 5_400_000),
        ("30d", 2_592_000_000),
    ] {
        assert_eq!(
            duration(text),
            Ok(Duration::from_millis(milliseconds)),
            "{text}"
        );
    }
}

#[test]
fn a_duration_without_a_unit_is_told_which_to_write() {
    assert!(refusal(duration("5")).ends_with("write the unit: `5s` for seconds"));
    assert!(refusal(duration("1.5")).ends_with("write the unit: `1.5s` for seconds"));
}

#[test]
fn wrong_durations_are_refused() {
    for text in [
        "",
        " ",
        "s",
        "-5s",
        "5 s",
        "5sec",
        "1.5s",
        "30m1h",
        "5s5s",
        "5s 5ms",
        "1h30",
        "∞",
        "5µs",
        "99999999999999999999s",
    ] {
        assert!(duration(text).is_err(), "{text}");
    }
    assert_eq!(refusal(duration("31d")), "at most 30 days (`30d`)");
    assert_eq!(
        refusal(duration("18446744073709551615d")),
        "at most 30 days (`30d`)"
    );
}

#[test]
fn weights_are_exact_to_a_hundredth_of_a_percent() {
    for (text, parts) in [
        ("1%", 100),
        ("0.5 %", 50),
        ("0.01%", 1),
        ("33.33%", 3333),
        ("100%", 10_000),
    ] {
        assert_eq!(weight(text).map(Weight::parts), Ok(parts), "{text}");
    }
    assert_eq!(refusal(weight("0.001%")), "a weight exact to 0.01%");
    assert_eq!(refusal(weight("0.0000000001%")), "a weight exact to 0.01%");
}

#[test]
fn wrong_weights_are_refused() {
    for text in ["140%", "0%", "100.01%"] {
        assert_eq!(
            refusal(weight(text)),
            "a weight above 0% and at most 100%",
            "{text}"
        );
    }
    assert!(refusal(weight("25")).ends_with("write the percent sign: `25%`"));
    for text in [
        "", "%", "-1%", "1e1%", "nan%", "inf%", "five%", "1%%", ".5%", "1.%", "+1%",
    ] {
        assert_eq!(
            refusal(weight(text)),
            "a weight in percent such as `25%`",
            "{text}"
        );
    }
}

#[test]
fn fractions_are_read_from_percent_and_from_numbers() {
    for (text, value) in [
        ("1%", 0.01),
        ("0.5 %", 0.005),
        ("0.005", 0.005),
        ("99.9%", 0.999),
    ] {
        let read = fraction(text).unwrap();
        assert!((read - value).abs() < 1e-12, "{text}: {read}");
    }
    for text in ["0%", "0", "100%", "1", "", "x", "-1%", "1e-3"] {
        assert!(fraction(text).is_err(), "{text}");
    }
    assert!(refusal(fraction("5")).ends_with("write `5%`"));
}

#[test]
fn rates_are_read_per_second_minute_and_hour() {
    for (text, per_second) in [
        ("250/s", 250.0),
        ("250", 250.0),
        ("0.5/s", 0.5),
        ("15000/m", 250.0),
        ("7200/h", 2.0),
        ("0/s", 0.0),
        ("1000000/s", 1e6),
    ] {
        let read = rate(text).unwrap();
        assert!((read - per_second).abs() < 1e-9, "{text}: {read}");
    }
    for text in [
        "",
        "/s",
        "-1/s",
        "1/d",
        "1/sec",
        "1/s/s",
        "1 / s",
        "1000001/s",
        "inf",
        "NaN/s",
    ] {
        assert!(rate(text).is_err(), "{text}");
    }
}

#[test]
fn ratios_carry_an_x_and_lie_between_1_and_100() {
    for (text, value) in [("1x", 1.0), ("1.5x", 1.5), ("100x", 100.0)] {
        assert_eq!(ratio(text), Ok(value), "{text}");
    }
    for text in ["0.9x", "100.1x", "x", "", "-2x", "2 x", "2X"] {
        assert!(ratio(text).is_err(), "{text}");
    }
    assert!(refusal(ratio("1.5")).ends_with("write the `x`: `1.5x`"));
}

#[test]
fn whole_numbers_stay_in_their_range() {
    assert_eq!(whole("1", 1..=3), Ok(1));
    assert_eq!(whole("3", 1..=3), Ok(3));
    for text in [
        "0",
        "4",
        "+1",
        "-1",
        "1.0",
        "",
        "one",
        "99999999999999999999",
    ] {
        assert_eq!(
            refusal(whole(text, 1..=3)),
            "a whole number between 1 and 3",
            "{text}"
        );
    }
    assert_eq!(
        refusal(whole("0", 1..=u64::MAX)),
        "a whole number, at least 1"
    );
}

proptest! {
    #[test]
    fn a_duration_that_is_shown_reads_back(milliseconds in 0u64..=2_592_000_000) {
        let value = Duration::from_millis(milliseconds);
        prop_assert_eq!(duration(&show_duration(value)), Ok(value));
    }

    #[test]
    fn a_weight_that_is_shown_reads_back(parts in 1u32..=Weight::SCALE) {
        let value = Weight::from_parts(parts).unwrap();
        prop_assert_eq!(weight(&value.to_string()), Ok(value));
        prop_assert_eq!(Weight::from_percent(f64::from(parts) / 100.0), Ok(value));
        let json = serde_json::to_string(&value).unwrap();
        prop_assert_eq!(serde_json::from_str::<Weight>(&json).unwrap(), value);
    }

    #[test]
    fn no_text_makes_a_quantity_panic(text in "[0-9a-z%./ +\\-µ]{0,24}") {
        let _ = (duration(&text), weight(&text), fraction(&text), rate(&text), ratio(&text));
        let _ = whole(&text, 1..=10);
    }
}

#[test]
fn a_duration_with_a_fraction_is_told_how_it_is_written_here() {
    for (text, whole) in [("0.5s", "500ms"), ("1.5h", "1h30m"), ("2.25m", "2m15s")] {
        let misread = duration(text).unwrap_err();
        assert_eq!(
            misread.help,
            Some(format!("without a fraction: `{whole}`")),
            "{text}"
        );
    }
    assert!(duration("0.5x").is_err() && duration("1..5s").is_err());
}
