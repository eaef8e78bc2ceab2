//! `cutover resume`: goes on with a run that was paused or held, or whose driver is gone.

use cutover_engine::folder::Home;
use cutover_engine::phase::Phase;
use cutover_engine::ports::{Health, StackHealth, Stacks as _};
use cutover_engine::runner::Start;
use cutover_scenarios::units::Weight;

use super::ask::{self, Wish};
use super::taken_over::{self, Found, TakenOver};
use super::target::Target;
use crate::args::Resume;
use crate::console;
use crate::exit::{Exit, Failure};
use crate::run::{self, Job, Place};

pub(super) fn run(home: &Home, resume: &Resume) -> Result<Exit, Failure> {
    let target = Target::find(home, resume.run.as_deref())?;
    let output = resume.driving.show.output;
    super::runtime()?.block_on(async {
        if target.driver.is_some() {
            return ask::grant(home, &target, Wish::GoOn, output).await;
        }
        let found = match taken_over::find(home, target.folder.id()).await? {
            Found::Run(found) => found,
            Found::Ended(outcome, message) => {
                taken_over::tell_ended(output, outcome, &message);
                return Ok(Exit::Done);
            }
        };
        let live = live_weight(&found).await?;
        let health = found.driven.stacks.health().await;
        for line in comparison(&found, live, &health) {
            console::note(&line);
        }
        if !resume.yes {
            let run = target.folder.id().to_owned();
            if !console::attended() {
                found.leave().await;
                return Err(Failure::error(format!(
                    "nothing was changed; to go on: cutover resume {run} --yes; to go back: \
                     cutover rollback {run}"
                )));
            }
            if !console::confirm("Go on?") {
                found.leave().await;
                console::note("nothing was changed");
                return Ok(Exit::Done);
            }
        }
        if run::in_background(&resume.driving) {
            let job = Job::Resume {
                run: target.folder.id().to_owned(),
                records: found.records,
            };
            // The driver takes it over itself.
            found.leave().await;
            return run::launch(home, &job, &resume.driving).await;
        }
        run::drive_on(found.driven, Start::Resume(live), Place::Foreground(output)).await
    })
}

/// Goes on with a run in the background, after its starter looked at it and asked.
///
/// # Errors
/// The run cannot go on, or has moved on since then: its journal had `records` records.
pub(super) async fn go_on(
    home: &Home,
    run: &str,
    records: usize,
    place: Place<'_>,
) -> Result<Exit, Failure> {
    let moved_on = || {
        Failure::error(format!(
            "run {run} has moved on since it was looked at; nothing was changed; look again: \
             cutover status {run}"
        ))
    };
    let Found::Run(found) = taken_over::find(home, run).await? else {
        return Err(moved_on());
    };
    if found.records != records {
        found.leave().await;
        return Err(moved_on());
    }
    let live = live_weight(&found).await?;
    run::drive_on(found.driven, Start::Resume(live), place).await
}

/// The weight to go on from. Up to the deployment nothing hangs on an edge; it is brought up then.
async fn live_weight(found: &TakenOver) -> Result<Weight, Failure> {
    let state = &found.driven.state;
    match found.live {
        Some(live) => Ok(live),
        None if state.phase <= Phase::Deploy => Ok(Weight::ZERO),
        None => {
            found.driven.stacks.leave_running().await;
            Err(Failure::error(format!(
                "the edge of run {} does not answer, so it cannot go on; nothing was shifted; end \
                 what is left with: cutover cleanup {}",
                state.run, state.run
            )))
        }
    }
}

/// What the journal says beside what is there, and what going on begins with.
fn comparison(found: &TakenOver, live: Weight, health: &Health) -> Vec<String> {
    let state = &found.driven.state;
    let applied = state.applied.or(state.before).unwrap_or(Weight::ZERO);
    let journal = match state.applied {
        Some(applied) => format!("the journal says {applied}"),
        None if state.shifted => format!(
            "the journal says {applied}, or {} if the last write landed",
            state.set
        ),
        None => "the journal says that nothing was shifted".to_owned(),
    };
    let agrees = if state.may_have_left(live) {
        "that agrees"
    } else {
        "THAT DIFFERS: someone else changed it, and the run will wait for a person"
    };
    let mut lines = vec![
        format!(
            "run {} stopped in phase {}",
            state.run,
            state.ended_in.unwrap_or(state.phase)
        ),
        format!("weight   {journal}; the edge has {live}: {agrees}"),
        format!("source   {}", said(&health.source)),
        format!("target   {}", said(&health.target)),
    ];
    if state.paused {
        lines.push("paused   by a person; going on ends the pause".to_owned());
    }
    if let Some((outcome, message)) = &state.outcome {
        lines.push(format!("ended    {outcome}: {message}"));
    }
    lines.push(format!("going on would {}", what(found)));
    lines
}

fn said(health: &StackHealth) -> String {
    match health {
        StackHealth::Ready(how) => format!("takes requests ({how})"),
        StackHealth::Down(why) => format!("DOWN: {why}"),
        StackHealth::Unknown(why) => format!("not known: {why}"),
    }
}

/// What going on begins with.
fn what(found: &TakenOver) -> String {
    let state = &found.driven.state;
    match (&state.rollback, state.step) {
        (Some(_), _) => "finish the rollback".to_owned(),
        (None, Some(step)) => format!(
            "write {} again and hold it anew",
            state
                .plan
                .steps
                .get(step)
                .map_or_else(String::new, |step| step.weight.to_string())
        ),
        (None, None) => format!("begin phase {} anew", state.phase),
    }
}
