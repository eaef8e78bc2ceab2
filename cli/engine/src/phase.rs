//! Where a run stands, and how it ends.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The phases of a run, in order; [`Phase::Rollback`] may follow any of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Look at what is there.
    Inspect,
    /// Refuse what would fail later, before anything is touched.
    Preflight,
    /// Bring up the target stack beside the source.
    Deploy,
    /// The same load on both stacks, while users see only the source.
    Qualify,
    /// Move users' traffic in steps.
    Shift,
    /// Watch the target at full weight.
    Bake,
    /// All traffic goes back to the source.
    Rollback,
    /// Nothing more will happen; the outcome says how it ended.
    Ended,
}

impl Phase {
    /// The phases a run goes through when nothing goes wrong, in order.
    pub const FORWARD: [Phase; 6] = [
        Phase::Inspect,
        Phase::Preflight,
        Phase::Deploy,
        Phase::Qualify,
        Phase::Shift,
        Phase::Bake,
    ];
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Phase::Inspect => "inspect",
            Phase::Preflight => "preflight",
            Phase::Deploy => "deploy",
            Phase::Qualify => "qualify",
            Phase::Shift => "shift",
            Phase::Bake => "bake",
            Phase::Rollback => "rollback",
            Phase::Ended => "ended",
        })
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The target carries all traffic and has been watched for the bake.
    Done,
    /// An objective was broken, or a person asked; all traffic is back on the source.
    RolledBack,
    /// The weight was left where it is, and a person decides.
    Held,
    /// A rollback could not finish; a person is needed.
    Stuck,
    /// A signal ended the run; what was done about the weight is in the report.
    Interrupted,
    /// Preflight or an early phase failed before the weight ever moved.
    Failed,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Outcome::Done => "done",
            Outcome::RolledBack => "rolled_back",
            Outcome::Held => "held",
            Outcome::Stuck => "stuck",
            Outcome::Interrupted => "interrupted",
            Outcome::Failed => "failed",
        })
    }
}
