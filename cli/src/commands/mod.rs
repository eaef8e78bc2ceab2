//! One file a subcommand.

use cutover_engine::folder::Home;

use crate::args::{Arguments, Command};
use crate::exit::{Exit, Failure};

mod abort;
mod ask;
mod attach;
mod check;
mod cleanup;
mod demo;
mod driver;
mod logs;
mod migrate;
pub(crate) mod power;
mod print;
mod resume;
mod rollback;
mod saved_plan;
mod snapshot_rollback;
mod status;
mod taken_over;
mod target;
mod unlock;

use ask::Wish;

/// Carries out what was typed.
pub(crate) fn run(arguments: Arguments) -> Result<Exit, Failure> {
    let home = Home::new(arguments.dir);
    match arguments.command {
        Command::Migrate(migrate) => migrate::run(&home, &migrate),
        Command::Demo(demo) => demo::run(&home, demo),
        Command::Attach(attach) => attach::run(&home, &attach),
        Command::Status(status) => status::run(&home, &status),
        Command::Pause(pause) => ask::run(&home, &pause, Wish::Pause),
        Command::Resume(resume) => resume::run(&home, &resume),
        Command::Hold(hold) => ask::run(&home, &hold, Wish::Hold),
        Command::Advance(advance) => ask::run(&home, &advance, Wish::Advance),
        Command::Approve(approve) => ask::run(&home, &approve, Wish::Approve),
        Command::Rollback(rollback) => rollback::run(&home, &rollback),
        Command::Abort(abort) => abort::run(&home, &abort),
        Command::Logs(logs) => logs::run(&home, &logs),
        Command::Unlock(unlock) => unlock::run(&home, &unlock),
        Command::Cleanup(cleanup) => cleanup::run(&home, &cleanup),
        Command::Check(check) => check::run(&check),
        Command::Power(power) => power::run(&power),
        Command::Schema(schema) => Ok(print::schema(&schema)),
        Command::Example(example) => print::example(&example),
        Command::Completions(completions) => Ok(print::completions(&completions)),
        Command::Man(man) => print::man(&man),
        Command::Driver => driver::run(&home),
    }
}

/// The runtime of the driver. Load and proxies have threads of their own; the driver waits.
fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::error(format!("could not start the runtime: {error}")))?;
    let inside = runtime.enter();
    crate::run::survive_full_files();
    drop(inside);
    Ok(runtime)
}
