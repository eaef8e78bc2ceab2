//! Tests that this machine cannot run.

use std::fs::OpenOptions;
use std::io::Write as _;

/// Says why a test is not run here; the caller returns afterwards. Cargo knows no such outcome,
/// so the line goes to the file that `tests/run` names in `CUTOVER_TESTS_SKIPPED` and counts.
///
/// # Panics
/// Without that file: a test that silently did not run would look like one that passed.
pub fn skip(test: &str, reason: &str) {
    let Some(file) = std::env::var_os("CUTOVER_TESTS_SKIPPED") else {
        panic!("cannot run here: {reason} (under tests/run this counts as skipped)");
    };
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(&file)
        .and_then(|mut file| writeln!(file, "{test}: {reason}"))
        .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
}
