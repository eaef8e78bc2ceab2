//! `cutover pause`, `hold`, `advance` and `approve`: one wish to the driver of a run, and its
//! answer.

use cutover_engine::folder::Home;
use cutover_engine::view::Command;
use serde_json::json;

use super::target::Target;
use crate::args::{Output, RunCommand};
use crate::console;
use crate::control::protocol::Request;
use crate::exit::{Exit, Failure};

/// What is asked for, and what is said when it was granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    Pause,
    Hold,
    Advance,
    Approve,
    /// Of a run that was paused or held.
    GoOn,
}

impl Wish {
    fn command(self) -> Command {
        match self {
            Wish::Pause => Command::Pause,
            Wish::Hold => Command::Hold,
            Wish::Advance => Command::Advance,
            Wish::Approve => Command::Approve,
            Wish::GoOn => Command::Continue,
        }
    }

    fn granted(self, run: &str) -> String {
        match self {
            Wish::Pause => format!("paused; guards stay armed; go on: cutover resume {run}"),
            Wish::Hold => {
                format!("holds at this weight; guards stay armed; go on: cutover resume {run}")
            }
            Wish::Advance => "advances as soon as its guards allow; the rest of the hold, and a proof that the step \
                 asks for, are waived"
                .to_owned(),
            Wish::Approve => "the gate is open".to_owned(),
            Wish::GoOn => "goes on".to_owned(),
        }
    }
}

pub(super) fn run(home: &Home, asked: &RunCommand, wish: Wish) -> Result<Exit, Failure> {
    let target = Target::find(home, asked.run.as_deref())?;
    super::runtime()?.block_on(grant(home, &target, wish, asked.output))
}

/// Asks for it and says what came of it.
pub(super) async fn grant(
    home: &Home,
    target: &Target,
    wish: Wish,
    output: Output,
) -> Result<Exit, Failure> {
    let command = wish.command();
    target.ask(home, Request::Command { command }).await?;
    tell(output, target, command, &wish.granted(target.folder.id()));
    Ok(Exit::Done)
}

/// Says that the run does what it was asked for.
pub(super) fn tell(output: Output, target: &Target, command: Command, granted: &str) {
    let run = target.folder.id();
    if output == Output::Human {
        console::data(&format!("run {run}: {granted}"));
    } else {
        let document = json!({ "run": run, "command": command, "accepted": true });
        console::data(&document.to_string());
    }
}
