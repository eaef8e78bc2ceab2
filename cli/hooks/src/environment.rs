//! Addresses and keys out of environment variables, read when they are used.

use std::sync::Arc;

use cutover_engine::secret::Secret;
use cutover_scenarios::address::Address;
use cutover_scenarios::plan::{Endpoint, EndpointUrl, Gate, NotifyFormat, Plan};

/// Where variables are looked up: by name, `None` when there is none.
pub type Variables = Arc<dyn Fn(&str) -> Option<Secret> + Send + Sync>;

/// The environment of this process. A value that is not UTF-8 is none.
#[must_use]
pub fn process() -> Variables {
    Arc::new(|name| std::env::var(name).ok().map(Secret::new))
}

/// A webhook with everything that a request to it needs.
pub(crate) struct Resolved {
    pub(crate) address: Address,
    /// What bodies are signed with.
    pub(crate) key: Option<Secret>,
}

/// Finds the address and the key of a webhook. `at` is its field in the plan.
///
/// # Errors
/// One sentence for each problem, without any value: field, variable, remedy.
pub(crate) fn resolve(
    endpoint: &Endpoint,
    at: &str,
    variables: &Variables,
) -> Result<Resolved, Vec<String>> {
    let address = address(endpoint, at, variables);
    let key = endpoint
        .secret_env
        .as_ref()
        .map(|name| {
            let field = format!("{at}.secret_env");
            variable(
                name,
                &field,
                "the key that bodies are signed with",
                variables,
            )
        })
        .transpose();
    match (address, key) {
        (Ok(address), Ok(key)) => Ok(Resolved { address, key }),
        (address, key) => Err([address.err(), key.err()].into_iter().flatten().collect()),
    }
}

fn address(endpoint: &Endpoint, at: &str, variables: &Variables) -> Result<Address, String> {
    let (place, read) = match &endpoint.url {
        EndpointUrl::Plain(url) => (format!("`{at}.url`"), Address::read(url)),
        EndpointUrl::Env(name) => {
            let field = format!("{at}.url_env");
            let url = variable(name, &field, "the webhook's address", variables)?;
            let place = format!("`{field}`: the environment variable {name}");
            (place, Address::read(url.reveal().trim()))
        }
    };
    read.map_err(|misread| {
        let help = misread.help.map(|help| format!("; {help}"));
        format!(
            "{place} holds no address that can be used; expected {}{}",
            misread.expected,
            help.unwrap_or_default()
        )
    })
}

/// The value of a variable. An empty one is missing: that is what a failed `export` leaves behind.
fn variable(name: &str, field: &str, what: &str, variables: &Variables) -> Result<Secret, String> {
    variables(name)
        .filter(|value| !value.reveal().trim().is_empty())
        .ok_or_else(|| {
            format!(
                "`{field}`: the environment variable {name} is not set or empty; expected {what}; \
                 set it where cutover is started"
            )
        })
}

/// Looks up every variable that the plan names, so that none is found missing in the middle of a
/// run.
///
/// # Errors
/// One sentence for each problem; none repeats a value.
pub fn check_with(plan: &Plan, variables: &Variables) -> Result<(), Vec<String>> {
    let gates = plan.steps.iter().enumerate().filter_map(|(index, step)| {
        let Some(Gate::Webhook(gate)) = &step.gate else {
            return None;
        };
        Some((format!("steps[{index}].gate.webhook"), &gate.endpoint))
    });
    let receivers = plan.notify.iter().enumerate().map(|(index, notify)| {
        let form = match notify.format {
            NotifyFormat::Json => "webhook",
            NotifyFormat::Slack => "slack",
        };
        (format!("notify[{index}].{form}"), &notify.endpoint)
    });
    let problems: Vec<String> = gates
        .chain(receivers)
        .filter_map(|(at, endpoint)| resolve(endpoint, &at, variables).err())
        .flatten()
        .collect();
    if problems.is_empty() {
        Ok(())
    } else {
        Err(problems)
    }
}

/// [`check_with`] the environment of this process.
///
/// # Errors
/// As there.
pub fn check(plan: &Plan) -> Result<(), Vec<String>> {
    check_with(plan, &process())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: &str = "\
name: shop
source: { local: {} }
target: { local: {} }
traffic: { local: {} }
load: { rate: 10/s }
objectives: [errors: 1%]
steps:
  - 5%
  - { weight: 100%, gate: { webhook: { url_env: GATE_URL, secret_env: GATE_KEY } } }
notify:
  - { slack: { url_env: SLACK_URL } }
  - { webhook: { url: https://hooks.example.com/cutover, secret_env: HOOK_KEY } }
";

    fn problems(known: &'static [(&str, &str)]) -> Vec<String> {
        let plan = cutover_scenarios::parse::plan("plan.yaml", PLAN).unwrap();
        let variables: Variables = Arc::new(move |name| {
            let value = known.iter().find(|(known, _)| *known == name);
            value.map(|(_, value)| Secret::new(*value))
        });
        check_with(&plan, &variables).err().unwrap_or_default()
    }

    #[test]
    fn a_plan_whose_variables_are_all_there_passes() {
        let known = &[
            ("GATE_URL", " https://ann:hunter2@gate.example.com/x?y=z\n"),
            ("GATE_KEY", "hunter2"),
            (
                "SLACK_URL",
                "https://hooks.slack.com/services/T0/B0/hunter2",
            ),
            ("HOOK_KEY", "hunter2"),
        ];
        assert_eq!(problems(known), [] as [String; 0]);
    }

    #[test]
    fn all_missing_variables_are_named_with_their_fields() {
        let all = problems(&[("HOOK_KEY", "")]);
        let expected = [
            ("`steps[1].gate.webhook.url_env`", "GATE_URL"),
            ("`steps[1].gate.webhook.secret_env`", "GATE_KEY"),
            ("`notify[0].slack.url_env`", "SLACK_URL"),
            ("`notify[1].webhook.secret_env`", "HOOK_KEY"),
        ];
        assert_eq!(all.len(), expected.len(), "{all:?}");
        for (problem, (field, name)) in all.iter().zip(expected) {
            assert!(problem.starts_with(field), "{problem}");
            assert!(
                problem.contains(&format!("variable {name} is not set or empty")),
                "{problem}"
            );
        }
    }

    #[test]
    fn a_variable_that_holds_no_address_is_refused_without_its_value() {
        let all = problems(&[
            ("GATE_URL", "http://gate.example.com/hunter2"),
            ("GATE_KEY", "key"),
            ("SLACK_URL", "hunter2"),
            ("HOOK_KEY", "key"),
        ]);
        assert_eq!(all.len(), 2, "{all:?}");
        assert!(all[0].contains("the environment variable GATE_URL holds no address"));
        assert!(all[0].contains("write `https://`"));
        assert!(all[1].contains("begin it with `https://`"));
        assert!(!all.concat().contains("hunter2"));
    }
}
