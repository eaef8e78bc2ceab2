//! One row for the most important thing there is to say. Inverse when a person must not miss it.

use cutover_engine::phase::{Outcome, Phase};
use cutover_engine::view::{GuardState, GuardView, RunView, StepState};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Span;

use crate::screen::format::{count, fit};
use crate::screen::state::UiState;
use crate::screen::theme::Theme;

/// How loud a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tone {
    /// The run goes back, is broken or needs a person.
    Alarm,
    /// The run stands still until a person does something.
    Attention,
    /// The run ended well.
    Success,
    /// Good to know.
    Note,
}

/// A gate that a key opens, as [`StepView::gate`](cutover_engine::view::StepView::gate) has it.
const MANUAL: &str = "manual";

/// Draws the row; it stays empty while the run simply goes on.
pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, view: &RunView, ui: &UiState, theme: Theme) {
    if let Some((text, style)) = styled(view, ui, theme) {
        // Padded, so that a banner reaches across the screen.
        let width = usize::from(area.width);
        let text = format!(
            " {:1$}",
            fit(&text, width.saturating_sub(2)),
            width.saturating_sub(1)
        );
        frame.render_widget(Span::styled(text, style), area);
    }
}

/// The message and how it looks, for a row of its own.
pub(super) fn styled(view: &RunView, ui: &UiState, theme: Theme) -> Option<(String, Style)> {
    let (tone, text) = message(view, ui)?;
    let style = match tone {
        Tone::Alarm => theme.banner(theme.bad()),
        Tone::Attention => theme.banner(theme.warn()),
        Tone::Success => theme.banner(theme.good()),
        Tone::Note => theme.warn(),
    };
    Some((text, style))
}

/// The loudest thing there is to say.
fn message(view: &RunView, ui: &UiState) -> Option<(Tone, String)> {
    let breached = view
        .guards
        .iter()
        .find(|guard| guard.state == GuardState::Breach);
    if let Some(outcome) = view.outcome {
        return Some(ended(outcome, breached));
    }
    if ui.interrupted() {
        let text = "INTERRUPTED: rolling back; Ctrl-C again stops at once";
        return Some((Tone::Alarm, text.to_owned()));
    }
    let waiting = view
        .waiting_for
        .as_deref()
        .map(|what| format!("waiting for {what}"));
    if view.phase == Phase::Rollback || breached.is_some() {
        let what = if view.phase == Phase::Rollback {
            "ROLLING BACK"
        } else {
            "BREACH"
        };
        // What a person has to do outranks why; the panel of objectives has the evidence.
        let text = match (waiting, breached) {
            (Some(waiting), _) => format!("{what}: {waiting}"),
            (None, Some(guard)) => format!("{what}: {}", evidence(guard)),
            (None, None) => what.to_owned(),
        };
        return Some((Tone::Alarm, text));
    }
    if view.paused {
        let text = "PAUSED: p continues; guards stay armed";
        return Some((Tone::Attention, text.to_owned()));
    }
    if view.holding {
        let text = "HELD: stays at this weight; p goes on; guards stay armed";
        return Some((Tone::Attention, text.to_owned()));
    }
    if let Some(gate) = closed_gate(view) {
        let key = if gate == MANUAL { " · a opens it" } else { "" };
        let text = waiting.unwrap_or_else(|| format!("the gate is closed: {gate}"));
        return Some((Tone::Attention, format!("AT GATE: {text}{key}")));
    }
    waiting.map(|text| (Tone::Note, text))
}

fn ended(outcome: Outcome, breached: Option<&GuardView>) -> (Tone, String) {
    let reason = breached
        .map(|guard| format!(": {}", evidence(guard)))
        .unwrap_or_default();
    match outcome {
        Outcome::Done => (
            Tone::Success,
            "DONE: the target carries all traffic".to_owned(),
        ),
        Outcome::RolledBack => (Tone::Alarm, format!("ROLLED BACK{reason}")),
        Outcome::Held => (Tone::Attention, format!("HELD: a person decides{reason}")),
        Outcome::Stuck => (
            Tone::Alarm,
            "STUCK: the rollback could not finish; a person is needed".to_owned(),
        ),
        Outcome::Interrupted => (Tone::Alarm, "INTERRUPTED".to_owned()),
        Outcome::Failed => (Tone::Alarm, "FAILED: the weight never moved".to_owned()),
    }
}

