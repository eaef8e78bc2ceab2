//! A lock is taken away from a driver that fell silent, and that is logged.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Holder, LOOKS, held_by};
use crate::folder::{FolderError, Home};

/// One line of the log of locks that were taken away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakenAway {
    /// When.
    pub at: Timestamp,
    /// Who did it: `ann@laptop (process 4711)`.
    pub by: String,
    /// Why, in their words.
    pub reason: String,
    /// What was held.
    pub service: String,
    /// Its holder still gave signs of life.
    pub forced: bool,
    /// Whose it was.
    pub holder: Holder,
}

/// A lock that was not taken away.
#[derive(Debug, thiserror::Error)]
pub enum TakeAwayError {
    /// Between looking and taking, the lock was given back or changed hands.
    #[error(
        "the lock of `{service}` is no longer held by {holder}; nothing was changed; look again: cutover status"
    )]
    Moved {
        /// What was held.
        service: String,
        /// Who held it.
        holder: Box<Holder>,
    },
    /// The file system refused.
    #[error(transparent)]
    Folder(#[from] FolderError),
}

impl Home {
    /// Takes a lock away from `entry.holder`, and writes down who did it and why, before it is
    /// done. The driver that held it ends as soon as it notices.
    ///
    /// # Errors
    /// When someone else holds the lock by now, or the file system refuses; nothing is changed
    /// then.
    pub fn take_away(&self, entry: &TakenAway) -> Result<(), TakeAwayError> {
        let path = self.lock_file(&entry.service);
        let io = |path: &PathBuf, doing| {
            let path = path.clone();
            move |source| FolderError::Io {
                path,
                doing,
                source,
            }
        };
        let log = self.locks().join("unlocks.jsonl");
        let mut log_file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log)
            .map_err(io(&log, "open the log of locks"))?;
        // Two people who do this at once take turns.
        lock(&log_file).map_err(io(&log, "lock the log of locks"))?;
        let held = File::open(&path)
            .ok()
            .filter(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
            .and_then(|file| held_by(&file))
            .is_some_and(|holder| holder.is_same_hold(&entry.holder));
        if !held {
            return Err(TakeAwayError::Moved {
                service: entry.service.clone(),
                holder: Box::new(entry.holder.clone()),
            });
        }
        let mut line = serde_json::to_vec(entry)
            .map_err(io::Error::other)
            .map_err(io(&log, "write the log of locks"))?;
        line.push(b'\n');
        log_file
            .write_all(&line)
            .and_then(|()| log_file.sync_data())
            .map_err(io(&log, "write the log of locks"))?;
        fs::remove_file(&path).map_err(io(&path, "take the lock away"))?;
        Ok(())
    }
}

fn lock(file: &File) -> io::Result<()> {
    for _ in 0..LOOKS {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) => std::thread::yield_now(),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    Err(io::Error::new(
        io::ErrorKind::WouldBlock,
        "someone else is taking a lock away; try again",
    ))
}
