//! Exit codes: an interface that scripts rely on.

use std::process::ExitCode;

use cutover_engine::narrate;
use cutover_engine::phase::{Outcome, Phase};
use cutover_engine::report::RunReport;

/// How the program ends. The numbers are stable and stand in `--help` and the README.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// What was asked for is done, or there was nothing to change.
    Done,
    /// An error.
    Error,
    /// A plan shows changes; with `--detailed-exitcode` only.
    Changes,
    /// Rolled back cleanly.
    RolledBack,
    /// A rollback is incomplete, or a run was left holding: a person is needed.
    PersonNeeded,
    /// Preflight failed; nothing was touched.
    PreflightFailed,
    /// Another run holds the lock.
    Locked,
    /// Ended by a signal.
    Interrupted,
}

impl Exit {
    pub(crate) fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Error => 1,
            Exit::Changes => 2,
            Exit::RolledBack => 3,
            Exit::PersonNeeded => 4,
            Exit::PreflightFailed => 5,
            Exit::Locked => 6,
            Exit::Interrupted => 130,
        }
    }

    /// The exit with this code.
    pub(crate) fn from_code(code: u8) -> Option<Self> {
        let all = [
            Exit::Done,
            Exit::Error,
            Exit::Changes,
            Exit::RolledBack,
            Exit::PersonNeeded,
            Exit::PreflightFailed,
            Exit::Locked,
            Exit::Interrupted,
        ];
        all.into_iter().find(|exit| exit.code() == code)
    }

    /// How a run that was driven to its end ends the program.
    pub(crate) fn of(report: &RunReport) -> Self {
        match report.outcome {
            Outcome::Done => Exit::Done,
            Outcome::RolledBack => Exit::RolledBack,
            Outcome::Held | Outcome::Stuck => Exit::PersonNeeded,
            Outcome::Interrupted => Exit::Interrupted,
            Outcome::Failed => match report.ended_in {
                Phase::Inspect | Phase::Preflight => Exit::PreflightFailed,
                _ => Exit::Error,
            },
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}

/// The list for `--help`.
pub(crate) const HELP: &str = "\
Exit codes:
    0  done, or nothing to change
    1  error
    2  the plan shows changes (with --detailed-exitcode only)
    3  an objective was broken, a step failed, or someone asked: rolled back cleanly
    4  a person is needed: the rollback is incomplete, or the run was left holding
    5  preflight failed, nothing was touched
    6  another run holds the lock
  130  interrupted by a signal";

/// A command that failed: what to say, and how to end.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) message: String,
    pub(crate) exit: Exit,
}

impl Failure {
    /// An error like most.
    pub(crate) fn error(message: impl ToString) -> Self {
        Failure {
            message: message.to_string(),
            exit: Exit::Error,
        }
    }

    /// An error with its causes, each level once.
    pub(crate) fn chain(error: &dyn std::error::Error) -> Self {
        Failure::error(narrate::chain(error))
    }
}
