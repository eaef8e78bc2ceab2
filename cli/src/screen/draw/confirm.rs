//! The question before a rollback that a person asked for.

use cutover_engine::view::RunView;
use ratatui::Frame;
use ratatui::text::{Line, Span};

use super::parts::boxed;
use crate::screen::theme::Theme;

/// Draws the question.
pub(super) fn draw(frame: &mut Frame<'_>, view: &RunView, theme: Theme) {
    let weight = view.weight.applied.unwrap_or(view.weight.set);
    let lines = vec![
        Line::default(),
        Line::from(format!("The target has {weight} of the traffic now.")),
        Line::from("All of it goes back to the source, and the run ends."),
        Line::default(),
        Line::from(vec![
            Span::styled("y", theme.bad()),
            Span::raw(" roll back     "),
            Span::styled("n", theme.current()),
            Span::raw(" go on"),
        ]),
        Line::default(),
    ];
    boxed(frame, "roll back?", lines, theme.bad());
}
