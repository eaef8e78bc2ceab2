//! `cutover cleanup`: ends local stacks that killed runs left behind.

use cutover_engine::folder::{Home, RunFolder};
use cutover_rehearsal::local::{Part, clean_up};
use serde_json::json;

use crate::args::{Cleanup, Output};
use crate::console;
use crate::exit::{Exit, Failure};

pub(super) fn run(home: &Home, cleanup: &Cleanup) -> Result<Exit, Failure> {
    let chain = |error| Failure::chain(&error);
    let folders: Vec<RunFolder> = match &cleanup.run {
        Some(run) => vec![home.find_run(Some(run)).map_err(chain)?],
        None => home
            .runs()
            .map_err(chain)?
            .iter()
            .map(|run| home.find_run(Some(run)).map_err(chain))
            .collect::<Result<_, _>>()?,
    };
    let mut ended = Vec::new();
    let mut spared = Vec::new();
    super::runtime()?.block_on(async {
        for folder in &folders {
            if let Some(pid) = driver(home, folder) {
                spared.push((folder.id().to_owned(), pid));
                continue;
            }
            let parts = clean_up(folder.path()).await;
            ended.extend(parts.into_iter().map(|part| (folder.id().to_owned(), part)));
        }
    });
    tell(cleanup.output, &ended, &spared);
    Ok(Exit::Done)
}

/// The process that drives the run right now, if one does: its stacks are not ours to end.
/// Asked without its journal: that may be lost or damaged while the driver lives.
fn driver(home: &Home, folder: &RunFolder) -> Option<u32> {
    let mut holders = home.holders().into_iter();
    let driver = holders.find(|holder| holder.run == folder.id());
    driver.map(|driver| driver.pid)
}

fn tell(output: Output, ended: &[(String, Part)], spared: &[(String, u32)]) {
    if output != Output::Human {
        let ended: Vec<_> = ended
            .iter()
            .map(|(run, part)| json!({ "run": run, "name": part.name, "pid": part.registration.pid }))
            .collect();
        let spared: Vec<_> = spared
            .iter()
            .map(|(run, pid)| json!({ "run": run, "driver": pid }))
            .collect();
        console::data(&json!({ "ended": ended, "spared": spared }).to_string());
        return;
    }
    for (run, part) in ended {
        console::data(&format!(
            "ended {} of {run} (process {})",
            part.name, part.registration.pid
        ));
    }
    for (run, pid) in spared {
        console::data(&format!("left {run} alone: process {pid} drives it"));
    }
    if ended.is_empty() && spared.is_empty() {
        console::data("nothing to end: no local stack of any run here is left");
    }
}
