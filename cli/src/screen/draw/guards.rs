//! The objectives: how near the evidence is to a breach.

use cutover_engine::view::{GuardState, GuardView, RunView};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::parts::{bar, heading_ending, heading_from, titled};
use crate::screen::format::{count, fit};
use crate::screen::theme::Theme;

/// Columns of the name at 80 columns; wider screens give it more, up to [`WIDEST_NAME`].
const NAME: usize = 28;
const WIDEST_NAME: usize = 44;
/// Columns of the state's word.
const STATE: usize = 7;
/// Columns of `100 %`.
const PERCENT: usize = 6;
/// Columns of `9999 of 9999`.
const COUNTS: usize = 16;
/// Columns of `error-rate ratio 1.1, between 0.71 and 1.9`, shown where there is room for it beside
/// a bar of at least [`SHORTEST_BAR`].
const INTERVAL: usize = 45;
const SHORTEST_BAR: usize = 8;
/// Columns of the name beside an interval.
const NAME_BESIDE_INTERVAL: usize = 33;

/// Draws the guards; when there is no room for all, those with the most evidence.
pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, view: &RunView, theme: Theme) {
    let room = usize::from(area.height.saturating_sub(1));
    let title = if view.guards.len() > room {
        format!(
            "objectives: the {room} nearest to a breach of {}",
            view.guards.len()
        )
    } else {
        "objectives".to_owned()
    };
    let body = titled(frame, area, &title, theme);
    let width = usize::from(area.width);
    let rest = 1 + 1 + STATE + 1 + PERCENT + COUNTS + 1;
    let intervals = width >= NAME_BESIDE_INTERVAL + rest + SHORTEST_BAR + INTERVAL;
    let (name, interval) = if intervals {
        (NAME_BESIDE_INTERVAL, INTERVAL)
    } else {
        let name = NAME + width.saturating_sub(80) / 2;
        (name.min(WIDEST_NAME), 0)
    };
    let bar_width = width.saturating_sub(name + rest + interval);
    if title == "objectives" {
        let left = u16::try_from(name + 1 + STATE).unwrap_or(0);
        heading_from(frame, area, left, "evidence", theme);
        heading_ending(
            frame,
            area,
            area.width.saturating_sub(2),
            "bad of requests",
            theme,
        );
    }
    if view.guards.is_empty() {
        let text = " armed from the first weight above 0 %";
        frame.render_widget(Span::styled(text, theme.faint()), body);
    }
    for (guard, row) in most_telling(&view.guards, room)
        .into_iter()
        .zip(body.rows())
    {
        let style = theme.guard(guard.state);
        let share = guard.evidence();
        let mut spans = vec![
            Span::raw(format!(" {:name$} ", fit(&guard.name, name))),
            Span::styled(format!("{:STATE$} ", word(guard.state)), style),
        ];
        spans.extend(bar(share, bar_width, style, theme));
        spans.push(Span::styled(
            format!("{:>PERCENT$}", format!("{:.0} %", share * 100.0)),
            style,
        ));
        if intervals {
            let told = match (&guard.interval, guard.proven) {
                (Some(told), true) => format!("{} (proven)", told.text),
                (Some(told), false) => told.text.clone(),
                (None, _) => String::new(),
            };
            let told = fit(&told, INTERVAL - 2);
            spans.push(Span::styled(
                format!("  {told:<0$}", INTERVAL - 2),
                theme.faint(),
            ));
        }
        let counts = counts(guard);
        spans.push(Span::raw(format!("{counts:>COUNTS$}")));
        frame.render_widget(Line::from(spans), row);
    }
}

/// `3 of 2204`; `- of 2204` where no request is bad by itself.
fn counts(guard: &GuardView) -> String {
    let bad = match guard.objective {
        Some(_) => count(guard.bad),
        None => "-".to_owned(),
    };
    format!("{bad} of {}", count(guard.requests))
}

/// At most `room` guards in the order of the plan: breaches, and those with the most evidence.
fn most_telling(guards: &[GuardView], room: usize) -> Vec<&GuardView> {
    let weight = |index: &usize| {
        let guard = &guards[*index];
        (guard.state == GuardState::Breach, guard.log_e_share())
    };
    let mut order: Vec<usize> = (0..guards.len()).collect();
    order.sort_by(|a, b| {
        let ((a_breach, a), (b_breach, b)) = (weight(a), weight(b));
        b_breach.cmp(&a_breach).then(b.total_cmp(&a))
    });
    order.truncate(room);
    order.sort_unstable();
    order.into_iter().map(|index| &guards[index]).collect()
}

fn word(state: GuardState) -> &'static str {
    match state {
        GuardState::Quiet => "quiet",
        GuardState::Near => "near",
        GuardState::Breach => "BREACH",
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::sample;
    use super::*;

    #[test]
    fn evidence_is_a_share_of_the_threshold() {
        let mut guard = sample::shifting().guards.remove(0);
        guard.threshold = 4.0;
        for (log_e, share) in [
            (-7.0, 0.0),
            (0.0, 0.0),
            (1.0, 0.25),
            (4.0, 1.0),
            (f64::INFINITY, 1.0),
            (f64::NEG_INFINITY, 0.0),
            (f64::NAN, 0.0),
        ] {
            guard.log_e = log_e;
            assert_eq!(guard.evidence(), share, "{log_e}");
        }
        guard.state = GuardState::Breach;
        guard.log_e = 1.0;
        assert_eq!(guard.evidence(), 1.0);
    }

    #[test]
    fn the_share_of_requests_has_no_bad_ones() {
        let mut guard = sample::shifting().guards.remove(3);
        assert_eq!(counts(&guard), "9 of 2204");
        guard.objective = None;
        assert_eq!(counts(&guard), "- of 2204");
    }

    #[test]
    fn guards_left_out_are_those_with_the_least_evidence() {
        let view = sample::shifting();
        let names: Vec<&str> = most_telling(&view.guards, 2)
            .into_iter()
            .map(|guard| guard.name.as_str())
            .collect();
        assert_eq!(names, ["errors at most 3x source", "p99 at most 3x source"]);
    }

    #[test]
    fn a_breach_is_never_left_out() {
        let mut guards = sample::shifting().guards;
        guards[0].state = GuardState::Breach;
        assert!(guards[0].log_e < 0.0);
        assert_eq!(most_telling(&guards, 1)[0].name, guards[0].name);
    }
}
