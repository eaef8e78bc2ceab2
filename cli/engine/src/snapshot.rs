//! How to put everything back without the run: a file that is written before the first change.
//!
//! It needs neither the plan nor the journal: `cutover rollback --from FILE` reads it, and a
//! person finds in it the commands to type when there is no `cutover` at hand.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use cutover_scenarios::units::Weight;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The format of snapshots that this version writes and reads.
pub const FORMAT: u32 = 1;

/// The file's name in the folder of a run.
pub const FILE_NAME: &str = "snapshot.json";

/// Everything that a run was about to change, as it stood before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// [`FORMAT`].
    pub format: u32,
    /// Id of the run that took it.
    pub run: String,
    /// Name of its plan.
    pub plan: String,
    /// What its lock is named after, see [`service_key`](crate::lock::service_key).
    pub service: String,
    /// When it was taken.
    pub taken_at: Timestamp,
    /// The target's weight at that time: 0 %, or the run would not have begun.
    pub weight: Weight,
    /// From this weight on the plan does not go back by itself.
    pub point_of_no_return: Option<Weight>,
    /// What the shifter needs to put it back, in its own form.
    pub shifter: Value,
    /// What a person would type to put it back.
    pub commands: Vec<String>,
}

/// A snapshot that cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The file system refused.
    #[error("{}: could not {doing} the snapshot", path.display())]
    Io {
        /// The snapshot's file.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The file is not a snapshot.
    #[error("{}: not a snapshot of `cutover`: {problem}", path.display())]
    NoSnapshot {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
}

impl Snapshot {
    /// Writes the snapshot so that the file is whole or not there, also after a crash.
    ///
    /// # Errors
    /// When the file system refuses; nothing may be changed then.
    pub fn write(&self, path: &Path) -> Result<(), SnapshotError> {
        let io = |doing| {
            move |source| SnapshotError::Io {
                path: path.to_owned(),
                doing,
                source,
            }
        };
        let beside = path.with_extension("json.new");
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&beside)
            .map_err(io("write"))?;
        let text = serde_json::to_string_pretty(self)
            .map_err(io::Error::from)
            .map_err(io("write"))?;
        file.write_all(text.as_bytes())
            .and_then(|()| file.write_all(b"\n"))
            .and_then(|()| file.sync_all())
            .and_then(|()| fs::rename(&beside, path))
            .map_err(io("write"))?;
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(io("keep"))
    }

    /// Reads a snapshot.
    ///
    /// # Errors
    /// When the file cannot be read, or is something else.
    pub fn read(path: &Path) -> Result<Self, SnapshotError> {
        let text = fs::read_to_string(path).map_err(|source| SnapshotError::Io {
            path: path.to_owned(),
            doing: "read",
            source,
        })?;
        let no_snapshot = |problem| SnapshotError::NoSnapshot {
            path: path.to_owned(),
            problem,
        };
        let snapshot: Snapshot =
            serde_json::from_str(&text).map_err(|error| no_snapshot(error.to_string()))?;
        if snapshot.format != FORMAT {
            let format = snapshot.format;
            return Err(no_snapshot(format!(
                "it has format {format}, this version reads {FORMAT}"
            )));
        }
        if snapshot.weight != Weight::ZERO {
            let weight = snapshot.weight;
            return Err(no_snapshot(format!(
                "it says that the target had {weight} before the run; every run begins at 0 %, so \
                 the file was changed"
            )));
        }
        Ok(snapshot)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn snapshot() -> Snapshot {
        Snapshot {
            format: FORMAT,
            run: "r".to_owned(),
            plan: "shop".to_owned(),
            service: "shop".to_owned(),
            taken_at: "2026-11-21T10:00:00Z".parse().unwrap(),
            weight: Weight::ZERO,
            point_of_no_return: None,
            shifter: serde_json::json!({ "any": "thing" }),
            commands: vec!["type this".to_owned()],
        }
    }

    #[test]
    fn a_snapshot_is_read_back_as_it_was_and_only_its_owner_may_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE_NAME);
        snapshot().write(&path).unwrap();
        snapshot().write(&path).unwrap();
        assert_eq!(Snapshot::read(&path).unwrap(), snapshot());
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn another_file_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.jsonl");
        fs::write(&path, "{\"seq\":0}").unwrap();
        let error = Snapshot::read(&path).unwrap_err().to_string();
        assert!(error.contains("journal.jsonl: not a snapshot"), "{error}");
        let newer = Snapshot {
            format: 9,
            ..snapshot()
        };
        newer.write(&path).unwrap();
        let error = Snapshot::read(&path).unwrap_err().to_string();
        assert!(error.contains("format 9"), "{error}");
    }
}
