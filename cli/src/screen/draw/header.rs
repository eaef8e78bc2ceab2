//! The first two rows: which run this is, and which phase it is in.

use std::cmp::Ordering;

use cutover_engine::phase::{Outcome, Phase};
use cutover_engine::view::RunView;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};

use crate::screen::format::{clock, fit};
use crate::screen::theme::Theme;

/// Draws name and pipeline.
pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, view: &RunView, theme: Theme) {
    let [name, phases] = Layout::vertical([Constraint::Length(1); 2]).areas(area);
    let elapsed = format!("elapsed {} ", clock(view.elapsed));
    let [left, right] = Layout::horizontal([
        Constraint::Min(0),
        Constraint::Length(u16::try_from(elapsed.len()).unwrap_or(0)),
    ])
    .areas(name);
    frame.render_widget(title(view, usize::from(left.width), theme), left);
    frame.render_widget(Span::styled(elapsed, theme.plain()), right);
    frame.render_widget(pipeline(view, theme), phases);
}

fn title(view: &RunView, width: usize, theme: Theme) -> Line<'static> {
    let [tool, plan] = [" cutover ".to_owned(), view.plan.clone()];
    // Plan and run id may be long: the plan is kept whole, the id is cut.
    let room = width.saturating_sub(tool.len() + plan.len() + 4);
    let run = if room < 4 {
        String::new()
    } else {
        fit(&format!(" · {}", view.run), room)
    };
    Line::from(vec![
        Span::styled(tool, theme.current()),
        Span::styled(
            format!(" {}", fit(&plan, width.saturating_sub(12))),
            theme.strong(),
        ),
        Span::styled(run, theme.faint()),
    ])
}

/// `✓ inspect › ✓ preflight › ● deploy › ○ qualify › ○ shift › ○ bake`.
///
/// A run that goes back says so at the end of the line; which phases it had passed is no longer
/// of interest, so they only stand there.
fn pipeline(view: &RunView, theme: Theme) -> Line<'static> {
    let mut spans = vec![Span::raw(" ")];
    for (index, phase) in Phase::FORWARD.into_iter().enumerate() {
        if index > 0 {
            spans.push(Span::styled(" › ", theme.faint()));
        }
        let (mark, style) = match (view.phase, view.outcome) {
            (Phase::Ended, Some(Outcome::Done)) => ("✓ ", theme.good()),
            (Phase::Rollback | Phase::Ended, _) => ("", theme.faint()),
            (now, _) => match phase.cmp(&now) {
                Ordering::Less => ("✓ ", theme.good()),
                Ordering::Equal => ("● ", theme.current()),
                Ordering::Greater => ("○ ", theme.faint()),
            },
        };
        spans.push(Span::styled(format!("{mark}{phase}"), style));
    }
    if view.phase == Phase::Rollback {
        spans.push(Span::raw("  "));
        spans.push(Span::styled(" ◂ rollback ", theme.banner(theme.bad())));
    }
    Line::from(spans)
}
