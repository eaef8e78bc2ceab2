//! `cutover logs`: what happened in a run, from its journal. Needs no driver.

use std::time::Duration;

use cutover_engine::fact::{Fact, Record};
use cutover_engine::folder::Home;
use serde_json::json;
use tokio::time::sleep;

use super::taken_over;
use super::target::Target;
use crate::args::{Logs, Output};
use crate::console;
use crate::control::protocol::{Happening, told};
use crate::exit::{Exit, Failure};
use crate::output::Teller;

/// Between two looks at a journal that is followed.
const LOOK: Duration = Duration::from_millis(200);

pub(super) fn run(home: &Home, logs: &Logs) -> Result<Exit, Failure> {
    let run = logs.run.run.as_deref();
    let folder = Target::find(home, run)?.folder;
    let output = logs.run.output;
    let teller = Teller::new(output, folder.id().to_owned());
    super::runtime()?.block_on(async {
        let mut seen = 0;
        loop {
            // Who drives is asked before reading, so that a driver's last words are read.
            let driven = Target::find(home, Some(folder.id()))?.driver.is_some();
            let records = taken_over::read(&folder)?.records;
            let ended = has_ended(&records);
            let follow = logs.follow && driven && !ended;
            if output == Output::Json {
                if !follow {
                    console::data(&format!("{:#}", json!(records)));
                }
            } else {
                let count = records.len();
                for event in told(records).into_iter().skip(seen) {
                    print(&teller, output, event);
                }
                seen = count;
            }
            if !follow {
                if logs.follow && !ended {
                    console::note("nobody drives this run: nothing more will come");
                }
                return Ok(Exit::Done);
            }
            sleep(LOOK).await;
        }
    })
}

/// Sentences are what was asked for here, so they are data.
fn print(teller: &Teller, output: Output, event: Happening) {
    match output {
        Output::Human => {
            if let Some(line) = teller.line(&event.into_event()) {
                console::data(&line);
            }
        }
        Output::Json | Output::Ndjson => teller.tell_data(&event.into_event()),
    }
}

fn has_ended(records: &[Record]) -> bool {
    let last = records.last().map(|record| &record.fact);
    matches!(last, Some(Fact::RunEnded { .. }))
}
