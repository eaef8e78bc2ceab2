//! The binary's door to the standard streams.
#![expect(
    clippy::disallowed_methods,
    reason = "this module is the crate's door to the standard streams"
)]

use std::io::Write;

/// A line for the person or process that started the proxy.
pub(crate) fn tell(line: &str) {
    // Nobody is left to tell when the stream is gone.
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// What was asked for, such as the help text.
pub(crate) fn answer(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}
