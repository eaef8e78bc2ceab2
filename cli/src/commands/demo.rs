//! `cutover demo`: the bundled plan on local stacks.

use cutover_engine::folder::Home;
use cutover_scenarios::{library, parse};

use crate::args::Demo;
use crate::exit::{Exit, Failure};
use crate::run::{self, New};

pub(super) fn run(home: &Home, demo: Demo) -> Result<Exit, Failure> {
    let text = library::plan("demo").ok_or_else(|| Failure::error("no bundled plan `demo`"))?;
    let plan = parse::plan("demo.yaml", text).map_err(Failure::error)?;
    super::runtime()?.block_on(run::start(
        home,
        New {
            plan,
            fault: demo.fault,
        },
        &demo.driving,
    ))
}
