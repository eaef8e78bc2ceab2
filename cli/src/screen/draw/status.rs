//! One row: what the run does right now, and how far it is with it.

use cutover_engine::phase::Phase;
use cutover_engine::view::{RunView, StepState};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::parts::bar;
use crate::screen::format::{clock, fit};
use crate::screen::theme::Theme;

/// Columns of the sentence; fixed, so that the bar beside it stays where it is.
const SENTENCE: usize = 30;

/// Draws the row.
pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, view: &RunView, theme: Theme) {
    let doing = doing(view);
    let Some(progress) = view.progress else {
        let text = format!(
            " {}",
            fit(&doing, usize::from(area.width).saturating_sub(2))
        );
        frame.render_widget(Span::styled(text, theme.strong()), area);
        return;
    };
    let time = format!("  {} of {}", clock(progress.spent), clock(progress.total));
    let width = usize::from(area.width).saturating_sub(1 + SENTENCE + 1 + time.len() + 1);
    let share = if progress.total.is_zero() {
        1.0
    } else {
        progress.spent.div_duration_f64(progress.total)
    };
    let style = if view.paused {
        theme.warn()
    } else {
        theme.current()
    };
    let mut spans = vec![Span::styled(
        format!(" {:SENTENCE$} ", fit(&doing, SENTENCE)),
        theme.strong(),
    )];
    spans.extend(bar(share, width, style, theme));
    spans.push(Span::raw(time));
    frame.render_widget(Line::from(spans), area);
}

/// What the run does, as people would say it.
pub(super) fn doing(view: &RunView) -> String {
    match view.phase {
        Phase::Inspect => "looking at what is there".to_owned(),
        Phase::Preflight => "checking what would fail later".to_owned(),
        Phase::Deploy => "bringing up the target".to_owned(),
        Phase::Qualify => "same load on both stacks".to_owned(),
        Phase::Shift => step(view),
        Phase::Bake => "watching the target at 100 %".to_owned(),
        Phase::Rollback => "all traffic goes back to the source".to_owned(),
        Phase::Ended => "the run has ended".to_owned(),
    }
}

fn step(view: &RunView) -> String {
    let current = view
        .current_step
        .and_then(|index| Some((index + 1, view.steps.get(index)?)));
    let Some((number, step)) = current else {
        return "between two steps".to_owned();
    };
    let (weight, total) = (step.weight, view.steps.len());
    match step.state {
        StepState::AtGate => format!("step {number} of {total}: {weight} is at its gate"),
        StepState::Setting => format!("step {number} of {total}: setting {weight}"),
        StepState::Holding => format!("step {number} of {total}: holding {weight}"),
        StepState::Pending => format!("step {number} of {total}: {weight} is next"),
        StepState::Passed => format!("step {number} of {total}: {weight} is over"),
        StepState::Broken => format!("step {number} of {total}: {weight} is broken"),
    }
}
