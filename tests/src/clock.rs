//! Waiting for a state, with a limit and the last thing seen. The only door to clock and sleep.

#![expect(
    clippy::disallowed_methods,
    reason = "these tests watch other processes, whose time cannot be paused"
)]

use std::ops::ControlFlow;
use std::thread;
use std::time::{Duration, Instant};

/// How often a state is looked at.
const POLL: Duration = Duration::from_millis(20);

/// Looks until `look` finds what it wants, and yields that.
///
/// # Panics
/// When `limit` has passed; the message says what was awaited and what `look` said last.
pub fn wait_for<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Result<T, String>) -> T {
    let begun = Instant::now();
    loop {
        let last_seen = match look() {
            Ok(found) => return found,
            Err(seen) => seen,
        };
        assert!(
            begun.elapsed() < limit,
            "waited {limit:?} for {what}; last seen: {last_seen}"
        );
        thread::sleep(POLL);
    }
}

/// Lets time pass; only where that very time is what a test is about.
pub fn let_pass(time: Duration) {
    thread::sleep(time);
}

/// Does something again and again, with a pause after each time, until it breaks off.
pub fn repeat(pause: Duration, mut work: impl FnMut() -> ControlFlow<()>) {
    while work().is_continue() {
        thread::sleep(pause);
    }
}

/// How long `work` takes, and what it yields.
pub fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let begun = Instant::now();
    let result = work();
    (begun.elapsed(), result)
}

/// Seconds since 1970, for names that differ from run to run.
#[must_use]
pub fn unique() -> u128 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos())
}
