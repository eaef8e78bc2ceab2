//! One started program: its end, its output, its signals.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Child, ExitStatus};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::clock::wait_for;

/// A program that runs. Its output goes to files, so it never waits for a reader.
#[derive(Debug)]
pub struct Running {
    pub(crate) child: Child,
    pub(crate) told_as: String,
    pub(crate) stdout: PathBuf,
    pub(crate) stderr: PathBuf,
}

/// A program that has ended.
#[derive(Debug)]
pub struct Finished {
    /// What was started, for messages.
    pub told_as: String,
    /// How it ended.
    pub status: ExitStatus,
    /// Everything that it printed on standard output.
    pub stdout: String,
    /// Everything that it printed on standard error.
    pub stderr: String,
}

impl Running {
    /// Process id.
    ///
    /// # Panics
    /// Never: ids of processes fit.
    #[must_use]
    pub fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).expect("a process id"))
    }

    /// Sends a signal to this process alone.
    ///
    /// # Panics
    /// When the process has ended.
    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal)
            .unwrap_or_else(|error| panic!("{signal} to `{}`: {error}", self.told_as));
    }

    /// Kills the process, as a crash would, and waits until it is gone.
    pub fn kill_9(mut self) {
        self.signal(Signal::SIGKILL);
        let _ = self.child.wait();
    }

    /// What it has printed on standard output so far.
    #[must_use]
    pub fn stdout(&self) -> String {
        lossy(&self.stdout)
    }

    /// What it has printed on standard error so far.
    #[must_use]
    pub fn stderr(&self) -> String {
        lossy(&self.stderr)
    }

    /// Waits for the end.
    ///
    /// # Panics
    /// When the limit passes; the program is killed then.
    pub fn wait(mut self, limit: Duration) -> Finished {
        let told_as = self.told_as.clone();
        let stderr = self.stderr.clone();
        let status = wait_for(&format!("the end of `{told_as}`"), limit, || {
            match self.child.try_wait() {
                Ok(Some(status)) => Ok(status),
                Ok(None) => Err(format!("it runs; it says:\n{}", tail(&lossy(&stderr)))),
                Err(error) => Err(error.to_string()),
            }
        });
        self.finished(status)
    }

    /// What is left of it, once someone has waited for its end.
    pub(crate) fn finished(&self, status: ExitStatus) -> Finished {
        Finished {
            told_as: self.told_as.clone(),
            status,
            stdout: self.stdout(),
            stderr: self.stderr(),
        }
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

/// A test that fails leaves no program behind.
impl Drop for Running {
    fn drop(&mut self) {
        if self.is_running() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

impl Finished {
    /// Checks the exit code.
    ///
    /// # Panics
    /// When it differs; the message holds all output.
    #[track_caller]
    pub fn expect_exit(self, code: i32) -> Self {
        assert_eq!(self.status.code(), Some(code), "exit code of {self}");
        self
    }

    /// Checks that the message on standard error holds every part.
    ///
    /// # Panics
    /// When one is missing.
    #[track_caller]
    pub fn expect_told(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(
                self.stderr.contains(part),
                "`{part}` should stand on standard error of {self}"
            );
        }
        self
    }

    /// Standard output as one JSON document and nothing else.
    ///
    /// # Panics
    /// When it is anything else.
    #[track_caller]
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("standard output is no JSON document: {error}: {self}"))
    }
}

/// Everything that helps when a claim about it does not hold.
impl std::fmt::Display for Finished {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "`{}` (exit {:?}, signal {:?})\n--- stdout\n{}\n--- stderr\n{}",
            self.told_as,
            self.status.code(),
            self.status.signal(),
            tail(&self.stdout),
            tail(&self.stderr)
        )
    }
}

fn lossy(path: &PathBuf) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}

/// The last lines: enough to understand, not enough to drown.
fn tail(text: &str) -> String {
    const LINES: usize = 60;
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}
