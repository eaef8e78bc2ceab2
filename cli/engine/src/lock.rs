//! One run of a service at a time.
//!
//! A [`Lease`] is the hold that a driver has on a service. Here it is a lock file, for drivers of
//! one machine or one shared folder; a lease in the cluster fits the same trait.
//!
//! The lock file carries two locks in one. The system's own (`flock`) ends with its process,
//! however that dies. What stands in the file says who holds it, and a heartbeat says that the
//! driver still runs: a driver that is stopped, or cut off from its machine, keeps the system's
//! lock and is told by its silence. Such a lock can be taken away ([`Home::take_away`]): the file
//! gets out of the way, and a driver that wakes finds another one in its place, or none
//! ([`Lease::still_ours`]).

use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use cutover_scenarios::plan::Plan;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::folder::{FolderError, Home, make_folder};
use crate::narrate::seconds;

mod taken_away;

pub use taken_away::{TakeAwayError, TakenAway};

/// How often a driver gives a sign of life.
pub const BEAT: Duration = Duration::from_secs(2);

/// A holder that was silent for longer is called stale: fifteen heartbeats are missing.
pub const STALE_AFTER: Duration = Duration::from_secs(30);

/// What one run at a time may change. Runs of one service share it, whichever file their plans
/// were read from.
#[must_use]
pub fn service_key(plan: &Plan) -> &str {
    &plan.name
}

/// The hold of this driver on a service.
///
/// # Guarantees
/// - At most one driver holds a service at a time, unless a person took the lease away by force.
/// - A driver whose lease was taken away learns of it from [`Lease::still_ours`], at the latest
///   with its next effect.
///
/// # Room for other leases
/// [`Lease::still_ours`] does not wait: a lease that lives elsewhere (a `coordination.k8s.io`
/// lease) answers from its last renewal and a clock that never jumps, and is lost as soon as the
/// renewal is older than others are told to wait. [`Lease::beat`] is the renewal and may take its
/// time.
#[async_trait]
pub trait Lease: Send + Sync + fmt::Debug {
    /// Who holds it, where, and since when.
    fn holder(&self) -> &Holder;

    /// Whether the service is still ours to change. To be asked before every effect and every
    /// record, and cheap enough for that.
    ///
    /// # Errors
    /// The lease was taken away; nothing may be changed any more, neither the service nor the
    /// run's folder.
    fn still_ours(&self) -> Result<(), LeaseLost>;

    /// Tells others that the driver lives.
    ///
    /// # Errors
    /// The sign could not be given. That alone ends nothing: only [`Lease::still_ours`] does.
    async fn beat(&self, at: Timestamp) -> io::Result<()>;

    /// Gives it back; others need not wait for its holder to fall silent. Once is enough, and
    /// dropping a lease does the same.
    async fn release(&self);
}

/// A lease that was taken away.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this driver no longer holds `{service}`: its lock was taken away while it was silent{}",
    taken_by.as_ref().map(|holder| format!(", and is held by {holder}")).unwrap_or_default())]
pub struct LeaseLost {
    /// What was held.
    pub service: String,
    /// Who holds it now, if anybody does.
    pub taken_by: Option<Box<Holder>>,
}

/// Who holds a lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The run that is under way.
    pub run: String,
    /// The user who drives it.
    pub user: String,
    /// Process id of its driver.
    pub pid: u32,
    /// The machine it runs on.
    pub host: String,
    /// Since when.
    pub since: Timestamp,
    /// The last sign of life.
    pub beat: Timestamp,
}

impl Holder {
    /// How long ago the last sign of life was given, as the wall clock of `now` sees it. A sign
    /// from the future is as doubtful as an old one: clocks were set.
    #[must_use]
    pub fn silent_for(&self, now: Timestamp) -> Duration {
        now.duration_since(self.beat).unsigned_abs()
    }

    /// Whether it was silent for so long that a person should look.
    #[must_use]
    pub fn is_stale(&self, now: Timestamp) -> bool {
        self.silent_for(now) > STALE_AFTER
    }

