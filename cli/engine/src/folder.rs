//! Where runs live: `.cutover/runs/<id>/` with the journal, and `.cutover/locks/`.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The folder that holds all runs, `.cutover` by default.
#[derive(Debug, Clone)]
pub struct Home(PathBuf);

/// The folder of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFolder {
    id: String,
    path: PathBuf,
}

/// A folder that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// The file system refused.
    #[error("{}: could not {doing}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// There is no run at all.
    #[error("{}: no run is recorded here; run this in the folder where the run was started, or name that folder with --dir", .0.display())]
    NoRuns(PathBuf),
    /// There is no such run.
    #[error("{}: no run `{run}`; the runs here: {}", home.display(), known.join(", "))]
    UnknownRun {
        /// The folder that was searched.
        home: PathBuf,
        /// What was asked for.
        run: String,
        /// The latest runs.
        known: Vec<String>,
    },
}

impl Home {
    /// The folder at `path`; nothing is made yet.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Home(path.into())
    }

    /// The folder itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Makes the folder of a new run.
    ///
    /// # Errors
    /// When it cannot be made, or exists.
    pub fn create_run(&self, id: &str) -> Result<RunFolder, FolderError> {
        let runs = self.0.join("runs");
        make_folder(&runs)?;
        let path = runs.join(id);
        fs::create_dir(&path).map_err(|source| FolderError::Io {
            path: path.clone(),
            doing: "make the run's folder",
            source,
        })?;
        File::open(&runs)
            .and_then(|folder| folder.sync_all())
            .map_err(|source| FolderError::Io {
                path: runs,
                doing: "write the folder",
                source,
            })?;
        Ok(RunFolder {
            id: id.to_owned(),
            path,
        })
    }

    /// Ids of all runs, oldest first: ids begin with the time.
    ///
    /// # Errors
    /// When the folder exists but cannot be read.
    pub fn runs(&self) -> Result<Vec<String>, FolderError> {
        let runs = self.0.join("runs");
        let entries = match fs::read_dir(&runs) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(|source| FolderError::Io {
                path: runs.clone(),
                doing: "list the runs",
                source,
            })?,
        };
        let mut ids: Vec<String> = entries
            .filter_map(Result::ok)
            .filter(|entry| entry.path().join(JOURNAL).exists())
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        ids.sort();
        Ok(ids)
    }

    /// The run that is named, or the latest one.
    ///
    /// # Errors
    /// When there is none.
    pub fn find_run(&self, id: Option<&str>) -> Result<RunFolder, FolderError> {
        let mut runs = self.runs()?;
        let Some(latest) = runs.last().cloned() else {
            return Err(FolderError::NoRuns(self.0.clone()));
        };
        let id = id.map_or(latest, ToOwned::to_owned);
        if !runs.contains(&id) {
            let known = runs.split_off(runs.len().saturating_sub(5));
            return Err(FolderError::UnknownRun {
                home: self.0.clone(),
                run: id,
                known,
            });
        }
        Ok(RunFolder {
            path: self.0.join("runs").join(&id),
            id,
        })
    }
}

const JOURNAL: &str = "journal.jsonl";

impl RunFolder {
    /// Id of the run.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The folder itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The run's journal.
    #[must_use]
    pub fn journal(&self) -> PathBuf {
        self.path.join(JOURNAL)
    }
}

/// The id of a run that begins at `at`: sortable, readable, and told apart by `salt` from one that
/// begins in the same second.
#[must_use]
pub fn run_id(plan: &str, at: Timestamp, salt: u32) -> String {
    format!(
        "{}-{plan}-{:04x}",
        at.strftime("%Y%m%d-%H%M%S"),
        salt & 0xffff
    )
}

fn make_folder(path: &Path) -> Result<(), FolderError> {
    fs::create_dir_all(path).map_err(|source| FolderError::Io {
        path: path.to_owned(),
        doing: "make the folder",
        source,
    })
}

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
    /// The file system refused.
    #[error(transparent)]
    Folder(#[from] FolderError),
}

impl Home {
    /// Takes the lock of a plan.
    ///
    /// # Errors
    /// When another run holds it, or the file system refuses.
    pub fn lock(&self, plan: &str, holder: &Holder) -> Result<Lock, LockError> {
        let folder = self.0.join("locks");
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
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(LockError::Held {
                    plan: plan.to_owned(),
                    holder: held_by(&mut file),
                });
            }
            Err(TryLockError::Error(source)) => return Err(io("take the lock")(source).into()),
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
        let path = self.0.join("locks").join(format!("{plan}.lock"));
        let mut file = OpenOptions::new().read(true).write(true).open(path).ok()?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => Some(held_by(&mut file)),
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

fn held_by(file: &mut File) -> Holder {
    let mut text = String::new();
    let _ = file.read_to_string(&mut text);
    serde_json::from_str(&text).unwrap_or_else(|_| Holder {
        run: "unknown".to_owned(),
        pid: 0,
        host: "unknown".to_owned(),
        since: Timestamp::UNIX_EPOCH,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder() -> Holder {
        Holder {
            run: "r1".to_owned(),
            pid: 7,
            host: "h".to_owned(),
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
            error.contains("r1, process 7 on h, since 2026-11-21T10:00:00Z"),
            "{error}"
        );
        assert_eq!(home.holder("shop"), Some(holder()));
        assert!(home.lock("other", &holder()).is_ok());
        drop(lock);
        assert_eq!(home.holder("shop"), None);
        assert!(home.lock("shop", &holder()).is_ok());
    }

    #[test]
    fn the_latest_run_is_found_without_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::new(folder.path());
        assert!(matches!(home.find_run(None), Err(FolderError::NoRuns(_))));
        for second in ["2026-11-21T10:00:00Z", "2026-11-21T10:00:05Z"] {
            let run = home
                .create_run(&run_id("shop", second.parse().unwrap(), 1))
                .unwrap();
            fs::write(run.journal(), "").unwrap();
        }
        assert_eq!(
            home.find_run(None).unwrap().id(),
            "20261121-100005-shop-0001"
        );
        let error = home.find_run(Some("nope")).unwrap_err().to_string();
        assert!(
            error.contains("no run `nope`") && error.contains("20261121-100000"),
            "{error}"
        );
    }
}
