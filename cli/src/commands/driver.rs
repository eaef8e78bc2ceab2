//! The hidden subcommand `driver`: a driver in the background, started by another `cutover`.

use cutover_engine::folder::Home;

use super::resume;
use crate::exit::{Exit, Failure};
use crate::run::{self, Job, New, Place, Starter};

pub(super) fn run(home: &Home) -> Result<Exit, Failure> {
    let (starter, job) = Starter::take_job()?;
    let driven = super::runtime()?.block_on(carry_out(home, job, &starter));
    driven.or_else(|failure| starter.failed(failure))
}

async fn carry_out(home: &Home, job: Job, starter: &Starter) -> Result<Exit, Failure> {
    let place = Place::Background(starter);
    match job {
        Job::Start { plan, fault } => {
            let fault = fault.as_deref().map(str::parse).transpose();
            let fault = fault.map_err(|error| Failure::error(format!("the fault: {error}")))?;
            run::begin(home, New { plan: *plan, fault }, place).await
        }
        Job::Resume { run, records } => resume::go_on(home, &run, records, place).await,
    }
}
