//! The step timeline and the three weights: what the run asked for, what was read back, and what
//! requests show.

use cutover_engine::view::{RunView, StepState, StepView};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::parts::{bar, heading_ending, heading_from, inset, titled};
use crate::screen::format::{ABSENT, clock, count, fit, share};
use crate::screen::theme::Theme;

/// Title, timeline, what was observed in each step, weights.
pub(super) const COMPACT_HEIGHT: u16 = 4;

/// Title, one row a step, weights.
pub(super) fn table_height(view: &RunView) -> u16 {
    u16::try_from(view.steps.len())
        .unwrap_or(u16::MAX)
        .saturating_add(2)
}

/// Draws a table of the steps when it fits, and the timeline in two rows otherwise.
pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, view: &RunView, theme: Theme) {
    let body = titled(frame, area, "steps", theme);
    let Some(weights) = body.rows().next_back() else {
        return;
    };
    let rows = Rect {
        height: body.height - 1,
        ..body
    };
    if area.height >= table_height(view) {
        table(frame, area, rows, view, theme);
    } else {
        timeline(frame, rows, view, theme);
    }
    frame.render_widget(weight_row(view, usize::from(weights.width), theme), weights);
}

/// Columns of the labels at the left.
const LABEL: usize = 10;

fn weight_row(view: &RunView, width: usize, theme: Theme) -> Line<'static> {
    let weight = view.weight;
    let label = |text: &str| Span::styled(text.to_owned(), theme.faint());
    let applied_style = if weight.applied == Some(weight.set) {
        theme.strong()
    } else {
        theme.warn()
    };
    let mut spans = vec![
        Span::styled(format!(" {:1$}", "weight", LABEL - 1), theme.faint()),
        label("set "),
        Span::styled(format!("{:8}", weight.set.to_string()), theme.strong()),
        label("applied "),
        Span::styled(
            format!(
                "{:8}",
                weight
                    .applied
                    .map_or_else(absent, |weight| weight.to_string())
            ),
            applied_style,
        ),
        label("observed "),
        Span::styled(
            format!("{:8}", weight.observed.map_or_else(absent, share)),
            theme.strong(),
        ),
    ];
    // The bar says by area how much of the traffic the target has.
    let used: usize = spans.iter().map(Span::width).sum();
    let room = width.saturating_sub(used + 1);
    let now = weight
        .observed
        .unwrap_or_else(|| weight.applied.unwrap_or(weight.set).fraction());
    spans.extend(bar(now, room, theme.current(), theme));
    Line::from(spans)
}

fn timeline(frame: &mut Frame<'_>, area: Rect, view: &RunView, theme: Theme) {
    let cell = view
        .steps
        .iter()
        .map(|step| step.weight.to_string().chars().count() + 4)
        .max()
        .unwrap_or(0)
        .max(9);
    let room = usize::from(area.width).saturating_sub(LABEL + 2);
    let shown = window(
        view.steps.len(),
        view.current_step.unwrap_or(0),
        room / cell,
    );
    let mut weights = vec![Span::raw(" ".repeat(LABEL))];
    let mut observed = vec![Span::styled(
        format!(" {:1$}", "observed", LABEL - 1),
        theme.faint(),
    )];
    let more = |there: bool, mark: &'static str| {
        Span::styled(if there { mark } else { " " }, theme.faint())
    };
    weights.push(more(shown.start > 0, "‹"));
    observed.push(Span::raw(" "));
    for step in &view.steps[shown.clone()] {
        let (mark, style) = mark(step, theme);
        weights.push(Span::styled(
            format!("{:cell$}", format!("{mark} {}", step.weight)),
            style,
        ));
        let below = match step.observed {
            Some(observed) => Span::raw(format!("  {:1$}", share(observed), cell - 2)),
            None if step.gate.is_some() => {
                Span::styled(format!("  {:1$}", "gate", cell - 2), theme.faint())
            }
            None => Span::raw(" ".repeat(cell)),
        };
        observed.push(below);
    }
    weights.push(more(shown.end < view.steps.len(), "›"));
    for (line, row) in [weights, observed].into_iter().zip(area.rows()) {
        frame.render_widget(Line::from(line), row);
    }
}

/// Which of `total` steps to show when `room` fit: `current` in the middle where that is possible.
fn window(total: usize, current: usize, room: usize) -> std::ops::Range<usize> {
    let shown = room.min(total);
    let start = current.saturating_sub(shown / 2).min(total - shown);
    start..start + shown
}

/// Last columns of the table's right-aligned cells.
const HOLD: u16 = 21;
const APPLIED: u16 = 31;
const OBSERVED: u16 = 42;
const REQUESTS: u16 = 53;
/// First column of the text at the end.
const STATE: u16 = 56;

fn table(frame: &mut Frame<'_>, area: Rect, rows: Rect, view: &RunView, theme: Theme) {
    for (column, text) in [
        (HOLD, "hold"),
        (APPLIED, "applied"),
        (OBSERVED, "observed"),
        (REQUESTS, "requests"),
    ] {
        heading_ending(frame, area, column, text, theme);
    }
    heading_from(frame, area, STATE - 1, "state", theme);
    for (step, row) in view.steps.iter().zip(rows.rows()) {
        let (mark, style) = mark(step, theme);
        frame.render_widget(
            Span::styled(format!("{mark} {:>8}", step.weight.to_string()), style),
            inset(row, 2),
        );
        let cells = [
            (HOLD, clock(step.hold)),
            (
                APPLIED,
                step.applied
                    .map_or_else(absent, |weight| weight.to_string()),
            ),
            (OBSERVED, step.observed.map_or_else(absent, share)),
            (
                REQUESTS,
                if step.requests == 0 {
                    absent()
                } else {
                    count(step.requests)
                },
            ),
        ];
        for (column, text) in cells {
            let style = if text == ABSENT {
                theme.faint()
            } else {
                theme.plain()
            };
            let width = u16::try_from(text.chars().count()).unwrap_or(0);
            let place = inset(row, (column + 1).saturating_sub(width));
            frame.render_widget(Span::styled(text, style), place);
        }
        let gate = step
            .gate
            .as_deref()
            .map(|gate| format!(" · gate: {gate}"))
            .unwrap_or_default();
        let text = format!("{}{gate}", word(step.state));
        let place = inset(row, STATE);
        let text = fit(&text, usize::from(place.width));
        frame.render_widget(Span::styled(text, style), place);
    }
}

fn mark(step: &StepView, theme: Theme) -> (&'static str, Style) {
    match step.state {
        StepState::Pending => ("○", theme.faint()),
        StepState::AtGate => ("◆", theme.warn()),
        StepState::Setting | StepState::Holding => ("●", theme.current()),
        StepState::Passed => ("✓", theme.good()),
        StepState::Broken => ("✗", theme.bad()),
    }
}

fn word(state: StepState) -> &'static str {
    match state {
        StepState::Pending => "pending",
        StepState::AtGate => "at its gate",
        StepState::Setting => "setting",
        StepState::Holding => "holding",
        StepState::Passed => "passed",
        StepState::Broken => "broken",
    }
}

fn absent() -> String {
    ABSENT.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_current_step_is_always_in_sight() {
        assert_eq!(window(7, 3, 7), 0..7);
        assert_eq!(window(7, 3, 20), 0..7);
        assert_eq!(window(0, 0, 7), 0..0);
        assert_eq!(window(40, 0, 7), 0..7);
        assert_eq!(window(40, 39, 7), 33..40);
        for current in 0..40 {
            assert!(window(40, current, 7).contains(&current), "{current}");
        }
    }
}
