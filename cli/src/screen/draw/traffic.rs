//! Requests at the edge and at both stacks, as numbers and as the last minute or two.

use cutover_engine::view::{HistoryPoint, RunView, TrafficView};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Span;
use ratatui::widgets::{RenderDirection, Sparkline, SparklineBar};

use super::parts::{heading_ending, heading_from, inset, titled};
use crate::screen::format::{ABSENT, latency, rate, share};
use crate::screen::theme::Theme;

/// Last columns of the numbers.
const RATE: u16 = 16;
const P50: u16 = 24;
const P95: u16 = 32;
const P99: u16 = 40;
const ERRORS: u16 = 49;
/// First column of the sparklines.
const SPARKLINES: u16 = 52;
/// Columns between two sparklines.
const GAP: u16 = 1;
/// From this width on, failures get a sparkline of their own.
const ROOM_FOR_FAILURES: u16 = 100;

/// From this share of failures on, numbers and bars stand out: a service with many requests has
/// single failures all the time.
const NOTABLE_FAILURES: f64 = 0.01;

/// Title and three rows of sparklines, each this tall.
pub(super) fn height(bar_height: u16) -> u16 {
    1 + 3 * bar_height
}

/// Draws the table.
///
/// All sparklines of a kind share their scale, so that their heights can be compared: traffic is
/// seen to move from one stack to the other, and a slow target to stand above its source.
pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, view: &RunView, theme: Theme) {
    let body = titled(frame, area, "traffic", theme);
    for (column, text) in [
        (RATE, "rate"),
        (P50, "p50"),
        (P95, "p95"),
        (P99, "p99"),
        (ERRORS, "errors"),
    ] {
        heading_ending(frame, area, column, text, theme);
    }
    let places = [
        ("edge", &view.edge),
        ("source", &view.source),
        ("target", &view.target),
    ];
    graphs(frame, area, body, places.map(|(_, traffic)| traffic), theme);
    for (index, (name, traffic)) in (0..).zip(places) {
        numbers(frame, stripe(body, index), name, traffic, theme);
    }
}

fn graphs(frame: &mut Frame<'_>, area: Rect, body: Rect, places: [&TrafficView; 3], theme: Theme) {
    let kinds = if area.width >= ROOM_FOR_FAILURES {
        &KINDS[..]
    } else {
        &KINDS[..2]
    };
    let count = u16::try_from(kinds.len()).unwrap_or(1);
    let room = area
        .width
        .saturating_sub(SPARKLINES + 1 + GAP * (count - 1));
    let width = room / count;
    for (index, kind) in (0..).zip(kinds) {
        let left = SPARKLINES + index * (width + GAP);
        heading_from(frame, area, left - 1, kind.name, theme);
        let most = places
            .iter()
            .flat_map(|traffic| latest(traffic, width))
            .map(kind.value)
            .max()
            .unwrap_or(0);
        for (index, traffic) in (0..).zip(places) {
            let place = inset(stripe(body, index), left);
            let place = Rect { width, ..place };
            frame.render_widget(sparkline(traffic, *kind, most, place, theme), place);
        }
    }
}

/// The rows of the `index`-th of three places.
fn stripe(body: Rect, index: u16) -> Rect {
    let height = body.height / 3;
    Rect {
        y: body.y + index * height,
        height,
        ..body
    }
}

fn numbers(frame: &mut Frame<'_>, stripe: Rect, name: &str, traffic: &TrafficView, theme: Theme) {
    // Beside tall sparklines, the numbers stand on their base line.
    let Some(row) = stripe.rows().next_back() else {
        return;
    };
    frame.render_widget(Span::styled(name.to_owned(), theme.strong()), inset(row, 1));
    let quantile = |pick: fn(&cutover_engine::view::LatencyView) -> std::time::Duration| {
        traffic.latency.as_ref().map(|value| latency(pick(value)))
    };
    let failing = traffic
        .error_rate
        .is_some_and(|rate| rate >= NOTABLE_FAILURES);
    let cells = [
        (RATE, Some(rate(traffic.rate)), theme.plain()),
        (P50, quantile(|latency| latency.p50), theme.plain()),
        (P95, quantile(|latency| latency.p95), theme.plain()),
        (P99, quantile(|latency| latency.p99), theme.plain()),
        (
            ERRORS,
            traffic.error_rate.map(share),
            if failing { theme.bad() } else { theme.plain() },
        ),
    ];
    for (column, text, style) in cells {
        let (text, style) = match text {
            Some(text) => (text, style),
            None => (ABSENT.to_owned(), theme.faint()),
        };
        let width = u16::try_from(text.chars().count()).unwrap_or(0);
        let place = inset(row, (column + 1).saturating_sub(width));
        frame.render_widget(Span::styled(text, style), place);
    }
}

/// What a sparkline shows.
#[derive(Clone, Copy)]
struct Kind {
    name: &'static str,
    value: fn(&HistoryPoint) -> u64,
    /// Drawn as broken whatever the value.
    bad: bool,
}

const KINDS: [Kind; 3] = [
    Kind {
        name: "requests",
        value: |point| point.requests,
        bad: false,
    },
    Kind {
        name: "p99",
        value: |point| u64::try_from(point.p99.as_micros()).unwrap_or(u64::MAX),
        bad: false,
    },
    Kind {
        name: "failed",
        value: |point| point.failed,
        bad: true,
    },
];

/// The newest second is at the right; seconds with many failures stand out.
fn sparkline<'a>(
    traffic: &TrafficView,
    kind: Kind,
    most: u64,
    place: Rect,
    theme: Theme,
) -> Sparkline<'a> {
    // An eighth stays free, so that rows on top of each other do not merge.
    let top = most.saturating_add(most.div_ceil(7)).max(1);
    // The smallest bar there is, so that little is told from nothing.
    let least = top.div_ceil(8 * u64::from(place.height.max(1)));
    let bars = latest(traffic, place.width).map(|point| {
        let style: Style = if kind.bad || fails_notably(point) {
            theme.bad()
        } else {
            theme.current()
        };
        let value = match (kind.value)(point) {
            0 => 0,
            value => value.max(least),
        };
        SparklineBar::from(value).style(style)
    });
    Sparkline::default()
        .direction(RenderDirection::RightToLeft)
        .max(top)
        .data(bars)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "requests of one second are far below 2^52"
)]
fn fails_notably(point: &HistoryPoint) -> bool {
    point.failed > 0 && point.failed as f64 >= NOTABLE_FAILURES * point.requests as f64
}

/// The seconds that fit into `width` columns, newest first.
fn latest(traffic: &TrafficView, width: u16) -> impl Iterator<Item = &HistoryPoint> {
    traffic.history.iter().rev().take(usize::from(width))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_failure_among_many_requests_does_not_stand_out() {
        for (requests, failed, notable) in [
            (0, 0, false),
            (10_000, 0, false),
            (10_000, 99, false),
            (10_000, 100, true),
            (3, 1, true),
        ] {
            let point = HistoryPoint {
                requests,
                failed,
                ..HistoryPoint::default()
            };
            assert_eq!(fails_notably(&point), notable, "{failed} of {requests}");
        }
    }
}
