//! `cutover check`: only validates a plan file.

use cutover_scenarios::load::{self, LoadError};

use super::saved_plan;
use crate::args::{Check, Output};
use crate::console;
use crate::exit::{Exit, Failure};

pub(super) fn run(check: &Check) -> Result<Exit, Failure> {
    if load::text(&check.file).is_ok_and(|text| saved_plan::is_saved(&text)) {
        return Err(Failure::error(format!(
            "{}: this is a saved plan; `cutover migrate {}` checks it before it runs it",
            check.file.display(),
            check.file.display()
        )));
    }
    match (load::plan(&check.file), check.output) {
        (Ok(loaded), Output::Human) => {
            let plan = loaded.plan;
            console::data(&format!(
                "{}: plan `{}` is valid: {} steps, {} objectives",
                check.file.display(),
                plan.name,
                plan.steps.len(),
                plan.objectives.len()
            ));
            Ok(Exit::Done)
        }
        (Ok(loaded), Output::Json | Output::Ndjson) => {
            let document = serde_json::json!({ "valid": true, "plan": loaded.plan });
            console::data(&document.to_string());
            Ok(Exit::Done)
        }
        (Err(LoadError::Mistakes(mistakes)), Output::Json | Output::Ndjson) => {
            let document = serde_json::json!({ "valid": false, "mistakes": mistakes });
            console::data(&document.to_string());
            Ok(Exit::Error)
        }
        (Err(error), _) => Err(Failure::chain(&error)),
    }
}
