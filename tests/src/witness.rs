//! Sees a run as its users do, whoever drives it: what they are answered, and every change of the
//! weights at the edge.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::clock::repeat;
use crate::http;
use crate::journal;
use crate::processes::part;
use crate::workspace::Workspace;

/// Between two requests of a user.
const USER_PAUSE: Duration = Duration::from_millis(20);

/// Between two looks at the weights; every weight is held for much longer.
const LOOK_PAUSE: Duration = Duration::from_millis(4);

/// The weights of the edge at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weights {
    /// Counts the changes at the edge; 1 at its start.
    pub generation: u64,
    /// Parts of the traffic that the source gets.
    pub source: u64,
    /// Parts that the target gets.
    pub target: u64,
}

impl Weights {
    /// The target's share in percent; `None` when both are zero and nobody is meant to answer.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "weights stay far below 2^52")]
    pub fn percent(self) -> Option<f64> {
        let whole = self.source + self.target;
        (whole > 0).then(|| self.target as f64 / whole as f64 * 100.0)
    }
}

/// What was seen.
#[derive(Debug, Default)]
pub struct Seen {
    /// Each state of the weights, in their order.
    pub weights: Vec<Weights>,
    /// Users who were served.
    pub served: u64,
    /// What users got instead of a good answer while the run was not over.
    pub failed: Vec<String>,
}

/// What the target shows once it gets traffic, put in from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Nothing: it serves as it should.
    Healthy,
    /// Half of its answers are errors.
    Ill,
}

/// Watches the latest run of a workspace while `work` goes on.
///
/// # Panics
/// When `work` does.
pub fn watched<T>(workspace: &Workspace, target: Target, work: impl FnOnce() -> T) -> (T, Seen) {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let weights = scope.spawn(|| watch_weights(workspace, target, &over));
        let users = scope.spawn(|| send_users(workspace, target, &over));
        let result = {
            let _set_at_the_end = SetAtTheEnd(&over);
            work()
        };
        let (served, failed) = users.join().expect("users do not panic");
        let seen = Seen {
            weights: weights.join().expect("looking does not panic"),
            served,
            failed,
        };
        (result, seen)
    })
}

/// Tells the watchers that it is over, also when the work panics.
struct SetAtTheEnd<'a>(&'a AtomicBool);

impl Drop for SetAtTheEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn until(over: &AtomicBool) -> ControlFlow<()> {
    if over.load(Ordering::Relaxed) {
        ControlFlow::Break(())
    } else {
        ControlFlow::Continue(())
    }
}

fn watch_weights(workspace: &Workspace, target: Target, over: &AtomicBool) -> Vec<Weights> {
    let mut seen: Vec<Weights> = Vec::new();
    let mut to_fall_ill = target == Target::Ill;
    repeat(LOOK_PAUSE, || {
        if let Ok(now) = weights(workspace)
            && seen.last() != Some(&now)
        {
            seen.push(now);
            if to_fall_ill && now.target > 0 {
                to_fall_ill = fall_ill(workspace).is_err();
            }
        }
        until(over)
    });
    seen
}

fn weights(workspace: &Workspace) -> Result<Weights, String> {
    let edge = part(workspace, "edge")?;
    let answer = http::get(edge.admin, "/weights")?;
    let value: Value =
        serde_json::from_str(&answer.body).map_err(|error| format!("{}: {error}", answer.body))?;
    let number = |of: &Value| of.as_u64().ok_or(format!("no number in {value}"));
    Ok(Weights {
        generation: number(&value["generation"])?,
        source: number(&value["weights"]["source"])?,
        target: number(&value["weights"]["target"])?,
    })
}

/// Half of the target's answers are errors from now on.
///
/// # Errors
/// There is no target, or it does not take the fault.
pub fn fall_ill(workspace: &Workspace) -> Result<(), String> {
    let service = part(workspace, "target-service")?;
    http::put(service.admin, "/fault", r#"{"errors":0.5}"#).map(|_| ())
}

/// One user after the other, from the first good answer on. What happens once the journal tells
/// the end of the run does not count: the local stacks end with it.
fn send_users(workspace: &Workspace, target: Target, over: &AtomicBool) -> (u64, Vec<String>) {
    let (mut served, mut failed) = (0, Vec::new());
    repeat(USER_PAUSE, || {
        match ask(workspace) {
            Ok(200) => served += 1,
            // An ill target's own answers; that the edge has none would be another status.
            Ok(500) if target == Target::Ill => served += 1,
            answer if served > 0 && !has_ended(workspace) => failed.push(format!("{answer:?}")),
            _ => {}
        }
        until(over)
    });
    (served, failed)
}

fn ask(workspace: &Workspace) -> Result<u16, String> {
    let edge = part(workspace, "edge")?;
    http::get(edge.listen, "/").map(|answer| answer.status)
}

fn has_ended(workspace: &Workspace) -> bool {
    journal::records(workspace).is_ok_and(|records| journal::outcome(&records).is_some())
}
