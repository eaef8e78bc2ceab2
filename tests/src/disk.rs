//! Disks that are full, and files that nobody may write any more.

use std::fs;
use std::path::Path;
use std::process::Command;

use nix::unistd::Pid;

/// Why a test that mounts something is skipped.
pub const NO_MOUNT: &str = "mounting a file system needs root with CAP_SYS_ADMIN";

/// Why a test that makes a file immutable is skipped.
pub const NO_IMMUTABLE: &str = "`chattr +i` needs root and a file system that knows it";

/// A small file system in memory.
#[derive(Debug)]
pub struct Mounted<'a>(&'a Path);

impl<'a> Mounted<'a> {
    /// Mounts one; `None` where the machine lets nobody do that.
    ///
    /// # Panics
    /// When the folder to mount on cannot be made.
    #[must_use]
    pub fn new(path: &'a Path, options: &str) -> Option<Self> {
        fs::create_dir_all(path).expect("a folder to mount on");
        let path_text = path.to_str()?;
        succeeds("mount", &["-t", "tmpfs", "-o", options, "tmpfs", path_text])
            .then_some(Mounted(path))
    }

    /// Fills it up to the last byte.
    pub fn fill(&self) {
        // The write that fails is the one that fills it.
        let _ = fs::write(self.0.join("ballast"), vec![0; 4 * 1024 * 1024]);
    }

    /// Makes room again.
    ///
    /// # Panics
    /// When it was not filled.
    pub fn make_room(&self) {
        fs::remove_file(self.0.join("ballast")).expect("it was filled");
    }
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        // Lazily: a file that is still open must not keep it for ever.
        succeeds("umount", &["--lazy", &self.0.display().to_string()]);
    }
}

/// A file that nobody may change, not even who has it open: `chattr +i`.
#[derive(Debug)]
pub struct Immutable<'a>(&'a Path);

impl<'a> Immutable<'a> {
    /// `None` where the file system or the machine does not let us.
    #[must_use]
    pub fn new(path: &'a Path) -> Option<Self> {
        succeeds("chattr", &["+i", path.to_str()?]).then_some(Immutable(path))
    }
}

impl Drop for Immutable<'_> {
    fn drop(&mut self) {
        succeeds("chattr", &["-i", &self.0.display().to_string()]);
    }
}

/// Lets no file that a running process writes grow beyond so many bytes, as `ulimit -f` does.
///
/// # Panics
/// When the process has ended.
pub fn limit_file_size(process: Pid, bytes: u64) {
    let limit = format!("--fsize={bytes}:unlimited");
    let is_set = succeeds("prlimit", &["--pid", &process.to_string(), &limit]);
    assert!(is_set, "process {process} takes no limit");
}

fn succeeds(program: &str, arguments: &[&str]) -> bool {
    Command::new(program)
        .args(arguments)
        .output()
        .is_ok_and(|output| output.status.success())
}