    /// Whether both are one hold, at different times: no process takes one lock twice at the same
    /// instant.
    #[must_use]
    pub fn is_same_hold(&self, other: &Holder) -> bool {
        let identity = |holder: &Holder| {
            let Holder {
                run,
                pid,
                host,
                since,
                ..
            } = holder.clone();
            (run, pid, host, since)
        };
        identity(self) == identity(other)
    }

    /// Whether the driver may still live. A driver of this machine that was killed can leave the
    /// lock behind for a moment, with a child that was just about to become another program.
    fn lives(&self) -> bool {
        let here = nix::unistd::gethostname().is_ok_and(|name| name.to_str() == Some(&self.host));
        !here || Path::new(&format!("/proc/{}", self.pid)).exists()
    }
}

/// `RUN, driven by ann, process 4711 on laptop, since 2026-11-21T10:00:00Z`.
impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Holder {
            run,
            user,
            pid,
            host,
            since,
            beat: _,
        } = self;
        write!(
            f,
            "{run}, driven by {user}, process {pid} on {host}, since {since:.0}"
        )
    }
}

/// A lock that was not got.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another run of the same service is under way.
    #[error("another run of `{service}` is under way: {holder}, {}", heard_of(service, holder, *now))]
    Held {
        /// What is held.
        service: String,
        /// Who holds it.
        holder: Box<Holder>,
        /// When that was found.
        now: Timestamp,
    },
    /// The lock is held, and its holder does not say who it is.
    #[error("{}: someone holds the lock of `{service}` and does not say who; try again", path.display())]
    Unknown {
        /// What is held.
        service: String,
        /// The lock's file.
        path: PathBuf,
    },
    /// The file system refused.
    #[error(transparent)]
    Folder(#[from] FolderError),
}

/// When the holder was heard of last, and what to do when that is long ago.
fn heard_of(service: &str, holder: &Holder, now: Timestamp) -> String {
    let heard = format!("last heartbeat {} ago", seconds(holder.silent_for(now)));
    if holder.is_stale(now) {
        format!(
            "{heard}: it is stale, so that driver may be stopped or cut off; if it is gone for \
             good, take its lock away: cutover unlock {service} --reason WHY"
        )
    } else {
        heard
    }
}

/// A [`Lease`] by a file of this machine or of a shared folder.
#[derive(Debug)]
pub struct FileLock {
    file: File,
    path: PathBuf,
    service: String,
    holder: Holder,
}

/// Attempts to get past someone who only looks, or whom a killed driver left behind.
const LOOKS: u32 = 200_000;

/// Every sign of life has this size at least, so that it is written over the one before it in
/// one piece.
const SIGN_BYTES: usize = 512;

impl Home {
    /// Takes the lock of a service. `holder` says who takes it; the time is that of its first
    /// heartbeat.
    ///
    /// # Errors
    /// When another run holds it, or the file system refuses.
    pub fn lock(&self, service: &str, holder: Holder) -> Result<FileLock, LockError> {
        make_folder(&self.locks())?;
        let path = self.lock_file(service);
        let io = |doing| {
            let path = path.clone();
            move |source| FolderError::Io {
                path,
                doing,
                source,
            }
        };
        loop {
            let file = OpenOptions::new()
                .create(true)
                .read(true)
                .write(true)
                .truncate(false)
                .open(&path)
                .map_err(io("open the lock"))?;
            wait_for_lock(&file, &path, service, holder.beat)?;
            // It may have been taken away between opening and locking.
            if is_at(&file, &path) {
                let lock = FileLock {
                    file,
                    path: path.clone(),
                    service: service.to_owned(),
                    holder,
                };
                lock.write(lock.holder.beat).map_err(io("write the lock"))?;
                return Ok(lock);
            }
        }
    }

    /// Who holds the lock of a service right now, if anybody does.
    #[must_use]
    pub fn holder(&self, service: &str) -> Option<Holder> {
        let file = File::open(self.lock_file(service)).ok()?;
        match file.try_lock_shared() {
            Err(TryLockError::WouldBlock) => held_by(&file).filter(Holder::lives),
            Ok(()) | Err(TryLockError::Error(_)) => None,
        }
    }

