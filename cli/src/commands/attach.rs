//! `cutover attach`: watches a run that another process drives.

use cutover_engine::folder::Home;

use super::{taken_over, target::Target};
use crate::args::Attach;
use crate::console;
use crate::exit::{Exit, Failure};
use crate::output;
use crate::run::on_screen;
use crate::run::watch::{self, Lines};

pub(super) fn run(home: &Home, attach: &Attach) -> Result<Exit, Failure> {
    let Target { folder, driver } = Target::find(home, attach.run.as_deref())?;
    let over = taken_over::read(&folder)?.state.outcome.is_some();
    if driver.is_none()
        && over
        && let Some(document) = watch::last_report(&folder)
    {
        output::finish(attach.show.output, &document);
        return Ok(Exit::of(&document.report));
    }
    super::runtime()?.block_on(async {
        if on_screen(&attach.show) {
            watch::on_screen(home, &folder, true).await
        } else {
            let lines = Lines::listen(home, &folder).await?;
            console::note(&format!(
                "watching run {}; Ctrl-C leaves it to itself",
                folder.id()
            ));
            lines.tell_to_end(home, &folder, attach.show.output).await
        }
    })
}
