//! Webhooks: gates that are asked, and receivers that are told.

use serde_json::{Map, Value, json};

use super::quantities::positive_duration;
use crate::defaults;
use crate::keys;

/// An address without user, query and fragment; `http` goes to this machine only.
const PLAIN_URL: &str = r"^([hH][tT][tT][pP][sS]://|[hH][tT][tT][pP]://(localhost|127(\.[0-9]{1,3}){3}|\[::1\])(:[0-9]|/|$))[^\s@?#]*$";
/// The name of an environment variable.
const VARIABLE: &str = "^[A-Z_][A-Z0-9_]*$";

/// `notify`.
pub(super) fn notify() -> Value {
    let formats: Vec<Value> = keys::NOTIFY_FORMATS
        .iter()
        .map(|format| json!({ "required": [format] }))
        .collect();
    json!({
        "description": "Who is told about the run, and about what.",
        "type": "array",
        "minItems": 1,
        "items": {
            "type": "object",
            "additionalProperties": false,
            "oneOf": formats,
            "properties": {
                "webhook": webhook("A web service that takes one JSON object a notification.", Map::new()),
                "slack": {
                    "description": "A channel of Slack, by its incoming webhook.",
                    "type": "object",
                    "additionalProperties": false,
                    "required": keys::SLACK,
                    "properties": {
                        "url_env": variable("The environment variable that holds the address, which is a secret.", "SLACK_URL")
                    }
                },
                "on": on()
            }
        },
        "examples": [[{ "slack": { "url_env": "SLACK_URL" }, "on": ["breach", "rollback", "done"] }]]
    })
}

/// `webhook` of a gate.
pub(super) fn webhook_gate() -> Value {
    let mut more = Map::new();
    more.insert(
        "timeout".to_owned(),
        positive_duration("How long one answer may take.", defaults::GATE_TIMEOUT),
    );
    more.insert(
        "every".to_owned(),
        positive_duration(
            "How long to wait before it is asked again: at least 1s; failures double the wait.",
            defaults::GATE_EVERY,
        ),
    );
    webhook(
        "A web service that is asked until it says go: a POST that is answered with 200 opens the gate.",
        more,
    )
}

/// The keys of every webhook, and some more.
fn webhook(description: &str, more: Map<String, Value>) -> Value {
    let mut properties = Map::new();
    properties.insert(
        "url".to_owned(),
        json!({
            "description": "The address, when nothing in it is secret: no user, no query. Use `url_env` otherwise.",
            "type": "string",
            "pattern": PLAIN_URL,
            "examples": ["https://hooks.example.com/cutover"]
        }),
    );
    properties.insert(
        "url_env".to_owned(),
        variable(
            "The environment variable that holds the address.",
            "HOOK_URL",
        ),
    );
    properties.insert(
        "secret_env".to_owned(),
        variable(
            "The environment variable that holds the key which bodies are signed with (HMAC-SHA-256).",
            "HOOK_KEY",
        ),
    );
    properties.extend(more);
    json!({
        "description": description,
        "type": "object",
        "additionalProperties": false,
        "oneOf": [{ "required": ["url"] }, { "required": ["url_env"] }],
        "properties": properties
    })
}

fn variable(description: &str, example: &str) -> Value {
    json!({
        "description": description,
        "type": "string",
        "pattern": VARIABLE,
        "examples": [example]
    })
}

fn on() -> Value {
    let subject = json!({ "enum": keys::NOTIFY_ON });
    json!({
        "description": "What is told; all of it by default.",
        "anyOf": [
            subject,
            { "type": "array", "minItems": 1, "uniqueItems": true, "items": subject }
        ],
        "default": keys::NOTIFY_ON,
        "examples": [["breach", "rollback", "done"]]
    })
}
