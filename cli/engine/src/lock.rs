//! One run of a plan at a time: a lock that the system gives back however its holder dies.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::folder::{FolderError, Home, make_folder};

/// Who holds a lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The run that is under way.
    pub run: String,
    /// Process id of its driver.
    pub pid: u32,
    /// The machine it runs on.
    pub host: String,
    /// Since when.
    pub since: Timestamp,
}

impl Holder {
    /// Whether the driver may still live. A driver of this machine that was killed can leave the
    /// lock behind for a moment, with a child that was just about to become another program.
    fn lives(&self) -> bool {
        let here = nix::unistd::gethostname().is_ok_and(|name| name.to_str() == Some(&self.host));
        !here || Path::new(&format!("/proc/{}", self.pid)).exists()
    }
}

/// Held while a run is under way; the system gives it back when the process dies, however it dies.
#[derive(Debug)]
pub struct Lock(File);

/// A lock that was not got.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another run of the same plan is under way.
    #[error(
        "another run of `{plan}` is under way: {run}, process {pid} on {host}, since {since}",
        run = holder.run, pid = holder.pid, host = holder.host, since = holder.since
    )]
    Held {
        /// Name of the plan.
        plan: String,
        /// Who holds the lock.
        holder: Holder,
    },
    /// The lock is held, and its holder does not say who it is.
    #[error("{}: someone holds the lock of `{plan}` and does not say who; try again", path.display())]
    Unknown {
        /// Name of the plan.
        plan: String,
        /// The lock's file.
        path: PathBuf,
    },
    /// The file system refused.
    #[error(transparent)]
    Folder(#[from] FolderError),
}

/// Attempts to get past someone who only looks, or whom a killed driver left behind.
const LOOKS: u32 = 200_000;

impl Home {
    /// Takes the lock of a plan.
    ///
    /// # Errors
    /// When another run holds it, or the file system refuses.
    pub fn lock(&self, plan: &str, holder: &Holder) -> Result<Lock, LockError> {
        let folder = self.path().join("locks");
        make_folder(&folder)?;
        let path = folder.join(format!("{plan}.lock"));
        let io = |doing| {
            let path = path.clone();
            move |source| FolderError::Io {
                path,
                doing,
                source,
            }
        };
        let mut file = OpenOptions::new()
            .create(true)
            .read(true)
            .write(true)
            .truncate(false)
            .open(&path)
            .map_err(io("open the lock"))?;
        // Someone who only looks holds a shared lock for a moment; whoever drives has said so in
        // the file.
        let mut looks = 0;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) => match held_by(&mut file) {
                    Some(holder) if holder.lives() => {
                        return Err(LockError::Held {
                            plan: plan.to_owned(),
                            holder,
                        });
                    }
                    _ if looks < LOOKS => {
                        looks += 1;
                        std::thread::yield_now();
                    }
                    _ => {
                        return Err(LockError::Unknown {
                            plan: plan.to_owned(),
                            path,
                        });
                    }
                },
                Err(TryLockError::Error(source)) => {
                    return Err(io("take the lock")(source).into());
                }
            }
        }
        let text = serde_json::to_string(holder).unwrap_or_default();
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(text.as_bytes()))
            .map_err(io("write the lock"))?;
        Ok(Lock(file))
    }

    /// Who holds the lock of a plan right now, if anybody does.
    #[must_use]
    pub fn holder(&self, plan: &str) -> Option<Holder> {
        let path = self.path().join("locks").join(format!("{plan}.lock"));
        let mut file = OpenOptions::new().read(true).write(true).open(path).ok()?;
        match file.try_lock_shared() {
            Err(TryLockError::WouldBlock) => held_by(&mut file).filter(Holder::lives),
            Ok(()) | Err(TryLockError::Error(_)) => None,
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // The system drops the lock with the file in any case.
        let _ = self.0.set_len(0);
        let _ = self.0.unlock();
    }
}

/// What the holder has written; `None` while it is being written, or when nobody drives.
fn held_by(file: &mut File) -> Option<Holder> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder() -> Holder {
        Holder {
            run: "r1".to_owned(),
            pid: 7,
            host: "elsewhere".to_owned(),
            since: "2026-11-21T10:00:00Z".parse().unwrap(),
        }
    }

    #[test]
    fn the_second_run_is_told_who_holds_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::new(folder.path());
        let lock = home.lock("shop", &holder()).unwrap();
        let error = home.lock("shop", &holder()).unwrap_err().to_string();
        assert!(
            error.contains("r1, process 7 on elsewhere, since 2026-11-21T10:00:00Z"),
            "{error}"
        );
        assert_eq!(home.holder("shop"), Some(holder()));
        assert!(home.lock("other", &holder()).is_ok());
        drop(lock);
        assert_eq!(home.holder("shop"), None);
        assert!(home.lock("shop", &holder()).is_ok());
    }
}
