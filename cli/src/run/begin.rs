//! Makes a run, or takes one over: folder, lock, journal, ports.

use std::path::PathBuf;
use std::sync::Arc;

use cutover_engine::clock::{self, Clock};
use cutover_engine::fact::{FORMAT, Fact};
use cutover_engine::folder::{Home, RunFolder, run_id};
use cutover_engine::journal::Journal;
use cutover_engine::lock::{Holder, Lease, LockError, service_key};
use cutover_engine::runner::Start;
use cutover_engine::state::State;
use cutover_rehearsal::fault::FaultAt;
use cutover_rehearsal::local::{LocalShifter, LocalStacks};
use cutover_scenarios::plan::Plan;

use super::{Place, drive, hooks, listen};
use crate::exit::{Exit, Failure};

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
    pub(crate) lease: Arc<dyn Lease>,
}

/// Makes a run and drives it to its end.
pub(crate) async fn begin(home: &Home, new: New, place: Place<'_>) -> Result<Exit, Failure> {
    hooks::check(&new.plan)?;
    let id = run_id(&new.plan.name, clock::wall(), std::process::id());
    let lease = take_lock(home, &new.plan, &id)?;
    let folder = home
        .create_run(&id)
        .map_err(|error| Failure::chain(&error))?;
    let clock = Clock::start();
    let fault = new.fault;
    let begun = listen(&folder, place)
        .and_then(|listener| Ok((listener, begin_journal(&folder, &clock, id, new)?)));
    let (listener, (journal, state)) = begun.inspect_err(|_| {
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
        lease,
    };
    drive(driven, listener, Start::Fresh, place).await
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

/// Takes the lock of a plan's service for a run of this process.
pub(crate) fn take_lock(home: &Home, plan: &Plan, run: &str) -> Result<Arc<dyn Lease>, Failure> {
    let holder = holder(run);
    let lock = home.lock(service_key(plan), holder);
    lock.map(|lock| Arc::new(lock) as _)
        .map_err(|error| match error {
            LockError::Held { .. } | LockError::Unknown { .. } => Failure {
                message: format!("{error}; watch it: cutover attach"),
                exit: Exit::Locked,
            },
            LockError::Folder(error) => Failure::chain(&error),
        })
}

/// This process as the holder of a lock, for a run.
pub(crate) fn holder(run: &str) -> Holder {
    let now = clock::wall();
    Holder {
        run: run.to_owned(),
        user: user(),
        pid: std::process::id(),
        host: host(),
        since: now,
        beat: now,
    }
}

/// Records that this process drives the run from now on.
pub(super) fn take_over(
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

/// The file that this very program was started from: proc(5) keeps it, also when it is replaced or
/// removed while the run goes on, so that all processes of a run are of one version.
pub(super) const THIS_PROGRAM: &str = "/proc/self/exe";

/// Who runs this program, as the journal names people: `ann@laptop (process 4711)`.
pub(crate) fn person() -> String {
    format!("{}@{} (process {})", user(), host(), std::process::id())
}

fn user() -> String {
    let user = nix::unistd::User::from_uid(nix::unistd::getuid());
    user.ok().flatten().map_or_else(
        || format!("uid {}", nix::unistd::getuid()),
        |user| user.name,
    )
}

/// The name of this machine.
pub(crate) fn host() -> String {
    nix::unistd::gethostname()
        .ok()
        .and_then(|name| name.into_string().ok())
        .unwrap_or_else(|| "unknown".to_owned())
}
