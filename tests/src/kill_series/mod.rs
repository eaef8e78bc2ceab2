//! A run that is killed at each moment of its journal, and what must hold then.
//!
//! The moments come from the journal of a run that nobody killed, so they follow the product. For
//! each of them a run of its own is killed there, and then either resumed or taken back. Whoever
//! looks at the edge meanwhile must see nothing but the plan: its weights, each once and in their
//! order, and users who are served.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::journal;
use crate::plan::write_quick;
use crate::processes::{assert_none_left, assert_serves, edge_weight};
use crate::tracer::{Moment, Traced, run_and_kill};
use crate::witness::{Seen, Target, watched};
use crate::workspace::{SHORT, Workspace};

mod moments;
mod tally;

use tally::Tally;

pub use moments::Moments;

/// A run ends within this, also on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

/// Runs at a time; more would measure the machine instead of the product.
const AT_A_TIME: usize = 3;

const MIGRATE: [&str; 5] = ["migrate", "plan.yaml", "--yes", "--output", "json"];

/// A plan that is killed at each moment of its journal.
#[derive(Debug, Clone, Copy)]
pub struct Series<'a> {
    /// For messages.
    pub name: &'a str,
    /// The plan's steps, as they stand in its file.
    pub steps: &'a str,
    /// Their weights in percent.
    pub weights: &'a [f64],
    /// What becomes of the target once it gets traffic.
    pub target: Target,
    /// The run is killed in its first step, and what is done then is killed at each of its moments
    /// instead.
    pub again: Option<Then>,
}

/// One of the runs of a series.
#[derive(Debug, Clone, Copy)]
struct Attempt {
    /// Where it is killed before, and what is done then.
    earlier: Option<(Moment, Then)>,
    /// Where it is killed at last.
    moment: Moment,
    /// What is done at last.
    then: Then,
}

/// What a person does after the kill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// Lets the run go on.
    Resume,
    /// Takes it back.
    Rollback,
}

impl Then {
    fn arguments(self) -> &'static [&'static str] {
        match self {
            Then::Resume => &["resume", "--yes", "--output", "json"],
            Then::Rollback => &["rollback", "--output", "json"],
        }
    }
}

