//! Drives a run, here or in the background, and watches one that is driven elsewhere.
//!
//! | module | subject |
//! | --- | --- |
//! | [`begin`] | makes a run, or takes one over: folder, lock, journal, ports |
//! | [`background`] | a driver that outlives the terminal |
//! | [`heartbeat`] | signs of life for others who want the service |
//! | [`hooks`] | the webhooks of a plan |
//! | [`load`] | the load generator as the engine's port |
//! | [`signals`] | signals as requests to the run |
//! | [`watch`] | a run that another process drives, on the screen or in lines |
//! | this one | puts them together, and ends the stacks on every way out |

use std::fs;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::Arc;

use cutover_engine::folder::{Home, RunFolder};
use cutover_engine::lock::Lease;
use cutover_engine::phase::Outcome;
use cutover_engine::ports::Shifter as _;
use cutover_engine::report::{Measured, RunReport, report};
use cutover_engine::runner::{self, Asked, Audience, Control, Ports, RunEvent, Runner, Start};
use cutover_engine::view::Command;
use cutover_rehearsal::local::parts_alive;
use cutover_scenarios::units::Weight;
use tokio::sync::{broadcast, mpsc, watch as latest};

use crate::args::{Driving, Output, Show};
use crate::console;
use crate::control::protocol::Happening;
use crate::control::server::{Listener, Server};
use crate::exit::{Exit, Failure};
use crate::output::{self, Document, Teller};

mod background;
mod begin;
mod heartbeat;
mod hooks;
mod load;
mod signals;
pub(crate) mod watch;

use heartbeat::Heartbeat;
use load::{GeneratedLoad, LatencyReport};

pub(crate) use background::{Job, Starter};
pub(crate) use begin::{Driven, New, begin, holder, host, local_ports, person, take_lock};
pub(crate) use load::ArmLatency;
pub(crate) use signals::survive_full_files;

/// Where a run is driven.
#[derive(Clone, Copy)]
pub(crate) enum Place<'a> {
    /// In the process that a person started, one line per event.
    Foreground(Output),
    /// In a process of its own, for whoever attaches.
    Background(&'a Starter),
}

/// Makes a run and drives it: here; or in the background, for the screen and with `--detach`.
pub(crate) async fn start(home: &Home, new: New, driving: &Driving) -> Result<Exit, Failure> {
    if in_background(driving) {
        let job = Job::Start {
            plan: Box::new(new.plan),
            fault: new.fault.map(|fault| fault.to_string()),
        };
        return launch(home, &job, driving).await;
    }
    begin(home, new, Place::Foreground(driving.show.output)).await
}

/// Whether the driver is to be a process of its own.
pub(crate) fn in_background(driving: &Driving) -> bool {
    driving.detach || on_screen(&driving.show)
}

/// Starts a driver in the background, and watches it unless it is to be left alone.
pub(crate) async fn launch(home: &Home, job: &Job, driving: &Driving) -> Result<Exit, Failure> {
    let driver = background::launch(home, job)?;
    if driving.detach {
        driver.tell(driving.show.output);
        return Ok(Exit::Done);
    }
    watch::on_screen(home, &driver.folder, false).await
}

/// Whether the run is shown on the terminal screen, where a person can answer.
pub(crate) fn on_screen(show: &Show) -> bool {
    show.output == Output::Human && !show.no_tui && console::attended()
}

/// Goes on with a run that was taken over: opens its control socket, writes down that this process
/// drives it, and does so.
pub(crate) async fn drive_on(
    mut driven: Driven,
    start: Start,
    place: Place<'_>,
) -> Result<Exit, Failure> {
    let listener = listen(&driven.folder, place)?;
    if !matches!(start, Start::Rollback { .. }) {
        hooks::check(&driven.state.plan)?;
    }
    let taken = begin::take_over(&mut driven.journal, &mut driven.state, &driven.clock);
    match (taken, &start) {
        (Ok(()), _) => drive(driven, listener, start, place).await,
        // Going back needs nothing but the shifter.
        (Err(failure), Start::Rollback { .. }) => {
            Ok(take_back_unrecorded(driven, &failure.message, place).await)
        }
        (Err(failure), _) => Err(failure),
    }
}

/// Takes the traffic of a run back whose journal cannot be written.
async fn take_back_unrecorded(driven: Driven, why: &str, place: Place<'_>) -> Exit {
    console::note(why);
    let left = runner::take_back_unrecorded(driven.shifter.as_ref(), why).await;
    let run = driven.folder.id();
    let mut next = vec![format!(
        "make room for the journal, then bring it to its end: cutover rollback {run}"
    )];
    if left.outcome == Outcome::Stuck {
        next = driven.shifter.describe_set(Weight::ZERO);
        next.insert(0, "bring the target's weight to 0 by hand:".to_owned());
    }
    let report = report(&driven.state, &Measured::default(), Some(left), next);
    driven.stacks.leave_running().await;
    driven.lease.release().await;
    let exit = Exit::of(&report);
    if let Place::Foreground(output) = place {
        let stacks = Vec::new();
        output::finish(output, &Document { report, stacks });
    }
    exit
}

/// Opens the control socket. Without one, a run in the foreground goes on unasked; one in the
/// background could not be reached at all.
fn listen(folder: &RunFolder, place: Place<'_>) -> Result<Option<Listener>, Failure> {
    match (Listener::bind(folder.path()), place) {
        (Ok(listener), _) => Ok(Some(listener)),
        (Err(error), Place::Foreground(_)) => {
            console::note(&format!(
                "the control socket cannot be made in {} ({error}): nobody can ask this run from \
                 elsewhere; Ctrl-C here rolls back",
                folder.path().display()
            ));
            Ok(None)
        }
        (Err(error), Place::Background(_)) => Err(Failure::error(format!(
            "the control socket cannot be made in {}: {error}; a run in the background needs it; \
             choose another folder with --dir",
            folder.path().display()
        ))),
    }
}

