//! The append-only record of a run: JSON lines, each on disk before anything is done about it.
//!
//! # Guarantees
//! - A record that [`Journal::append`] returned from is on disk (`fdatasync`).
//! - Records are numbered without gaps and chained by their hashes.
//! - A half-written last line (the process was killed while writing) is recognised, reported and
//!   dropped. A changed record, a missing one and a journal that was cut at its end are told apart
//!   from that, and from each other.
//!
//! | module | subject |
//! | --- | --- |
//! | `chain` | how records hang together |
//! | `head` | where the journal ends |

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

mod chain;
mod head;

use head::Head;

use crate::fact::{FORMAT, Fact, Record};
use crate::machine::Now;
use crate::state::{ImpossibleFact, State};

/// A journal names hosts, users and reasons: it is for the user who drives the run, and no other.
const OWN_MODE: u32 = 0o600;

/// Writes a journal.
#[derive(Debug)]
pub struct Journal {
    /// A journal that was read and cannot be written says so when it has to be.
    file: io::Result<File>,
    /// `None` when it could not be opened: a later cut then goes unnoticed, and nothing else.
    head: Option<File>,
    path: PathBuf,
    next_seq: u64,
    /// The chain of the record before.
    chain: String,
    #[cfg(test)]
    disk_full_from: Option<u64>,
}

/// What a journal holds.
#[derive(Debug)]
pub struct Replayed {
    /// All whole records.
    pub records: Vec<Record>,
    /// What they add up to.
    pub state: State,
    /// The last line was cut off by a crash and does not count.
    pub torn: bool,
    /// Bytes of whole records.
    whole_bytes: u64,
    /// The chain of the last whole record.
    chain: String,
}

/// A journal that cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file system refused.
    #[error("{}: could not {doing} the journal", path.display())]
    Io {
        /// The journal's file.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A line is not a record.
    #[error("{}:{line}: damaged journal: {problem}", path.display())]
    Damaged {
        /// The journal's file.
        path: PathBuf,
        /// 1-based.
        line: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// A record is not the one that was written, or one before it is missing.
    #[error(
        "{}:{line}: the journal was changed: this record does not follow from the one before it; \
         something other than this program has written to the file",
        path.display()
    )]
    Changed {
        /// The journal's file.
        path: PathBuf,
        /// 1-based.
        line: usize,
    },
    /// Records are missing at the end, which no crash can do.
    #[error(
        "{}: the journal was cut: it ends with record {found}, and record {written} had been \
         written and was on disk",
        path.display(), found = found.map_or("none".to_owned(), |seq| seq.to_string())
    )]
    Cut {
        /// The journal's file.
        path: PathBuf,
        /// Number of the last record that is there.
        found: Option<u64>,
        /// Number of the last record that was written.
        written: u64,
    },
    /// The records do not add up to a run.
    #[error("{}: impossible journal: {problem}", path.display())]
    Impossible {
        /// The journal's file.
        path: PathBuf,
        /// What is wrong.
        problem: ImpossibleFact,
    },
}

impl Journal {
    /// A new journal; the file must not exist yet.
    ///
    /// # Errors
    /// When the file cannot be made, or its folder entry cannot be made durable.
    pub fn create(path: &Path) -> Result<Self, JournalError> {
        let io = |doing| {
            move |source| JournalError::Io {
                path: path.to_owned(),
                doing,
                source,
            }
        };
        let file = OpenOptions::new()
            .append(true)
            .create_new(true)
            .mode(OWN_MODE)
            .open(path)
            .map_err(io("create"))?;
        if let Some(folder) = path.parent() {
            File::open(folder)
                .and_then(|folder| folder.sync_all())
                .map_err(io("create"))?;
        }
        Ok(Journal {
            file: Ok(file),
            head: head::open(path).ok(),
            path: path.to_owned(),
            next_seq: 0,
            chain: chain::BEGINNING.to_owned(),
            #[cfg(test)]
            disk_full_from: None,
        })
    }

    /// Goes on with a journal that was read before; a torn last line is cut off. When the file
    /// cannot be opened or cut, the first [`Journal::append`] fails: what needs no record can still
    /// be done.
    #[must_use]
    pub fn reopen(path: &Path, replayed: &Replayed) -> Self {
        let file = OpenOptions::new().append(true).open(path).and_then(|file| {
            if replayed.torn {
                file.set_len(replayed.whole_bytes)?;
            }
            Ok(file)
        });
        Journal {
            head: file.as_ref().ok().and_then(|_| head::open(path).ok()),
            file,
            path: path.to_owned(),
            chain: replayed.chain.clone(),
            next_seq: replayed.records.last().map_or(0, |record| record.seq + 1),
            #[cfg(test)]
            disk_full_from: None,
        }
    }

    /// Writes one fact and waits until it is on disk.
    ///
    /// # Errors
    /// When it is not certain that the record is on disk; nothing may be done about the fact then.
    pub fn append(&mut self, now: Now, fact: Fact) -> Result<Record, JournalError> {
        let record = Record {
            seq: self.next_seq,
            at: now.wall,
            elapsed_ms: u64::try_from(now.elapsed.as_millis()).unwrap_or(u64::MAX),
            fact,
        };
        self.write(&record).map_err(|source| JournalError::Io {
            path: self.path.clone(),
            doing: "write",
            source,
        })?;
        self.next_seq += 1;
        Ok(record)
    }

    /// Whether the journal still lies where it is looked for.
    ///
    /// # Errors
    /// It was removed, or replaced by another file.
    pub fn check(&self) -> Result<(), JournalError> {
        let file = match &self.file {
            Ok(file) => file,
            Err(_) => return Ok(()),
        };
        still_there(file, &self.path).map_err(|source| JournalError::Io {
            path: self.path.clone(),
            doing: "find",
            source,
        })
    }

