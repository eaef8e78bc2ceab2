//! What can be typed.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};
use cutover_rehearsal::fault::FaultAt;

use crate::commands::power;
use crate::exit;

/// Moves a live service from Amazon ECS to Amazon EKS without its users noticing.
///
/// Shifts traffic in steps, watches the objectives of the plan all the while, and goes back by
/// itself when the target gets worse.
#[derive(Debug, Parser)]
#[command(
    name = "cutover",
    version,
    after_help = exit::HELP,
    after_long_help = long_help(),
    disable_help_subcommand = true,
    arg_required_else_help = true
)]
pub(crate) struct Arguments {
    /// Where runs and their journals live.
    #[arg(long, global = true, value_name = "FOLDER", default_value = ".cutover")]
    pub(crate) dir: PathBuf,

    #[command(subcommand)]
    pub(crate) command: Command,
}

fn long_help() -> String {
    format!(
        "Examples:\n  \
           cutover demo                               the main job on this machine, in a minute\n  \
           cutover demo --fault errors=20%@25         the same with a target that gets worse\n  \
           cutover check plan.yaml                    only validate a plan\n  \
           cutover power plan.yaml                    what it would find, and how soon\n  \
           cutover migrate --plan plan.yaml           show everything a run would do\n  \
           cutover migrate --plan plan.yaml --out p   save that, and later run exactly it:\n  \
           cutover migrate p\n  \
           cutover migrate plan.yaml --detach --yes   run it in the background\n  \
           cutover attach                             watch the run, from any terminal\n  \
           cutover status                             where it stands\n  \
           cutover rollback                           send all traffic back to the source\n\n{}",
        exit::HELP
    )
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a plan, or show what it would do.
    ///
    /// On a terminal a screen shows the run, and going ahead asks first. Without one, each event
    /// is a line on standard error and nothing prompts.
    Migrate(Migrate),
    /// Run the bundled plan on local stacks: real processes, real requests, about 40 seconds.
    Demo(Demo),
    /// Watch a run that is driven in the background or elsewhere.
    ///
    /// On a terminal this is the screen; several people can have it. Without one, each event is a
    /// line. Ends with the run, and with its exit code.
    Attach(Attach),
    /// Tell where a run stands, from its driver, its journal and the live system.
    Status(RunCommand),
    /// Stop the clock of the step; nothing advances until `resume`. Guards stay armed.
    Pause(RunCommand),
    /// Go on: with a run that was paused or held, or with one whose driver is gone.
    Resume(Resume),
    /// Stay at this weight when the step's hold is over, until `resume` or `advance`.
    Hold(RunCommand),
    /// End the current hold early, or open the manual gate. Guards are not skipped.
    Advance(RunCommand),
    /// Open the manual gate that the run waits at, and nothing else.
    Approve(RunCommand),
    /// Send all traffic of a run back to the source and end it, whether it is driven or not.
    Rollback(Rollback),
    /// End a run here and leave the weight where it is; nobody watches it from then on.
    Abort(Abort),
    /// Print what happened in a run, from its journal.
    Logs(Logs),
    /// Take the lock of a driver away that fell silent: stopped, or on a machine that is lost.
    ///
    /// It is written down who did it and why. A driver that wakes after that ends without changing
    /// anything.
    Unlock(Unlock),
    /// End local stacks that killed runs left behind.
    Cleanup(Cleanup),
    /// Only validate a plan file.
    Check(Check),
    /// Tell what a plan can find out at its traffic, and how soon, before it is run.
    Power(Power),
    /// Print the JSON Schema of a file format.
    Schema(Schema),
    /// Print a bundled plan, to copy and change.
    Example(Example),
    /// Print completions for a shell.
    Completions(Completions),
    /// Print a manual page: of the program, or of a subcommand.
    Man(Man),
    /// Drive a run in the background; started by cutover itself.
    #[command(name = HIDDEN_DRIVER, hide = true)]
    Driver,
}

