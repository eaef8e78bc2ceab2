//! What the screen itself remembers: what is open, how far the log is scrolled, what to say.
//!
//! Nothing here decides about the run. A key becomes an [`Action`], an action changes this state
//! and perhaps has an [`Effect`], which the loop carries out.

use cutover_engine::phase::Phase;
use cutover_engine::view::{Command, RunView};

use super::ScreenEnd;
use super::keymap::{Action, Scroll};

/// What lies on top of the screen and takes the keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Mode {
    /// Nothing: the run itself.
    #[default]
    Watching,
    /// The list of keys.
    Help,
    /// The question whether to roll back.
    ConfirmRollback,
}

/// What the loop has to do about an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Draw; nothing else.
    None,
    /// Ask the run for this.
    Send(Command),
    /// Draw every cell, also those that did not change.
    Redraw,
    /// Leave the screen.
    End(ScreenEnd),
}

/// How much of the log there is to scroll through, as the layout has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LogExtent {
    /// How many lines the log can be moved away from its end before the oldest is in sight.
    pub(crate) max_scroll: usize,
    /// Lines in a screenful.
    pub(crate) page: usize,
}

/// The state of the screen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct UiState {
    mode: Mode,
    scroll: usize,
    interrupted: bool,
    watcher: bool,
    notice: Option<Notice>,
}

/// Something to say for a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Notice {
    text: String,
    ticks_left: u32,
}

/// How many ticks a notice stays: three seconds at ten ticks a second.
const NOTICE_TICKS: u32 = 30;

impl UiState {
    /// A fresh screen, for someone who started the run or who came to look.
    pub(crate) fn new(watcher: bool) -> Self {
        UiState {
            watcher,
            ..UiState::default()
        }
    }

    /// What takes the keys.
    pub(crate) fn mode(&self) -> Mode {
        self.mode
    }

    /// How many log lines below the window are newer; 0 follows the log.
    pub(crate) fn scroll(&self) -> usize {
        self.scroll
    }

    /// Ctrl-C was pressed once.
    pub(crate) fn interrupted(&self) -> bool {
        self.interrupted
    }

    /// What is to be said for a moment.
    pub(crate) fn notice(&self) -> Option<&str> {
        self.notice.as_ref().map(|notice| notice.text.as_str())
    }

    /// Changes the state as `action` asks, and says what else is to be done.
    pub(crate) fn apply(&mut self, action: Action, view: &RunView, log: LogExtent) -> Effect {
        match action {
            Action::TogglePause => {
                if view.paused || view.holding {
                    self.say("asked the run to continue");
                    Effect::Send(Command::Continue)
                } else {
                    self.say("asked the run to pause");
                    Effect::Send(Command::Pause)
                }
            }
            Action::Hold => {
                self.say("asked the run to stay at this weight");
                Effect::Send(Command::Hold)
            }
            Action::Advance => {
                self.say("asked the run to advance");
                Effect::Send(Command::Advance)
            }
            Action::AskRollback => {
                match view.phase {
                    Phase::Rollback => self.say("the run is rolling back already"),
                    Phase::Ended => self.say("the run has ended"),
                    _ => self.mode = Mode::ConfirmRollback,
                }
                Effect::None
            }
            Action::ConfirmRollback => {
                self.mode = Mode::Watching;
                self.say("asked the run to roll back");
                Effect::Send(Command::Rollback { force: false })
            }
            Action::Close => {
                self.mode = Mode::Watching;
                Effect::None
            }
            Action::OpenHelp => {
                self.mode = Mode::Help;
                Effect::None
            }
            Action::Scroll(by) => {
                self.scroll = scrolled(self.scroll, by, log);
                Effect::None
            }
            Action::Detach => Effect::End(ScreenEnd::Detached),
            Action::Interrupt if self.watcher => self.apply(Action::AskRollback, view, log),
            Action::Interrupt if self.interrupted => Effect::End(ScreenEnd::StopNow),
            Action::Interrupt => {
                self.interrupted = true;
                self.mode = Mode::Watching;
                Effect::Send(Command::Interrupt)
            }
            Action::Redraw => Effect::Redraw,
        }
    }

    /// Takes note that the run went from `before` to `after`.
    ///
    /// A log that is scrolled back stays on the lines that are being read, and a question that
    /// the run has answered by itself is withdrawn.
    pub(crate) fn follow(&mut self, before: &RunView, after: &RunView) {
        if self.scroll > 0
            && let Some(last) = before.log.last()
        {
            let new = after.log.iter().rev().take_while(|line| *line != last);
            self.scroll = (self.scroll + new.count()).min(after.log.len());
        }
        if self.mode == Mode::ConfirmRollback
            && matches!(after.phase, Phase::Rollback | Phase::Ended)
        {
            self.mode = Mode::Watching;
        }
    }

    /// Says that a command did not reach the run.
    pub(crate) fn command_lost(&mut self) {
        self.say("the run no longer takes commands");
    }

    /// A tenth of a second went by. Returns whether the screen looks different for it.
    pub(crate) fn tick(&mut self) -> bool {
        let Some(notice) = &mut self.notice else {
            return false;
        };
        notice.ticks_left = notice.ticks_left.saturating_sub(1);
        let over = notice.ticks_left == 0;
        if over {
            self.notice = None;
        }
        over
    }

    /// Says something for a moment.
    pub(crate) fn say(&mut self, text: impl Into<String>) {
        self.notice = Some(Notice {
            text: text.into(),
            ticks_left: NOTICE_TICKS,
        });
    }
}

