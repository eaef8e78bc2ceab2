//! Where a journal ends: the number and the chain of its last record, in a file beside it.
//!
//! It is written after the record and not forced to disk, so after a crash it may lag behind. It can
//! never run ahead of a journal that nobody has cut.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The end of a journal as it was known last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    /// Number of the last record.
    pub(super) seq: u64,
    /// Its chain.
    pub(super) chain: String,
}

/// The file beside the journal at `journal`.
fn path(journal: &Path) -> PathBuf {
    journal.with_extension("head")
}

/// Opens the file for writing, and makes it when it is not there; nobody else may read it.
pub(super) fn open(journal: &Path) -> io::Result<File> {
    OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(false)
        .mode(super::OWN_MODE)
        .open(path(journal))
}

impl Head {
    /// Writes over what was there. Lines never become shorter: numbers grow.
    pub(super) fn write(&self, file: &File) -> io::Result<()> {
        let mut line = serde_json::to_vec(self)?;
        line.push(b'\n');
        file.write_all_at(&line, 0)
    }

    /// What is known of the journal's end; `None` when there is no such file, or it is torn.
    pub(super) fn read(journal: &Path) -> Option<Self> {
        let text = std::fs::read_to_string(path(journal)).ok()?;
        serde_json::from_str(text.lines().next()?).ok()
    }
}