    /// Number of the record that was written last.
    #[must_use]
    pub fn last_seq(&self) -> Option<u64> {
        self.next_seq.checked_sub(1)
    }

    fn write(&mut self, record: &Record) -> io::Result<()> {
        let body = serde_json::to_vec(record)?;
        let chain = chain::link(&self.chain, &body);
        #[cfg(test)]
        self.fill_disk_when_due()?;
        let file = match &mut self.file {
            Ok(file) => file,
            Err(error) => return Err(io::Error::new(error.kind(), error.to_string())),
        };
        still_there(file, &self.path)?;
        file.write_all(&chain::line(body, &chain))?;
        file.sync_data()?;
        self.chain = chain;
        // The record is on disk; without this mark a later cut would only go unnoticed.
        let head = Head {
            seq: record.seq,
            chain: self.chain.clone(),
        };
        if let Some(file) = &self.head {
            let _ = head.write(file);
        }
        Ok(())
    }

    /// From this record on the disk is full: `/dev/full` fails every write as a full disk does.
    #[cfg(test)]
    pub(crate) fn disk_is_full_from(&mut self, seq: u64) {
        self.disk_full_from = Some(seq);
    }

    #[cfg(test)]
    fn fill_disk_when_due(&mut self) -> io::Result<()> {
        if self.disk_full_from == Some(self.next_seq) {
            self.file = OpenOptions::new().append(true).open("/dev/full");
            self.path = PathBuf::from("/dev/full");
        }
        Ok(())
    }
}

/// A journal that was removed or replaced under its driver would be written where nobody finds it.
fn still_there(file: &File, path: &Path) -> io::Result<()> {
    let (ours, there) = (file.metadata()?, std::fs::metadata(path)?);
    if (ours.dev(), ours.ino()) == (there.dev(), there.ino()) {
        Ok(())
    } else {
        Err(io::Error::other("another file has taken its place"))
    }
}

/// Reads a journal and replays it.
///
/// # Errors
/// When it cannot be read, is damaged before its last line, or its records cannot follow each
/// other.
pub fn read(path: &Path) -> Result<Replayed, JournalError> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|mut file| file.read_to_end(&mut bytes))
        .map_err(|source| JournalError::Io {
            path: path.to_owned(),
            doing: "read",
            source,
        })?;
    let Parsed {
        records,
        chains,
        whole_bytes,
    } = parse(path, &bytes)?;
    check_end(path, &chains)?;
    let state = State::replay(&records).map_err(|problem| JournalError::Impossible {
        path: path.to_owned(),
        problem,
    })?;
    Ok(Replayed {
        records,
        state,
        torn: whole_bytes < bytes.len(),
        whole_bytes: whole_bytes as u64,
        chain: chains.last().cloned().unwrap_or_default(),
    })
}

/// The head may lag behind a crash, but what it names must be there.
fn check_end(path: &Path, chains: &[String]) -> Result<(), JournalError> {
    let Some(head) = Head::read(path) else {
        return Ok(());
    };
    let named = usize::try_from(head.seq)
        .ok()
        .and_then(|seq| chains.get(seq));
    match named {
        Some(chain) if *chain == head.chain => Ok(()),
        Some(_) => Err(JournalError::Changed {
            path: path.to_owned(),
            line: usize::try_from(head.seq).unwrap_or(usize::MAX - 1) + 1,
        }),
        None => Err(JournalError::Cut {
            path: path.to_owned(),
            found: (chains.len() as u64).checked_sub(1),
            written: head.seq,
        }),
    }
}

/// The whole records of a journal.
struct Parsed {
    records: Vec<Record>,
    chains: Vec<String>,
    whole_bytes: usize,
}

/// All whole records. Only a line without its newline can be the
/// work of a crash: `append` writes the newline last.
fn parse(path: &Path, bytes: &[u8]) -> Result<Parsed, JournalError> {
    let whole = bytes
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |newline| newline + 1);
    let mut records: Vec<Record> = Vec::new();
    let mut chains: Vec<String> = Vec::new();
    let lines = bytes[..whole]
        .split_inclusive(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\n").unwrap_or(line));
    for (index, line) in lines.enumerate() {
        let line_number = index + 1;
        let damaged = |problem: String| JournalError::Damaged {
            path: path.to_owned(),
            line: line_number,
            problem,
        };
        let format = format_of(line, index);
        if let Some(format) = format.filter(|format| *format != FORMAT) {
            return Err(JournalError::Impossible {
                path: path.to_owned(),
                problem: ImpossibleFact::OtherFormat(format),
            });
        }
        let (body, chain) =
            chain::split(line).ok_or_else(|| damaged("the record has no chain".to_owned()))?;
        let before = chains.last().map_or(chain::BEGINNING, String::as_str);
        if chain::link(before, &body) != chain {
            return Err(JournalError::Changed {
                path: path.to_owned(),
                line: line_number,
            });
        }
        let record = serde_json::from_slice(&body).map_err(|error| damaged(error.to_string()))?;
        records.push(record);
        chains.push(chain.to_owned());
    }
    Ok(Parsed {
        records,
        chains,
        whole_bytes: whole,
    })
}

/// The format that the first record names, whatever else it holds: another version may have had
/// other chains, other plans, other records.
fn format_of(line: &[u8], index: usize) -> Option<u32> {
    if index > 0 {
        return None;
    }
    let record: serde_json::Value = serde_json::from_slice(line).ok()?;
    u32::try_from(record.get("format")?.as_u64()?).ok()
}

#[cfg(test)]
mod tests;
