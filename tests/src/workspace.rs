//! A temporary folder in which one test runs `cutover`.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tempfile::TempDir;

use crate::binary;
use crate::command::{Finished, Running};
use crate::processes;

/// A command that neither runs a plan nor waits for one is done within this.
pub const SHORT: Duration = Duration::from_secs(20);

/// A folder of its own; everything that was started in it ends with it.
#[derive(Debug)]
pub struct Workspace {
    root: TempDir,
    folder: PathBuf,
    started: AtomicU32,
}

impl Default for Workspace {
    fn default() -> Self {
        Self::new()
    }
}

impl Workspace {
    /// A new, empty folder.
    ///
    /// # Panics
    /// When the temporary folder cannot be made.
    #[must_use]
    pub fn new() -> Self {
        let root = tempfile::Builder::new()
            .prefix("cutover-test-")
            .tempdir()
            .expect("a temporary folder");
        let folder = root.path().canonicalize().expect("its path").join("work");
        fs::create_dir(&folder).expect("a folder in it");
        Workspace {
            root,
            folder,
            started: AtomicU32::new(0),
        }
    }

    /// Where `cutover` is run.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A path beside that folder, for what a test itself needs.
    #[must_use]
    pub fn beside(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// Writes a file into the folder.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.join(name);
        fs::write(&path, content).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        path
    }

    /// Whether a run was ever begun here.
    #[must_use]
    pub fn has_runs(&self) -> bool {
        self.folder.join(".cutover/runs").exists()
    }

    /// The folder of the run that was begun last.
    ///
    /// # Errors
    /// No run was ever begun here.
    pub fn latest_run(&self) -> Result<PathBuf, String> {
        let runs = self.folder.join(".cutover/runs");
        // Names of runs begin with the time, so the last one is the greatest.
        fs::read_dir(&runs)
            .map_err(|error| format!("{}: {error}", runs.display()))?
            .flatten()
            .map(|entry| entry.path())
            .max()
            .ok_or_else(|| format!("{}: no run", runs.display()))
    }

    /// Runs `cutover` to its end, which must come within [`SHORT`].
    pub fn cutover<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Finished {
        self.start(arguments).wait(SHORT)
    }

    /// Starts `cutover`, without a terminal.
    pub fn start<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Running {
        let mut command = Command::new(binary::cutover());
        command.args(arguments);
        self.spawn(command)
    }

    /// Starts the bundled proxy: the same file under its other name.
    pub fn start_proxy<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Running {
        let mut command = Command::new(binary::cutover());
        command.arg0("cutover-proxy").args(arguments);
        self.spawn(command)
    }

    /// Starts any program in the folder, its output in files.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn spawn(&self, command: Command) -> Running {
        self.spawn_fed(command, Stdio::null())
    }

    /// The same with a standard input.
    pub(crate) fn spawn_fed(&self, mut command: Command, stdin: Stdio) -> Running {
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        let stdout = self.beside(&format!("{number}.stdout"));
        let stderr = self.beside(&format!("{number}.stderr"));
        let told_as = told_as(&command);
        let child = command
            .current_dir(&self.folder)
            .stdin(stdin)
            .stdout(File::create(&stdout).expect("a file for standard output"))
            .stderr(File::create(&stderr).expect("a file for standard error"))
            .spawn()
            .unwrap_or_else(|error| panic!("`{told_as}` could not be started: {error}"));
        Running {
            child,
            told_as,
            stdout,
            stderr,
        }
    }
}

fn told_as(command: &Command) -> String {
    let name = Path::new(command.get_program()).file_name();
    name.into_iter()
        .chain(command.get_args())
        .map(OsStr::to_string_lossy)
        .collect::<Vec<_>>()
        .join(" ")
}

impl Drop for Workspace {
    fn drop(&mut self) {
        processes::kill_all_of(&self.folder);
    }
}
