//! Which key means what: a pure function of the key and of what is open on the screen.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::state::Mode;

/// What a key asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Pause the run, or let a paused run go on.
    TogglePause,
    /// Stay at this weight when the hold is over.
    Hold,
    /// Open the manual gate, or end the hold early.
    Advance,
    /// Ask whether to roll back.
    AskRollback,
    /// Yes, roll back.
    ConfirmRollback,
    /// Close what is open.
    Close,
    /// Show the keys.
    OpenHelp,
    /// Move through the log.
    Scroll(Scroll),
    /// Leave the screen; the run goes on.
    Detach,
    /// Ctrl-C, which raw mode delivers as a key.
    Interrupt,
    /// Draw everything anew, after something else wrote to the terminal.
    Redraw,
}

/// How the log moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scroll {
    /// One line towards the oldest.
    Up,
    /// One line towards the newest.
    Down,
    /// One screenful towards the oldest.
    PageUp,
    /// One screenful towards the newest.
    PageDown,
    /// To the oldest line.
    Oldest,
    /// To the newest line, and follow it from now on.
    Newest,
}

/// The keys as the help shows them.
pub(crate) const HELP: [(&str, &str); 9] = [
    ("p", "pause; again: continue. Guards stay armed"),
    ("h", "hold: stay at this weight until p or a"),
    ("a", "advance: open the gate or end the hold early"),
    ("r", "roll back: all traffic to the source (asks first)"),
    ("d  q", "detach: leave the screen, the run goes on"),
    ("↑ ↓  PgUp PgDn", "scroll the log; End follows it again"),
    ("Ctrl-C", "roll back and end; again: stop at once"),
    ("Ctrl-L", "draw the screen anew"),
    ("?  Esc", "open and close this help"),
];

/// What `key` asks for while `mode` is on the screen; `None` when it means nothing there.
///
/// A key that is held down repeats scrolling only: nobody pauses a run ten times a second on
/// purpose.
pub(crate) fn action(key: KeyEvent, mode: Mode) -> Option<Action> {
    let found = if key.modifiers.contains(KeyModifiers::CONTROL) {
        control(key.code)
    } else if key.modifiers.contains(KeyModifiers::ALT) {
        None
    } else {
        match mode {
            Mode::Watching => watching(key.code),
            Mode::Help => help(key.code),
            Mode::ConfirmRollback => confirm(key.code),
        }
    }?;
    match key.kind {
        KeyEventKind::Press => Some(found),
        KeyEventKind::Repeat => matches!(found, Action::Scroll(_)).then_some(found),
        KeyEventKind::Release => None,
    }
}

/// Work whatever is open.
fn control(code: KeyCode) -> Option<Action> {
    match lower(code) {
        KeyCode::Char('c') => Some(Action::Interrupt),
        KeyCode::Char('l') => Some(Action::Redraw),
        _ => None,
    }
}

fn watching(code: KeyCode) -> Option<Action> {
    match lower(code) {
        KeyCode::Char('p') => Some(Action::TogglePause),
        KeyCode::Char('h') => Some(Action::Hold),
        KeyCode::Char('a') => Some(Action::Advance),
        KeyCode::Char('r') => Some(Action::AskRollback),
        KeyCode::Char('d' | 'q') => Some(Action::Detach),
        KeyCode::Char('?') => Some(Action::OpenHelp),
        other => scroll(other).map(Action::Scroll),
    }
}

fn help(code: KeyCode) -> Option<Action> {
    match lower(code) {
        KeyCode::Char('?' | 'q') | KeyCode::Esc | KeyCode::Enter => Some(Action::Close),
        _ => None,
    }
}

/// Only `y` goes ahead: Enter, which is pressed without reading, does not.
fn confirm(code: KeyCode) -> Option<Action> {
    match lower(code) {
        KeyCode::Char('y') => Some(Action::ConfirmRollback),
        KeyCode::Char('n' | 'q') | KeyCode::Esc => Some(Action::Close),
        _ => None,
    }
}

fn scroll(code: KeyCode) -> Option<Scroll> {
    match code {
        KeyCode::Up => Some(Scroll::Up),
        KeyCode::Down => Some(Scroll::Down),
        KeyCode::PageUp => Some(Scroll::PageUp),
        KeyCode::PageDown => Some(Scroll::PageDown),
        KeyCode::Home => Some(Scroll::Oldest),
        KeyCode::End => Some(Scroll::Newest),
        _ => None,
    }
}

