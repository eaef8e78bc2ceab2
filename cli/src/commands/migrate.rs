//! `cutover migrate`: runs a plan, or shows what it would do.

use std::path::Path;
use std::sync::Arc;

use cutover_engine::folder::Home;
use cutover_engine::journal;
use cutover_engine::lock::service_key;
use cutover_engine::preview::{Preview, preview};
use cutover_rehearsal::local::{LocalShifter, LocalStacks};
use cutover_scenarios::load;
use cutover_scenarios::plan::Plan;

use super::saved_plan::{self, SavedPlan};
use super::target;
use crate::args::{Migrate, Output};
use crate::console;
use crate::exit::{Exit, Failure};
use crate::output::preview as told;
use crate::run::{self, New};

pub(super) fn run(home: &Home, migrate: &Migrate) -> Result<Exit, Failure> {
    let text = load::text(&migrate.file).map_err(|error| Failure::chain(&error))?;
    if saved_plan::is_saved(&text) {
        return run_saved(home, migrate, &text);
    }
    let plan = load::plan(&migrate.file)
        .map_err(|error| Failure::chain(&error))?
        .plan;
    let shown = show(home, &plan);
    if migrate.plan {
        return only_show(home, migrate, plan, text, &shown);
    }
    go_ahead(home, migrate, plan, &shown)
}

fn run_saved(home: &Home, migrate: &Migrate, text: &str) -> Result<Exit, Failure> {
    let saved = SavedPlan::read(&migrate.file, text)?;
    if migrate.plan {
        if migrate.out.is_some() {
            return Err(Failure::error(format!(
                "{}: this is a saved plan already, and `--out` saves one: leave `--out` away, or \
                 name the plan file",
                migrate.file.display()
            )));
        }
        let exit = print(migrate, &saved.preview);
        if let Err(stale) = saved.check_fresh(home, |plan| show(home, plan)) {
            console::note(&stale.message);
        }
        return Ok(exit);
    }
    saved.check_fresh(home, |plan| show(home, plan))?;
    go_ahead(home, migrate, saved.plan, &saved.preview)
}

fn only_show(
    home: &Home,
    migrate: &Migrate,
    plan: Plan,
    text: String,
    shown: &Preview,
) -> Result<Exit, Failure> {
    let exit = print(migrate, shown);
    if let Some(out) = &migrate.out {
        SavedPlan::new(home, &migrate.file, text, plan, shown.clone())?.write(out)?;
        console::note(&format!(
            "saved; run exactly this with: cutover migrate {}",
            out.display()
        ));
    }
    Ok(exit)
}

/// Prints what a run would do. The exit code says whether that is anything, where it was asked for.
fn print(migrate: &Migrate, shown: &Preview) -> Exit {
    match migrate.output() {
        Output::Human => console::data(&told::text(shown)),
        Output::Json => console::data(&format!("{:#}", serde_json::json!(shown))),
        Output::Ndjson => console::data(&serde_json::json!(shown).to_string()),
    }
    let changes = shown.phases.iter().any(|phase| !phase.changes.is_empty());
    if migrate.detailed_exitcode && changes {
        Exit::Changes
    } else {
        Exit::Done
    }
}

/// A run of the same service that was left half-way must not be forgotten over a new one.
fn refuse_beside_unresolved(home: &Home, plan: &Plan) -> Result<(), Failure> {
    let same_service = |run: &String| {
        let folder = home.find_run(Some(run)).ok()?;
        let state = journal::read(&folder.journal()).ok()?.state;
        (service_key(&state.plan) == service_key(plan)).then_some(state)
    };
    let Some(state) = target::unresolved(home).iter().rev().find_map(same_service) else {
        return Ok(());
    };
    let (run, weight) = (&state.run, state.applied.unwrap_or(state.set));
    Err(Failure {
        message: format!(
            "an earlier run of `{}` is not over, and its stacks serve with {weight} on the target \
             by its journal: {run}; go on: cutover resume {run}; go back: cutover rollback {run}; \
             end its local stacks: cutover cleanup {run}; nothing was touched",
            plan.name
        ),
        exit: Exit::PreflightFailed,
    })
}

fn go_ahead(home: &Home, migrate: &Migrate, plan: Plan, shown: &Preview) -> Result<Exit, Failure> {
    refuse_beside_unresolved(home, &plan)?;
    if console::attended() && !migrate.yes {
        console::note(&told::text(shown));
        if !console::confirm("Go ahead?") {
            console::note("nothing was changed");
            return Ok(Exit::Done);
        }
    }
    super::runtime()?.block_on(run::start(
        home,
        New { plan, fault: None },
        &migrate.driving,
    ))
}

/// What the run would do. The ports are asked for words only; nothing is started.
fn show(home: &Home, plan: &Plan) -> Preview {
    let shifter = Arc::new(LocalShifter::new(None));
    let folder = home.path().join("runs/NEW");
    let stacks = LocalStacks::new(plan, &folder, Path::new("cutover").into(), shifter.clone());
    preview(plan, &stacks, shifter.as_ref())
}

impl Migrate {
    fn output(&self) -> Output {
        self.driving.show.output
    }
}
