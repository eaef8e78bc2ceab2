//! `cutover rollback`: takes back a run whose driver was killed. Needs its journal and the
//! shifter, nothing else.

use cutover_engine::folder::Home;
use cutover_engine::runner::Start;

use super::taken_over::{self, Found};
use crate::args::{RunCommand, Show};
use crate::exit::{Exit, Failure};
use crate::run;

pub(super) fn run(home: &Home, rollback: &RunCommand) -> Result<Exit, Failure> {
    super::runtime()?.block_on(async {
        let mut found = match taken_over::find(home, rollback.run.as_deref()).await? {
            Found::Run(found) => found,
            Found::Ended(outcome, message) => {
                taken_over::tell_ended(rollback.output, outcome, &message);
                return Ok(Exit::Done);
            }
        };
        run::take_over(
            &mut found.driven.journal,
            &mut found.driven.state,
            &found.driven.clock,
        )?;
        let show = Show {
            no_tui: true,
            output: rollback.output,
        };
        let start = Start::Rollback {
            live: found.live,
            by: run::person(),
        };
        let exit = run::drive(found.driven, start, &show).await?;
        // Going back is what was asked for, so it is success here.
        Ok(if exit == Exit::RolledBack {
            Exit::Done
        } else {
            exit
        })
    })
}
