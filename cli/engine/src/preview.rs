//! What a run would do, without doing it.

use std::time::Duration;

use cutover_scenarios::plan::{
    Endpoint, EndpointUrl, Gate, Missing, Notify, NotifyFormat, NotifyOn, OnBreach, OnBrokenSource,
    Plan, Step,
};
use cutover_scenarios::units::Weight;
use serde::{Deserialize, Serialize};

use crate::gate;
use crate::ports::{Shifter, Stacks};
use crate::power;
use crate::verdict::Judge;

/// Everything a run would change, in order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Preview {
    /// Name of the plan.
    pub plan: String,
    /// One entry for each phase.
    pub phases: Vec<PreviewPhase>,
    /// Shortest time the run takes, in seconds: holds, qualification and bake without waiting.
    pub estimated_s: f64,
    /// Gates that may add to it.
    pub gates: Vec<String>,
    /// What cannot be taken back; empty when everything can.
    pub irreversible: Vec<String>,
    /// The requests that the run sends, and where to.
    pub load: Vec<String>,
    /// What must hold.
    pub guards: Vec<String>,
    /// What follows when something goes wrong.
    pub reactions: Reactions,
    /// Who is told about the run: where, in which form, about what.
    pub notify: Vec<String>,
    /// The environment variables that the driver must be started with.
    pub environment: Vec<Variable>,
}

/// What follows when something goes wrong, one sentence each; named as in the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reactions {
    /// An objective is broken.
    pub on_breach: String,
    /// Measurements stay away.
    pub on_missing: String,
    /// Traffic would go back, and the source is worse than the target.
    pub on_broken_source: String,
}

/// An environment variable that a plan names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variable {
    /// `GATE_KEY`.
    pub name: String,
    /// What it holds: `signing key of the gate before 50 %`.
    pub holds: String,
}

/// One phase of a preview.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PreviewPhase {
    /// Name of the phase.
    pub phase: String,
    /// A step that goes on only when the target is shown to be no worse.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub prove: bool,
    /// What it waits or looks for; changes nothing.
    pub watches: Vec<String>,
    /// Every object or call that changes something, in order.
    pub changes: Vec<String>,
}

/// What a run of `plan` would do. Asks the ports for their words, never for deeds.
#[must_use]
pub fn preview(plan: &Plan, stacks: &dyn Stacks, shifter: &dyn Shifter) -> Preview {
    let mut phases = vec![
        phase(
            "inspect",
            vec!["look at source, target and traffic".to_owned()],
            vec![],
        ),
        phase(
            "preflight",
            vec!["check ports, permissions and the lock".to_owned()],
            vec![],
        ),
        phase(
            "deploy",
            vec!["wait until both stacks and the edge are ready".to_owned()],
            stacks.describe_deploy(),
        ),
        phase(
            "prove the way back",
            vec![
                "write down how to put everything back (snapshot.json in the run's folder)"
                    .to_owned(),
                "the source takes requests".to_owned(),
            ],
            shifter
                .describe_set(Weight::ZERO)
                .into_iter()
                .map(|call| format!("{call} (what is there already)"))
                .collect(),
        ),
        phase("qualify", vec![qualify(plan)], vec![]),
    ];
    for (step, finds) in plan.steps.iter().zip(power::sentences(plan)) {
        let name = format!("shift to {}", step.weight);
        let changes = shifter.describe_set(step.weight);
        phases.push(PreviewPhase {
            prove: step.prove,
            ..phase(&name, watches(plan, step, finds), changes)
        });
    }
    phases.push(phase(
        "bake",
        vec![format!("watch the target for {}", text(plan.bake))],
        vec![],
    ));
    let holds: Duration = plan.steps.iter().map(|step| step.hold).sum();
    Preview {
        plan: plan.name.clone(),
        phases,
        estimated_s: (plan.qualify + holds + plan.bake).as_secs_f64(),
        gates: plan
            .steps
            .iter()
            .filter_map(|step| step.gate.as_ref().map(|gate| (step.weight, gate)))
            .map(|(weight, gate)| format!("{weight}: {}", gate_cost(gate)))
            .collect(),
        irreversible: plan
            .point_of_no_return
            .map(|point| format!("from {point} on the run never goes back by itself"))
            .into_iter()
            .collect(),
        load: load(plan),
        guards: guards(plan),
        reactions: reactions(plan, &shifter.describe_set(Weight::ZERO)),
        notify: plan.notify.iter().map(receiver).collect(),
        environment: environment(plan),
    }
}

fn phase(name: &str, watches: Vec<String>, changes: Vec<String>) -> PreviewPhase {
    PreviewPhase {
        phase: name.to_owned(),
        prove: false,
        watches,
        changes,
    }
}

/// What a step waits and looks for; `finds` says what its hold is long enough for.
fn watches(plan: &Plan, step: &Step, finds: String) -> Vec<String> {
    let mut watches = Vec::new();
    if let Some(gate) = &step.gate {
        watches.push(format!(
            "before: wait for the gate: {}",
            gate::describe(gate)
        ));
    }
    watches.push(format!(
        "after: hold {}, at least {} requests answered by the target",
        text(step.hold),
        plan.min_requests
    ));
    if step.prove {
        watches.push("after: hold until the target is shown to be no worse".to_owned());
    }
    watches.push(finds);
    watches
}

