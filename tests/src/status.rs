//! What `cutover status` says about the latest run of a workspace.

use std::time::Duration;

use serde_json::Value;

use crate::clock::wait_for;
use crate::workspace::Workspace;

/// The document of `status --output json`.
///
/// # Panics
/// When there is none.
#[track_caller]
#[must_use]
pub fn of(workspace: &Workspace) -> Value {
    let arguments = ["status", "--output", "json"];
    workspace.cutover(arguments).expect_exit(0).json()
}

/// A run that waits comes to that within this, also on a busy machine.
const SOON: Duration = Duration::from_secs(30);

/// Waits until the run says that it waits for something that has these words in it; yields all
/// that it says about it.
///
/// # Panics
/// When it does not say so; the message holds what it said last.
#[track_caller]
pub fn wait_until_it_waits_for(workspace: &Workspace, words: &str) -> String {
    wait_for(&format!("waiting for {words}"), SOON, || {
        let status = workspace.cutover(["status", "--output", "json"]);
        // A run that is about to begin has no status yet.
        if status.status.code() != Some(0) {
            return Err(status.to_string());
        }
        let status = status.json();
        match status["waiting_for"].as_str() {
            Some(reason) if reason.contains(words) => Ok(reason.to_owned()),
            _ => Err(format!("{status:#}")),
        }
    })
}
