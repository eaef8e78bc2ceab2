//! What a run would do, without doing it.

use std::time::Duration;

use cutover_scenarios::plan::{Gate, OnBreach, Plan};
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
    /// What must hold, and what its breach leads to.
    pub guards: Vec<String>,
}

/// One phase of a preview.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PreviewPhase {
    /// Name of the phase.
    pub phase: String,
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
        watches.push(finds);
        phases.push(phase(
            &format!("shift to {}", step.weight),
            watches,
            shifter.describe_set(step.weight),
        ));
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
        guards: guards(plan, shifter),
    }
}

fn phase(name: &str, watches: Vec<String>, changes: Vec<String>) -> PreviewPhase {
    PreviewPhase {
        phase: name.to_owned(),
        watches,
        changes,
    }
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

fn guards(plan: &Plan, shifter: &dyn Shifter) -> Vec<String> {
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
    lines.push(match plan.on_breach {
        OnBreach::Rollback => format!(
            "a breach sends all traffic back to the source: {}",
            shifter.describe_set(Weight::ZERO).join("; ")
        ),
        OnBreach::Hold => "a breach keeps the weight where it is for a person".to_owned(),
    });
    lines
}

fn text(duration: Duration) -> String {
    crate::narrate::seconds(duration)
}