fn qualify(plan: &Plan) -> String {
    format!(
        "watch both stacks under the load for {}; the target's weight stays at 0 %",
        text(plan.qualify)
    )
}

fn load(plan: &Plan) -> Vec<String> {
    let load = &plan.load;
    let kinds: Vec<_> = load
        .requests
        .iter()
        .map(|request| format!("{} {}", request.method, request.path))
        .collect();
    let mut lines = vec![format!(
        "{} requests a second through the edge, Host `{}`: {}",
        load.rate,
        load.host,
        kinds.join(", ")
    )];
    if load.paired > 0.0 {
        lines.push(format!(
            "{} pairs a second, the same request to each stack",
            load.paired
        ));
    }
    lines
}

fn gate_cost(gate: &Gate) -> String {
    format!("waits for {}", gate::describe(gate))
}

fn guards(plan: &Plan) -> Vec<String> {
    let judge = Judge::nth(&plan.objectives, plan.alpha, 1);
    let mut lines: Vec<String> = judge.guards().map(|guard| guard.name).collect();
    lines.push(format!(
        "all watched from the first request on; {}",
        judge.alpha_statement()
    ));
    lines.extend(
        judge
            .assumptions()
            .into_iter()
            .map(|assumption| format!("assumed: {assumption}")),
    );
    lines
}

/// `back` are the calls that send all traffic back.
fn reactions(plan: &Plan, back: &[String]) -> Reactions {
    let missing = plan.on_missing;
    let after = text(missing.after);
    Reactions {
        on_breach: match plan.on_breach {
            OnBreach::Rollback => {
                let back = format!(
                    "a breach sends all traffic back to the source: {}",
                    back.join("; ")
                );
                until_no_return(plan, back)
            }
            OnBreach::Hold => "a breach keeps the weight where it is for a person".to_owned(),
        },
        on_missing: match missing.then {
            Missing::Hold => format!(
                "missing measurements hold the run; after {after} without them it stays for a person"
            ),
            Missing::Rollback => {
                let back = format!(
                    "missing measurements hold the run; after {after} without them all traffic \
                     goes back to the source"
                );
                until_no_return(plan, back)
            }
        },
        on_broken_source: match plan.on_broken_source {
            OnBrokenSource::Hold => {
                "while the source is worse than the target nothing goes back by itself: the weight \
                 stays for a person"
            }
            OnBrokenSource::Rollback => {
                "traffic goes back also while the source is worse than the target"
            }
        }
        .to_owned(),
    }
}

/// A way back that ends where the plan's point of no return begins.
fn until_no_return(plan: &Plan, back: String) -> String {
    match plan.point_of_no_return {
        Some(point) => {
            format!("until {point}: {back}; from {point} on it holds for a person instead")
        }
        None => back,
    }
}

/// `$SLACK_URL (slack): hold, breach, rollback`.
fn receiver(notify: &Notify) -> String {
    let format = match notify.format {
        NotifyFormat::Json => "json",
        NotifyFormat::Slack => "slack",
    };
    let on: Vec<_> = notify.on.iter().copied().map(news).collect();
    format!(
        "{} ({format}): {}",
        gate::endpoint(&notify.endpoint),
        on.join(", ")
    )
}

/// The word of the plan.
fn news(on: NotifyOn) -> &'static str {
    match on {
        NotifyOn::Start => "start",
        NotifyOn::Step => "step",
        NotifyOn::Hold => "hold",
        NotifyOn::Breach => "breach",
        NotifyOn::Rollback => "rollback",
        NotifyOn::Done => "done",
    }
}

fn environment(plan: &Plan) -> Vec<Variable> {
    let gates = plan.steps.iter().filter_map(|step| match &step.gate {
        Some(Gate::Webhook(webhook)) => Some((
            &webhook.endpoint,
            format!("the gate before {}", step.weight),
        )),
        Some(Gate::Manual | Gate::Window(_)) | None => None,
    });
    let receivers = plan.notify.iter().enumerate().map(|(index, notify)| {
        let whose = format!("receiver {} of notifications", index + 1);
        (&notify.endpoint, whose)
    });
    gates
        .chain(receivers)
        .flat_map(|(endpoint, whose)| variables(endpoint, &whose))
        .collect()
}

fn variables(endpoint: &Endpoint, whose: &str) -> Vec<Variable> {
    let address = match &endpoint.url {
        EndpointUrl::Env(name) => Some((name, "address")),
        EndpointUrl::Plain(_) => None,
    };
    let key = endpoint
        .secret_env
        .as_ref()
        .map(|name| (name, "signing key"));
    let variable = |(name, what): (&String, &str)| Variable {
        name: name.clone(),
        holds: format!("{what} of {whose}"),
    };
    address.into_iter().chain(key).map(variable).collect()
}

fn text(duration: Duration) -> String {
    crate::narrate::seconds(duration)
}

#[cfg(test)]
mod tests;
