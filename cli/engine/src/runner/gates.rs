//! Asks the web service behind a gate, again and again, beside everything else: guards stay armed
//! meanwhile.

use std::sync::Arc;
use std::time::Duration;

use cutover_scenarios::plan::WebhookGate;
use serde_json::json;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use crate::gate;
use crate::machine::Now;
use crate::ports::{GateAnswer, Hooks, PortError};
use crate::state::State;

/// What a web service answered about a step.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) step: usize,
    pub(super) answer: Result<GateAnswer, PortError>,
}

/// Asks about one step at a time.
pub(super) struct GateKeeper {
    hooks: Option<Arc<dyn Hooks>>,
    answers: UnboundedReceiver<Answered>,
    answered: UnboundedSender<Answered>,
    asked: Option<Asked>,
}

/// The step that is asked about.
struct Asked {
    step: usize,
    /// Answers in a row that did not come.
    failures: u32,
    /// Not before then, on the driver's clock.
    next: Duration,
    under_way: Option<AbortHandle>,
    last: Option<String>,
}

impl Drop for Asked {
    fn drop(&mut self) {
        if let Some(task) = &self.under_way {
            task.abort();
        }
    }
}

impl GateKeeper {
    pub(super) fn new(hooks: Option<Arc<dyn Hooks>>) -> Self {
        let (answered, answers) = unbounded_channel();
        GateKeeper {
            hooks,
            answers,
            answered,
            asked: None,
        }
    }

    /// Asks when it is time to. `gate` is the webhook that the run waits at now, if it does.
    pub(super) fn look(&mut self, now: Now, state: &State, gate: Option<(usize, &WebhookGate)>) {
        let (Some((step, gate)), Some(hooks)) = (gate, &self.hooks) else {
            self.asked = None;
            return;
        };
        if self.asked.as_ref().is_none_or(|asked| asked.step != step) {
            self.asked = Some(Asked {
                step,
                failures: 0,
                next: now.elapsed,
                under_way: None,
                last: None,
            });
        }
        let Some(asked) = &mut self.asked else { return };
        if asked.under_way.is_some() || now.elapsed < asked.next {
            return;
        }
        let question = json!({
            "question": "may this step begin?",
            "run": state.run,
            "plan": state.plan.name,
            "step": step + 1,
            "of": state.plan.steps.len(),
            "weight_percent": state.plan.steps.get(step).map(|step| step.weight.fraction() * 100.0),
        });
        let (hooks, gate, answered) = (Arc::clone(hooks), gate.clone(), self.answered.clone());
        let task = tokio::spawn(async move {
            let limit = gate.timeout;
            let answer = timeout(limit, hooks.ask(&gate, &question)).await;
            let answer = answer.unwrap_or_else(|_| {
                let doing = format!("ask {}", gate::endpoint(&gate.endpoint));
                let cause = format!("no answer within {} s", limit.as_secs_f64());
                Err(PortError::new(doing, cause))
            });
            let _ = answered.send(Answered { step, answer });
        });
        asked.under_way = Some(task.abort_handle());
    }

    /// The next answer.
    pub(super) async fn next(&mut self) -> Option<Answered> {
        self.answers.recv().await
    }

    /// Takes an answer in; says whether the gate is open. `every` is the plan's pause.
    pub(super) fn take(&mut self, now: Now, every: Duration, answered: &Answered) -> bool {
        let Some(asked) = self
            .asked
            .as_mut()
            .filter(|asked| asked.step == answered.step)
        else {
            return false;
        };
        asked.under_way = None;
        match &answered.answer {
            Ok(GateAnswer::Open) => return true,
            Ok(GateAnswer::Closed(why)) => {
                asked.failures = 0;
                asked.last = Some(format!("it answered: {why}"));
            }
            Err(error) => {
                asked.failures += 1;
                asked.last = Some(error.to_string());
            }
        }
        asked.next = now.elapsed + gate::ask_again(every, asked.failures);
        false
    }

    /// What the service said last, and when it is asked again.
    pub(super) fn told(&self, now: Now) -> Option<String> {
        let asked = self.asked.as_ref()?;
        let last = asked.last.as_ref()?;
        let wait = asked.next.saturating_sub(now.elapsed).as_secs();
        Some(format!("{last}; asked again in {wait} s"))
    }
}
