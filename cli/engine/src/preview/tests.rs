//! A preview hides nothing that the plan says.

use cutover_scenarios::plan::{OnMissing, WebhookGate};

use super::*;
use crate::testing;

fn back() -> Vec<String> {
    vec!["set 0 %".to_owned()]
}

#[test]
fn a_step_that_proves_says_so() {
    let plan = testing::plan();
    let mut step = plan.steps[0].clone();
    let said = |step: &Step| watches(&plan, step, "finds".to_owned()).join("\n");
    let proof = "until the target is shown to be no worse";
    assert!(!said(&step).contains(proof), "{}", said(&step));
    step.prove = true;
    assert!(said(&step).contains(proof), "{}", said(&step));
}

#[test]
fn only_a_step_that_proves_has_the_field_in_json() {
    let mut phase = phase("shift to 1 %", vec![], vec![]);
    let json = serde_json::to_value(&phase).unwrap();
    assert_eq!(json.get("prove"), None);
    assert_eq!(serde_json::from_value::<PreviewPhase>(json).unwrap(), phase);
    phase.prove = true;
    assert_eq!(serde_json::to_value(&phase).unwrap()["prove"], true);
}

#[test]
fn past_the_point_of_no_return_a_breach_holds() {
    let mut plan = testing::plan();
    let sentence = "a breach sends all traffic back to the source: set 0 %";
    assert_eq!(reactions(&plan, &back()).on_breach, sentence);
    plan.point_of_no_return = Some(Weight::from_percent(50.0).unwrap());
    assert_eq!(
        reactions(&plan, &back()).on_breach,
        format!("until 50 %: {sentence}; from 50 % on it holds for a person instead")
    );
    plan.on_breach = OnBreach::Hold;
    assert_eq!(
        reactions(&plan, &back()).on_breach,
        "a breach keeps the weight where it is for a person"
    );
}

#[test]
fn missing_data_and_a_broken_source_lead_to_what_the_plan_says() {
    let mut plan = testing::plan();
    let said = reactions(&plan, &back());
    assert!(said.on_missing.contains("after 10 min 00 s"), "{said:?}");
    assert!(said.on_missing.ends_with("stays for a person"), "{said:?}");
    assert!(
        said.on_broken_source.ends_with("stays for a person"),
        "{said:?}"
    );
    plan.on_missing = OnMissing {
        after: Duration::from_secs(90),
        then: Missing::Rollback,
    };
    plan.on_broken_source = OnBrokenSource::Rollback;
    let said = reactions(&plan, &back());
    assert!(
        said.on_missing
            .ends_with("after 1 min 30 s without them all traffic goes back to the source"),
        "{said:?}"
    );
    assert!(
        said.on_broken_source.starts_with("traffic goes back also"),
        "{said:?}"
    );
}

#[test]
fn receivers_and_gates_name_the_variables_that_they_need() {
    let mut plan = testing::plan();
    assert_eq!(environment(&plan), []);
    plan.notify = vec![Notify {
        endpoint: Endpoint {
            url: EndpointUrl::Env("SLACK_URL".to_owned()),
            secret_env: None,
        },
        format: NotifyFormat::Slack,
        on: vec![NotifyOn::Hold, NotifyOn::Breach],
    }];
    plan.steps[0].gate = Some(Gate::Webhook(WebhookGate {
        endpoint: Endpoint {
            url: EndpointUrl::Plain("https://change.example.com/gate".to_owned()),
            secret_env: Some("GATE_KEY".to_owned()),
        },
        timeout: Duration::from_secs(10),
        every: Duration::from_secs(30),
    }));
    assert_eq!(
        receiver(&plan.notify[0]),
        "$SLACK_URL (slack): hold, breach"
    );
    let needed: Vec<_> = environment(&plan)
        .into_iter()
        .map(|variable| (variable.name, variable.holds))
        .collect();
    let expected = [
        ("GATE_KEY", "signing key of the gate before 50 %"),
        ("SLACK_URL", "address of receiver 1 of notifications"),
    ];
    assert_eq!(
        needed,
        expected.map(|(name, holds)| (name.to_owned(), holds.to_owned()))
    );
}