impl Series<'_> {
    /// Kills, resumes and takes back; a line about how much was tried.
    ///
    /// # Panics
    /// When any run is not left as it must be; the message tells of all of them.
    #[must_use]
    pub fn run(&self, moments: Moments) -> String {
        let (earlier, clean) = self.unharmed();
        let from = earlier.map_or(0, |(moment, _)| moment.records());
        let moments = moments::of(&clean, from, moments);
        let attempt = |(moment, then)| Attempt {
            earlier,
            moment,
            then,
        };
        let mut tries: Vec<_> = moments
            .iter()
            .flat_map(|&moment| [(moment, Then::Resume), (moment, Then::Rollback)])
            .map(attempt)
            .collect();
        let count = tries.len();
        tries.reverse();
        let tries = Mutex::new(tries);
        let failures = Mutex::new(Vec::new());
        let tally = Mutex::new(Tally::default());
        thread::scope(|scope| {
            for _ in 0..AT_A_TIME {
                scope.spawn(|| {
                    while let Some(attempt) = next(&tries) {
                        match self.survives(attempt, &clean) {
                            Ok((killed, seen)) => {
                                tally.lock().expect("no panic").add(killed, &seen);
                            }
                            Err(failure) => failures.lock().expect("no panic").push(failure),
                        }
                    }
                });
            }
        });
        let failures = failures.into_inner().expect("no panic");
        assert!(
            failures.is_empty(),
            "{} of {count} runs:\n{}",
            failures.len(),
            failures.join("\n\n")
        );
        let tally = tally.into_inner().expect("no panic");
        format!(
            "kill series `{}`: {} kill points x 2 ways = {tally}",
            self.name,
            moments.len()
        )
    }

    fn workspace(&self) -> Workspace {
        let workspace = Workspace::new();
        let values = [
            ("steps", self.steps),
            ("qualify", "300ms"),
            ("bake", "300ms"),
            // Enough for a verdict, and little work beside the tracing.
            ("rate", "100/s"),
            ("paired", "20/s"),
            // What a stopped or busy process adds says nothing of the target.
            ("- p99", "{ at_most: 3s }"),
        ];
        write_quick(&workspace, &values);
        workspace
    }

    /// The journal of a run that is killed no more, and how it was killed before, if at all.
    fn unharmed(&self) -> (Option<(Moment, Then)>, Vec<Value>) {
        let never_killed = self.run_unharmed();
        let Some(then) = self.again else {
            return (None, never_killed);
        };
        let moment = moments::in_the_first_step(&never_killed);
        let workspace = self.workspace();
        let _ = run_and_kill(&workspace, &MIGRATE, moment);
        self.take_up(&workspace, then);
        let records = journal::records(&workspace).expect("a journal");
        (Some((moment, then)), records)
    }

    /// The journal of a run that nobody kills.
    fn run_unharmed(&self) -> Vec<Value> {
        let workspace = self.workspace();
        let run = || workspace.start(MIGRATE).wait(LIMIT);
        let (finished, seen) = watched(&workspace, self.target, run);
        let records = journal::records(&workspace).expect("a journal");
        assert_eq!(
            journal::outcome(&records),
            Some(self.ends()),
            "{finished}\n{seen:?}"
        );
        self.assert_as_planned(&seen, &records, self.ends());
        records
    }

    /// How the run ends unless a person takes it back.
    fn ends(&self) -> &'static str {
        match self.target {
            Target::Healthy => "done",
            Target::Ill => "rolled_back",
        }
    }

    fn survives(&self, attempt: Attempt, clean: &[Value]) -> Result<(bool, Seen), String> {
        catch_unwind(AssertUnwindSafe(|| self.kill_and_check(attempt))).map_err(|panic| {
            let told = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied());
            format!(
                "`{}`, {attempt:?} ({}): {}",
                self.name,
                moments::told_of(clean, attempt.moment),
                told.unwrap_or("a panic without words")
            )
        })
    }

    /// Whether it was killed, and what was seen of it.
    fn kill_and_check(&self, attempt: Attempt) -> (bool, Seen) {
        let Attempt {
            earlier,
            moment,
            then,
        } = attempt;
        let workspace = self.workspace();
        let mut was_killed = true;
        let (taken_up, seen) = watched(&workspace, self.target, || {
            let mut arguments = MIGRATE.as_slice();
            if let Some((moment, then)) = earlier {
                let _ = run_and_kill(&workspace, arguments, moment);
                arguments = then.arguments();
            }
            if let Traced::Ended(finished) = run_and_kill(&workspace, arguments, moment) {
                // An ill target is found out sooner or later, and the records differ with it.
                assert_eq!(self.target, Target::Ill, "it was not killed: {finished}");
                was_killed = false;
                return None;
            }
            if let Moment::Unsynced(_) = moment {
                journal::tear_last_record(&workspace).expect("a journal");
            }
            let killed = journal::records(&workspace).expect("a journal");
            assert_eq!(killed.len(), moment.records(), "{killed:#?}");
            if killed.is_empty() {
                assert_never_begun(&workspace);
                return None;
            }
            Some((killed, self.take_up(&workspace, then)))
        });
        if let Some((killed, finished_as)) = taken_up {
            let records = journal::records(&workspace).expect("a journal");
            let ends = match (journal::outcome(&killed), then) {
                (Some(outcome), _) => outcome,
                (None, Then::Rollback) => "rolled_back",
                (None, Then::Resume) if journal::goes_back(&killed) => "rolled_back",
                (None, Then::Resume) => self.ends(),
            };
            assert_eq!(finished_as, ends, "{records:#?}");
            assert_eq!(journal::outcome(&records), Some(ends), "{records:#?}");
            self.assert_as_planned(&seen, &records, ends);
            if then == Then::Rollback && journal::outcome(&killed).is_none() {
                assert_back(&workspace, &seen);
            }
        }
        workspace.cutover(["cleanup"]).expect_exit(0);
        assert_none_left(&workspace);
        (was_killed, seen)
    }

    /// Resumes or takes back, and yields the outcome that the command tells.
    fn take_up(&self, workspace: &Workspace, then: Then) -> String {
        let status = workspace
            .cutover(["status", "--output", "json"])
            .expect_exit(0);
        assert_eq!(status.json()["driver"], Value::Null, "{status}");
        let finished = workspace.start(then.arguments()).wait(LIMIT);
        let outcome = finished.json()["outcome"].as_str().map(ToOwned::to_owned);
        let code = finished.status.code();
        // A rollback that is asked for is a success, one that a run goes on with is not.
        let went_back = then == Then::Resume && outcome.as_deref() == Some("rolled_back");
        // Nor is one that finds the run done, with all traffic on the target.
        let was_done = then == Then::Rollback && outcome.as_deref() == Some("done");
        // A run that had gone back before it was killed has nothing left to do, which is no failure.
        let expected = match code {
            Some(3) => went_back,
            Some(1) => was_done,
            code => code == Some(0) && !was_done,
        };
        assert!(expected, "{finished}");
        outcome.unwrap_or_else(|| panic!("no outcome: {finished}"))
    }

    /// What users and the edge saw is what the plan says and the journal tells.
    fn assert_as_planned(&self, seen: &Seen, records: &[Value], ends: &str) {
        assert!(
            seen.failed.is_empty(),
            "users were not served: {:?}",
            seen.failed
        );
        let mut percents: Vec<f64> = Vec::new();
        for weights in &seen.weights {
            let percent = weights
                .percent()
                .unwrap_or_else(|| panic!("all weights are zero: {:?}", seen.weights));
            assert!(
                percent == 0.0 || self.weights.contains(&percent),
                "no step names {percent} %: {:?}",
                seen.weights
            );
            // Writing what stands already has no effect.
            if percents.last() != Some(&percent) {
                percents.push(percent);
            }
        }
        let intended = journal::weights_set(records);
        for percent in percents.iter().filter(|&&percent| percent > 0.0) {
            assert!(
                intended.contains(percent),
                "{percent} % stands in no intent: {intended:?}"
            );
        }
        let mut forward = percents.clone();
        if ends == "rolled_back" && forward.len() > 1 {
            assert_eq!(
                forward.pop(),
                Some(0.0),
                "the last weight of a run that went back: {percents:?}"
            );
        }
        let planned: Vec<f64> = std::iter::once(0.0)
            .chain(self.weights.iter().copied())
            .take(if ends == "done" {
                usize::MAX
            } else {
                forward.len()
            })
            .collect();
        assert_eq!(forward, planned, "each step once and in order: {seen:?}");
    }
}

fn next(tries: &Mutex<Vec<Attempt>>) -> Option<Attempt> {
    tries.lock().expect("no panic").pop()
}

/// A run that was killed before its first record: nothing was touched, and the next one begins.
fn assert_never_begun(workspace: &Workspace) {
    assert_none_left(workspace);
    workspace
        .cutover(["rollback"])
        .expect_exit(1)
        .expect_told(&["journal"]);
    let next = workspace.start(MIGRATE);
    journal::wait_for_record(
        workspace,
        "the next run's end of a phase",
        SHORT,
        |record| record["fact"] == "effect_succeeded",
    );
    next.signal(nix::sys::signal::Signal::SIGINT);
    next.wait(SHORT);
}

/// After a rollback from outside the stacks serve on, if there ever were any.
fn assert_back(workspace: &Workspace, seen: &Seen) {
    if !seen.weights.is_empty() {
        assert_eq!(edge_weight(workspace), Ok(0.0));
        assert_serves(workspace);
    }
}
