//! The only door to the wall clock and to randomness; time that is measured is `tokio`'s.
#![expect(
    clippy::disallowed_methods,
    reason = "this module is the crate's door to the wall clock"
)]

use std::hash::{BuildHasher, RandomState};
use std::time::SystemTime;

/// Milliseconds since 1970-01-01T00:00:00Z.
pub(crate) fn unix_millis() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| {
            u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
        })
}

/// A number that differs between calls and processes; not for secrets.
pub(crate) fn random_seed() -> u64 {
    RandomState::new().hash_one(unix_millis())
}
