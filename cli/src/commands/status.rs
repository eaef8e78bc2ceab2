//! `cutover status`: where a run stands, from its driver, its journal and the live system.

use cutover_engine::clock;
use cutover_engine::folder::{Home, RunFolder};
use cutover_engine::journal::Replayed;
use cutover_engine::lock::Holder;
use cutover_engine::narrate::{percent, seconds};
use cutover_engine::ports::Shifter as _;
use cutover_engine::view::{GuardState, GuardView, RunView};
use cutover_rehearsal::local::{Part, parts_alive};
use cutover_scenarios::units::Weight;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::taken_over;
use super::target::Target;
use crate::args::{Output, RunCommand};
use crate::console;
use crate::control::client::Client;
use crate::control::protocol::{Answer, Request};
use crate::exit::{Exit, Failure};
use crate::output::what_helps;
use crate::run;

/// What was found out about a run.
struct Status {
    replayed: Replayed,
    /// Who drives it right now.
    driver: Option<Holder>,
    /// The run as its driver sees it, or why that is not known.
    view: Option<Result<RunView, String>>,
    /// When all this was found out.
    now: Timestamp,
    /// Processes of its stacks that live.
    parts: Vec<Part>,
    /// The weight that the edge has, or why that is not known.
    live: Result<Weight, String>,
    next: Vec<String>,
}

impl Status {
    /// What the driver says, if it says anything.
    fn said(&self) -> Option<&RunView> {
        self.view.as_ref().and_then(|view| view.as_ref().ok())
    }
}

pub(super) fn run(home: &Home, asked: &RunCommand) -> Result<Exit, Failure> {
    let target = Target::find(home, asked.run.as_deref())?;
    let folder = &target.folder;
    let replayed = taken_over::read(folder)?;
    let (stacks, shifter) = run::local_ports(&replayed.state, folder, None)?;
    let (live, view) = super::runtime()?.block_on(async {
        stacks.adopt().await;
        let live = shifter.read().await.map_err(|error| error.to_string());
        stacks.leave_running().await;
        let view = match target.driver {
            Some(_) => Some(ask_driver(folder).await),
            None => None,
        };
        (live, view)
    });
    let parts = parts_alive(folder.path());
    let mut status = Status {
        replayed,
        driver: target.driver,
        view,
        now: clock::wall(),
        parts,
        live,
        next: Vec::new(),
    };
    status.next = next(&status);
    match asked.output {
        Output::Human => console::data(&text(&status)),
        Output::Json => console::data(&format!("{:#}", document(&status))),
        Output::Ndjson => console::data(&document(&status).to_string()),
    }
    Ok(Exit::Done)
}

