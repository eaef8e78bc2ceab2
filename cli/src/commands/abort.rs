//! `cutover abort`: ends a driven run where it is.

use cutover_engine::folder::Home;
use cutover_engine::view::Command;

use super::ask;
use super::target::Target;
use crate::args::Abort;
use crate::console;
use crate::control::protocol::{Answer, Request};
use crate::exit::{Exit, Failure};

pub(super) fn run(home: &Home, abort: &Abort) -> Result<Exit, Failure> {
    let target = Target::find(home, abort.run.run.as_deref())?;
    super::runtime()?.block_on(async {
        let run = target.folder.id();
        if !abort.yes && !console::attended() {
            return Err(Failure::error(format!(
                "nothing was changed: nobody would watch run {run} from then on; give --yes if \
                 that is meant"
            )));
        }
        if !abort.yes
            && let Answer::View { view } = target.ask(home, Request::Status).await?
        {
            let weight = view.weight.applied.unwrap_or(view.weight.set);
            let question = format!(
                "End run {run} here? The target keeps {weight} of the traffic, and nobody watches \
                 it."
            );
            if !console::confirm(&question) {
                console::note("nothing was changed");
                return Ok(Exit::Done);
            }
        }
        let command = Command::Abort;
        target.ask(home, Request::Command { command }).await?;
        let granted = format!(
            "ends here, the weight stays; go on later: cutover resume {run}; go back: cutover \
             rollback {run}"
        );
        ask::tell(abort.run.output, &target, command, &granted);
        Ok(Exit::Done)
    })
}