/// Name of the subcommand that a driver in the background is started as.
pub(crate) const HIDDEN_DRIVER: &str = "driver";

impl Command {
    /// How the command was asked to print.
    pub(crate) fn output(&self) -> Output {
        match self {
            Command::Migrate(migrate) => migrate.driving.show.output,
            Command::Demo(demo) => demo.driving.show.output,
            Command::Attach(attach) => attach.show.output,
            Command::Status(run)
            | Command::Pause(run)
            | Command::Hold(run)
            | Command::Advance(run)
            | Command::Approve(run) => run.output,
            Command::Resume(resume) => resume.driving.show.output,
            Command::Rollback(rollback) => rollback.run.output,
            Command::Abort(abort) => abort.run.output,
            Command::Logs(logs) => logs.run.output,
            Command::Unlock(unlock) => unlock.output,
            Command::Cleanup(cleanup) => cleanup.output,
            Command::Check(check) => check.output,
            Command::Power(power) => power.output,
            Command::Schema(_)
            | Command::Example(_)
            | Command::Completions(_)
            | Command::Man(_)
            | Command::Driver => Output::Human,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Migrate {
    /// A plan (YAML), or a plan that was saved with --out.
    #[arg(value_name = "PLAN")]
    pub(crate) file: PathBuf,
    /// Only show what the run would do; change nothing.
    #[arg(long)]
    pub(crate) plan: bool,
    /// With --plan: save what was shown, to be run later exactly so.
    #[arg(long, value_name = "FILE", requires = "plan")]
    pub(crate) out: Option<PathBuf>,
    /// With --plan: exit with 2 when the plan shows changes.
    #[arg(long, requires = "plan")]
    pub(crate) detailed_exitcode: bool,
    /// Go ahead without asking.
    #[arg(long, short)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) driving: Driving,
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Make the target misbehave once its weight reaches a percentage: errors=20%@25,
    /// latency=+300ms@50, crash@50, stall@10.
    #[arg(long, value_name = "KIND@WEIGHT")]
    pub(crate) fault: Option<FaultAt>,
    #[command(flatten)]
    pub(crate) driving: Driving,
}

#[derive(Debug, Args)]
pub(crate) struct Driving {
    /// Drive the run in the background, where it outlives the terminal; return once it is served.
    #[arg(long, short)]
    pub(crate) detach: bool,
    #[command(flatten)]
    pub(crate) show: Show,
}

#[derive(Debug, Args)]
pub(crate) struct Show {
    /// One line per event instead of the screen.
    #[arg(long)]
    pub(crate) no_tui: bool,
    /// What to print on standard output.
    #[arg(long, value_enum, default_value_t = Output::Human)]
    pub(crate) output: Output,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// A summary for people.
    Human,
    /// One JSON document at the end.
    Json,
    /// Each event as one line of JSON, as it happens, and the document as the last line.
    Ndjson,
}

#[derive(Debug, Args)]
pub(crate) struct RunCommand {
    /// Id of the run; if not given, the latest that is being driven, else the latest.
    pub(crate) run: Option<String>,
    /// What to print on standard output.
    #[arg(long, value_enum, default_value_t = Output::Human)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct Attach {
    /// Id of the run; if not given, the latest that is being driven, else the latest.
    pub(crate) run: Option<String>,
    #[command(flatten)]
    pub(crate) show: Show,
}

#[derive(Debug, Args)]
pub(crate) struct Rollback {
    #[command(flatten)]
    pub(crate) run: RunCommand,
    /// Take back from the snapshot that the run wrote before its first change: needs neither plan
    /// nor journal.
    #[arg(long, value_name = "SNAPSHOT", conflicts_with_all = ["run", "no_wait"])]
    pub(crate) from: Option<PathBuf>,
    /// Also when the source itself is in trouble, or the point of no return is passed.
    #[arg(long)]
    pub(crate) force: bool,
    /// Only ask the driver; do not wait until the traffic is back.
    #[arg(long)]
    pub(crate) no_wait: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Abort {
    #[command(flatten)]
    pub(crate) run: RunCommand,
    /// Go ahead without asking.
    #[arg(long, short)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Logs {
    #[command(flatten)]
    pub(crate) run: RunCommand,
    /// Go on with what happens next, until the run ends.
    #[arg(long, short)]
    pub(crate) follow: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Unlock {
    /// The plan's name or file, or the id of one of its runs.
    #[arg(value_name = "PLAN_OR_RUN")]
    pub(crate) service: String,
    /// Why; it is written down.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
    /// Also when the driver still gives signs of life.
    #[arg(long)]
    pub(crate) force: bool,
    /// Go ahead without asking.
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// What to print on standard output.
    #[arg(long, value_enum, default_value_t = Output::Human)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct Resume {
    /// Id of the run; if not given, the latest that is being driven, else the latest.
    pub(crate) run: Option<String>,
    /// Go ahead without asking.
    #[arg(long, short)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) driving: Driving,
}

#[derive(Debug, Args)]
pub(crate) struct Cleanup {
    /// Id of the run; all runs if not given.
    pub(crate) run: Option<String>,
    /// What to print on standard output.
    #[arg(long, value_enum, default_value_t = Output::Human)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    /// A plan (YAML).
    #[arg(value_name = "PLAN")]
    pub(crate) file: PathBuf,
    /// What to print on standard output.
    #[arg(long, value_enum, default_value_t = Output::Human)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct Power {
    /// A plan (YAML).
    #[arg(value_name = "PLAN")]
    pub(crate) file: PathBuf,
    /// Requests a second through the edge, as 250/s; otherwise the load of the plan.
    #[arg(long, value_name = "R", value_parser = power::rate)]
    pub(crate) rps: Option<f64>,
    /// The share of requests that the source fails; otherwise a tenth of what the plan allows.
    #[arg(long, value_name = "SHARE", value_parser = power::fraction)]
    pub(crate) error_rate: Option<f64>,
    /// The p99 of the source; otherwise half of what the plan allows.
    #[arg(long, value_name = "TIME", value_parser = power::latency)]
    pub(crate) p99: Option<Duration>,
    /// Simulate so many runs instead of using formulas.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(10..=100_000))]
    pub(crate) simulate: Option<u64>,
    /// What decides the luck of simulated runs.
    #[arg(long, value_name = "S", requires = "simulate", default_value_t = 1)]
    pub(crate) seed: u64,
    /// What to print on standard output.
    #[arg(long, value_enum, default_value_t = Output::Human)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct Schema {
    /// Which format.
    #[arg(value_enum)]
    pub(crate) format: SchemaOf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SchemaOf {
    /// Plan files.
    Plan,
}

#[derive(Debug, Args)]
pub(crate) struct Example {
    /// Name of the plan.
    #[arg(default_value = "demo")]
    pub(crate) name: String,
}

#[derive(Debug, Args)]
pub(crate) struct Man {
    /// The subcommand, as in `cutover man migrate | man -l -`.
    #[arg(value_name = "SUBCOMMAND")]
    pub(crate) subcommand: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell.
    #[arg(value_enum)]
    pub(crate) shell: clap_complete::Shell,
}

/// Reads the command line.
///
/// # Errors
/// A mistake, or a request for help or version.
pub(crate) fn parse(arguments: Vec<OsString>) -> Result<Arguments, clap::Error> {
    Arguments::try_parse_from(arguments)
}

/// The command as a value, for completions and the manual page.
pub(crate) fn command() -> clap::Command {
    Arguments::command()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn a_wrong_fault_is_refused_with_the_right_form() {
        let typed = ["cutover", "demo", "--fault", "errors=20%"]
            .map(OsString::from)
            .to_vec();
        let error = parse(typed).unwrap_err().to_string();
        assert!(
            error.contains("no `@WEIGHT`") && error.contains("errors=20%@25"),
            "{error}"
        );
    }
}
