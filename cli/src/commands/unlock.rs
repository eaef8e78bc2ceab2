//! `cutover unlock`: takes the lock of a driver away that fell silent.

use std::path::Path;

use cutover_engine::clock;
use cutover_engine::folder::Home;
use cutover_engine::lock::{BEAT, Holder, TakenAway, service_key};
use cutover_engine::narrate::seconds;
use cutover_scenarios::load;
use serde_json::json;
use tokio::time::sleep;

use super::taken_over;
use crate::args::{Output, Unlock};
use crate::console;
use crate::exit::{Exit, Failure};
use crate::run;

pub(super) fn run(home: &Home, unlock: &Unlock) -> Result<Exit, Failure> {
    if unlock.reason.trim().is_empty() {
        return Err(Failure::error(
            "--reason is empty; say why the lock is taken away, for whoever reads its log",
        ));
    }
    let service = service(home, &unlock.service)?;
    let Some(holder) = home.holder(&service) else {
        return nobody(unlock.output, &service);
    };
    let alive = super::runtime()?.block_on(gives_signs_of_life(home, &service, &holder));
    if alive && !unlock.force {
        return Err(Failure {
            message: format!(
                "{holder}: its last heartbeat is only {} old, so its lock stays; ask the driver \
                 instead: cutover status {run}, cutover rollback {run}; --force takes the lock \
                 in any case",
                seconds(holder.silent_for(clock::wall())),
                run = holder.run
            ),
            exit: Exit::Locked,
        });
    }
    let silent = seconds(holder.silent_for(clock::wall()));
    let question = format!(
        "Take the lock of `{service}` away from {holder}? It was silent for {silent}. When it \
         wakes it ends without changing anything."
    );
    if console::attended() && !unlock.yes && !console::confirm(&question) {
        console::note("nothing was changed");
        return Ok(Exit::Done);
    }
    let entry = TakenAway {
        at: clock::wall(),
        by: run::person(),
        reason: unlock.reason.clone(),
        service,
        forced: alive,
        holder,
    };
    home.take_away(&entry)
        .map_err(|error| Failure::chain(&error))?;
    tell(unlock.output, &entry);
    Ok(Exit::Done)
}

/// What the argument names: a run's service, a plan file's, or the service itself.
fn service(home: &Home, named: &str) -> Result<String, Failure> {
    if let Ok(folder) = home.find_run(Some(named)) {
        let plan = taken_over::read(&folder)?.state.plan;
        return Ok(service_key(&plan).to_owned());
    }
    if Path::new(named).is_file() {
        let loaded = load::plan(Path::new(named)).map_err(|error| Failure::chain(&error))?;
        return Ok(service_key(&loaded.plan).to_owned());
    }
    if home.has_lock(named) {
        return Ok(named.to_owned());
    }
    let held: Vec<_> = home.holders().iter().map(ToString::to_string).collect();
    Err(Failure::error(format!(
        "`{named}` is no run, no plan file, and no lock here; locks that are held here: {}",
        if held.is_empty() {
            "none".to_owned()
        } else {
            held.join("; ")
        }
    )))
}

/// Whether the holder lives. A clock may have been set, or differ between machines, so one that
/// looks silent is watched for a while: a new heartbeat counts, whatever time it bears.
async fn gives_signs_of_life(home: &Home, service: &str, holder: &Holder) -> bool {
    if !holder.is_stale(clock::wall()) {
        return true;
    }
    let watched = BEAT * 2;
    console::note(&format!(
        "listening for a heartbeat of {holder} for {} ...",
        seconds(watched)
    ));
    sleep(watched).await;
    home.holder(service)
        .is_some_and(|now| now.is_same_hold(holder) && now.beat != holder.beat)
}

fn nobody(output: Output, service: &str) -> Result<Exit, Failure> {
    console::note(&format!(
        "nobody holds the lock of `{service}`: there is nothing to take away"
    ));
    if output != Output::Human {
        console::data(&json!({ "service": service, "taken_away": null }).to_string());
    }
    Ok(Exit::Done)
}

fn tell(output: Output, entry: &TakenAway) {
    let TakenAway {
        service, holder, ..
    } = entry;
    if output == Output::Human {
        console::data(&format!(
            "the lock of `{service}` was taken away from {holder}\n  where it stands  cutover \
             status {run}\n  go on            cutover resume {run}\n  go back          cutover \
             rollback {run}",
            run = holder.run
        ));
    } else {
        console::data(&json!({ "service": service, "taken_away": entry }).to_string());
    }
}
