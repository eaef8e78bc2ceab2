//! Drives a run from this process: ports, signals, screen, end.
//!
//! | module | subject |
//! | --- | --- |
//! | [`begin`] | makes a run, or takes one over: folder, lock, journal, ports |
//! | [`heartbeat`] | signs of life for others who want the service |
//! | [`load`] | the load generator as the engine's port |
//! | [`signals`] | signals as requests to the run |
//! | this one | puts them together, and ends the stacks on every way out |

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cutover_engine::phase::Outcome;
use cutover_engine::report::RunReport;
use cutover_engine::runner::{self, Asked, Audience, Control, Ports, RunEvent, Runner, Start};
use cutover_engine::view::RunView;
use cutover_rehearsal::local::parts_alive;
use tokio::sync::{mpsc, watch};

use crate::args::{Output, Show};
use crate::console;
use crate::exit::{Exit, Failure};
use crate::output::{self, Teller};
use crate::screen::{self, ScreenEnd, ScreenOptions};

mod begin;
mod heartbeat;
mod load;
mod signals;

use heartbeat::Heartbeat;
use load::{GeneratedLoad, LatencyReport};

pub(crate) use begin::{Driven, New, local_ports, person, start, take_lock, take_over};
pub(crate) use load::ArmLatency;
pub(crate) use signals::survive_full_files;

/// Drives a run to its end, shows it, and ends the stacks unless the run was only rolled back
/// from outside: then they go on serving, as real ones would.
pub(crate) async fn drive(driven: Driven, start: Start, show: &Show) -> Result<Exit, Failure> {
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
    let screen = on_screen(show);
    let taking_back = matches!(start, Start::Rollback { .. });
    let latencies = LatencyReport::default();
    let load = (!taking_back)
        .then(|| Box::new(GeneratedLoad::new(&state.plan, latencies.clone())) as Box<_>);
    let (controls, asked) = mpsc::unbounded_channel();
    let (events, happening) = mpsc::unbounded_channel();
    let (views, view) = watch::channel(runner::first_view(&state));
    let lines = Arc::new(AtomicBool::new(!screen));

    signals::listen(controls.clone(), Arc::clone(&lines));
    let teller = tokio::spawn(tell(
        happening,
        Teller::new(show.output),
        Arc::clone(&lines),
    ));
    let ports = Ports {
        stacks: stacks.clone(),
        shifter,
        load,
        lease: Arc::clone(&lease),
        hooks: None,
        folder: folder.path().to_owned(),
    };
    let audience = Audience {
        controls: asked,
        events,
        views,
    };
    let runner = Runner::new(state, journal, clock, ports, audience, screen);
    let running = tokio::spawn(runner.run(start));
    if screen {
        watch_on_screen(view, controls, &lines).await;
    }
    let report = running.await;
    let _ = teller.await;

    // Whatever happened, what this process started ends with it, unless a person needs it still.
    let needed = taking_back
        || report
            .as_ref()
            .is_ok_and(|report| matches!(report.outcome, Outcome::Held | Outcome::Stuck));
    if needed {
        stacks.leave_running().await;
    } else {
        stacks.end().await;
    }
    drop(heartbeat);
    lease.release().await;
    let mut report = report.map_err(|error| {
        Failure::error(format!(
            "the driver failed: {error}; the local stacks have been ended; the journal is {}",
            folder.journal().display()
        ))
    })?;
    let left_running = needed && !parts_alive(folder.path()).is_empty();
    explain_local_end(&mut report, left_running);
    output::finish(show.output, &report, &latencies.take());
    Ok(Exit::of(&report))
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

/// Whether the run is shown on the terminal screen, where a person can answer.
fn on_screen(show: &Show) -> bool {
    show.output == Output::Human && !show.no_tui && console::attended()
}

/// Shows the run until it ends or a person leaves; then lines go on where the screen was.
async fn watch_on_screen(
    views: watch::Receiver<RunView>,
    controls: mpsc::UnboundedSender<Control>,
    lines: &AtomicBool,
) {
    let (commands, mut asked) = mpsc::unbounded_channel();
    let forward = controls.clone();
    let forwarding = tokio::spawn(async move {
        while let Some(command) = asked.recv().await {
            let _ = forward.send(Control::Command(Asked::new(command, "the screen")));
        }
    });
    let unicode = ["LC_ALL", "LC_CTYPE", "LANG"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
        .is_none_or(|locale| {
            locale
                .to_ascii_lowercase()
                .replace('-', "")
                .contains("utf8")
        });
    let options = ScreenOptions {
        colour: !console::no_colour(),
        unicode,
    };
    // In a task of its own: a screen that breaks must not take the run with it.
    let shown = tokio::spawn(screen::run(views, commands, options)).await;
    let shown = shown.unwrap_or_else(|broken| Err(std::io::Error::other(broken)));
    match shown {
        Ok(ScreenEnd::RunEnded | ScreenEnd::RunLost) => {}
        Ok(ScreenEnd::Detached) => {
            lines.store(true, Ordering::Relaxed);
            let _ = controls.send(Control::Unattended);
            console::note(
                "the screen is closed; the run goes on here, one line per event (Ctrl-C rolls back)",
            );
        }
        Ok(ScreenEnd::StopNow) => {
            lines.store(true, Ordering::Relaxed);
            let _ = controls.send(Control::StopNow);
        }
        Err(error) => {
            lines.store(true, Ordering::Relaxed);
            let _ = controls.send(Control::Unattended);
            console::note(&format!(
                "the screen failed ({error}); the run goes on, one line per event"
            ));
        }
    }
    forwarding.abort();
}

async fn tell(
    mut events: mpsc::UnboundedReceiver<RunEvent>,
    teller: Teller,
    lines: Arc<AtomicBool>,
) {
    while let Some(event) = events.recv().await {
        teller.tell(&event, lines.load(Ordering::Relaxed));
    }
}