/// Caps lock changes nothing.
fn lower(code: KeyCode) -> KeyCode {
    match code {
        KeyCode::Char(letter) => KeyCode::Char(letter.to_ascii_lowercase()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODES: [Mode; 3] = [Mode::Watching, Mode::Help, Mode::ConfirmRollback];

    #[test]
    fn every_key_in_every_mode() {
        use Action::{
            Advance, AskRollback, Close, ConfirmRollback, Detach, Hold, OpenHelp, TogglePause,
        };
        let scroll = |by| Some(Action::Scroll(by));
        // The key, then what it does while watching, in the help, in the question.
        let table = [
            (KeyCode::Char('p'), [Some(TogglePause), None, None]),
            (KeyCode::Char('P'), [Some(TogglePause), None, None]),
            (KeyCode::Char('h'), [Some(Hold), None, None]),
            (KeyCode::Char('a'), [Some(Advance), None, None]),
            (KeyCode::Char('r'), [Some(AskRollback), None, None]),
            (KeyCode::Char('R'), [Some(AskRollback), None, None]),
            (KeyCode::Char('y'), [None, None, Some(ConfirmRollback)]),
            (KeyCode::Char('Y'), [None, None, Some(ConfirmRollback)]),
            (KeyCode::Char('n'), [None, None, Some(Close)]),
            (KeyCode::Char('d'), [Some(Detach), None, None]),
            (KeyCode::Char('q'), [Some(Detach), Some(Close), Some(Close)]),
            (KeyCode::Char('?'), [Some(OpenHelp), Some(Close), None]),
            (KeyCode::Esc, [None, Some(Close), Some(Close)]),
            (KeyCode::Enter, [None, Some(Close), None]),
            (KeyCode::Char(' '), [None, None, None]),
            (KeyCode::Char('c'), [None, None, None]),
            (KeyCode::Char('x'), [None, None, None]),
            (KeyCode::Tab, [None, None, None]),
            (KeyCode::Up, [scroll(Scroll::Up), None, None]),
            (KeyCode::Down, [scroll(Scroll::Down), None, None]),
            (KeyCode::PageUp, [scroll(Scroll::PageUp), None, None]),
            (KeyCode::PageDown, [scroll(Scroll::PageDown), None, None]),
            (KeyCode::Home, [scroll(Scroll::Oldest), None, None]),
            (KeyCode::End, [scroll(Scroll::Newest), None, None]),
        ];
        for (code, expected) in table {
            for (mode, expected) in MODES.into_iter().zip(expected) {
                let shift = match code {
                    KeyCode::Char(letter) if letter.is_ascii_uppercase() => KeyModifiers::SHIFT,
                    _ => KeyModifiers::NONE,
                };
                assert_eq!(
                    action(KeyEvent::new(code, shift), mode),
                    expected,
                    "{code:?} in {mode:?}"
                );
            }
        }
    }

    #[test]
    fn ctrl_c_and_ctrl_l_work_whatever_is_open() {
        for mode in MODES {
            let press = |letter| KeyEvent::new(KeyCode::Char(letter), KeyModifiers::CONTROL);
            assert_eq!(action(press('c'), mode), Some(Action::Interrupt));
            assert_eq!(action(press('l'), mode), Some(Action::Redraw));
            assert_eq!(action(press('r'), mode), None);
            assert_eq!(action(press('y'), mode), None);
        }
    }

    #[test]
    fn alt_keys_mean_nothing() {
        for mode in MODES {
            for letter in ['p', 'r', 'y', 'd'] {
                let key = KeyEvent::new(KeyCode::Char(letter), KeyModifiers::ALT);
                assert_eq!(action(key, mode), None);
            }
        }
    }

    #[test]
    fn held_keys_only_scroll_and_releases_do_nothing() {
        let key = |code, kind| KeyEvent::new_with_kind(code, KeyModifiers::NONE, kind);
        let p = KeyCode::Char('p');
        assert_eq!(action(key(p, KeyEventKind::Repeat), Mode::Watching), None);
        assert_eq!(
            action(key(KeyCode::Up, KeyEventKind::Repeat), Mode::Watching),
            Some(Action::Scroll(Scroll::Up))
        );
        for code in [p, KeyCode::Up] {
            assert_eq!(
                action(key(code, KeyEventKind::Release), Mode::Watching),
                None
            );
        }
    }
}
