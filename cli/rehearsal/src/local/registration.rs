//! What a process says of itself in the run's folder: who it is and where it answers.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// A running process. The proxy writes the same shape.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// Process id.
    pub pid: u32,
    /// When the process started, in clock ticks after boot: together with the id it names a
    /// process for good, since ids are used again. Field 22 of `/proc/PID/stat`, proc(5).
    pub start_ticks: u64,
    /// `edge`, `source-proxy`, …
    pub name: String,
    /// Where requests go.
    pub listen: SocketAddr,
    /// Where the process is administered.
    pub admin: SocketAddr,
}

impl Registration {
    /// The calling process.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn of_this_process(name: &str, listen: SocketAddr, admin: SocketAddr) -> io::Result<Self> {
        Self::of(std::process::id(), name, listen, admin)
    }

    /// A running process.
    ///
    /// # Errors
    /// When it does not run.
    pub(super) fn of(
        pid: u32,
        name: &str,
        listen: SocketAddr,
        admin: SocketAddr,
    ) -> io::Result<Self> {
        let start_ticks = start_ticks(pid)
            .ok_or_else(|| io::Error::other(format!("/proc/{pid}/stat has no start time")))?;
        Ok(Registration {
            pid,
            start_ticks,
            name: name.to_owned(),
            listen,
            admin,
        })
    }

    /// Writes the registration so that a reader sees all of it or nothing.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let partial = path.with_extension("partial");
        fs::write(&partial, serde_json::to_vec(self)?)?;
        fs::rename(&partial, path)
    }

    /// The registration in a file; `None` when there is none or it is not whole.
    #[must_use]
    pub fn read(path: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(path).ok()?).ok()
    }

    /// Whether this very process still runs (a zombie does not).
    #[must_use]
    pub fn is_alive(&self) -> bool {
        start_ticks(self.pid) == Some(self.start_ticks)
    }
}

/// When a process started; `None` when it does not run.
fn start_ticks(pid: u32) -> Option<u64> {
    parse_start_ticks(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The name in parentheses may hold anything, so fields are counted after the last `)`.
fn parse_start_ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.get(stat.rfind(')')? + 1..)?.split_ascii_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    // `state` is field 3, the start time field 22.
    fields.nth(22 - 4)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_time_is_found_behind_any_name() {
        let tail = "S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20";
        assert_eq!(parse_start_ticks(&format!("7 (a) b) {tail}")), Some(4711));
        assert_eq!(
            parse_start_ticks(&format!("7 (a) Z{}", &tail[1..])),
            None,
            "a zombie"
        );
        assert_eq!(parse_start_ticks("nonsense"), None);
    }

    #[test]
    fn this_process_is_alive_and_an_earlier_one_with_its_id_is_not() {
        let address = "127.0.0.1:80".parse().unwrap();
        let mut me = Registration::of_this_process("me", address, address).unwrap();
        assert!(me.is_alive());
        me.start_ticks -= 1;
        assert!(!me.is_alive());
    }

    #[test]
    fn what_is_written_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("me.json");
        assert_eq!(Registration::read(&path), None);
        let address = "127.0.0.1:80".parse().unwrap();
        let me = Registration::of_this_process("me", address, address).unwrap();
        me.write(&path).unwrap();
        assert_eq!(Registration::read(&path), Some(me));
    }
}
