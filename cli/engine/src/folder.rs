//! Where runs live: `.cutover/runs/<id>/`, each with its journal.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::snapshot;

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

    /// Makes the folder of a new run, for its owner alone.
    ///
    /// # Errors
    /// When it cannot be made, or exists.
    pub fn create_run(&self, id: &str) -> Result<RunFolder, FolderError> {
        let runs = self.0.join("runs");
        make_folder(&runs)?;
        let path = runs.join(id);
        // Whoever can open a run's control socket can steer it.
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .map_err(|source| FolderError::Io {
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

    /// Ids of all runs, oldest first: ids begin with the time. A run whose journal was lost is still
    /// one when it has a snapshot: its traffic can be taken back.
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
            .filter(|entry| {
                let has = |file| entry.path().join(file).exists();
                has(JOURNAL) || has(snapshot::FILE_NAME)
            })
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
const REPORT: &str = "report.json";
const DRIVER_LOG: &str = "driver.log";

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

    /// What its last driver said at its end.
    #[must_use]
    pub fn report(&self) -> PathBuf {
        self.path.join(REPORT)
    }

    /// What a driver in the background prints.
    #[must_use]
    pub fn driver_log(&self) -> PathBuf {
        self.path.join(DRIVER_LOG)
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

pub(crate) fn make_folder(path: &Path) -> Result<(), FolderError> {
    fs::create_dir_all(path).map_err(|source| FolderError::Io {
        path: path.to_owned(),
        doing: "make the folder",
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn a_run_whose_journal_was_lost_is_found_by_its_snapshot() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::new(folder.path());
        let run = home.create_run("r").unwrap();
        assert!(home.find_run(None).is_err(), "an empty folder is no run");
        fs::write(run.path().join(snapshot::FILE_NAME), "{}").unwrap();
        assert_eq!(home.find_run(None).unwrap().id(), "r");
    }
}