async fn ask_driver(folder: &RunFolder) -> Result<RunView, String> {
    let asked = async {
        let mut client = Client::connect(folder.path()).await?;
        client.ask(Request::Status).await
    };
    match asked.await {
        Ok(Answer::View { view }) => Ok(*view),
        Ok(_) => Err("the driver did not answer with the run".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn next(status: &Status) -> Vec<String> {
    let run = &status.replayed.state.run;
    if let Some(driver) = &status.driver {
        let mut next = vec![format!("watch it: cutover attach {run}")];
        let waiting = status.said().and_then(|view| view.waiting_for.as_deref());
        let ways = waiting.map_or(&[][..], what_helps).iter();
        next.extend(ways.map(|command| format!("it waits for a person: cutover {command} {run}")));
        if driver.is_stale(status.now) {
            next.push(format!(
                "its driver fell silent; if it is gone for good: cutover unlock {run} --reason WHY"
            ));
        }
        return next;
    }
    if status.replayed.state.outcome.is_some() && !status.replayed.state.waits_for_a_person() {
        return if status.parts.is_empty() {
            Vec::new()
        } else {
            vec![format!(
                "end what is left of its stacks: cutover cleanup {run}"
            )]
        };
    }
    if status.live.is_ok() {
        vec![
            format!("go on: cutover resume {run}"),
            format!("go back: cutover rollback {run}"),
            format!("or end its local stacks: cutover cleanup {run}"),
        ]
    } else if status.parts.is_empty() {
        vec!["its local stacks are gone, so no traffic flows; begin anew when you like".to_owned()]
    } else {
        vec![format!(
            "its edge is not up; end what is left: cutover cleanup {run}"
        )]
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
        (Some(holder), _) => driver(holder, status.now),
        (None, Some(_)) => "driver   none, the run has ended".to_owned(),
        (None, None) => "driver   none: it was killed, crashed, or stopped at once".to_owned(),
    });
    match &status.view {
        Some(Ok(view)) => {
            if view.holding {
                lines.push("held     at this weight, by a person; guards stay armed".to_owned());
            }
            if let Some(waiting) = &view.waiting_for {
                lines.push(format!("waits    for {waiting}"));
            }
        }
        Some(Err(error)) => lines.push(format!("         {error}")),
        None => {}
    }
    lines.push(format!("weight   {}", weight(status)));
    if let Some(view) = status.said() {
        lines.extend(guards(&view.guards));
    }
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

fn driver(holder: &Holder, now: Timestamp) -> String {
    let Holder {
        user,
        pid,
        host,
        since,
        ..
    } = holder;
    let stale = if holder.is_stale(now) { ": stale" } else { "" };
    format!(
        "driver   process {pid} of {user} on {host}, since {since:.0}, last heartbeat {} ago{stale}",
        seconds(holder.silent_for(now))
    )
}

fn weight(status: &Status) -> String {
    let state = &status.replayed.state;
    let journal = match (state.applied, &state.in_flight) {
        (Some(applied), _) => format!("set {}, applied {applied}", state.set),
        (None, _) if !state.shifted => "never written".to_owned(),
        (None, _) => format!("set {} (in doubt: the write has no known end)", state.set),
    };
    let observed = status.said().and_then(|view| view.weight.observed);
    let observed = observed.map_or(String::new(), |share| {
        format!(", observed {}", percent(share))
    });
    let live = match &status.live {
        Ok(weight) => format!("the edge has {weight}"),
        Err(_) if status.parts.is_empty() => "the local stacks are gone".to_owned(),
        Err(error) => error.clone(),
    };
    format!("{journal}{observed}; {live}")
}

/// How near each guard is to a breach, and what was measured.
fn guards(guards: &[GuardView]) -> Vec<String> {
    let width = guards.iter().map(|guard| guard.name.chars().count()).max();
    let width = width.unwrap_or(0);
    let line = |guard: &GuardView| {
        let state = match guard.state {
            GuardState::Quiet => "quiet",
            GuardState::Near => "near",
            GuardState::Breach => "BREACH",
        };
        let measured = match (&guard.interval, &guard.objective) {
            (Some(interval), _) => interval.text.clone(),
            (None, Some(_)) => format!("{} of {}", guard.bad, guard.requests),
            (None, None) => format!("{} requests", guard.requests),
        };
        format!(
            "guard    {:<width$}  {state}, {:.0} % of the evidence for a breach; {measured}",
            guard.name,
            guard.evidence() * 100.0,
        )
    };
    guards.iter().map(line).collect()
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
    let in_percent = |weight: Weight| f64::from(weight.parts()) / 100.0;
    json!({
        "run": state.run,
        "plan": state.plan.name,
        "phase": state.phase,
        "outcome": state.outcome.as_ref().map(|(outcome, _)| outcome),
        "message": state.outcome.as_ref().map(|(_, message)| message),
        "step": state.step,
        "driver": status.driver,
        "driver_error": status.view.as_ref().and_then(|view| view.as_ref().err()),
        "paused": status.said().map(|view| view.paused),
        "holding": status.said().map(|view| view.holding),
        "waiting_for": status.said().and_then(|view| view.waiting_for.as_ref()),
        "guards": status.said().map(|view| &view.guards),
        "weight": {
            "set": in_percent(state.set),
            "applied": state.applied.map(in_percent),
            "observed": status.said().and_then(|view| view.weight.observed).map(|share| share * 100.0),
            "live": status.live.as_ref().ok().copied().map(in_percent),
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
