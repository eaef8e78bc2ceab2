//! Which run a command is about, and who drives it.

use cutover_engine::folder::{Home, RunFolder};
use cutover_engine::journal;
use cutover_engine::lock::Holder;
use cutover_rehearsal::local::parts_alive;

use crate::control::client::Client;
use crate::control::protocol::{Answer, Request};
use crate::exit::Failure;
use crate::run::{self, watch};

/// A run and its driver.
pub(super) struct Target {
    pub(super) folder: RunFolder,
    /// Who drives it right now, if anybody does.
    pub(super) driver: Option<Holder>,
}

/// Runs that nobody drives, that are not over, and whose stacks serve; the latest last.
pub(super) fn unresolved(home: &Home) -> Vec<String> {
    let driven: Vec<_> = home
        .holders()
        .into_iter()
        .map(|holder| holder.run)
        .collect();
    let mut runs = home.runs().unwrap_or_default();
    runs.retain(|run| {
        let Ok(folder) = home.find_run(Some(run)) else {
            return false;
        };
        let over = || {
            let state = journal::read(&folder.journal()).map(|replayed| replayed.state);
            state.is_ok_and(|state| state.outcome.is_some() && !state.waits_for_a_person())
        };
        !driven.contains(run) && !parts_alive(folder.path()).is_empty() && !over()
    });
    runs
}

impl Target {
    /// The run that is named; else the latest one that is being driven; else the latest that is not
    /// over and whose stacks serve; else the latest.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn find(home: &Home, run: Option<&str>) -> Result<Self, Failure> {
        let mut drivers = home.holders();
        // Ids begin with the time.
        drivers.sort_by(|one, other| one.run.cmp(&other.run));
        let driven = drivers.last().map(|holder| holder.run.as_str());
        let unresolved = match (run, driven) {
            (None, None) => unresolved(home).pop(),
            _ => None,
        };
        let folder = home
            .find_run(run.or(driven).or(unresolved.as_deref()))
            .map_err(|error| Failure::chain(&error))?;
        let driver = drivers.into_iter().find(|holder| holder.run == folder.id());
        Ok(Target { folder, driver })
    }

    /// Asks the run's driver for something that has one answer.
    ///
    /// # Errors
    /// Nobody drives the run, it is driven on another machine, the driver does not answer, or the
    /// run refuses.
    pub(super) async fn ask(&self, home: &Home, request: Request) -> Result<Answer, Failure> {
        if let Some(driver) = &self.driver
            && driver.host != run::host()
        {
            return Err(Failure::error(format!(
                "run {} is driven on {} (process {}): ask it there",
                driver.run, driver.host, driver.pid
            )));
        }
        let answer = async {
            let mut client = Client::connect(self.folder.path()).await?;
            client.ask(request).await
        };
        let answer = answer.await;
        let run = self.folder.id();
        match answer.map_err(|error| watch::unreachable(home, &self.folder, &error))? {
            Answer::Refused { reason } => {
                Err(Failure::error(format!("run {run} refuses: {reason}")))
            }
            Answer::Error { message } => Err(Failure::error(format!("run {run}: {message}"))),
            answer => Ok(answer),
        }
    }
}
