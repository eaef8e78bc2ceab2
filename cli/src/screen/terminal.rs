//! Takes the terminal and gives it back on every way out.
//!
//! Three ways lead out: [`TerminalGuard`] is dropped (also when the future that owns it is
//! dropped, and while unwinding), or a panic happens anywhere in the process. In the latter case
//! the message would be drawn onto the alternate screen and vanish with it, so a panic hook gives
//! the terminal back *before* the hook that was there prints.
//!
//! The screen is drawn on standard error: standard output is kept for data, so that
//! `--output json > report.json` and the screen go together.

use std::io::{self, BufWriter, IsTerminal, Stderr, Write};
use std::mem::ManuallyDrop;
use std::panic;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use crossterm::cursor::{Hide, Show};
use crossterm::execute;
use crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use nix::errno::Errno;
use ratatui::backend::CrosstermBackend;
use ratatui::layout::Size;
use ratatui::{Frame, Terminal};

/// Whether an error means that there is no terminal any more, because its window, connection or
/// session was closed: `EIO` is what a hung-up terminal answers (POSIX, general terminal
/// interface, "modem disconnect"), `ENXIO` what opening `/dev/tty` does without one, `EPIPE` what
/// a closed connection does.
pub(super) fn is_gone(error: &io::Error) -> bool {
    let of_terminal = error
        .raw_os_error()
        .map(Errno::from_raw)
        .is_some_and(|errno| matches!(errno, Errno::EIO | Errno::ENXIO | Errno::EPIPE));
    of_terminal || error.kind() == io::ErrorKind::BrokenPipe
}

/// Where the screen is drawn; tests draw into memory.
pub(super) trait Surface {
    /// Draws one frame with `paint`, and writes the cells that changed.
    ///
    /// # Errors
    /// The terminal does not take the output, or is no longer ours.
    fn draw(&mut self, paint: impl FnOnce(&mut Frame<'_>)) -> io::Result<()>;

    /// Columns and rows.
    ///
    /// # Errors
    /// The terminal does not say.
    fn size(&self) -> io::Result<Size>;

    /// Forgets what is on the terminal, so that the next frame writes every cell.
    ///
    /// # Errors
    /// The terminal does not take the output.
    fn clear(&mut self) -> io::Result<()>;
}

/// The terminal is in raw mode and shows the alternate screen.
///
/// One for the whole process, as there is one terminal; it does not survive a panic, not even one
/// that is caught.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// The terminal while it shows the screen: raw mode, alternate screen, no cursor.
pub(super) struct TerminalGuard {
    /// Never dropped: [`Terminal`] would show the cursor and, when the terminal is gone, complain
    /// with `eprintln!`, which panics then; and the writer would flush the rest of a broken frame
    /// onto the screen that was given back. [`give_back`] does what is needed. What leaks are the
    /// buffers of one screen.
    terminal: ManuallyDrop<Terminal<CrosstermBackend<BufWriter<Stderr>>>>,
}

impl TerminalGuard {
    /// Takes the terminal.
    ///
    /// # Errors
    /// Standard input or standard error is no terminal, or the terminal refuses raw mode. It is
    /// given back as it was.
    pub(super) fn take() -> io::Result<Self> {
        for (name, is_terminal) in [
            ("standard input", io::stdin().is_terminal()),
            ("standard error", standard_error().is_terminal()),
        ] {
            if !is_terminal {
                return Err(io::Error::new(
                    io::ErrorKind::Unsupported,
                    format!(
                        "the screen needs a terminal on {name}, which is a file or a pipe; \
                         run without the screen"
                    ),
                ));
            }
        }
        give_back_before_panic_message();
        enable_raw_mode()?;
        TAKEN.store(true, Ordering::SeqCst);
        Self::enter().inspect_err(|_| give_back())
    }

    fn enter() -> io::Result<Self> {
        // Unbuffered, a frame would be thousands of small writes that flicker.
        let mut out = BufWriter::with_capacity(64 * 1024, standard_error());
        execute!(out, EnterAlternateScreen, Hide)?;
        let terminal = Terminal::new(CrosstermBackend::new(out))?;
        Ok(TerminalGuard {
            terminal: ManuallyDrop::new(terminal),
        })
    }
}

impl Drop for TerminalGuard {
    fn drop(&mut self) {
        give_back();
    }
}

impl Surface for TerminalGuard {
    fn draw(&mut self, paint: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        if !TAKEN.load(Ordering::SeqCst) {
            return Err(io::Error::other(
                "the screen was closed because a part of the program panicked; \
                 its message stands above",
            ));
        }
        self.terminal.draw(paint).map(|_| ())
    }

    fn size(&self) -> io::Result<Size> {
        self.terminal.size()
    }

    fn clear(&mut self) -> io::Result<()> {
        self.terminal.clear()
    }
}

/// Undoes [`TerminalGuard::take`]; does nothing when that has been done.
///
/// Errors have nowhere to go: the terminal itself is what fails.
fn give_back() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        let _ = leave(&mut standard_error());
        let _ = disable_raw_mode();
    }
}

/// Cursor and normal screen, as escape sequences.
fn leave(out: &mut impl Write) -> io::Result<()> {
    execute!(out, LeaveAlternateScreen, Show)
}

/// Puts [`give_back`] in front of the panic hook that is there, once for the process.
fn give_back_before_panic_message() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| put_before_panic_hook(give_back));
}

/// Has `first` run before the panic hook that is there.
fn put_before_panic_hook(first: impl Fn() + Send + Sync + 'static) {
    let previous = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        first();
        previous(info);
    }));
}

#[expect(
    clippy::disallowed_methods,
    reason = "the screen's only door to standard error; lines and screen are never on at once"
)]
fn standard_error() -> Stderr {
    io::stderr()
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[test]
    fn leaving_restores_screen_and_cursor() {
        let mut written = Vec::new();
        leave(&mut written).unwrap();
        assert_eq!(written, b"\x1b[?1049l\x1b[?25h");
    }

    #[test]
    fn a_panic_gives_back_first_and_then_runs_the_hook_that_was_there() {
        /// Panics of other tests run through the hook as well; only this one counts.
        const OURS: &str = "told apart by its message";

        let seen = Arc::new(Mutex::new(Vec::new()));
        let original: Arc<dyn Fn(&panic::PanicHookInfo<'_>) + Send + Sync> =
            panic::take_hook().into();
        let (kept, log) = (Arc::clone(&original), Arc::clone(&seen));
        panic::set_hook(Box::new(move |info| {
            if info.payload_as_str() == Some(OURS) {
                log.lock().unwrap().push("message");
            } else {
                kept(info);
            }
        }));
        let thread = std::thread::current().id();
        let log = Arc::clone(&seen);
        put_before_panic_hook(move || {
            if std::thread::current().id() == thread {
                log.lock().unwrap().push("given back");
            }
        });
        let caught = panic::catch_unwind(|| panic!("{OURS}"));
        panic::set_hook(Box::new(move |info| original(info)));
        assert!(caught.is_err());
        assert_eq!(*seen.lock().unwrap(), ["given back", "message"]);
    }
}
