//! Notices that the terminal was closed, and quietens its reader.
//!
//! crossterm reads keys on a thread of its own, which takes the "nothing more will come" of a
//! closed terminal for "nothing yet", and asks again without a pause: a core is busy for the rest
//! of the run, which is measuring latencies. So a thread of ours sleeps until the terminal hangs
//! up, and then puts a silent input in its place.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, IntoRawFd as _};
use std::os::unix::net::UnixStream;
use std::thread;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::dup2_stdin;
use tokio::sync::oneshot;

/// Watches the terminal on standard input until it is dropped.
pub(super) struct HangupWatch {
    /// Being closed is the sign to stop.
    _stop: UnixStream,
}

/// Begins to watch the terminal on standard input. The future ends when the terminal is closed,
/// and never when it is not.
///
/// # Errors
/// The process may open no more files or start no more threads.
pub(super) fn watch() -> io::Result<(HangupWatch, impl Future<Output = ()>)> {
    let (stop, stopped) = UnixStream::pair()?;
    let silent = SilentInput::new()?;
    let (tell, told) = oneshot::channel();
    thread::Builder::new()
        .name("hangup".to_owned())
        .spawn(move || {
            if hangs_up(io::stdin().as_fd(), stopped.as_fd()) {
                silent.replace_standard_input();
                let _ = tell.send(());
            }
        })?;
    let closed = async {
        if told.await.is_err() {
            std::future::pending().await
        }
    };
    Ok((HangupWatch { _stop: stop }, closed))
}

/// Sleeps until the terminal hangs up (yes), or the other end of `stopped` is closed (no).
fn hangs_up(terminal: BorrowedFd<'_>, stopped: BorrowedFd<'_>) -> bool {
    loop {
        // Asking for nothing still tells of a hangup (POSIX `poll`), and leaves keys unread.
        let mut watched = [
            PollFd::new(terminal, PollFlags::empty()),
            PollFd::new(stopped, PollFlags::empty()),
        ];
        match poll(&mut watched, PollTimeout::NONE) {
            Ok(_) => {
                let [terminal, stopped] = watched.map(|one| one.any().unwrap_or(true));
                if terminal || stopped {
                    return terminal && !stopped;
                }
            }
            Err(Errno::EINTR) => {}
            Err(_) => return false,
        }
    }
}

/// An input on which nothing ever comes, and which says so without waiting.
struct SilentInput {
    input: UnixStream,
    /// Were it closed, the input would be at its end instead of silent.
    other_end: UnixStream,
}

impl SilentInput {
    fn new() -> io::Result<Self> {
        let (input, other_end) = UnixStream::pair()?;
        input.set_nonblocking(true)?;
        Ok(SilentInput { input, other_end })
    }

    fn replace_standard_input(self) {
        if dup2_stdin(&self.input).is_ok() {
            // Stays open for as long as standard input does: until the process ends.
            let _ = self.other_end.into_raw_fd();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn a_terminal_that_is_closed_is_noticed_although_keys_are_unread() {
        use std::io::Write as _;
        let (terminal, mut person) = UnixStream::pair().unwrap();
        let (_stop, stopped) = UnixStream::pair().unwrap();
        person.write_all(b"unread").unwrap();
        drop(person);
        assert!(hangs_up(terminal.as_fd(), stopped.as_fd()));
    }

    #[test]
    fn a_watch_that_is_dropped_ends_and_tells_of_no_hangup() {
        let (terminal, _person) = UnixStream::pair().unwrap();
        let (stop, stopped) = UnixStream::pair().unwrap();
        let watch = HangupWatch { _stop: stop };
        let thread = thread::spawn(move || hangs_up(terminal.as_fd(), stopped.as_fd()));
        drop(watch);
        assert!(!thread.join().unwrap());
    }

    #[test]
    fn a_silent_input_has_nothing_yet_rather_than_an_end() {
        let mut silent = SilentInput::new().unwrap();
        let nothing = silent.input.read(&mut [0; 8]).unwrap_err();
        assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
    }
}
