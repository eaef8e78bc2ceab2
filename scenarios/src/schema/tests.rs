use std::collections::BTreeSet;

use super::*;
use crate::parse::examples::{FULL, MINIMAL, WRONG_BY_THEMSELVES};
use crate::yaml::{self, Node, Resolved, resolve};

/// The document as a JSON-speaking editor sees it.
fn to_json(node: &Node) -> Value {
    match &node.value {
        yaml::Value::Plain(text) => match resolve(text) {
            Resolved::Nothing => Value::Null,
            Resolved::Truth => json!(text.eq_ignore_ascii_case("true")),
            Resolved::Number => match text.parse::<u64>() {
                Ok(whole) => json!(whole),
                Err(_) => json!(text.parse::<f64>().unwrap()),
            },
            Resolved::Text => json!(text),
        },
        yaml::Value::Text(text) => json!(text),
        yaml::Value::List(items) => items.iter().map(to_json).collect(),
        yaml::Value::Map(entries) => entries
            .iter()
            .map(|entry| (entry.key.clone(), to_json(&entry.value)))
            .collect(),
        yaml::Value::Refused => Value::Null,
    }
}

/// The schema's complaints about a text.
fn complaints(text: &str) -> Vec<String> {
    let root = yaml::read(text, &mut Vec::new()).unwrap().unwrap();
    let validator = jsonschema::draft202012::new(&plan()).unwrap();
    let document = to_json(&root);
    validator
        .iter_errors(&document)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect()
}

#[test]
fn the_schema_is_a_valid_schema() {
    let schema = plan();
    let valid = jsonschema::draft202012::meta::validate(&schema);
    assert!(valid.is_ok(), "{valid:?}");
}

#[test]
fn the_schema_accepts_what_the_reader_accepts() {
    let demo = crate::library::plan("demo").unwrap();
    for text in [demo, MINIMAL, FULL] {
        assert_eq!(crate::parse::plan("plan.yaml", text).map(|_| ()), Ok(()));
        assert_eq!(complaints(text), [] as [String; 0], "{text}");
    }
}

#[test]
fn the_schema_refuses_what_the_reader_refuses() {
    for (from, to) in WRONG_BY_THEMSELVES {
        assert!(FULL.contains(from), "{from}");
        let text = FULL.replacen(from, to, 1);
        assert!(
            crate::parse::plan("plan.yaml", &text).is_err(),
            "reader: {to}"
        );
        assert_ne!(complaints(&text), [] as [String; 0], "schema: {to}");
    }
}

#[test]
fn the_schema_lists_exactly_the_keys_that_the_reader_knows() {
    let schema = plan();
    let stack = "/properties/source/properties/local";
    let gate = "/properties/steps/items/anyOf/1/properties/gate";
    let receiver = "/properties/notify/items";
    for (pointer, known) in [
        (String::new(), keys::PLAN),
        ("/properties/source".into(), keys::STACK),
        ("/properties/target".into(), keys::STACK),
        (stack.into(), keys::LOCAL_STACK),
        ("/properties/traffic".into(), keys::TRAFFIC),
        (
            "/properties/traffic/properties/local".into(),
            keys::LOCAL_EDGE,
        ),
        ("/properties/load".into(), keys::LOAD),
        (
            "/properties/load/properties/requests/items".into(),
            keys::REQUEST,
        ),
        (
            "/properties/objectives/items/properties/errors/anyOf/1".into(),
            keys::BOUNDS,
        ),
        ("/properties/steps/items/anyOf/1".into(), keys::STEP),
        (format!("{gate}/anyOf/1"), keys::GATE),
        (format!("{gate}/anyOf/1/properties/window"), keys::WINDOW),
        (
            format!("{gate}/anyOf/1/properties/webhook"),
            keys::WEBHOOK_GATE,
        ),
        ("/properties/on_missing/anyOf/1".into(), keys::ON_MISSING),
        (receiver.into(), keys::NOTIFY),
        (format!("{receiver}/properties/webhook"), keys::WEBHOOK),
        (format!("{receiver}/properties/slack"), keys::SLACK),
    ] {
        let object = schema.pointer(&pointer).unwrap();
        let listed: BTreeSet<&str> = object["properties"]
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        assert_eq!(listed, known.iter().copied().collect(), "{pointer}");
        assert_eq!(object["additionalProperties"], json!(false), "{pointer}");
    }
}

