//! What is shown on a terminal that is too small: that it is, and what matters most.

use cutover_engine::view::RunView;
use ratatui::Frame;
use ratatui::text::Span;

use super::layout::{MIN_HEIGHT, MIN_WIDTH};
use super::{message, status};
use crate::screen::format::{ABSENT, fit, share};
use crate::screen::state::{Mode, UiState};
use crate::screen::theme::Theme;

/// Draws as many of the lines as fit, the most important first.
pub(super) fn draw(frame: &mut Frame<'_>, view: &RunView, ui: &UiState, theme: Theme) {
    let area = frame.area();
    let mut lines = Vec::new();
    if ui.mode() == Mode::ConfirmRollback {
        lines.push((
            "roll back to the source? y/n".to_owned(),
            theme.banner(theme.bad()),
        ));
    }
    lines.push((
        format!(
            "too small: {}×{}, needs {MIN_WIDTH}×{MIN_HEIGHT}",
            area.width, area.height
        ),
        theme.strong(),
    ));
    lines.extend(message::styled(view, ui, theme));
    lines.push((
        format!("{}: {}", view.phase, status::doing(view)),
        theme.plain(),
    ));
    lines.push((
        format!(
            "set {} applied {} observed {}",
            view.weight.set,
            view.weight
                .applied
                .map_or_else(|| ABSENT.to_owned(), |weight| weight.to_string()),
            view.weight
                .observed
                .map_or_else(|| ABSENT.to_owned(), share),
        ),
        theme.plain(),
    ));
    if let Some(notice) = ui.notice() {
        lines.push((notice.to_owned(), theme.strong()));
    }
    lines.push((
        "p pause a advance r roll back d detach".to_owned(),
        theme.faint(),
    ));
    for ((text, style), row) in lines.into_iter().zip(area.rows()) {
        let text = fit(&text, usize::from(row.width));
        frame.render_widget(Span::styled(text, style), row);
    }
}
