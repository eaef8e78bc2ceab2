//! The event log, newest at the bottom; a sentence that is too long goes on in the next row.

use std::collections::VecDeque;

use cutover_engine::view::{LogLine, RunView};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::parts::{heading_ending, titled};
use crate::screen::format::{clock, fit, wrap};
use crate::screen::state::LogExtent;
use crate::screen::theme::Theme;

/// Columns of the time, with the space around it.
const TIME: usize = 10;
/// No sentence takes more: the run's folder has it in full.
const MOST_ROWS: usize = 3;

/// Draws the log with `scroll` newer lines out of sight.
pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, view: &RunView, scroll: usize, theme: Theme) {
    let body = titled(frame, area, "log", theme);
    // The window may have grown since the log was scrolled.
    let scroll = scroll.min(extent(area, view).max_scroll);
    if scroll > 0 {
        let text = format!("{scroll} newer · End follows");
        heading_ending(frame, area, area.width.saturating_sub(3), &text, theme);
    }
    let end = view.log.len() - scroll;
    let height = usize::from(body.height);
    let mut rows = VecDeque::new();
    for line in view.log[..end].iter().rev() {
        for row in rows_of(line, area.width, theme).into_iter().rev() {
            rows.push_front(row);
        }
        if rows.len() >= height {
            break;
        }
    }
    let surplus = rows.len().saturating_sub(height);
    for (row, place) in rows.into_iter().skip(surplus).zip(body.rows()) {
        frame.render_widget(row, place);
    }
}

/// How far the log can be scrolled: until the oldest line is in the first row.
pub(super) fn extent(area: Rect, view: &RunView) -> LogExtent {
    let page = usize::from(area.height.saturating_sub(1));
    let mut rows = 0;
    let fitting = view
        .log
        .iter()
        .take_while(|line| {
            rows += wrapped(line, area.width).len();
            rows <= page
        })
        .count();
    LogExtent {
        // One line stays in sight even when it is taller than the window.
        max_scroll: view.log.len() - fitting.max(1).min(view.log.len()),
        page,
    }
}

/// The sentence in at most [`MOST_ROWS`] rows.
fn wrapped(line: &LogLine, width: u16) -> Vec<String> {
    let width = usize::from(width).saturating_sub(TIME + 1);
    let mut rows = wrap(&line.text, width);
    if rows.len() > MOST_ROWS {
        rows.truncate(MOST_ROWS);
        if let Some(last) = rows.last_mut() {
            *last = fit(&format!("{last} …"), width);
        }
    }
    rows
}

fn rows_of(line: &LogLine, width: u16, theme: Theme) -> Vec<Line<'static>> {
    let style = theme.level(line.level);
    let mut time = format!("{:>width$}  ", clock(line.at), width = TIME - 2);
    wrapped(line, width)
        .into_iter()
        .map(|text| {
            let time = std::mem::replace(&mut time, " ".repeat(TIME));
            Line::from(vec![
                Span::styled(time, theme.faint()),
                Span::styled(text, style),
            ])
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::super::sample;
    use super::*;

    #[test]
    fn scrolling_ends_where_the_oldest_line_is_in_sight() {
        let view = sample::shifting();
        assert_eq!(view.log.len(), 11);
        let extent_of = |height| extent(Rect::new(0, 0, 80, height), &view);
        assert_eq!(
            extent_of(6),
            LogExtent {
                max_scroll: 6,
                page: 5
            }
        );
        assert_eq!(
            extent_of(12),
            LogExtent {
                max_scroll: 0,
                page: 11
            }
        );
        assert_eq!(
            extent_of(40),
            LogExtent {
                max_scroll: 0,
                page: 39
            }
        );
    }

    #[test]
    fn an_empty_log_cannot_be_scrolled() {
        let extent = extent(Rect::new(0, 0, 80, 6), &sample::begun());
        assert_eq!(extent.max_scroll, 0);
    }
}
