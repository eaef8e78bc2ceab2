//! The append-only record of a run: JSON lines, each on disk before anything is done about it.
//!
//! # Guarantees
//! - A record that [`Journal::append`] returned from is on disk (`fdatasync`).
//! - Records are numbered without gaps; a half-written last line (the process was killed while
//!   writing) is recognised, reported and dropped; any other damage is an error.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use crate::fact::{Fact, Record};
use crate::machine::Now;
use crate::state::{ImpossibleFact, State};

/// Writes a journal.
#[derive(Debug)]
pub struct Journal {
    file: File,
    path: PathBuf,
    next_seq: u64,
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
            .open(path)
            .map_err(io("create"))?;
        if let Some(folder) = path.parent() {
            File::open(folder)
                .and_then(|folder| folder.sync_all())
                .map_err(io("create"))?;
        }
        Ok(Journal {
            file,
            path: path.to_owned(),
            next_seq: 0,
            #[cfg(test)]
            disk_full_from: None,
        })
    }

    /// Goes on with a journal that was read before; a torn last line is cut off.
    ///
    /// # Errors
    /// When the file cannot be opened or cut.
    pub fn reopen(path: &Path, replayed: &Replayed) -> Result<Self, JournalError> {
        let io = |doing| {
            move |source| JournalError::Io {
                path: path.to_owned(),
                doing,
                source,
            }
        };
        let file = OpenOptions::new()
            .append(true)
            .open(path)
            .map_err(io("open"))?;
        if replayed.torn {
            file.set_len(replayed.whole_bytes)
                .map_err(io("cut the torn end of"))?;
        }
        Ok(Journal {
            file,
            path: path.to_owned(),
            next_seq: replayed.records.last().map_or(0, |record| record.seq + 1),
            #[cfg(test)]
            disk_full_from: None,
        })
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

    fn write(&mut self, record: &Record) -> io::Result<()> {
        let mut line = serde_json::to_vec(record)?;
        line.push(b'\n');
        #[cfg(test)]
        self.fill_disk_when_due()?;
        self.file.write_all(&line)?;
        self.file.sync_data()
    }

    /// From this record on the disk is full: `/dev/full` fails every write as a full disk does.
    #[cfg(test)]
    pub(crate) fn disk_is_full_from(&mut self, seq: u64) {
        self.disk_full_from = Some(seq);
    }

    #[cfg(test)]
    fn fill_disk_when_due(&mut self) -> io::Result<()> {
        if self.disk_full_from == Some(self.next_seq) {
            self.file = OpenOptions::new().append(true).open("/dev/full")?;
        }
        Ok(())
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
    let (records, whole_bytes) = parse(path, &bytes)?;
    let state = State::replay(&records).map_err(|problem| JournalError::Impossible {
        path: path.to_owned(),
        problem,
    })?;
    Ok(Replayed {
        records,
        state,
        torn: whole_bytes < bytes.len(),
        whole_bytes: whole_bytes as u64,
    })
}

/// All whole records, and how many bytes they take. Only a line without its newline can be the
/// work of a crash: `append` writes the newline last.
fn parse(path: &Path, bytes: &[u8]) -> Result<(Vec<Record>, usize), JournalError> {
    let whole = bytes
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |newline| newline + 1);
    let mut records = Vec::new();
    for (index, line) in bytes[..whole]
        .split_inclusive(|byte| *byte == b'\n')
        .enumerate()
    {
        let record = serde_json::from_slice(line).map_err(|error| JournalError::Damaged {
            path: path.to_owned(),
            line: index + 1,
            problem: error.to_string(),
        })?;
        records.push(record);
    }
    Ok((records, whole))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phase::Phase;
    use crate::testing;

    fn written(folder: &Path, facts: Vec<Fact>) -> PathBuf {
        let path = folder.join("journal.jsonl");
        let mut journal = Journal::create(&path).unwrap();
        for fact in facts {
            journal.append(testing::now(0.0), fact).unwrap();
        }
        path
    }

    fn two_facts() -> Vec<Fact> {
        vec![
            testing::run_created(),
            Fact::PhaseEntered {
                phase: Phase::Inspect,
            },
        ]
    }

    #[test]
    fn what_was_written_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = written(folder.path(), two_facts());
        let replayed = read(&path).unwrap();
        assert!(!replayed.torn);
        let facts: Vec<_> = replayed
            .records
            .into_iter()
            .map(|record| record.fact)
            .collect();
        assert_eq!(facts, two_facts());
    }

    #[test]
    fn a_torn_last_line_is_dropped_and_cut_off_before_the_next_record() {
        let folder = tempfile::tempdir().unwrap();
        let path = written(folder.path(), two_facts());
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"{\"seq\":2,\"at\":\"20").unwrap();
        let replayed = read(&path).unwrap();
        assert!(replayed.torn);
        assert_eq!(replayed.records.len(), 2);
        let mut journal = Journal::reopen(&path, &replayed).unwrap();
        journal
            .append(
                testing::now(1.0),
                Fact::PhaseEntered {
                    phase: Phase::Preflight,
                },
            )
            .unwrap();
        let again = read(&path).unwrap();
        assert!(!again.torn);
        assert_eq!(again.state.phase, Phase::Preflight);
    }

    #[test]
    fn damage_before_the_end_is_an_error_that_names_the_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = written(folder.path(), two_facts());
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace("\"seq\":0", "\"seq\":zero")).unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert!(
            error.contains("journal.jsonl:1: damaged journal"),
            "{error}"
        );
    }

    #[test]
    fn a_missing_record_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let mut facts = two_facts();
        facts.push(Fact::PhaseEntered {
            phase: Phase::Preflight,
        });
        let path = written(folder.path(), facts);
        let text = std::fs::read_to_string(&path).unwrap();
        let without_second: Vec<_> = text.lines().enumerate().filter(|(i, _)| *i != 1).collect();
        let text: String = without_second
            .iter()
            .map(|(_, line)| format!("{line}\n"))
            .collect();
        std::fs::write(&path, text).unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert!(error.contains("records are missing"), "{error}");
    }

    #[test]
    fn a_journal_of_a_newer_format_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = written(folder.path(), two_facts());
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace("\"format\":1", "\"format\":99")).unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert!(error.contains("format 99"), "{error}");
    }

    #[test]
    fn a_journal_is_never_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = written(folder.path(), two_facts());
        assert!(Journal::create(&path).is_err());
    }
}
