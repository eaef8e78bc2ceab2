//! The terminal screen of a run: a client that shows what the run publishes and passes on what a
//! person asks. Closing it does not stop the run, and several may show one run.
//!
//! - [`keymap`]: a key becomes an action
//! - [`state`]: an action changes the screen's own state, and has an effect
//! - [`draw`]: run and state become a frame; one file a panel
//! - [`format`], [`theme`], [`ascii`]: numbers, colours and symbols
//! - [`terminal`]: takes the terminal, and gives it back on every way out
//! - [`hangup`]: notices that the terminal was closed
//!
//! All but `terminal`, `hangup` and the loop in this file is pure.

mod ascii;
mod draw;
mod format;
mod hangup;
mod keymap;
#[cfg(test)]
pub(crate) mod sample;
mod state;
mod terminal;
mod theme;

#[cfg(test)]
mod loop_tests;

use std::io;
use std::time::Duration;

use crossterm::event::{Event, EventStream};
use cutover_engine::view::{Command, RunView};
use futures_util::{Stream, StreamExt};
use ratatui::layout::Rect;
use tokio::sync::{mpsc, watch};
use tokio::time::MissedTickBehavior;

use self::state::{Effect, UiState};
use self::terminal::{Surface, TerminalGuard};

/// How the screen looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ScreenOptions {
    /// Colours of the terminal's palette; otherwise bold, dim and reverse only.
    pub(crate) colour: bool,
    /// Bars, sparklines and marks beyond ASCII.
    pub(crate) unicode: bool,
    /// The person at this screen only came to look: Ctrl-C asks before it ends the run for all.
    pub(crate) watcher: bool,
}

/// Why the screen was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ScreenEnd {
    /// The run has an outcome, and it has been drawn.
    RunEnded,
    /// The run is no longer heard of, though it had no outcome yet.
    RunLost,
    /// A person left, or the terminal was closed; the run goes on.
    Detached,
    /// Ctrl-C was pressed a second time: stop without waiting for the rollback. The first one
    /// was sent to the run as [`Command::Interrupt`].
    StopNow,
}

/// Frames are drawn at most this often, except after a key, which is answered at once.
const TICK: Duration = Duration::from_millis(100);

/// Shows the run on the terminal until it ends or a person leaves. `notices` are what the run
/// answers to commands when that is worth saying: refusals.
///
/// The terminal (standard error, with keys from standard input) is given back before this
/// returns, when the future is dropped, and before the message of a panic is printed.
///
/// # Errors
/// The terminal cannot be taken, read or written, or was given back because a part of the program
/// panicked. The run is not affected.
pub(crate) async fn run(
    views: watch::Receiver<RunView>,
    commands: mpsc::UnboundedSender<Command>,
    notices: mpsc::UnboundedReceiver<String>,
    options: ScreenOptions,
) -> io::Result<ScreenEnd> {
    let shown = async {
        let mut terminal = TerminalGuard::take()?;
        let (_watch, closed) = hangup::watch()?;
        let keys = Box::pin(EventStream::new().take_until(closed));
        follow(&mut terminal, keys, views, commands, notices, options).await
    };
    detached_if_gone(shown.await)
}

/// A terminal that is gone detaches, as a person does who closes it; other failures stay.
fn detached_if_gone(end: io::Result<ScreenEnd>) -> io::Result<ScreenEnd> {
    match end {
        Err(error) if terminal::is_gone(&error) => Ok(ScreenEnd::Detached),
        end => end,
    }
}

/// The loop: keys, new views and ticks, in whichever order they come.
async fn follow(
    surface: &mut impl Surface,
    mut keys: impl Stream<Item = io::Result<Event>> + Unpin,
    mut views: watch::Receiver<RunView>,
    commands: mpsc::UnboundedSender<Command>,
    mut notices: mpsc::UnboundedReceiver<String>,
    options: ScreenOptions,
) -> io::Result<ScreenEnd> {
    let mut view = views.borrow_and_update().clone();
    let mut ui = UiState::new(options.watcher);
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // Whether the terminal shows something older than `view` and `ui`.
    let mut stale = true;
    loop {
        if view.outcome.is_some() {
            surface.draw(|frame| draw::draw(frame, &view, &ui, options))?;
            return Ok(ScreenEnd::RunEnded);
        }
        tokio::select! {
            event = keys.next() => match event.transpose()? {
                Some(Event::Key(key)) => {
                    let Some(action) = keymap::action(key, ui.mode()) else {
                        continue;
                    };
                    let area = Rect::from((ratatui::layout::Position::ORIGIN, surface.size()?));
                    match ui.apply(action, &view, draw::log_extent(area, &view)) {
                        Effect::None => {}
                        Effect::Send(command) => {
                            if commands.send(command).is_err() {
                                ui.command_lost();
                            }
                        }
                        Effect::Redraw => surface.clear()?,
                        Effect::End(end) => return Ok(end),
                    }
                    surface.draw(|frame| draw::draw(frame, &view, &ui, options))?;
                    stale = false;
                }
                Some(Event::Resize(..)) => stale = true,
                Some(_) => {}
                None => return Ok(ScreenEnd::Detached),
            },
            changed = views.changed() => {
                if changed.is_err() {
                    surface.draw(|frame| draw::draw(frame, &view, &ui, options))?;
                    return Ok(ScreenEnd::RunLost);
                }
                let next = views.borrow_and_update().clone();
                ui.follow(&view, &next);
                view = next;
                stale = true;
            }
            Some(notice) = notices.recv() => {
                ui.say(notice);
                stale = true;
            }
            _ = tick.tick() => {
                stale |= ui.tick();
                if stale {
                    surface.draw(|frame| draw::draw(frame, &view, &ui, options))?;
                    stale = false;
                }
            }
        }
    }
}
