//! A timer for one waiter, as fine as the operating system has it.

pub(super) use platform::Timer;

/// The runtime's own timers are 1 ms coarse: at 5,000 requests a second that bunches five into
/// one. A Linux timerfd is good to some microseconds and wakes the runtime like a socket does.
#[cfg(target_os = "linux")]
mod platform {
    use std::io;
    use std::os::fd::{AsFd, AsRawFd, RawFd};
    use std::time::Duration;

    use nix::sys::time::TimeSpec;
    use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
    use tokio::io::Interest;
    use tokio::io::unix::AsyncFd;

    /// Wakes one task.
    pub(in crate::worker) struct Timer(AsyncFd<Fd>);

    struct Fd(TimerFd);

    impl AsRawFd for Fd {
        fn as_raw_fd(&self) -> RawFd {
            self.0.as_fd().as_raw_fd()
        }
    }

    impl Timer {
        /// Within a runtime.
        ///
        /// # Errors
        /// No file descriptor is left.
        pub(in crate::worker) fn new() -> io::Result<Self> {
            let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
            let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?;
            // SAFETY: the descriptor is owned by the `TimerFd`, which the `AsyncFd` owns in turn
            // and nobody replaces: it stays the same and open for as long as both live.
            let fd = unsafe { AsyncFd::register_with_interest(Fd(timer), Interest::READABLE) };
            Ok(Timer(fd?))
        }

        /// Returns after `wait`, or a little later; in rare cases earlier.
        ///
        /// # Errors
        /// The runtime is shutting down.
        pub(in crate::worker) async fn wait(&mut self, wait: Duration) -> io::Result<()> {
            // Zero would turn the timer off.
            let wait = TimeSpec::from_duration(wait.max(Duration::from_nanos(1)));
            let timer = &self.0.get_ref().0;
            timer.set(Expiration::OneShot(wait), TimerSetTimeFlags::empty())?;
            // The expiry is not read: setting the timer anew forgets it, one system call less.
            self.0.readable().await?.clear_ready();
            Ok(())
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod platform {
    use std::io;
    use std::time::Duration;

    /// Wakes one task.
    pub(in crate::worker) struct Timer;

    impl Timer {
        /// Always works.
        ///
        /// # Errors
        /// Never.
        pub(in crate::worker) fn new() -> io::Result<Self> {
            Ok(Timer)
        }

        /// Returns after `wait`, or up to 1 ms later.
        ///
        /// # Errors
        /// Never.
        pub(in crate::worker) async fn wait(&mut self, wait: Duration) -> io::Result<()> {
            tokio::time::sleep(wait).await;
            Ok(())
        }
    }
}
