//! The one door to the file system.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::diagnostic::Diagnostics;
use crate::parse;
use crate::plan::Plan;

/// Larger than any plan that a person writes, small enough to read without a thought.
pub const LARGEST_FILE: u64 = 1024 * 1024;

/// A plan, and the text it was read from.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadedPlan {
    /// What the plan says.
    pub plan: Plan,
    /// The file, byte for byte.
    pub text: String,
    /// The file's path as the caller gave it.
    pub path: PathBuf,
}

/// Why a file is not a plan. Each message begins with the path and ends with what to do.
#[derive(Debug, Error)]
pub enum LoadError {
    /// There is no such file.
    #[error(
        "{}: no such file; give the path of a plan, for instance a copy of the bundled plan `demo`",
        path.display()
    )]
    Missing {
        /// As the caller gave it.
        path: PathBuf,
    },
    /// A directory, where a file is needed.
    #[error("{}: found a directory, expected a plan file; name a file in it", path.display())]
    Directory {
        /// As the caller gave it.
        path: PathBuf,
    },
    /// The file is there, but cannot be read.
    #[error("{}: the file cannot be read; check who owns it and its permissions", path.display())]
    Unreadable {
        /// As the caller gave it.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The file has more than [`LARGEST_FILE`] bytes.
    #[error(
        "{}: found more than 1 MiB, expected a plan, which has a few KiB; is this the right file?",
        path.display()
    )]
    TooLarge {
        /// As the caller gave it.
        path: PathBuf,
    },
    /// The file is not UTF-8 text.
    #[error(
        "{}: found binary data at byte {offset}, expected text; is this the right file, saved as UTF-8?",
        path.display()
    )]
    NotText {
        /// As the caller gave it.
        path: PathBuf,
        /// The first byte that is not text, counted from 0.
        offset: usize,
    },
    /// There is nothing in the file.
    #[error("{}: the file is empty, expected a plan; start from the bundled plan `demo`", path.display())]
    Empty {
        /// As the caller gave it.
        path: PathBuf,
    },
    /// The file is text, but not a plan; each line begins with the path.
    #[error(transparent)]
    Mistakes(#[from] Box<Diagnostics>),
}

/// Reads a plan file.
///
/// # Errors
/// The file cannot be read, is not text, or has mistakes.
pub fn plan(path: &Path) -> Result<LoadedPlan, LoadError> {
    let text = text(path)?;
    let plan = parse::plan(&path.display().to_string(), &text).map_err(Box::new)?;
    Ok(LoadedPlan {
        plan,
        text,
        path: path.to_owned(),
    })
}

/// The text of a file that is small enough to be a plan.
///
/// # Errors
/// The file cannot be read, is not text, is empty or too large.
pub fn text(path: &Path) -> Result<String, LoadError> {
    let path = || path.to_owned();
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            LoadError::Missing { path: path() }
        }
        _ => LoadError::Unreadable {
            path: path(),
            source,
        },
    };
    let metadata = std::fs::metadata(path()).map_err(failed)?;
    if metadata.is_dir() {
        return Err(LoadError::Directory { path: path() });
    }
    if metadata.len() > LARGEST_FILE {
        return Err(LoadError::TooLarge { path: path() });
    }
    // A file may grow, and a device has no length: reading is bounded as well.
    let mut bytes = Vec::new();
    File::open(path())
        .and_then(|file| file.take(LARGEST_FILE + 1).read_to_end(&mut bytes))
        .map_err(failed)?;
    if bytes.len() as u64 > LARGEST_FILE {
        return Err(LoadError::TooLarge { path: path() });
    }
    if bytes.is_empty() {
        return Err(LoadError::Empty { path: path() });
    }
    let text = String::from_utf8(bytes).map_err(|error| LoadError::NotText {
        path: path(),
        offset: error.utf8_error().valid_up_to(),
    })?;
    match text.find('\0') {
        Some(offset) => Err(LoadError::NotText {
            path: path(),
            offset,
        }),
        None => Ok(text),
    }
}

#[cfg(test)]
mod tests;
