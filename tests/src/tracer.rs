//! Kills a driver at an exact place in its journal, without a word of it in the product.
//!
//! The driver is traced (ptrace) and stopped at each system call of each of its threads. When one
//! of them is about to write a given record, or has just made it durable, the process is killed
//! in that very stop: that thread does nothing in between. `strace --inject` cannot do this: it
//! wants the journal's path before the run has an id, counts calls for each thread on its own,
//! and would follow the stacks, which must live on. Here only threads are followed
//! (`PTRACE_O_TRACECLONE` without its siblings for processes), so the stacks are never touched.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, ExitStatus, Stdio};
use std::thread;

use nix::errno::Errno;
use nix::libc;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::binary;
use crate::command::Finished;
use crate::journal;
use crate::workspace::Workspace;

/// An instant in the life of a journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Record N (counted from 0) is about to be written: what it tells of has happened, and
    /// nothing on disk says so.
    Before(usize),
    /// Record N has been written, and the driver waits for the disk: after a power cut, any part
    /// of its line may be there.
    Unsynced(usize),
    /// Record N is on disk, and nothing has been done about it yet.
    After(usize),
}

impl Moment {
    /// How many records the journal has at that instant; one that only goes to disk is none yet.
    #[must_use]
    pub fn records(self) -> usize {
        match self {
            Moment::Before(record) | Moment::Unsynced(record) => record,
            Moment::After(record) => record + 1,
        }
    }
}

impl std::fmt::Display for Moment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Moment::Before(record) => write!(f, "before record {record}"),
            Moment::Unsynced(record) => write!(f, "while record {record} goes to disk"),
            Moment::After(record) => write!(f, "after record {record}"),
        }
    }
}

/// How a traced driver ended.
#[derive(Debug)]
pub enum Traced {
    /// It was killed at the moment that was asked for.
    Killed,
    /// It ended by itself before that moment came.
    Ended(Finished),
}

/// Runs `cutover` with these arguments and kills it at `moment`.
///
/// # Panics
/// When the machine does not let this process trace its children.
pub fn run_and_kill(workspace: &Workspace, arguments: &[&str], moment: Moment) -> Traced {
    // ptrace belongs to a thread, and so does waiting for whatever it traces: a thread of its own
    // has no other children.
    let thread = || start_and_kill(workspace, arguments, moment);
    thread::scope(|scope| scope.spawn(thread).join())
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn start_and_kill(workspace: &Workspace, arguments: &[&str], moment: Moment) -> Traced {
    // The shell waits for a line, so tracing begins before the first instruction of `cutover`;
    // `exec` keeps the process.
    let mut command = Command::new("sh");
    command
        .args(["-c", r#"read -r _ && exec "$0" "$@" </dev/null"#])
        .arg(binary::cutover())
        .args(arguments);
    let mut driver = workspace.spawn_fed(command, Stdio::piped());
    let mut start = driver.child.stdin.take().expect("a pipe to the shell");
    let tracer = Tracer::attach(driver.pid(), moment);
    start.write_all(b"go\n").expect("the shell reads a line");
    drop(start);
    let (killed, status) = tracer.follow();
    if killed {
        Traced::Killed
    } else {
        Traced::Ended(driver.finished(status))
    }
}

/// Follows one process, from the thread that started it.
struct Tracer {
    driver: Pid,
    moment: Moment,
    /// Threads inside the system call that makes the awaited record durable.
    syncing: HashSet<Pid>,
}

impl Tracer {
    fn attach(driver: Pid, moment: Moment) -> Self {
        let options = Options::PTRACE_O_TRACECLONE
            | Options::PTRACE_O_TRACESYSGOOD
            | Options::PTRACE_O_EXITKILL;
        ptrace::seize(driver, options)
            .unwrap_or_else(|error| panic!("a child cannot be traced here: {error}"));
        // From this stop on, every system call is one.
        ptrace::interrupt(driver).expect("the shell lives");
        Tracer {
            driver,
            moment,
            syncing: HashSet::new(),
        }
    }

    /// Until the driver is gone: whether it was killed here, and how it ended.
    fn follow(mut self) -> (bool, ExitStatus) {
        // Only what this thread traces: other tests of the same process follow drivers of their own.
        let mine = WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD;
        let mut killed = false;
        loop {
            match waitpid(None, Some(mine)).expect("the driver is this thread's child") {
                WaitStatus::PtraceSyscall(thread) if !killed && self.is_it_now(thread) => {
                    killed = true;
                    // All threads at once, this one without leaving its stop.
                    kill(self.driver, Signal::SIGKILL).expect("the driver is stopped");
                }
                WaitStatus::PtraceSyscall(thread) | WaitStatus::PtraceEvent(thread, _, _) => {
                    go_on(thread, None);
                }
                WaitStatus::Stopped(thread, signal) => go_on(thread, Some(signal)),
                // The leader's end is told last, after those of all its threads.
                WaitStatus::Exited(pid, code) if pid == self.driver => {
                    return (killed, ExitStatus::from_raw(code << 8));
                }
                WaitStatus::Signaled(pid, signal, _) if pid == self.driver => {
                    return (killed, ExitStatus::from_raw(signal as i32));
                }
                _ => {}
            }
        }
    }

    /// Whether the system call in which `thread` is stopped is the one to die in.
    fn is_it_now(&mut self, thread: Pid) -> bool {
        match Call::of(thread) {
            Some(Call::Entered { number, file }) => {
                let Some(records) = records_in(self.driver, file) else {
                    return false;
                };
                let syncs = matches!(number, libc::SYS_fdatasync | libc::SYS_fsync);
                match self.moment {
                    Moment::Before(record) => number == libc::SYS_write && records == record,
                    Moment::Unsynced(record) => syncs && records == record + 1,
                    Moment::After(record) => {
                        if syncs && records == record + 1 {
                            self.syncing.insert(thread);
                        }
                        false
                    }
                }
            }
            Some(Call::Left) => self.syncing.remove(&thread),
            None => false,
        }
    }
}

/// A system call in which a thread is stopped.
enum Call {
    /// Not begun yet; `file` is its first argument.
    Entered { number: i64, file: u64 },
    /// Done, and the thread does not know its result yet.
    Left,
}

impl Call {
    /// `None` when the thread was killed meanwhile.
    fn of(thread: Pid) -> Option<Self> {
        let info = ptrace::syscall_info(thread).ok()?;
        match info.op {
            libc::PTRACE_SYSCALL_INFO_ENTRY => {
                // SAFETY: `op` says which member of the union the kernel filled in (ptrace(2)).
                let entry = unsafe { info.u.entry };
                let [file, ..] = entry.args;
                Some(Call::Entered {
                    number: i64::try_from(entry.nr).ok()?,
                    file,
                })
            }
            libc::PTRACE_SYSCALL_INFO_EXIT => Some(Call::Left),
            _ => None,
        }
    }
}

/// How many whole records the file has by now, if it is a journal.
fn records_in(driver: Pid, file: u64) -> Option<usize> {
    let path = fs::read_link(format!("/proc/{driver}/fd/{file}")).ok()?;
    if path.file_name() != Some(OsStr::new(journal::FILE)) {
        return None;
    }
    let bytes = fs::read(path).ok()?;
    Some(bytes.iter().filter(|&&byte| byte == b'\n').count())
}

fn go_on(thread: Pid, signal: Option<Signal>) {
    match ptrace::syscall(thread, signal) {
        // Gone by now, or killed in its stop: its end is told next.
        Ok(()) | Err(Errno::ESRCH) => {}
        Err(error) => panic!("thread {thread} cannot go on: {error}"),
    }
}
