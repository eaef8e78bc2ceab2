//! What a run started: who lives, who answers.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::clock::wait_for;
use crate::http;
use crate::workspace::Workspace;

/// A process of a stack, as it registered itself in the run's folder.
#[derive(Debug, Clone)]
pub struct Part {
    /// Process id.
    pub pid: i32,
    /// Where requests go.
    pub listen: SocketAddr,
    /// Where it is administered.
    pub admin: SocketAddr,
}

/// The processes that were started for runs in `folder`, told by their command lines: each one
/// names a file in the run's folder. Independent of what `cutover` believes.
#[must_use]
pub fn alive(folder: &Path) -> Vec<(Pid, String)> {
    let needle = folder.join(".cutover").display().to_string();
    all()
        .filter_map(|pid| {
            // A process that is gone, and a zombie, have no command line.
            let bytes = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
            let line = String::from_utf8_lossy(&bytes).replace('\0', " ");
            line.contains(&needle).then_some((pid, line))
        })
        .collect()
}

/// Checks that nothing which was started for a run still lives.
///
/// # Panics
/// When a process does.
#[track_caller]
pub fn assert_none_left(workspace: &Workspace) {
    let left = alive(workspace.folder());
    assert!(left.is_empty(), "processes are left: {left:#?}");
}

/// Kills what was started for runs in `folder`, and what runs in it, as drivers in the background
/// do.
pub(crate) fn kill_all_of(folder: &Path) {
    for pid in all() {
        if fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.starts_with(folder)) {
            let _ = kill(pid, Signal::SIGKILL);
        }
    }
    for (pid, _) in alive(folder) {
        let _ = kill(pid, Signal::SIGKILL);
    }
}

/// Every process of this machine.
fn all() -> impl Iterator<Item = Pid> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .map(Pid::from_raw)
}

/// A part of the latest run by its name (`edge`, `target-service`, …), from its registration.
///
/// # Errors
/// It has not registered, or its file is not whole.
pub fn part(workspace: &Workspace, name: &str) -> Result<Part, String> {
    let file = workspace.latest_run()?.join(format!("stacks/{name}.json"));
    let text = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    let value: Value = serde_json::from_str(&text).map_err(|error| format!("{text}: {error}"))?;
    let address = |field: &str| -> Result<SocketAddr, String> {
        let text = value[field].as_str().unwrap_or_default();
        text.parse().map_err(|_| format!("no `{field}` in {value}"))
    };
    let pid = value["pid"]
        .as_i64()
        .and_then(|pid| i32::try_from(pid).ok());
    Ok(Part {
        pid: pid.ok_or_else(|| format!("no `pid` in {value}"))?,
        listen: address("listen")?,
        admin: address("admin")?,
    })
}

/// Whether a process is gone, or only waits for its parent to ask how it ended.
#[must_use]
pub fn has_ended(pid: Pid) -> bool {
    // Neither has a command line.
    fs::read(format!("/proc/{pid}/cmdline")).map_or(true, |line| line.is_empty())
}

/// CPU time that a process has taken so far, in user and kernel mode.
///
/// # Errors
/// It has ended.
pub fn cpu_time(pid: Pid) -> Result<Duration, String> {
    // Linux tells ticks of 1/100 s, whatever the kernel's own clock (`USER_HZ`, proc_pid_stat(5)).
    const TICK: Duration = Duration::from_millis(10);
    let file = format!("/proc/{pid}/stat");
    let text = fs::read_to_string(&file).map_err(|error| format!("{file}: {error}"))?;
    // The name of the program, field 2, may hold blanks; it ends with the last parenthesis.
    let after_name = text.rsplit(')').next().unwrap_or_default();
    let ticks: Vec<u32> = after_name
        .split_whitespace()
        .skip(14 - 3)
        .take(2)
        .map_while(|field| field.parse().ok())
        .collect();
    match ticks[..] {
        [user, kernel] => Ok(TICK * (user + kernel)),
        _ => Err(format!("{file}: {text}")),
    }
}

/// The target's weight in percent, as the live edge has it.
///
/// # Errors
/// There is no edge, or it does not answer.
pub fn edge_weight(workspace: &Workspace) -> Result<f64, String> {
    let edge = part(workspace, "edge")?;
    let answer = http::get(edge.admin, "/weights")?;
    let value: Value =
        serde_json::from_str(&answer.body).map_err(|error| format!("{}: {error}", answer.body))?;
    let of = |name: &str| {
        value["weights"][name]
            .as_f64()
            .ok_or(format!("no {name}: {value}"))
    };
    let (source, target) = (of("source")?, of("target")?);
    Ok(target / (source + target) * 100.0)
}

/// Waits until the edge has this weight, in percent.
///
/// # Panics
/// When it does not get it within the limit.
pub fn wait_for_weight(workspace: &Workspace, percent: f64, limit: Duration) {
    wait_for(&format!("weight {percent} % at the edge"), limit, || {
        let weight = edge_weight(workspace)?;
        if (weight - percent).abs() < 0.005 {
            Ok(())
        } else {
            Err(format!("{weight} %"))
        }
    });
}

/// Checks that users are served through the edge.
///
/// # Panics
/// When one of twenty requests is not answered with 200.
#[track_caller]
pub fn assert_serves(workspace: &Workspace) {
    let edge = part(workspace, "edge").expect("an edge");
    for _ in 0..20 {
        let answer = http::get(edge.listen, "/").expect("an answer through the edge");
        assert_eq!(answer.status, 200, "{answer:?}");
    }
}
