//! The file that tells whoever started a proxy where to find it.

use std::fs;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// What the state file says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The proxy's process.
    pub pid: u32,
    /// When that process started, in clock ticks after boot (field 22 of `/proc/PID/stat`):
    /// together with `pid` it names the process even after the pid was given to another.
    pub start_ticks: u64,
    /// The configured name.
    pub name: String,
    /// Where requests arrive, with the real port.
    pub listen: SocketAddr,
    /// The admin port.
    pub admin: SocketAddr,
    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub started_at: u64,
}

impl State {
    /// The state of this process.
    pub(crate) fn of_this_process(
        name: &str,
        listen: SocketAddr,
        admin: SocketAddr,
    ) -> io::Result<Self> {
        let stat = fs::read_to_string("/proc/self/stat")?;
        let start_ticks = start_ticks(&stat)
            .ok_or_else(|| io::Error::other("/proc/self/stat has no start time in field 22"))?;
        Ok(State {
            pid: std::process::id(),
            start_ticks,
            name: name.to_owned(),
            listen,
            admin,
            started_at: crate::clock::unix_millis(),
        })
    }

    /// Writes the file so that a reader sees all of it or nothing.
    pub(crate) fn write(&self, path: &Path) -> io::Result<()> {
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(format!(".{}.tmp", self.pid));
        let temporary = PathBuf::from(temporary);
        let written = fs::File::create(&temporary).and_then(|mut file| {
            file.write_all(&serde_json::to_vec(self)?)?;
            file.sync_all()
        });
        let renamed = written.and_then(|()| fs::rename(&temporary, path));
        if renamed.is_err() {
            // The first error is the one to report.
            let _ = fs::remove_file(&temporary);
        }
        renamed
    }
}

/// Field 22 of a `/proc/PID/stat` line. The command in field 2 may hold spaces and parentheses,
/// so fields are counted after the last `)`.
#[must_use]
pub fn start_ticks(stat: &str) -> Option<u64> {
    let (_, after_command) = stat.rsplit_once(')')?;
    after_command.split_ascii_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_ticks_survive_a_strange_command_name() {
        let fields: Vec<String> = (3..=52).map(|n| n.to_string()).collect();
        let stat = format!("7 (a) b (c) {}", fields.join(" "));
        assert_eq!(start_ticks(&stat), Some(22));
        assert_eq!(start_ticks("7 (x) R 1"), None);
    }
}
