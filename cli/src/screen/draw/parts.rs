//! What several panels are made of: titles, bars, a box on top.

use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Clear, Padding, Paragraph};

use crate::screen::theme::Theme;

/// Draws `title` on a rule across the first row of `area`; returns what is left below it.
pub(super) fn titled(frame: &mut Frame<'_>, area: Rect, title: &str, theme: Theme) -> Rect {
    let [top, rest] =
        ratatui::layout::Layout::vertical([Constraint::Length(1), Constraint::Min(0)]).areas(area);
    let rule = "─".repeat(usize::from(top.width));
    frame.render_widget(Span::styled(rule, theme.faint()), top);
    let title = Span::styled(format!(" {title} "), theme.strong());
    frame.render_widget(title, inset(top, 1));
    rest
}

/// Writes a column's heading onto the title's rule of `area`, its last letter in column `right`.
pub(super) fn heading_ending(
    frame: &mut Frame<'_>,
    area: Rect,
    right: u16,
    text: &str,
    theme: Theme,
) {
    let letters = u16::try_from(text.chars().count()).unwrap_or(u16::MAX);
    heading_from(frame, area, right.saturating_sub(letters), text, theme);
}

/// Writes a column's heading onto the title's rule of `area`, a space in column `left` and the
/// first letter after it.
pub(super) fn heading_from(frame: &mut Frame<'_>, area: Rect, left: u16, text: &str, theme: Theme) {
    // A line takes one row, however tall its place is.
    frame.render_widget(
        Span::styled(format!(" {text} "), theme.faint()),
        inset(area, left),
    );
}

/// `area` without its first `columns`.
pub(super) fn inset(area: Rect, columns: u16) -> Rect {
    let columns = columns.min(area.width);
    Rect {
        x: area.x + columns,
        width: area.width - columns,
        ..area
    }
}

/// A bar of `width` columns, `share` (0 to 1) of it filled in `style`.
///
/// Something is never drawn as nothing, and not yet all never as all.
pub(super) fn bar(share: f64, width: usize, style: Style, theme: Theme) -> [Span<'static>; 2] {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a share of a terminal's width"
    )]
    let filled = match share {
        share if share >= 1.0 => width,
        share if share > 0.0 => {
            ((share * width as f64).round() as usize).clamp(1.min(width), width.saturating_sub(1))
        }
        _ => 0,
    };
    [
        Span::styled("━".repeat(filled), style),
        Span::styled("─".repeat(width - filled), theme.faint()),
    ]
}

/// Draws `lines` in a box in the middle of the screen, on top of everything.
pub(super) fn boxed(frame: &mut Frame<'_>, title: &str, lines: Vec<Line<'_>>, style: Style) {
    let widest = lines.iter().map(Line::width).max().unwrap_or(0);
    let width = u16::try_from(widest.max(title.chars().count()) + 6).unwrap_or(u16::MAX);
    let height = u16::try_from(lines.len() + 2).unwrap_or(u16::MAX);
    let area = frame.area().centered(
        Constraint::Length(width.min(frame.area().width)),
        Constraint::Length(height.min(frame.area().height)),
    );
    let block = Block::bordered()
        .border_type(BorderType::Rounded)
        .border_style(style)
        .title(Span::styled(format!(" {title} "), style))
        .padding(Padding::horizontal(2));
    frame.render_widget(Clear, area);
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_empty_only_at_nothing_and_full_only_at_all() {
        for (share, filled) in [
            (f64::NAN, 0),
            (-3.0, 0),
            (0.0, 0),
            (0.001, 1),
            (0.5, 5),
            (0.999, 9),
            (1.0, 10),
            (f64::INFINITY, 10),
        ] {
            let [full, track] = bar(share, 10, Style::new(), Theme::new(true));
            assert_eq!(full.width(), filled, "{share}");
            assert_eq!(full.width() + track.width(), 10, "{share}");
        }
        assert_eq!(bar(0.5, 0, Style::new(), Theme::new(true))[0].width(), 0);
    }
}