#[test]
fn every_property_says_what_it_is() {
    fn undescribed(schema: &Value, at: &str, found: &mut Vec<String>) {
        if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
            for (name, property) in properties {
                let described = property.get("description").is_some();
                // The bounds of an objective are described where they are used.
                if !described && name != "at_most" {
                    found.push(format!("{at}/{name}"));
                }
            }
        }
        match schema {
            Value::Object(map) => map
                .iter()
                .for_each(|(key, value)| undescribed(value, &format!("{at}/{key}"), found)),
            Value::Array(items) => items.iter().for_each(|item| undescribed(item, at, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    undescribed(&plan(), "", &mut found);
    assert_eq!(found, [] as [String; 0]);
}

#[test]
fn defaults_in_the_schema_are_the_defaults_of_the_reader() {
    let schema = plan();
    let value = |pointer: &str| schema.pointer(pointer).unwrap().clone();
    let written_out = format!(
        "name: minimal\nsource: {{ local: {{ service: demo, listen: '{listen}' }} }}\n\
         target: {{ local: {{}} }}\n\
         traffic: {{ local: {{ listen: '{listen}', response_timeout: {response} }} }}\n\
         load: {{ rate: 10/s, host: {host}, paired: {paired}, ramp: {ramp}, timeout: {timeout}, requests: {requests} }}\n\
         objectives: [errors: 1%]\n\
         steps: {steps}\nqualify: {qualify}\nbake: {bake}\non_breach: {breach}\non_missing: {missing}\n\
         on_broken_source: {broken_source}\nalpha: {alpha}\nmin_requests: {min}\n",
        listen = value("/properties/source/properties/local/properties/listen/default")
            .as_str()
            .unwrap(),
        response =
            value("/properties/traffic/properties/local/properties/response_timeout/default"),
        host = value("/properties/load/properties/host/default"),
        paired = value("/properties/load/properties/paired/default"),
        ramp = value("/properties/load/properties/ramp/default"),
        timeout = value("/properties/load/properties/timeout/default"),
        requests = value("/properties/load/properties/requests/default"),
        steps = value("/properties/steps/default"),
        qualify = value("/properties/qualify/default"),
        bake = value("/properties/bake/default"),
        breach = value("/properties/on_breach/default"),
        missing = value("/properties/on_missing/default"),
        broken_source = value("/properties/on_broken_source/default"),
        alpha = value("/properties/alpha/default"),
        min = value("/properties/min_requests/default"),
    );
    let read = |text: &str| {
        crate::parse::plan("plan.yaml", text).unwrap_or_else(|mistakes| panic!("{mistakes}"))
    };
    assert_eq!(read(&written_out), read(MINIMAL));
}

#[test]
fn defaults_of_webhooks_in_the_schema_are_those_of_the_reader() {
    let schema = plan();
    let value = |pointer: &str| schema.pointer(pointer).unwrap().clone();
    let gate = "/properties/steps/items/anyOf/1/properties/gate/anyOf/1/properties/webhook";
    let written = |prove: &str, asked: &str, missing: &str, on: &str| {
        format!(
            "{MINIMAL}steps: [{{ weight: 100%{prove}, gate: {{ webhook: {{ url_env: GATE{asked} }} }} }}]\n\
             on_missing: {{ {missing}then: rollback }}\n\
             notify: [{{ slack: {{ url_env: SLACK }}{on} }}]\n"
        )
    };
    let prove = value("/properties/steps/items/anyOf/1/properties/prove/default");
    let every = value(&format!("{gate}/properties/every/default"));
    let timeout = value(&format!("{gate}/properties/timeout/default"));
    let after = value("/properties/on_missing/anyOf/1/properties/after/default");
    let on = value("/properties/notify/items/properties/on/default");
    let in_full = written(
        &format!(", prove: {prove}"),
        &format!(", every: {every}, timeout: {timeout}"),
        &format!("after: {after}, "),
        &format!(", on: {on}"),
    );
    let read = |text: &str| {
        crate::parse::plan("plan.yaml", text).unwrap_or_else(|mistakes| panic!("{mistakes}"))
    };
    assert_eq!(read(&in_full), read(&written("", "", "", "")));
}
