//! The webhooks of a plan, when it has any.

use std::sync::Arc;

use cutover_engine::ports::Hooks;
use cutover_engine::runner::Start;
use cutover_hooks::HttpHooks;
use cutover_scenarios::plan::{Gate, Plan};

use crate::console;
use crate::exit::{Exit, Failure};

/// Refuses a plan whose webhooks could not be called: an address or a key is missing.
pub(crate) fn check(plan: &Plan) -> Result<(), Failure> {
    cutover_hooks::check(plan).map_err(|problems| Failure {
        message: format!("{}; nothing was touched", problems.join("; ")),
        exit: Exit::PreflightFailed,
    })
}

/// What calls the webhooks of a plan. Going back does not hang on them.
pub(super) fn of(plan: &Plan, start: &Start) -> Result<Option<Arc<dyn Hooks>>, Failure> {
    let gated = |step: &cutover_scenarios::plan::Step| matches!(step.gate, Some(Gate::Webhook(_)));
    if plan.notify.is_empty() && !plan.steps.iter().any(gated) {
        return Ok(None);
    }
    if let Err(failure) = check(plan) {
        if !matches!(start, Start::Rollback { .. }) {
            return Err(failure);
        }
        console::note(&format!("not everybody will be told: {}", failure.message));
    }
    match HttpHooks::new() {
        Ok(hooks) => Ok(Some(Arc::new(hooks))),
        Err(error) if matches!(start, Start::Rollback { .. }) => {
            console::note(&format!("nobody will be told: {error}"));
            Ok(None)
        }
        Err(error) => Err(Failure::error(error)),
    }
}
