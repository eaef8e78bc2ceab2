//! What a journal records: facts, in the order in which they became true.
//!
//! A run *is* its facts. [`State::apply`](crate::state::State::apply) folds them into a state, live
//! and in recovery alike, so there is one reading of a journal and no other memory of a run.

use std::time::Duration;

use cutover_scenarios::plan::Plan;
use cutover_scenarios::units::Weight;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::phase::{Outcome, Phase};
use crate::view::Command;

/// The format of journals that this version writes, and the only one it reads: a run is finished
/// by the version that began it.
pub const FORMAT: u32 = 2;

/// One line of a journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Counts from 0 without gaps.
    pub seq: u64,
    /// Wall clock, for people; no decision is made on it.
    pub at: Timestamp,
    /// Since the driver that wrote the record began, in milliseconds of a clock that never jumps.
    pub elapsed_ms: u64,
    /// What became true.
    #[serde(flatten)]
    pub fact: Fact,
}

/// What became true.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "fact", rename_all = "snake_case")]
pub enum Fact {
    /// The first record of every journal.
    RunCreated {
        /// [`FORMAT`] of the journal.
        format: u32,
        /// Id of the run.
        run: String,
        /// What the run carries out; a run needs no other file.
        plan: Box<Plan>,
        /// A fault that the rehearsal adds to the target, as it was written on the command line.
        fault: Option<String>,
    },
    /// A process took the run over: at its start, by `resume`, or by `rollback`.
    DriverStarted {
        /// Its process id.
        pid: u32,
        /// The machine it runs on.
        host: String,
        /// The version of `cutover`.
        version: String,
    },
    /// The live weight as it was found when a run was taken over again.
    Reobserved {
        /// What the shifter reads.
        applied: Weight,
    },
    /// A phase began.
    PhaseEntered {
        /// Which.
        phase: Phase,
    },
    /// Intent: on disk before the effect is performed.
    EffectStarted {
        /// Counts from 0 within the run.
        id: u32,
        /// What is about to be done.
        effect: Effect,
    },
    /// The effect was performed and read back.
    EffectSucceeded {
        /// The intent's id.
        id: u32,
        /// What it yielded.
        output: Output,
    },
    /// The effect failed; what it may have changed is in doubt.
    EffectFailed {
        /// The intent's id.
        id: u32,
        /// The whole chain of causes, as one line.
        error: String,
    },
    /// Intent to take back what was written: on disk before anything is done.
    UndoStarted {
        /// Id of the first effect that wrote a weight; undoing it undoes all that came after it.
        id: u32,
        /// The weight that was there before.
        weight: Weight,
    },
    /// What was written is taken back, and that was read back.
    Undone {
        /// As in the intent.
        id: u32,
        /// What was read back.
        weight: Weight,
    },
    /// Taking back failed; it is tried again, or a person is needed.
    UndoFailed {
        /// As in the intent.
        id: u32,
        /// The whole chain of causes, as one line.
        error: String,
    },
    /// The live weight is not what this run wrote last: someone else changed it. The run waits for
    /// a person, with its guards armed.
    DriftFound {
        /// The difference.
        drift: Drift,
    },
    /// The driver did not run for a while: it was stopped, or the machine slept. What was under
    /// way meanwhile says nothing about the stacks.
    DriverStalled {
        /// How long, in milliseconds.
        gap_ms: u64,
    },
    /// Measurements stayed away for longer than the plan allows.
    MissingTooLong {
        /// What is missing.
        reason: String,
    },
    /// The run has waited for something for a while; told once for each time it waits.
    WaitsLong {
        /// What it waits for, as it follows "waiting for".
        reason: String,
    },
    /// A webhook opened the gate of a step.
    GateOpened {
        /// Index into the plan's steps.
        step: usize,
        /// Which webhook, without anything secret.
        by: String,
    },
    /// A notification was delivered, or given up.
    Notified {
        /// The record that it is about.
        about: u64,
        /// To whom, without anything secret.
        to: String,
        /// How often it was tried.
        attempts: u32,
        /// Why it was given up; `None` when it was delivered.
        error: Option<String>,
    },
    /// The shift phase came to a step; its gate, if any, is closed.
    StepReached {
        /// Index into the plan's steps.
        step: usize,
    },
    /// A step's hold is over and enough was seen.
    StepPassed {
        /// Index into the plan's steps.
        step: usize,
        /// What was measured while it was held.
        observed: StepObservation,
    },
    /// Qualification is over and enough was seen.
    QualifyPassed,
    /// A person or a signal asked for something.
    Commanded {
        /// What was asked for.
        command: Command,
        /// Who asked: `ann@laptop (process 4711)`, `signal`.
        by: String,
    },
    /// An objective was broken.
    Breached {
        /// The evidence.
        breach: BreachFact,
    },
    /// An objective was broken, and the source breaks it too: going back would not help. The run
    /// holds, and evidence is gathered anew, since what hurts both stacks says nothing of the
    /// target.
    BreachShared {
        /// The evidence.
        breach: BreachFact,
    },
    /// Traffic would go back, but not into trouble: a person decides.
    RollbackWithheld {
        /// Why traffic would go back.
        cause: RollbackCause,
        /// Why it stays: the source is worse, or the point of no return is passed.
        reason: String,
    },
    /// Traffic is to go back to the source.
    RollbackDecided {
        /// Why.
        cause: RollbackCause,
    },
    /// The end of a run; only what became of its last notifications may follow.
    RunEnded {
        /// How.
        outcome: Outcome,
        /// One sentence for a person.
        message: String,
    },
}

