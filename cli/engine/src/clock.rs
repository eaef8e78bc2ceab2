//! The engine's only door to the clock.

#![expect(clippy::disallowed_methods, reason = "this is the door")]

use jiff::Timestamp;
use tokio::time::Instant;

use crate::machine::Now;

/// Counts from the driver's beginning.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    epoch: Instant,
}

impl Clock {
    /// A clock that begins now.
    #[must_use]
    pub fn start() -> Self {
        Clock {
            epoch: Instant::now(),
        }
    }

    /// The moment at which the clock began.
    #[must_use]
    pub fn epoch(&self) -> Instant {
        self.epoch
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> Now {
        Now {
            elapsed: self.epoch.elapsed(),
            wall: wall(),
        }
    }
}

/// The wall clock, for names and records; decisions never hang on it.
#[must_use]
pub fn wall() -> Timestamp {
    Timestamp::now()
}
