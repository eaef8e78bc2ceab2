//! `cutover status`: where a run stands, from its journal and from the live system.

use cutover_engine::folder::Home;
use cutover_engine::journal::Replayed;
use cutover_engine::lock::{Holder, service_key};
use cutover_engine::ports::Shifter as _;
use cutover_rehearsal::local::{Part, parts_alive};
use cutover_scenarios::units::Weight;
use serde_json::{Value, json};

use super::taken_over;
use crate::args::{Output, RunCommand};
use crate::console;
use crate::exit::{Exit, Failure};
use crate::run;

/// What was found out about a run.
struct Status {
    replayed: Replayed,
    /// Who drives it right now.
    driver: Option<Holder>,
    /// Processes of its stacks that live.
    parts: Vec<Part>,
    /// The weight that the edge has, or why that is not known.
    live: Result<Weight, String>,
    next: Vec<String>,
}

pub(super) fn run(home: &Home, asked: &RunCommand) -> Result<Exit, Failure> {
    let folder = home
        .find_run(asked.run.as_deref())
        .map_err(|error| Failure::chain(&error))?;
    let replayed = taken_over::read(&folder)?;
    let (stacks, shifter) = run::local_ports(&replayed.state, &folder, None)?;
    let live = super::runtime()?.block_on(async {
        stacks.adopt().await;
        let live = shifter.read().await.map_err(|error| error.to_string());
        stacks.leave_running().await;
        live
    });
    let driver = home
        .holder(service_key(&replayed.state.plan))
        .filter(|holder| holder.run == folder.id());
    let parts = parts_alive(folder.path());
    let next = next(&replayed, driver.is_some(), live.is_ok(), !parts.is_empty());
    let status = Status {
        replayed,
        driver,
        parts,
        live,
        next,
    };
    match asked.output {
        Output::Human => console::data(&text(&status)),
        Output::Json => console::data(&format!("{:#}", document(&status))),
        Output::Ndjson => console::data(&document(&status).to_string()),
    }
    Ok(Exit::Done)
}

fn next(replayed: &Replayed, driven: bool, edge_answers: bool, parts_left: bool) -> Vec<String> {
    let run = &replayed.state.run;
    if driven {
        return vec!["it is being driven; nothing to do".to_owned()];
    }
    if replayed.state.outcome.is_some() && !replayed.state.waits_for_a_person() {
        return if parts_left {
            vec![format!(
                "end what is left of its stacks: cutover cleanup {run}"
            )]
        } else {
            Vec::new()
        };
    }
    if edge_answers {
        vec![
            format!("go on: cutover resume {run}"),
            format!("go back: cutover rollback {run}"),
            format!("or end its local stacks: cutover cleanup {run}"),
        ]
    } else if parts_left {
        vec![format!(
            "its edge is not up; end what is left: cutover cleanup {run}"
        )]
    } else {
        vec!["its local stacks are gone, so no traffic flows; begin anew when you like".to_owned()]
    }
}

fn text(status: &Status) -> String {
    let state = &status.replayed.state;
    let mut lines = vec![format!(
        "run      {} (plan `{}`)",
        state.run, state.plan.name
    )];
    let ended = state.outcome.as_ref();
    lines.push(match ended {
        Some((outcome, message)) => format!("outcome  {outcome}: {message}"),
        None => format!("phase    {}{}", state.phase, step(status)),
    });
    lines.push(match (&status.driver, ended) {
        (Some(holder), _) => {
            format!(
                "driver   process {} on {}, since {}",
                holder.pid, holder.host, holder.since
            )
        }
        (None, Some(_)) => "driver   none, the run has ended".to_owned(),
        (None, None) => "driver   none: it was killed, crashed, or stopped at once".to_owned(),
    });
    let journal = match (state.applied, &state.in_flight) {
        (Some(applied), _) => format!("set {}, applied {applied}", state.set),
        (None, _) if !state.shifted => "never written".to_owned(),
        (None, _) => format!("set {} (in doubt: the write has no known end)", state.set),
    };
    let live = match &status.live {
        Ok(weight) => format!("the edge has {weight}"),
        Err(_) if status.parts.is_empty() => "the local stacks are gone".to_owned(),
        Err(error) => error.clone(),
    };
    lines.push(format!("weight   {journal}; {live}"));
    for part in &status.parts {
        let registration = &part.registration;
        lines.push(format!(
            "process  {:<15} {:>7}  http://{}",
            part.name, registration.pid, registration.listen
        ));
    }
    if status.replayed.torn {
        lines.push("journal  its last line was cut off by a crash and does not count".to_owned());
    }
    lines.extend(status.next.iter().map(|next| format!("next     {next}")));
    lines.join("\n")
}

fn step(status: &Status) -> String {
    let state = &status.replayed.state;
    let Some((index, step)) = state
        .step
        .and_then(|index| Some((index, state.plan.steps.get(index)?)))
    else {
        return String::new();
    };
    format!(
        ", step {} of {} ({})",
        index + 1,
        state.plan.steps.len(),
        step.weight
    )
}

fn document(status: &Status) -> Value {
    let state = &status.replayed.state;
    let percent = |weight: Weight| f64::from(weight.parts()) / 100.0;
    json!({
        "run": state.run,
        "plan": state.plan.name,
        "phase": state.phase,
        "outcome": state.outcome.as_ref().map(|(outcome, _)| outcome),
        "message": state.outcome.as_ref().map(|(_, message)| message),
        "step": state.step,
        "driver": status.driver,
        "weight": {
            "set": percent(state.set),
            "applied": state.applied.map(percent),
            "live": status.live.as_ref().ok().copied().map(percent),
        },
        "in_flight": state.in_flight.map(|(id, effect)| json!({ "id": id, "effect": effect })),
        "processes": status.parts.iter().map(|part| json!({
            "name": part.name,
            "pid": part.registration.pid,
            "listen": part.registration.listen,
            "admin": part.registration.admin,
        })).collect::<Vec<_>>(),
        "journal_torn": status.replayed.torn,
        "next": status.next,
    })
}
