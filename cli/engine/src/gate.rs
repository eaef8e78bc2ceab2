//! Whether a gate stands open.

use std::time::Duration;

use cutover_scenarios::address::Address;
use cutover_scenarios::plan::{Endpoint, EndpointUrl, Gate, Window};
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Names a gate for people: `manual`, `window mon-fri 09:00-17:00 Europe/Berlin`.
#[must_use]
pub fn describe(gate: &Gate) -> String {
    match gate {
        Gate::Manual => "manual".to_owned(),
        Gate::Window(window) => format!(
            "window {} {}-{} {}",
            days(&window.days),
            clock(window.opens),
            clock(window.closes),
            window.time_zone
        ),
        Gate::Webhook(webhook) => format!("webhook {}", endpoint(&webhook.endpoint)),
    }
}

/// Names an endpoint without showing what may be secret: `https://hooks.example.com/…` by its host,
/// or the variable that holds it.
#[must_use]
pub fn endpoint(endpoint: &Endpoint) -> String {
    match &endpoint.url {
        EndpointUrl::Plain(url) => Address::read(url).map_or_else(
            |_| "an address that cannot be read".to_owned(),
            |address| format!("{address}/…"),
        ),
        EndpointUrl::Env(name) => format!("${name}"),
    }
}

/// How long to wait before a web service is asked again, after so many answers in a row that did
/// not come: `every`, doubled by each of them, up to ten times.
#[must_use]
pub fn ask_again(every: Duration, failures: u32) -> Duration {
    every * 2_u32.saturating_pow(failures).min(10)
}

/// Whether the window is open at `now`. A time zone that is not known keeps it shut; the plan's
/// validation has refused such a zone before.
#[must_use]
pub fn is_open(window: &Window, now: Timestamp) -> bool {
    let Ok(zone) = TimeZone::get(&window.time_zone) else {
        return false;
    };
    let local = now.to_zoned(zone);
    let day = u8::try_from(local.weekday().to_monday_one_offset()).unwrap_or(0);
    let hour = u16::try_from(local.hour()).unwrap_or(0);
    let minute = hour * 60 + u16::try_from(local.minute()).unwrap_or(0);
    window.days.contains(&day) && (window.opens..window.closes).contains(&minute)
}

fn days(days: &[u8]) -> String {
    const NAMES: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let name = |day: u8| {
        NAMES
            .get(usize::from(day).wrapping_sub(1))
            .copied()
            .unwrap_or("?")
    };
    match days {
        [first, .., last] if days.windows(2).all(|pair| pair[1] == pair[0] + 1) => {
            format!("{}-{}", name(*first), name(*last))
        }
        _ => days
            .iter()
            .map(|day| name(*day))
            .collect::<Vec<_>>()
            .join(","),
    }
}

fn clock(minutes: u16) -> String {
    format!("{:02}:{:02}", minutes / 60, minutes % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn office_hours() -> Window {
        Window {
            days: vec![1, 2, 3, 4, 5],
            opens: 9 * 60,
            closes: 17 * 60,
            time_zone: "Europe/Berlin".to_owned(),
        }
    }

    #[test]
    fn a_window_follows_the_local_clock_of_its_zone() {
        let open = |at: &str| is_open(&office_hours(), at.parse().unwrap());
        assert!(!open("2026-11-20T07:59:00Z"), "08:59 in Berlin, a Friday");
        assert!(open("2026-11-20T08:00:00Z"), "09:00");
        assert!(open("2026-11-20T15:59:59Z"), "16:59");
        assert!(!open("2026-11-20T16:00:00Z"), "17:00");
        assert!(!open("2026-11-21T10:00:00Z"), "a Saturday");
        assert!(open("2026-07-17T07:00:00Z"), "09:00 in summer time");
    }

    #[test]
    fn a_web_service_that_does_not_answer_is_asked_less_often() {
        let every = Duration::from_secs(30);
        let waits: Vec<_> = (0..6).map(|n| ask_again(every, n).as_secs()).collect();
        assert_eq!(waits, [30, 60, 120, 240, 300, 300]);
    }

    #[test]
    fn gates_have_names() {
        assert_eq!(describe(&Gate::Manual), "manual");
        assert_eq!(
            describe(&Gate::Window(office_hours())),
            "window mon-fri 09:00-17:00 Europe/Berlin"
        );
        let odd = Window {
            days: vec![1, 3],
            ..office_hours()
        };
        assert_eq!(
            describe(&Gate::Window(odd)),
            "window mon,wed 09:00-17:00 Europe/Berlin"
        );
    }

    #[test]
    fn endpoints_are_named_without_what_may_be_secret() {
        let named = |url| {
            endpoint(&Endpoint {
                url,
                secret_env: Some("HOOK_KEY".to_owned()),
            })
        };
        assert_eq!(
            named(EndpointUrl::Plain(
                "https://hooks.example.com:8443/T0/B0/key".to_owned()
            )),
            "https://hooks.example.com:8443/…"
        );
        assert_eq!(
            named(EndpointUrl::Env("SLACK_URL".to_owned())),
            "$SLACK_URL"
        );
    }
}
