//! A driver in the background: a process of its own that outlives the terminal.
//!
//! The starter starts this program anew, as the hidden subcommand `driver`, and hands it a [`Job`]
//! on standard input. The driver answers with one line on standard output: that the run's control
//! socket is open, or why there is no run. From then on the starter is a client like any other.

use std::fs::OpenOptions;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use cutover_engine::folder::{Home, RunFolder};
use cutover_scenarios::plan::Plan;
use nix::unistd::setsid;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::begin::THIS_PROGRAM;
use crate::args::{HIDDEN_DRIVER, Output};
use crate::console;
use crate::exit::{Exit, Failure};

/// What a driver is to do.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Job {
    /// Make a run and drive it.
    Start {
        plan: Box<Plan>,
        fault: Option<String>,
    },
    /// Take a run over, unless it has moved on since a person looked at it.
    Resume {
        run: String,
        /// Records that its journal had then.
        records: usize,
    },
}

/// The driver's one line to its starter.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    /// The control socket is open.
    Serving { run: String },
    /// There is no run, or it is as it was before.
    Failed { message: String, exit: u8 },
}

/// A driver that this process has started.
pub(crate) struct Background {
    pub(crate) folder: RunFolder,
    pid: u32,
}

/// Starts a driver and waits until it serves its run.
///
/// # Errors
/// What the driver says, with its exit code; or that it could not be started.
pub(crate) fn launch(home: &Home, job: &Job) -> Result<Background, Failure> {
    let system = |error: io::Error| Failure::error(format!("could not start the driver: {error}"));
    // Whoever lists processes sees where its runs are.
    let dir = std::path::absolute(home.path()).map_err(system)?;
    let mut child = Command::new(THIS_PROGRAM)
        .arg0("cutover")
        .arg("--dir")
        .arg(dir)
        .arg(HIDDEN_DRIVER)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(system)?;
    let said = hand_over(&mut child, job).map_err(system)?;
    match serde_json::from_str(&said) {
        Ok(Word::Serving { run }) => {
            let folder = home.find_run(Some(&run));
            let folder = folder.map_err(|error| Failure::chain(&error))?;
            let pid = child.id();
            Ok(Background { folder, pid })
        }
        Ok(Word::Failed { message, exit }) => {
            let _ = child.wait();
            Err(Failure {
                message,
                exit: Exit::from_code(exit).unwrap_or(Exit::Error),
            })
        }
        Err(_) => {
            let ended = child.wait().map_err(system)?;
            Err(Failure::error(format!(
                "the driver ended before it served its run ({ended}); what it did stands in the \
                 journal: cutover status"
            )))
        }
    }
}

/// Hands the job over and reads the driver's line; empty when it ended without one.
fn hand_over(child: &mut Child, job: &Job) -> io::Result<String> {
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(&serde_json::to_vec(job)?)?;
    }
    let mut said = String::new();
    if let Some(stdout) = child.stdout.take() {
        BufReader::new(stdout).read_line(&mut said)?;
    }
    Ok(said)
}

impl Background {
    /// Says which run goes on in the background, and what to type next.
    pub(crate) fn tell(&self, output: Output) {
        let run = self.folder.id();
        let next = [
            ("watch it", format!("cutover attach {run}")),
            ("where it stands", format!("cutover status {run}")),
            ("go back", format!("cutover rollback {run}")),
        ];
        if output == Output::Human {
            let mut lines = vec![format!(
                "run {run} goes on in the background (process {})",
                self.pid
            )];
            lines.extend(next.map(|(what, command)| format!("  {what:<16} {command}")));
            console::data(&lines.join("\n"));
        } else {
            let document = json!({
                "run": run,
                "pid": self.pid,
                "folder": self.folder.path(),
                "log": self.folder.driver_log(),
                "next": next.map(|(_, command)| command),
            });
            console::data(&document.to_string());
        }
    }
}

/// The driver's side: who started it, until they have been told.
pub(crate) struct Starter(AtomicBool);

impl Starter {
    /// Leaves the session of the terminal, whose end and whose keys are nothing to a driver in the
    /// background, and reads the job.
    ///
    /// # Errors
    /// What came is no job.
    pub(crate) fn take_job() -> Result<(Self, Job), Failure> {
        // It fails in the leader of a group only, which nobody has made of us.
        let _ = setsid();
        let mut text = String::new();
        io::stdin()
            .read_to_string(&mut text)
            .map_err(|error| Failure::error(format!("could not read the job: {error}")))?;
        let job = serde_json::from_str(&text).map_err(|error| {
            Failure::error(format!(
                "`{HIDDEN_DRIVER}` is started by cutover itself, with a job on standard input: \
                 {error}"
            ))
        })?;
        Ok((Starter(AtomicBool::new(false)), job))
    }

    /// Says that the run is served, and lets go of the terminal: from now on what is printed goes
    /// to the run's log.
    ///
    /// # Errors
    /// The starter has gone away, or the log cannot be made.
    pub(crate) fn serving(&self, folder: &RunFolder) -> io::Result<()> {
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(folder.driver_log())?;
        self.say(&Word::Serving {
            run: folder.id().to_owned(),
        })?;
        console::redirect_to(&log)
    }

    /// Says why there is no run; a starter that was told of one hears no more, and the failure
    /// comes back for the log.
    ///
    /// # Errors
    /// The same failure.
    pub(crate) fn failed(&self, failure: Failure) -> Result<Exit, Failure> {
        if self.0.load(Ordering::Relaxed) {
            return Err(failure);
        }
        let _ = self.say(&Word::Failed {
            message: failure.message,
            exit: failure.exit.code(),
        });
        Ok(failure.exit)
    }

    fn say(&self, word: &Word) -> io::Result<()> {
        self.0.store(true, Ordering::Relaxed);
        console::data_for_process(&serde_json::to_string(word)?)
    }
}
