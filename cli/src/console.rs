//! The only door to standard output (data) and standard error (progress).
//!
//! A reader that went away is no reason to fail: a run must go on when nobody listens.

#![expect(clippy::disallowed_methods, reason = "this is the door")]

use std::fs::File;
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use cutover_engine::view::Level;
use nix::unistd::{dup2_stderr, dup2_stdin, dup2_stdout};

/// Prints data.
pub(crate) fn data(text: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// Prints data for another process, and says whether that still listens.
///
/// # Errors
/// It does not.
pub(crate) fn data_for_process(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush())
}

/// From now on everything that is printed goes to a file, and nothing can be read.
///
/// # Errors
/// The system refused.
pub(crate) fn redirect_to(log: &File) -> io::Result<()> {
    dup2_stdin(File::open("/dev/null")?)?;
    dup2_stdout(log)?;
    dup2_stderr(log)?;
    Ok(())
}

/// Prints progress.
pub(crate) fn note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Prints an error.
pub(crate) fn error(text: &str) {
    note(&format!("{} {text}", paint("error:", "1;31")));
}

/// Prints progress in the colour of its level.
pub(crate) fn levelled(level: Level, text: &str) {
    note(&match level {
        Level::Info => text.to_owned(),
        Level::Good => paint(text, "32"),
        Level::Warn => paint(text, "33"),
        Level::Bad => paint(text, "1;31"),
    });
}

/// Whether progress may have colours: a terminal, and `NO_COLOR` not set (no-color.org: any value
/// but the empty one counts).
pub(crate) fn colour() -> bool {
    io::stderr().is_terminal() && !no_colour()
}

/// The same for data.
pub(crate) fn data_colour() -> bool {
    io::stdout().is_terminal() && !no_colour()
}

/// Whether `NO_COLOR` asks for no colours.
pub(crate) fn no_colour() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}

/// Whether a person sits here: they can read what is shown and answer.
pub(crate) fn attended() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks a question; anything but `y` or `yes` is no.
pub(crate) fn confirm(question: &str) -> bool {
    let _ = write!(io::stderr().lock(), "{question} [y/N] ");
    let mut answer = String::new();
    let _ = io::stdin().lock().read_line(&mut answer);
    matches!(answer.trim(), "y" | "Y" | "yes")
}

fn paint(text: &str, code: &str) -> String {
    if colour() {
        format!("\x1b[{code}m{text}\x1b[0m")
    } else {
        text.to_owned()
    }
}
