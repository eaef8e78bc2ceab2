//! The control socket: how a run is watched and steered from other processes.
//!
//! | module | subject |
//! | --- | --- |
//! | [`protocol`] | what is said: JSON lines |
//! | [`lines`] | lines of bounded length on a socket |
//! | [`server`] | the driver's end |
//! | [`connection`] | one client, from the driver's side |
//! | [`client`] | the other end |
//! | [`peer`] | who is at the other end |
//! | this one | where the socket is |
//!
//! The driver listens on `control.sock` in the run's folder. Folder and socket belong to the
//! driver's user alone, and the driver asks the system who calls. Those who watch never hold a
//! run up: each has a task of its own in the driver, gets the latest view when it is ready for
//! one, and is dropped when it takes nothing for a while.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

pub(crate) mod client;
mod connection;
mod lines;
mod peer;
pub(crate) mod protocol;
pub(crate) mod server;

/// Name of the socket in the run's folder.
const SOCKET: &str = "control.sock";

/// The way to the socket of a run.
///
/// Addresses of sockets end after 107 bytes (`sun_path`, unix(7)), folders of runs may lie deeper.
/// So the folder is opened, and the address leads through that: `/proc/self/fd/N/control.sock`.
struct SocketAddress {
    folder: File,
}

impl SocketAddress {
    /// The socket in the run's folder; valid for as long as this value lives.
    fn of(folder: &Path) -> io::Result<Self> {
        Ok(SocketAddress {
            folder: File::open(folder)?,
        })
    }

    fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.folder.as_raw_fd())).join(SOCKET)
    }
}

#[cfg(test)]
mod tests;
