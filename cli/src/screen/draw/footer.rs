//! The last row: the keys that do something now, or what a key just did.

use cutover_engine::view::RunView;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::screen::state::{Mode, UiState};
use crate::screen::theme::Theme;

/// Draws the row.
pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, view: &RunView, ui: &UiState, theme: Theme) {
    if let Some(notice) = ui.notice() {
        let text = format!(" {notice}");
        frame.render_widget(Span::styled(text, theme.strong()), area);
        return;
    }
    let pause = if view.paused { "continue" } else { "pause" };
    let keys: &[(&str, &str)] = match ui.mode() {
        Mode::Watching => &[
            ("p", pause),
            ("h", "hold"),
            ("a", "advance"),
            ("r", "roll back"),
            ("d", "detach"),
            ("↑↓", "log"),
            ("?", "help"),
            ("Ctrl-C", "end"),
        ],
        Mode::Help => &[("Esc", "close")],
        Mode::ConfirmRollback => &[("y", "roll back"), ("n", "go on")],
    };
    let mut spans = Vec::new();
    for (key, does) in keys {
        spans.push(Span::styled(format!(" {key}"), theme.current()));
        spans.push(Span::raw(format!(" {does} ")));
    }
    frame.render_widget(Line::from(spans), area);
}