/// Drives a run to its end, and ends the stacks unless the run was only rolled back from outside:
/// then they go on serving, as real ones would.
async fn drive(
    driven: Driven,
    listener: Option<Listener>,
    start: Start,
    place: Place<'_>,
) -> Result<Exit, Failure> {
    let Driven {
        folder,
        state,
        journal,
        clock,
        stacks,
        shifter,
        lease,
    } = driven;
    let heartbeat = Heartbeat::of(Arc::clone(&lease));
    let taking_back = matches!(start, Start::Rollback { .. });
    let latencies = LatencyReport::default();
    let load = (!taking_back)
        .then(|| Box::new(GeneratedLoad::new(&state.plan, latencies.clone())) as Box<_>);
    let (controls, asked) = mpsc::unbounded_channel();
    let (events, happening) = mpsc::unbounded_channel();
    let (views, view) = latest::channel(runner::first_view(&state));

    // What an earlier driver said at its end is not the end any more.
    let _ = fs::remove_file(folder.report());
    signals::listen(controls.clone());
    let server = listener.map(|listener| {
        let run = folder.id().to_owned();
        Server::serve(listener, run, folder.journal(), controls.clone(), view)
    });
    let (output, attended) = match place {
        Place::Foreground(output) => (output, false),
        Place::Background(starter) => {
            if let Err(error) = starter.serving(&folder) {
                // Whoever wanted this run left before it began.
                let by = format!("its starter, which is gone ({error})");
                let _ = controls.send(Control::Command(Asked::new(Command::Interrupt, by)));
            }
            (Output::Human, true)
        }
    };
    let teller = Teller::new(output, folder.id().to_owned());
    let followers = server.as_ref().map(Server::events);
    let telling = tokio::spawn(tell(happening, teller, followers));
    let hooks = hooks::of(&state.plan, &start)?;
    let ports = Ports {
        stacks: stacks.clone(),
        shifter,
        load,
        lease: Arc::clone(&lease),
        hooks,
        folder: std::path::absolute(folder.path()).unwrap_or(folder.path().to_owned()),
    };
    let audience = Audience {
        controls: asked,
        events,
        views,
    };
    let runner = Runner::new(state, journal, clock, ports, audience, attended);
    let report = tokio::spawn(runner.run(start)).await;
    let _ = telling.await;

    // Whatever happened, what this process started ends with it, unless a person needs it still,
    // or another driver has it by now.
    let ours = lease.still_ours().is_ok();
    let needed = taking_back
        || !ours
        || report
            .as_ref()
            .is_ok_and(|report| matches!(report.outcome, Outcome::Held | Outcome::Stuck));
    if needed {
        stacks.leave_running().await;
    } else {
        stacks.end().await;
    }
    let report = report.map_err(|error| {
        Failure::error(format!(
            "the driver failed: {error}; the local stacks have been ended; the journal is {}",
            folder.journal().display()
        ))
    });
    let document = report.map(|mut report| {
        let left_running = needed && !parts_alive(folder.path()).is_empty();
        explain_local_end(&mut report, left_running);
        let stacks = latencies.take();
        Document { report, stacks }
    });
    drop(heartbeat);
    end(&folder, lease, server, document, output).await
}

/// Gives everything back, and tells everybody who is there how the run ended. What lies in the
/// run's folder belongs to whoever holds the lock.
async fn end(
    folder: &RunFolder,
    lease: Arc<dyn Lease>,
    server: Option<Server>,
    document: Result<Document, Failure>,
    output: Output,
) -> Result<Exit, Failure> {
    if lease.still_ours().is_ok() {
        if let Ok(document) = &document
            && let Err(error) = keep(folder, document)
        {
            console::note(&format!("{}: {error}", folder.report().display()));
        }
        if let Some(server) = &server {
            server.remove_socket();
        }
    }
    // Before anybody hears of the end: they may want to begin the next run.
    lease.release().await;
    let document = document?;
    output::finish(output, &document);
    let exit = Exit::of(&document.report);
    if let Some(server) = server {
        server.say_farewell(document).await;
    }
    Ok(exit)
}

/// Keeps the report in the run's folder, whole or not at all.
fn keep(folder: &RunFolder, document: &Document) -> io::Result<()> {
    let path = folder.report();
    let unfinished = path.with_extension("json.new");
    let file = fs::OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o600)
        .open(&unfinished)?;
    serde_json::to_writer_pretty(&file, document)?;
    file.sync_data()?;
    fs::rename(unfinished, path)
}

/// What comes next differs for stacks that end with their driver.
fn explain_local_end(report: &mut RunReport, left_running: bool) {
    if left_running {
        report.next.push(format!(
            "the local stacks go on serving; end them with: cutover cleanup {}",
            report.run
        ));
    } else if report.outcome == Outcome::Interrupted {
        report.next = vec![
            "the local stacks have been ended with their driver, so nothing serves and nothing \
             is left to take back; begin anew when you like"
                .to_owned(),
        ];
    }
}

async fn tell(
    mut events: mpsc::UnboundedReceiver<RunEvent>,
    teller: Teller,
    followers: Option<broadcast::Sender<Happening>>,
) {
    while let Some(event) = events.recv().await {
        teller.tell(&event);
        if let (Some(followers), Some(happening)) = (&followers, Happening::of(&event)) {
            // Nobody may be there.
            let _ = followers.send(happening);
        }
    }
}