fn scrolled(from: usize, by: Scroll, log: LogExtent) -> usize {
    let page = log.page.max(1);
    // What lies beyond the oldest line may have come from a larger window.
    let from = from.min(log.max_scroll);
    match by {
        Scroll::Up => from + 1,
        Scroll::Down => from.saturating_sub(1),
        Scroll::PageUp => from + page,
        Scroll::PageDown => from.saturating_sub(page),
        Scroll::Oldest => log.max_scroll,
        Scroll::Newest => 0,
    }
    .min(log.max_scroll)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
    use cutover_engine::view::{Level, LogLine};

    use super::super::{keymap, sample};
    use super::*;

    const LOG: LogExtent = LogExtent {
        max_scroll: 10,
        page: 4,
    };

    /// Types one key after the other; returns every effect but [`Effect::None`].
    fn typed(view: &RunView, keys: &[char]) -> (UiState, Vec<Effect>) {
        let mut ui = UiState::default();
        let mut effects = Vec::new();
        for key in keys {
            let key = KeyEvent::new(KeyCode::Char(*key), KeyModifiers::NONE);
            if let Some(action) = keymap::action(key, ui.mode()) {
                effects.push(ui.apply(action, view, LOG));
            }
        }
        effects.retain(|effect| *effect != Effect::None);
        (ui, effects)
    }

    #[test]
    fn rollback_is_sent_once_after_a_yes() {
        let (ui, effects) = typed(&sample::shifting(), &['r', 'y', 'y', 'y']);
        assert_eq!(effects, [Effect::Send(Command::Rollback { force: false })]);
        assert_eq!(ui.mode(), Mode::Watching);
    }

    #[test]
    fn rollback_is_not_sent_after_a_no() {
        let (ui, effects) = typed(&sample::shifting(), &['r', 'n', 'y']);
        assert_eq!(effects, []);
        assert_eq!(ui.mode(), Mode::Watching);
    }

    #[test]
    fn the_question_takes_the_keys_until_it_is_answered() {
        let (ui, effects) = typed(&sample::shifting(), &['r', 'p', 'a', 'd']);
        assert_eq!(effects, []);
        assert_eq!(ui.mode(), Mode::ConfirmRollback);
    }

    #[test]
    fn a_run_that_rolls_back_is_not_asked_again() {
        let (ui, effects) = typed(&sample::rolling_back(), &['r', 'y']);
        assert_eq!(effects, []);
        assert_eq!(ui.notice(), Some("the run is rolling back already"));
    }

    #[test]
    fn the_question_is_withdrawn_when_the_run_rolls_back_by_itself() {
        let (mut ui, _) = typed(&sample::shifting(), &['r']);
        ui.follow(&sample::shifting(), &sample::rolling_back());
        assert_eq!(ui.mode(), Mode::Watching);
    }

    #[test]
    fn pause_depends_on_whether_the_run_is_paused() {
        let mut view = sample::shifting();
        assert_eq!(typed(&view, &['p']).1, [Effect::Send(Command::Pause)]);
        view.paused = true;
        assert_eq!(typed(&view, &['p']).1, [Effect::Send(Command::Continue)]);
    }

    #[test]
    fn the_second_interrupt_stops_at_once() {
        let view = sample::shifting();
        let mut ui = UiState::default();
        assert_eq!(
            ui.apply(Action::Interrupt, &view, LOG),
            Effect::Send(Command::Interrupt)
        );
        assert!(ui.interrupted());
        assert_eq!(
            ui.apply(Action::Interrupt, &view, LOG),
            Effect::End(ScreenEnd::StopNow)
        );
    }

    #[test]
    fn scrolling_stays_within_the_log() {
        for (from, by, to) in [
            (0, Scroll::Up, 1),
            (0, Scroll::Down, 0),
            (0, Scroll::PageUp, 4),
            (9, Scroll::PageUp, 10),
            (10, Scroll::Up, 10),
            (3, Scroll::PageDown, 0),
            (3, Scroll::Oldest, 10),
            (3, Scroll::Newest, 0),
            // The window was smaller when this far was possible.
            (50, Scroll::Down, 9),
        ] {
            assert_eq!(scrolled(from, by, LOG), to, "{by:?} from {from}");
        }
    }

    #[test]
    fn a_scrolled_log_stays_on_the_lines_being_read() {
        let before = sample::shifting();
        let mut after = before.clone();
        // The log is bounded: two new lines, one old line gone.
        after.log.remove(0);
        for second in [50, 51] {
            after.log.push(LogLine {
                at: Duration::from_secs(second),
                level: Level::Info,
                text: "new".to_owned(),
            });
        }
        let mut ui = UiState::default();
        ui.follow(&before, &after);
        assert_eq!(ui.scroll(), 0, "a log that is followed stays at its end");
        ui.apply(Action::Scroll(Scroll::Up), &before, LOG);
        ui.follow(&before, &after);
        assert_eq!(ui.scroll(), 3);
    }

    #[test]
    fn a_notice_is_gone_after_three_seconds() {
        let mut ui = UiState::default();
        ui.apply(Action::Advance, &sample::shifting(), LOG);
        for _ in 1..NOTICE_TICKS {
            assert!(!ui.tick());
        }
        assert!(ui.notice().is_some());
        assert!(ui.tick());
        assert_eq!(ui.notice(), None);
    }
}
