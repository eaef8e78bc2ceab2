//! `cutover resume`: goes on with a run whose driver was killed.

use cutover_engine::folder::Home;
use cutover_engine::phase::Phase;
use cutover_engine::runner::Start;
use cutover_scenarios::units::Weight;

use super::taken_over::{self, Found};
use crate::args::Resume;
use crate::console;
use crate::exit::{Exit, Failure};
use crate::run;

pub(super) fn run(home: &Home, resume: &Resume) -> Result<Exit, Failure> {
    super::runtime()?.block_on(async {
        let mut found = match taken_over::find(home, resume.run.as_deref()).await? {
            Found::Run(found) => found,
            Found::Ended(outcome, message) => {
                taken_over::tell_ended(resume.show.output, outcome, &message);
                return Ok(Exit::Done);
            }
        };
        let state = &found.driven.state;
        // Up to the deployment nothing hangs on an edge; it is brought up then.
        let live = match found.live {
            Some(live) => live,
            None if state.phase <= Phase::Deploy => Weight::ZERO,
            None => {
                found.driven.stacks.leave_running().await;
                return Err(Failure::error(format!(
                    "the edge of run {} does not answer, so it cannot go on; nothing was shifted; \
                     end what is left with: cutover cleanup {}",
                    state.run, state.run
                )));
            }
        };
        console::note(&format!(
            "run {} stopped in phase {}; the journal set the target's weight to {}, the edge has {}",
            state.run,
            state.ended_in.unwrap_or(state.phase),
            state.set,
            live
        ));
        let what = match (&state.rollback, state.step) {
            (Some(_), _) => "finish the rollback".to_owned(),
            (None, Some(step)) => format!(
                "write {} again and hold it anew",
                state.plan.steps.get(step).map_or_else(String::new, |step| step.weight.to_string())
            ),
            (None, None) => format!("begin phase {} anew", state.phase),
        };
        if console::attended() && !resume.yes && !console::confirm(&format!("Go on: {what}?")) {
            found.driven.stacks.leave_running().await;
            console::note("nothing was changed");
            return Ok(Exit::Done);
        }
        run::take_over(&mut found.driven.journal, &mut found.driven.state, &found.driven.clock)?;
        run::drive(found.driven, Start::Resume(live), &resume.show).await
    })
}