/// A change of the world. Every effect is idempotent: doing it twice is doing it once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Look at source, target and traffic; changes nothing.
    Inspect,
    /// Check everything that could fail later; changes nothing.
    Preflight,
    /// Bring up what is missing of both stacks and wait until they are ready.
    Deploy,
    /// Write down how to put everything back without this run, and prove that the way back is
    /// open: a write of the weight that is there already, a source that takes requests.
    ProveWayBack,
    /// Write the target's weight and read it back.
    SetWeight {
        /// The target's share.
        weight: Weight,
        /// What must be there before; anything else was written by someone else. `None` when that
        /// is in doubt.
        replaces: Option<Weight>,
    },
}

/// What an effect yielded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Output {
    /// Nothing but success.
    Nothing,
    /// Sentences that a person may want to read.
    Findings(Vec<String>),
    /// Where the parts of both stacks answer: name and URL.
    Addresses(Vec<(String, String)>),
    /// The weight that was read back.
    Applied(Weight),
    /// The way back is open.
    WayBack {
        /// The file that `rollback --from` takes.
        snapshot: String,
        /// What a person would type to put everything back.
        commands: Vec<String>,
        /// Sentences that a person may want to read.
        findings: Vec<String>,
    },
}

/// The live weight is not what was written last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drift {
    /// What this run wrote last.
    pub expected: Weight,
    /// What is there.
    pub found: Weight,
    /// Who wrote it, as far as the live system tells.
    pub writer: Option<String>,
}

impl std::fmt::Display for Drift {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Drift {
            expected, found, ..
        } = self;
        write!(
            f,
            "this run set the target's weight to {expected}, now it is {found}"
        )?;
        match &self.writer {
            Some(writer) => write!(f, "; written by {writer}"),
            None => f.write_str("; written by someone else"),
        }
    }
}

/// What was measured while a step was held.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct StepObservation {
    /// How long the step was held.
    pub held: Duration,
    /// Requests through the edge that were sent in this step and answered by a stack.
    pub requests: u64,
    /// Of those, answered by the target.
    pub target_requests: u64,
    /// Requests through the edge that failed, whoever answered.
    pub failed: u64,
}

impl StepObservation {
    /// The measured share of the target; `None` without requests.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
    pub fn observed_share(&self) -> Option<f64> {
        (self.requests > 0).then(|| self.target_requests as f64 / self.requests as f64)
    }
}

/// The evidence that an objective was broken.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BreachFact {
    /// `errors`, `p99`.
    pub objective: String,
    /// The hypothesis that was refuted: `errors at most 1 %`.
    pub guard: String,
    /// The target's weight at that time.
    pub at_weight: Weight,
    /// Natural logarithm of the e-value.
    pub log_e: f64,
    /// What it had to reach: `ln(1/α_i)`.
    pub threshold: f64,
    /// Bad target requests that the guard had seen.
    pub bad_requests: u64,
    /// Between the first bad response of the evidence and the breach.
    pub detected_after: Duration,
    /// The source breaks the same objective, so going back would not help.
    pub source_breaks_too: bool,
}

/// Why traffic goes back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "cause", content = "detail")]
pub enum RollbackCause {
    /// An objective was broken.
    Breach,
    /// A person asked.
    Asked,
    /// A signal ended the run.
    Signal,
    /// A step could not be carried out.
    Failure(String),
}