    /// All holders, whichever service they hold.
    #[must_use]
    pub fn holders(&self) -> Vec<Holder> {
        let entries = fs::read_dir(self.locks()).into_iter().flatten().flatten();
        entries
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter_map(|name| self.holder(name.strip_suffix(SUFFIX)?))
            .collect()
    }

    /// Whether there is a lock of this name, held or not.
    #[must_use]
    pub fn has_lock(&self, service: &str) -> bool {
        self.lock_file(service).exists()
    }

    fn locks(&self) -> PathBuf {
        self.path().join("locks")
    }

    fn lock_file(&self, service: &str) -> PathBuf {
        self.locks().join(format!("{service}{SUFFIX}"))
    }
}

const SUFFIX: &str = ".lock";

/// Takes the system's lock. Someone who only looks has a shared one for a moment; whoever drives
/// has said so in the file.
fn wait_for_lock(file: &File, path: &Path, service: &str, now: Timestamp) -> Result<(), LockError> {
    let mut looks = 0;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) => match held_by(file) {
                Some(holder) if holder.lives() => {
                    return Err(LockError::Held {
                        service: service.to_owned(),
                        holder: Box::new(holder),
                        now,
                    });
                }
                _ if looks < LOOKS => {
                    looks += 1;
                    std::thread::yield_now();
                }
                _ => {
                    return Err(LockError::Unknown {
                        service: service.to_owned(),
                        path: path.to_owned(),
                    });
                }
            },
            Err(TryLockError::Error(source)) => {
                return Err(LockError::Folder(FolderError::Io {
                    path: path.to_owned(),
                    doing: "take the lock",
                    source,
                }));
            }
        }
    }
}

impl FileLock {
    /// Writes who holds the lock over what stood there: through the open file, so that a driver
    /// that was stopped for long can never write into the lock of its successor.
    fn write(&self, beat: Timestamp) -> io::Result<()> {
        let holder = Holder {
            beat,
            ..self.holder.clone()
        };
        let text = serde_json::to_string(&holder)?;
        self.file
            .write_all_at(format!("{text:SIGN_BYTES$}").as_bytes(), 0)
    }

    /// Empties the file and gives the system's lock back; the file itself stays for the next one.
    fn give_back(&self) {
        // The system drops its lock with the file in any case.
        let _ = self.file.set_len(0);
        let _ = self.file.unlock();
    }
}

#[async_trait]
impl Lease for FileLock {
    fn holder(&self) -> &Holder {
        &self.holder
    }

    fn still_ours(&self) -> Result<(), LeaseLost> {
        let there = File::open(&self.path).ok();
        let taken_by = there.as_ref().and_then(held_by).map(Box::new);
        let another = taken_by
            .as_ref()
            .is_some_and(|holder| !holder.is_same_hold(&self.holder));
        // What cannot be read (a heartbeat that is just being written) is still our own file.
        if is_at(&self.file, &self.path) && !another {
            return Ok(());
        }
        Err(LeaseLost {
            service: self.service.clone(),
            taken_by: taken_by.filter(|_| another),
        })
    }

    async fn beat(&self, at: Timestamp) -> io::Result<()> {
        self.write(at)
    }

    async fn release(&self) {
        self.give_back();
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        self.give_back();
    }
}

/// Whether the open file is the one that stands at `path`. A file system that does not say is no
/// evidence of another one.
fn is_at(file: &File, path: &Path) -> bool {
    let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    match (file.metadata(), fs::metadata(path)) {
        (Ok(open), Ok(there)) => identity(open) == identity(there),
        (_, Err(error)) => error.kind() != io::ErrorKind::NotFound,
        (Err(_), _) => true,
    }
}

/// What the holder has written; `None` while it is being written, or when nobody drives.
fn held_by(file: &File) -> Option<Holder> {
    let mut bytes = vec![0; 4 * SIGN_BYTES];
    let length = file.read_at(&mut bytes, 0).ok()?;
    serde_json::from_slice(&bytes[..length]).ok()
}

#[cfg(test)]
mod tests;
