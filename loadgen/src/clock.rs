//! The crate's only door to the clock.
//!
//! Every instant inside the crate is a number of nanoseconds since the session began, so that the
//! arithmetic above it is plain integers and needs no clock in tests.

#![expect(
    clippy::disallowed_methods,
    reason = "requests are timed in nanoseconds; tokio's clock costs more and its timers are 1 ms coarse"
)]

use std::time::{Duration, Instant};

/// Nanoseconds since the session began.
pub(crate) type Nanos = u64;

/// Reads how long ago the session began. All threads of a session hold copies of one clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    origin: Instant,
}

impl Clock {
    /// A clock that reads 0 now.
    pub(crate) fn start() -> Self {
        Clock {
            origin: Instant::now(),
        }
    }

    /// Nanoseconds since the session began.
    pub(crate) fn now(self) -> Nanos {
        nanos(self.origin.elapsed())
    }

    /// When the session began.
    pub(crate) fn origin(self) -> Instant {
        self.origin
    }

    /// The instant `at` as tokio's timers take it.
    pub(crate) fn timer_instant(self, at: Nanos) -> tokio::time::Instant {
        tokio::time::Instant::from_std(self.origin + Duration::from_nanos(at))
    }
}

/// A duration in nanoseconds; anything above 584 years is 584 years.
pub(crate) fn nanos(duration: Duration) -> Nanos {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
