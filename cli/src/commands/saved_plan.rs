//! A plan that was shown, kept so that exactly it is run later.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use cutover_engine::folder::Home;
use cutover_engine::preview::Preview;
use cutover_rehearsal::local::parts_alive;
use cutover_scenarios::load;
use cutover_scenarios::plan::{Plan, Stack, Traffic};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::exit::{Exit, Failure};

/// The format that this version writes and reads.
const FORMAT: u32 = 1;

/// The key that tells a saved plan from a plan.
const KEY: &str = "cutover_saved_plan";

/// A plan, what it would do, and the state that it was made against.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SavedPlan {
    #[serde(rename = "cutover_saved_plan")]
    format: u32,
    /// The plan file.
    file: PathBuf,
    /// SHA-256 of its bytes.
    sha256: String,
    /// What the world looked like.
    live: Live,
    /// What is run.
    pub(super) plan: Plan,
    /// What was shown.
    pub(super) preview: Preview,
}

/// The live state that a plan depends on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Live {
    /// Runs of this plan whose stacks still serve.
    serving_runs: Vec<String>,
    /// Addresses of the plan that are taken.
    taken: Vec<SocketAddr>,
}

/// Whether a file holds a saved plan rather than a plan.
pub(super) fn is_saved(text: &str) -> bool {
    text.trim_start().starts_with('{') && text.contains(&format!("\"{KEY}\""))
}

impl SavedPlan {
    pub(super) fn new(
        home: &Home,
        file: &Path,
        text: String,
        plan: Plan,
        preview: Preview,
    ) -> Result<Self, Failure> {
        let file = std::path::absolute(file)
            .map_err(|error| Failure::error(format!("{}: {error}", file.display())))?;
        let live = Live::of(home, &plan)?;
        Ok(SavedPlan {
            format: FORMAT,
            file,
            sha256: hash(&text),
            live,
            plan,
            preview,
        })
    }

    pub(super) fn write(&self, path: &Path) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(self).map_err(Failure::error)?;
        std::fs::write(path, text + "\n")
            .map_err(|error| Failure::error(format!("{}: {error}", path.display())))
    }

    pub(super) fn read(path: &Path, text: &str) -> Result<Self, Failure> {
        let again = "make it again with `cutover migrate --plan PLAN --out FILE`";
        let saved: SavedPlan = serde_json::from_str(text).map_err(|error| {
            Failure::error(format!(
                "{}: damaged saved plan: {error}; {again}",
                path.display()
            ))
        })?;
        if saved.format != FORMAT {
            return Err(Failure::error(format!(
                "{}: saved plan of format {}, this version reads {FORMAT}; {again}",
                path.display(),
                saved.format
            )));
        }
        Ok(saved)
    }

    /// Refuses to run when inputs or live state have moved since the plan was shown.
    ///
    /// What is run is what the plan file says: the copies in here are only held against it, so
    /// nobody can slip another plan into the file.
    pub(super) fn check_fresh(
        &self,
        home: &Home,
        preview: impl Fn(&Plan) -> Preview,
    ) -> Result<(), Failure> {
        let mut moved = Vec::new();
        match load::plan(&self.file) {
            Ok(loaded) if hash(&loaded.text) != self.sha256 => {
                moved.push(format!("{} has changed", self.file.display()));
            }
            Ok(loaded) if loaded.plan != self.plan || preview(&self.plan) != self.preview => {
                moved.push("it does not say what its plan file says".to_owned());
            }
            Ok(_) => {}
            Err(error) => moved.push(Failure::chain(&error).message),
        }
        let live = Live::of(home, &self.plan)?;
        if live.serving_runs != self.live.serving_runs {
            moved.push(format!(
                "runs of `{}` that serve: {} then, {} now",
                self.plan.name,
                list(&self.live.serving_runs),
                list(&live.serving_runs)
            ));
        }
        if live.taken != self.live.taken {
            moved.push(format!(
                "addresses in use: {} then, {} now",
                list(&self.live.taken),
                list(&live.taken)
            ));
        }
        if moved.is_empty() {
            return Ok(());
        }
        Err(Failure {
            message: format!(
                "saved plan is stale: {}; nothing was touched; look at it again with \
                 `cutover migrate --plan {}`",
                moved.join("; "),
                self.file.display()
            ),
            exit: Exit::PreflightFailed,
        })
    }
}

impl Live {
    fn of(home: &Home, plan: &Plan) -> Result<Self, Failure> {
        let mut serving_runs = Vec::new();
        for id in home.runs().map_err(|error| Failure::chain(&error))? {
            let run = home
                .find_run(Some(&id))
                .map_err(|error| Failure::chain(&error))?;
            let of_this_plan = cutover_engine::journal::read(&run.journal())
                .is_ok_and(|replayed| replayed.state.plan.name == plan.name);
            if of_this_plan && !parts_alive(run.path()).is_empty() {
                serving_runs.push(id);
            }
        }
        let (Stack::Local(source), Stack::Local(target)) = (&plan.source, &plan.target);
        let Traffic::Local(edge) = &plan.traffic;
        let taken = [source.listen, target.listen, edge.listen]
            .into_iter()
            .filter(|address| address.port() != 0 && TcpListener::bind(address).is_err())
            .collect();
        Ok(Live {
            serving_runs,
            taken,
        })
    }
}

fn hash(text: &str) -> String {
    Sha256::digest(text.as_bytes())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn list(items: &[impl ToString]) -> String {
    match items {
        [] => "none".to_owned(),
        items => items
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(", "),
    }
}