/// `errors at most 1 %, 31 of 2204 requests bad`.
fn evidence(guard: &GuardView) -> String {
    format!(
        "{}, {} of {} requests bad",
        guard.name,
        count(guard.bad),
        count(guard.requests)
    )
}

fn closed_gate(view: &RunView) -> Option<&str> {
    let step = view.steps.get(view.current_step?)?;
    if step.state == StepState::AtGate {
        step.gate.as_deref()
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::keymap::Action;
    use super::super::super::sample;
    use super::super::super::state::LogExtent;
    use super::*;

    fn said(view: &RunView) -> Option<(Tone, String)> {
        message(view, &UiState::default())
    }

    #[test]
    fn a_run_that_goes_on_says_nothing() {
        assert_eq!(said(&sample::shifting()), None);
    }

    #[test]
    fn waiting_gate_pause_and_breach_outrank_each_other_in_that_order() {
        let mut view = sample::shifting();
        view.waiting_for = Some("more requests".to_owned());
        let waiting = "waiting for more requests".to_owned();
        assert_eq!(said(&view), Some((Tone::Note, waiting)));

        let mut view = sample::at_gate();
        let (tone, text) = said(&view).unwrap();
        assert_eq!(tone, Tone::Attention);
        assert_eq!(
            text,
            "AT GATE: waiting for a person to open the gate before 50 % · a opens it"
        );

        view.paused = true;
        let (tone, text) = said(&view).unwrap();
        assert_eq!(tone, Tone::Attention);
        assert_eq!(text, "PAUSED: p continues; guards stay armed");

        view.guards[2].state = GuardState::Breach;
        view.waiting_for = None;
        let (tone, text) = said(&view).unwrap();
        assert_eq!(tone, Tone::Alarm);
        assert_eq!(text, "BREACH: p99 at most 250 ms, 2 of 2204 requests bad");

        view.waiting_for = Some("a person: the plan says hold".to_owned());
        let (tone, text) = said(&view).unwrap();
        assert_eq!(tone, Tone::Alarm);
        assert_eq!(text, "BREACH: waiting for a person: the plan says hold");
    }

    #[test]
    fn a_rollback_says_why_or_what_it_waits_for() {
        let mut view = sample::rolling_back();
        let (_, text) = said(&view).unwrap();
        assert_eq!(
            text,
            "ROLLING BACK: errors at most 1 %, 31 of 2204 requests bad"
        );
        view.waiting_for = Some("the next attempt to roll back".to_owned());
        let (_, text) = said(&view).unwrap();
        assert_eq!(
            text,
            "ROLLING BACK: waiting for the next attempt to roll back"
        );
        view.guards.clear();
        view.waiting_for = None;
        let (tone, text) = said(&view).unwrap();
        assert_eq!((tone, text.as_str()), (Tone::Alarm, "ROLLING BACK"));
    }

    #[test]
    fn a_first_ctrl_c_says_what_the_second_does() {
        let view = sample::shifting();
        let mut ui = UiState::default();
        ui.apply(
            Action::Interrupt,
            &view,
            LogExtent {
                max_scroll: 0,
                page: 1,
            },
        );
        let (tone, text) = message(&view, &ui).unwrap();
        assert_eq!(tone, Tone::Alarm);
        assert!(text.contains("Ctrl-C again stops at once"), "{text}");
    }

    #[test]
    fn every_outcome_is_told_and_only_done_is_a_success() {
        for outcome in [
            Outcome::Done,
            Outcome::RolledBack,
            Outcome::Held,
            Outcome::Stuck,
            Outcome::Interrupted,
            Outcome::Failed,
        ] {
            let view = RunView {
                outcome: Some(outcome),
                ..sample::shifting()
            };
            let (tone, _) = said(&view).unwrap();
            assert_eq!(tone == Tone::Success, outcome == Outcome::Done, "{outcome}");
        }
    }
}
