//! The only door to the wall clock: signatures carry the time.
#![expect(clippy::disallowed_methods, reason = "this is the door")]

use jiff::Timestamp;

/// Seconds since 1970-01-01 UTC.
pub(crate) fn now() -> i64 {
    Timestamp::now().as_second()
}
