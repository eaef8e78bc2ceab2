//! Drives a run from this process: ports, signals, screen, end.
//!
//! | module | subject |
//! | --- | --- |
//! | [`load`] | the load generator as the engine's port |
//! | [`signals`] | signals as requests to the run |
//! | this one | puts them together, and ends the stacks on every way out |

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cutover_engine::clock::{self, Clock};
use cutover_engine::fact::{FORMAT, Fact};
use cutover_engine::folder::{Holder, Home, Lock, LockError, RunFolder, run_id};
use cutover_engine::journal::Journal;
use cutover_engine::phase::Outcome;
use cutover_engine::report::RunReport;
use cutover_engine::runner::{self, Audience, Control, Ports, RunEvent, Runner, Start};
use cutover_engine::state::State;
use cutover_engine::view::RunView;
use cutover_rehearsal::fault::FaultAt;
use cutover_rehearsal::local::{LocalShifter, LocalStacks};
use cutover_scenarios::plan::{Gate, Plan};
use tokio::sync::{mpsc, watch};

use crate::args::{Output, Show};
use crate::console;
use crate::exit::{Exit, Failure};
use crate::output::{self, Teller};
use crate::screen::{self, ScreenEnd, ScreenOptions};

mod load;
mod signals;

use load::{GeneratedLoad, LatencyReport};

pub(crate) use load::ArmLatency;

/// A run that is to be made.
pub(crate) struct New {
    pub(crate) plan: Plan,
    pub(crate) fault: Option<FaultAt>,
}

/// A run that is driven by this process from now on.
pub(crate) struct Driven {
    pub(crate) folder: RunFolder,
    pub(crate) state: State,
    pub(crate) journal: Journal,
    pub(crate) clock: Clock,
    pub(crate) stacks: Arc<LocalStacks>,
    pub(crate) shifter: Arc<LocalShifter>,
    /// Held until the run ends.
    pub(crate) lock: Lock,
}

/// Makes a run and drives it to its end.
pub(crate) async fn start(home: &Home, new: New, show: &Show) -> Result<Exit, Failure> {
    refuse_gates_that_nobody_can_open(&new.plan, on_screen(show))?;
    let id = run_id(&new.plan.name, clock::wall(), std::process::id());
    let lock = take_lock(home, &new.plan.name, &id)?;
    let folder = home
        .create_run(&id)
        .map_err(|error| Failure::chain(&error))?;
    let clock = Clock::start();
    let fault = new.fault;
    let (journal, state) = begin_journal(&folder, &clock, id, new).inspect_err(|_| {
        // A run without a beginning is none; nothing has been started for it yet.
        let _ = std::fs::remove_dir_all(folder.path());
    })?;
    let (stacks, shifter) = local_ports(&state, &folder, fault)?;
    let driven = Driven {
        folder,
        state,
        journal,
        clock,
        stacks,
        shifter,
        lock,
    };
    drive(driven, Start::Fresh, show).await
}

fn begin_journal(
    folder: &RunFolder,
    clock: &Clock,
    run: String,
    new: New,
) -> Result<(Journal, State), Failure> {
    let mut journal = Journal::create(&folder.journal()).map_err(|error| Failure::chain(&error))?;
    let created = Fact::RunCreated {
        format: FORMAT,
        run,
        plan: Box::new(new.plan),
        fault: new.fault.map(|fault| fault.to_string()),
    };
    let first = journal
        .append(clock.now(), created)
        .map_err(|error| Failure::chain(&error))?;
    let mut state = State::begin(&first).map_err(|error| Failure::chain(&error))?;
    take_over(&mut journal, &mut state, clock)?;
    Ok((journal, state))
}

/// Whether the run is shown on the terminal screen, where a person can answer.
fn on_screen(show: &Show) -> bool {
    show.output == Output::Human && !show.no_tui && console::attended()
}

/// Manual gates are opened on the screen; without one the run would wait for ever.
fn refuse_gates_that_nobody_can_open(plan: &Plan, screen: bool) -> Result<(), Failure> {
    let manual: Vec<_> = plan
        .steps
        .iter()
        .filter(|step| step.gate == Some(Gate::Manual))
        .map(|step| step.weight.to_string())
        .collect();
    if screen || manual.is_empty() {
        return Ok(());
    }
    Err(Failure {
        message: format!(
            "the plan has manual gates (before {}), and nobody can open them without the screen; \
             run it on a terminal, or give the steps no gate or a `window`; nothing was touched",
            manual.join(", ")
        ),
        exit: Exit::PreflightFailed,
    })
}

