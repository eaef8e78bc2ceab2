//! A run and the screen's own state become a frame. Pure: the same values give the same frame.
//!
//! One file a panel. A panel is a function of the run onto a rectangle; [`layout`] decides who
//! gets which, and [`parts`] has what several panels are made of.

mod confirm;
mod footer;
mod guards;
mod header;
mod help;
mod layout;
mod log;
mod message;
mod parts;
mod status;
mod steps;
mod tiny;
mod traffic;

#[cfg(test)]
mod snapshot_tests;

use cutover_engine::view::RunView;
use ratatui::Frame;
use ratatui::layout::Rect;

use super::ScreenOptions;
use super::ascii;
use super::state::{LogExtent, Mode, UiState};
use super::theme::Theme;

/// Draws the whole screen.
pub(crate) fn draw(frame: &mut Frame<'_>, view: &RunView, ui: &UiState, options: ScreenOptions) {
    let theme = Theme::new(options.colour);
    match layout::rooms(frame.area(), view) {
        None => tiny::draw(frame, view, ui, theme),
        Some(rooms) => {
            header::draw(frame, rooms.header, view, theme);
            status::draw(frame, rooms.status, view, theme);
            message::draw(frame, rooms.message, view, ui, theme);
            steps::draw(frame, rooms.steps, view, theme);
            traffic::draw(frame, rooms.traffic, view, theme);
            guards::draw(frame, rooms.guards, view, theme);
            log::draw(frame, rooms.log, view, ui.scroll(), theme);
            footer::draw(frame, rooms.footer, view, ui, theme);
            match ui.mode() {
                Mode::Watching => {}
                Mode::Help => help::draw(frame, view, theme),
                Mode::ConfirmRollback => confirm::draw(frame, view, theme),
            }
        }
    }
    if !options.unicode {
        ascii::translate(frame.buffer_mut());
    }
}

/// How far the log can be scrolled on a terminal of this size.
pub(crate) fn log_extent(area: Rect, view: &RunView) -> LogExtent {
    layout::rooms(area, view).map_or(
        LogExtent {
            max_scroll: 0,
            page: 1,
        },
        |rooms| log::extent(rooms.log, view),
    )
}
