//! What a run wrote down about itself.

use std::fs;
use std::time::Duration;

use nix::unistd::Pid;
use serde_json::Value;

use crate::clock::wait_for;
use crate::workspace::Workspace;

/// Its name in the folder of a run.
pub const FILE: &str = "journal.jsonl";

/// The records of the latest run, oldest first; a last line that is still being written is left
/// out.
///
/// # Errors
/// There is no run, or a line is no record.
pub fn records(workspace: &Workspace) -> Result<Vec<Value>, String> {
    let file = workspace.latest_run()?.join(FILE);
    let text = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    let whole = text.rsplit_once('\n').map_or("", |(lines, _)| lines);
    whole
        .lines()
        .map(|line| serde_json::from_str(line).map_err(|error| format!("{error}: {line}")))
        .collect()
}

/// Waits until the latest run has a record that `is_it` accepts.
///
/// # Panics
/// When it does not get one within the limit; the message holds the last record.
pub fn wait_for_record(
    workspace: &Workspace,
    what: &str,
    limit: Duration,
    is_it: impl Fn(&Value) -> bool,
) -> Value {
    wait_for(&format!("{what} in the journal"), limit, || {
        let records = records(workspace)?;
        let found = records.iter().rev().find(|record| is_it(record));
        found.cloned().ok_or_else(|| {
            let last = records.last();
            last.map_or_else(|| "an empty journal".to_owned(), Value::to_string)
        })
    })
}

/// The outcome, when the last record tells the end of the run; what became of its last notes may
/// follow.
#[must_use]
pub fn outcome(records: &[Value]) -> Option<&str> {
    let mut backwards = records.iter().rev();
    let last = backwards.find(|record| record["fact"] != "notified")?;
    let ended = Some(last).filter(|last| last["fact"] == "run_ended");
    ended?["outcome"].as_str()
}

/// Whether the run goes back to the source: that was decided, or somebody asked for it.
#[must_use]
pub fn goes_back(records: &[Value]) -> bool {
    // A command is its name, or its name with what belongs to it.
    let asks = |command: &Value| command == "rollback" || command.get("rollback").is_some();
    records
        .iter()
        .any(|record| record["fact"] == "rollback_decided" || asks(&record["command"]))
}

/// The process that drives the run, or drove it last.
#[must_use]
pub fn driver(records: &[Value]) -> Option<Pid> {
    let started = records
        .iter()
        .rfind(|record| record["fact"] == "driver_started")?;
    let pid = started["pid"].as_i64()?;
    i32::try_from(pid).ok().map(Pid::from_raw)
}

/// The weights that were asked for, in percent, in their order: forwards, and taken back.
#[must_use]
pub fn weights_set(records: &[Value]) -> Vec<f64> {
    records
        .iter()
        .filter_map(|record| match record["fact"].as_str()? {
            "effect_started" => record["effect"]["set_weight"]["weight"].as_f64(),
            "undo_started" => record["weight"].as_f64(),
            _ => None,
        })
        // The journal counts in hundredths of a percent.
        .map(|weight| weight / 100.0)
        .collect()
}

/// Cuts the last record of the latest run in the middle, as a crash of the machine can.
///
/// # Errors
/// There is no run, or no record.
pub fn tear_last_record(workspace: &Workspace) -> Result<(), String> {
    let file = workspace.latest_run()?.join(FILE);
    let told = |error: std::io::Error| format!("{}: {error}", file.display());
    let bytes = fs::read(&file).map_err(told)?;
    let line = bytes
        .strip_suffix(b"\n")
        .ok_or("no whole record")?
        .rsplit(|&byte| byte == b'\n')
        .next()
        .map_or(0, <[u8]>::len);
    fs::write(&file, &bytes[..bytes.len() - 1 - line / 2]).map_err(told)
}

/// Seconds since midnight of a time as records have it: `2026-11-21T18:27:38.320851991Z`.
///
/// # Panics
/// When it is no such time.
#[must_use]
pub fn seconds_of_the_day(at: &str) -> i64 {
    let fields: Vec<i64> = at
        .get("2026-11-21T".len().."2026-11-21T18:27:38".len())
        .unwrap_or_default()
        .split(':')
        .map_while(|field| field.parse().ok())
        .collect();
    match fields[..] {
        [hours, minutes, seconds] => (hours * 60 + minutes) * 60 + seconds,
        _ => panic!("no time: {at}"),
    }
}