/// Takes the lock of a plan for a run of this process.
pub(crate) fn take_lock(home: &Home, plan: &str, run: &str) -> Result<Lock, Failure> {
    let holder = Holder {
        run: run.to_owned(),
        pid: std::process::id(),
        host: host(),
        since: clock::wall(),
    };
    home.lock(plan, &holder).map_err(|error| match error {
        LockError::Held { .. } => Failure {
            message: format!("{error}; watch it with `cutover status`"),
            exit: Exit::Locked,
        },
        LockError::Folder(error) => Failure::chain(&error),
    })
}

/// Records that this process drives the run from now on.
pub(crate) fn take_over(
    journal: &mut Journal,
    state: &mut State,
    clock: &Clock,
) -> Result<(), Failure> {
    let fact = Fact::DriverStarted {
        pid: std::process::id(),
        host: host(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let record = journal
        .append(clock.now(), fact)
        .map_err(|error| Failure::chain(&error))?;
    state.apply(&record.fact).map_err(Failure::error)
}

/// The ports of a plan whose stacks are local.
pub(crate) fn local_ports(
    state: &State,
    folder: &RunFolder,
    fault: Option<FaultAt>,
) -> Result<(Arc<LocalStacks>, Arc<LocalShifter>), Failure> {
    let program = PathBuf::from(THIS_PROGRAM);
    let shifter = Arc::new(LocalShifter::new(fault));
    let path = std::path::absolute(folder.path())
        .map_err(|error| Failure::error(format!("{}: {error}", folder.path().display())))?;
    let stacks = Arc::new(LocalStacks::new(
        &state.plan,
        &path,
        program,
        Arc::clone(&shifter),
    ));
    Ok((stacks, shifter))
}

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
        lock,
    } = driven;
    let screen = on_screen(show);
    let taking_back = matches!(start, Start::Rollback(_));
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
    };
    let audience = Audience {
        controls: asked,
        events,
        views,
    };
    let runner = Runner::new(state, journal, clock, ports, audience, console::attended());
    let running = tokio::spawn(runner.run(start));
    if screen {
        watch_on_screen(view, controls, &lines).await;
    }
    let report = running.await;
    let _ = teller.await;

    // Whatever happened, what this process started ends with it.
    if taking_back {
        stacks.leave_running().await;
    } else {
        stacks.end().await;
    }
    drop(lock);
    let mut report = report.map_err(|error| {
        Failure::error(format!(
            "the driver failed: {error}; the local stacks have been ended; the journal is {}",
            folder.journal().display()
        ))
    })?;
    explain_local_end(&mut report, taking_back);
    output::finish(show.output, &report, &latencies.take());
    Ok(Exit::of(&report))
}

/// What comes next differs for stacks that end with their driver.
fn explain_local_end(report: &mut RunReport, taking_back: bool) {
    if taking_back {
        report
            .next
            .push("the local stacks go on serving; end them with: cutover cleanup".to_owned());
    } else if matches!(report.outcome, Outcome::Interrupted | Outcome::Held) {
        report.next = vec![
            "the local stacks have been ended with their driver, so nothing serves and nothing \
             is left to take back; begin anew when you like"
                .to_owned(),
        ];
    }
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
            let _ = forward.send(Control::Command(command));
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
    match screen::run(views, commands, options).await {
        Ok(ScreenEnd::RunEnded | ScreenEnd::RunLost) => {}
        Ok(ScreenEnd::Detached) => {
            lines.store(true, Ordering::Relaxed);
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

/// The file that this very program was started from: proc(5) keeps it, also when it is replaced or
/// removed while the run goes on, so that all processes of a run are of one version.
const THIS_PROGRAM: &str = "/proc/self/exe";

pub(crate) fn host() -> String {
    nix::unistd::gethostname()
        .ok()
        .and_then(|name| name.into_string().ok())
        .unwrap_or_else(|| "unknown".to_owned())
}
