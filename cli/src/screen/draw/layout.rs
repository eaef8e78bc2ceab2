//! Who gets which rows. At 80×24 everything of importance fits; more room goes first to what was
//! left out, then to the step table, then to taller sparklines, and the rest to the log.

use cutover_engine::view::RunView;
use ratatui::layout::{Constraint, Layout, Rect};

use super::{steps, traffic};

/// Fewer columns cannot hold the traffic table.
pub(super) const MIN_WIDTH: u16 = 80;
/// Fewer rows leave no log.
pub(super) const MIN_HEIGHT: u16 = 24;

/// Guards shown however little room there is: two objectives, each absolute and relative.
const FEWEST_GUARDS: u16 = 4;
/// Title and lines that the log keeps when others ask for more room.
const FEWEST_LOG: u16 = 6;
/// What the log should have before others get taller for beauty's sake.
const ENOUGH_LOG: u16 = 11;

/// The rectangles of the panels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rooms {
    pub(super) header: Rect,
    pub(super) status: Rect,
    pub(super) message: Rect,
    pub(super) steps: Rect,
    pub(super) traffic: Rect,
    pub(super) guards: Rect,
    pub(super) log: Rect,
    pub(super) footer: Rect,
}

/// The panels on a terminal of this size; `None` when it is too small.
pub(super) fn rooms(area: Rect, view: &RunView) -> Option<Rooms> {
    if area.width < MIN_WIDTH || area.height < MIN_HEIGHT {
        return None;
    }
    let (header, status, message, footer) = (2, 1, 1, 1);
    let guard_count = u16::try_from(view.guards.len()).unwrap_or(u16::MAX).max(1);
    let mut steps = steps::COMPACT_HEIGHT;
    let mut traffic = traffic::height(1);
    let mut guards = 1 + guard_count.min(FEWEST_GUARDS);
    let taken = header + status + message + footer + steps + traffic + guards;
    let mut log = area.height.saturating_sub(taken);

    let more_guards = (1 + guard_count.saturating_sub(guards - 1))
        .saturating_sub(1)
        .min(log.saturating_sub(FEWEST_LOG));
    guards += more_guards;
    log -= more_guards;

    let table = steps::table_height(view).saturating_sub(steps);
    if log >= table.saturating_add(ENOUGH_LOG) {
        steps += table;
        log -= table;
    }
    for bar_height in [2, 3] {
        let taller = traffic::height(bar_height) - traffic;
        if log >= taller + ENOUGH_LOG {
            traffic += taller;
            log -= taller;
        }
    }

    let rows = [header, status, message, steps, traffic, guards, log, footer];
    let [header, status, message, steps, traffic, guards, log, footer] =
        Layout::vertical(rows.map(Constraint::Length)).areas(area);
    Some(Rooms {
        header,
        status,
        message,
        steps,
        traffic,
        guards,
        log,
        footer,
    })
}

#[cfg(test)]
mod tests {
    use super::super::super::sample;
    use super::*;

    #[test]
    fn every_row_belongs_to_one_panel_at_every_size() {
        for view in [sample::begun(), sample::shifting(), sample::crowded()] {
            for height in MIN_HEIGHT..=120 {
                let rooms = rooms(Rect::new(0, 0, 80, height), &view).unwrap();
                let panels = [
                    rooms.header,
                    rooms.status,
                    rooms.message,
                    rooms.steps,
                    rooms.traffic,
                    rooms.guards,
                    rooms.log,
                    rooms.footer,
                ];
                let mut next = 0;
                for panel in panels {
                    assert_eq!(panel.y, next, "{panel:?} of {height} rows");
                    assert!(panel.height > 0, "{panel:?} of {height} rows");
                    next = panel.bottom();
                }
                assert_eq!(next, height);
                assert!(rooms.log.height >= FEWEST_LOG, "log of {height} rows");
            }
        }
    }

    #[test]
    fn a_terminal_below_the_least_size_has_no_rooms() {
        let view = sample::shifting();
        assert_eq!(rooms(Rect::new(0, 0, 79, 24), &view), None);
        assert_eq!(rooms(Rect::new(0, 0, 80, 23), &view), None);
    }
}
