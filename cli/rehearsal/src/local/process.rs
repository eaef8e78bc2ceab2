//! One process of a stack: start it, adopt it, wait for it, end it.

use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use cutover_engine::ports::PortError;
use http::Method;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::time::{Instant, sleep};

use super::registration::Registration;
use crate::client;

/// A process that was started is ready within this.
const READY_LIMIT: Duration = Duration::from_secs(20);

/// A process that was asked to end has this long before it is killed.
const END_LIMIT: Duration = Duration::from_secs(5);

const POLL: Duration = Duration::from_millis(20);

/// What is needed to start a process.
pub(super) struct Recipe {
    /// `edge`, `source-proxy`, …; also the name of its files.
    pub(super) name: &'static str,
    /// The program's file.
    pub(super) program: PathBuf,
    /// What the process calls itself; the program decides by it what to be.
    pub(super) called: &'static str,
    /// Its arguments.
    pub(super) arguments: Vec<String>,
}

/// A running process.
pub(super) struct Process {
    pub(super) registration: Registration,
    state_file: PathBuf,
    /// `None` when another driver started it.
    child: Option<Child>,
}

/// Where a process writes its registration.
pub(super) fn state_file(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.json"))
}

impl Process {
    /// The process of that name that already runs, if one does.
    pub(super) fn adopt(folder: &Path, name: &str) -> Option<Self> {
        let state_file = state_file(folder, name);
        let registration = Registration::read(&state_file).filter(Registration::is_alive)?;
        Some(Process {
            registration,
            state_file,
            child: None,
        })
    }

    /// Starts a process in a group of its own, so that Ctrl-C reaches the driver alone, and waits
    /// until it says that it is ready.
    pub(super) async fn start(folder: &Path, recipe: &Recipe) -> Result<Self, PortError> {
        let fail = |cause: String| PortError::new(format!("start {}", recipe.name), cause);
        let state_file = state_file(folder, recipe.name);
        let _ = fs::remove_file(&state_file);
        let log_file = folder.join(format!("{}.log", recipe.name));
        let log = File::create(&log_file)
            .map_err(|error| fail(format!("{}: {error}", log_file.display())))?;
        let child = Command::new(&recipe.program)
            .arg0(recipe.called)
            .args(&recipe.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .process_group(0)
            .spawn()
            .map_err(|error| fail(format!("{}: {error}", recipe.program.display())))?;
        let mut starting = Starting(Some(child));
        let deadline = Instant::now() + READY_LIMIT;
        let mut last_seen = "it has not said where it listens".to_owned();
        while Instant::now() < deadline {
            if let Some(status) = starting.exited() {
                return Err(fail(format!(
                    "it ended with {status}: {}",
                    last_words(&log_file)
                )));
            }
            if let Some(registration) = Registration::read(&state_file) {
                match client::call(registration.admin, Method::GET, "/ready", String::new()).await {
                    Ok((status, _)) if status.is_success() => {
                        let child = starting.0.take();
                        return Ok(Process {
                            registration,
                            state_file,
                            child,
                        });
                    }
                    Ok((status, body)) => last_seen = format!("/ready says {status}: {body}"),
                    Err(error) => last_seen = error,
                }
            }
            sleep(POLL).await;
        }
        Err(fail(format!(
            "not ready after {} s: {last_seen}",
            READY_LIMIT.as_secs()
        )))
    }

    /// Asks the process to end, and kills it when it does not.
    pub(super) async fn end(mut self) {
        let pid = pid_of(&self.registration);
        for (signal, limit) in [(Signal::SIGTERM, END_LIMIT), (Signal::SIGKILL, END_LIMIT)] {
            if !self.runs() {
                break;
            }
            let _ = kill(pid, signal);
            let deadline = Instant::now() + limit;
            while self.runs() && Instant::now() < deadline {
                sleep(POLL).await;
            }
        }
        if !self.runs() {
            let _ = fs::remove_file(&self.state_file);
        }
    }

    /// Lets the process go on when this value and its driver are gone.
    pub(super) fn release(mut self) {
        self.child = None;
    }

    pub(super) fn runs(&mut self) -> bool {
        // A child that ended stays a zombie until it is waited for.
        if let Some(child) = &mut self.child {
            let _ = child.try_wait();
        }
        self.registration.is_alive()
    }
}

/// The last way out, when nobody could wait: no orphan is left.
impl Drop for Process {
    fn drop(&mut self) {
        if self.child.is_some() && self.runs() {
            let _ = kill(pid_of(&self.registration), Signal::SIGKILL);
            if let Some(child) = &mut self.child {
                let _ = child.wait();
            }
            let _ = fs::remove_file(&self.state_file);
        }
    }
}

/// A child that is not ready yet: it ends when nobody waits for it any more.
struct Starting(Option<Child>);

impl Starting {
    fn exited(&mut self) -> Option<std::process::ExitStatus> {
        self.0
            .as_mut()
            .and_then(|child| child.try_wait().ok().flatten())
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn pid_of(registration: &Registration) -> Pid {
    Pid::from_raw(i32::try_from(registration.pid).unwrap_or(i32::MAX))
}

/// What a process said last, for the error that its end leads to.
fn last_words(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    match lines.as_slice() {
        [] => format!("it said nothing in {}", log.display()),
        lines => lines[lines.len().saturating_sub(3)..].join(" / "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeping(folder: &Path) -> Process {
        let child = Command::new("sleep").arg("60").spawn().unwrap();
        let address = "127.0.0.1:1".parse().unwrap();
        let registration = Registration::of(child.id(), "edge", address, address).unwrap();
        let state_file = state_file(folder, "edge");
        registration.write(&state_file).unwrap();
        Process {
            registration,
            state_file,
            child: Some(child),
        }
    }

    #[test]
    fn a_process_that_is_forgotten_is_ended() {
        let folder = tempfile::tempdir().unwrap();
        let process = sleeping(folder.path());
        let registration = process.registration.clone();
        assert!(registration.is_alive());
        drop(process);
        assert!(!registration.is_alive());
        assert!(Process::adopt(folder.path(), "edge").is_none());
    }

    #[test]
    fn a_driver_that_panics_leaves_no_process() {
        let folder = tempfile::tempdir().unwrap();
        let process = sleeping(folder.path());
        let registration = process.registration.clone();
        let panicked = std::thread::spawn(move || {
            let _held = process;
            panic!("on purpose");
        });
        assert!(panicked.join().is_err());
        assert!(!registration.is_alive());
    }

    #[tokio::test]
    async fn an_adopted_process_ends_when_asked_and_is_not_ended_when_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let mut process = sleeping(folder.path());
        let adopted = Process::adopt(folder.path(), "edge").unwrap();
        drop(adopted);
        assert!(process.runs());
        let registration = process.registration.clone();
        process.end().await;
        assert!(!registration.is_alive());
    }

    #[tokio::test]
    async fn a_process_that_ends_at_once_is_an_error_with_its_last_words() {
        let folder = tempfile::tempdir().unwrap();
        let recipe = Recipe {
            name: "edge",
            program: "/bin/sh".into(),
            called: "sh",
            arguments: vec![
                "-c".to_owned(),
                "echo the port is taken >&2; exit 1".to_owned(),
            ],
        };
        let error = Process::start(folder.path(), &recipe)
            .await
            .err()
            .unwrap()
            .to_string();
        assert!(
            error.contains("could not start edge") && error.contains("the port is taken"),
            "{error}"
        );
    }
}
