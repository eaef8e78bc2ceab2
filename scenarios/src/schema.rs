//! The JSON Schema of a plan as people write it, for editors and for `cutover schema plan`.
//!
//! A schema sees one value at a time. What lies between values (weights that rise, addresses
//! that differ, hosts that are the plan's own) only [`crate::parse`] can refuse.

mod hooks;
mod quantities;
mod steps;

use serde_json::{Value, json};

use crate::defaults;
use crate::keys;
use crate::parse;
use crate::plan::Request;

use quantities::{
    DECIMAL, WEIGHT, duration, fraction, listen, percent, positive_duration, positive_pattern,
    rate, rate_or_zero,
};

/// The JSON Schema (draft 2020-12) of a plan.
#[must_use]
pub fn plan() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "cutover plan",
        "description": "One cutover: what moves, how it is measured, in which steps. Written in YAML.",
        "type": "object",
        "additionalProperties": false,
        "required": ["name", "source", "target", "traffic", "load", "objectives"],
        "properties": {
            "name": {
                "description": "Names the run, its folder and its lock.",
                "type": "string",
                "pattern": format!("^[a-z0-9][a-z0-9-]{{0,{}}}$", parse::LONGEST_NAME - 1),
                "examples": ["shop-api"]
            },
            "source": stack("The stack that serves today."),
            "target": stack("The stack where the service goes."),
            "traffic": traffic(),
            "load": load(),
            "objectives": {
                "description": "What must hold; a breach of any leads to `on_breach`.",
                "type": "array",
                "minItems": 1,
                "items": objective(),
                "examples": [[{ "errors": "1%" }, { "p99": { "at_most": "300ms", "versus_source": "1.2x" } }]]
            },
            "steps": steps::steps(),
            "qualify": duration("How long both stacks get paired load, at weight 0, before the first step.", defaults::QUALIFY),
            "bake": duration("How long the target is watched at 100 % before the run is done.", defaults::BAKE),
            "on_breach": {
                "description": "What a breach leads to: all traffic back to the source, or the weight stays and a person decides.",
                "enum": keys::ON_BREACH,
                "default": "rollback"
            },
            "on_missing": on_missing(),
            "on_broken_source": {
                "description": "What a breach leads to while the source is worse than the target: the weight stays and a person decides, or traffic goes back all the same.",
                "enum": keys::ON_BROKEN_SOURCE,
                "default": "hold"
            },
            "point_of_no_return": {
                "description": "The weight of a step: once it was begun, the run never goes back by itself. Without it, it always may.",
                "type": "string",
                "pattern": format!("^{WEIGHT}$"),
                "examples": ["50%"]
            },
            "notify": hooks::notify(),
            "alpha": {
                "description": "The chance of a false rollback over the whole run: above 0, below 50%.",
                "anyOf": fraction(0.5),
                "default": percent(defaults::ALPHA),
                "examples": ["1%", 0.01]
            },
            "min_requests": {
                "description": "A step does not advance before the target has answered this many requests in it.",
                "type": "integer",
                "minimum": 1,
                "default": defaults::MIN_REQUESTS
            }
        }
    })
}

fn stack(description: &str) -> Value {
    json!({
        "description": description,
        "type": "object",
        "additionalProperties": false,
        "required": ["local"],
        "properties": {
            "local": {
                "description": "Processes on this machine: the service behind its own bundled proxy.",
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "service": {
                        "description": "The bundled service that the stack runs.",
                        "enum": keys::SERVICES,
                        "default": "demo"
                    },
                    "listen": listen("Where the stack's proxy listens.")
                }
            }
        },
        "examples": [{ "local": { "service": "demo" } }]
    })
}

fn traffic() -> Value {
    json!({
        "description": "What moves the traffic.",
        "type": "object",
        "additionalProperties": false,
        "required": ["local"],
        "properties": {
            "local": {
                "description": "The bundled proxy on this machine, splitting by weight.",
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "listen": listen("Where users' requests arrive."),
                    "response_timeout": positive_duration(
                        "How long the edge waits for a stack's response head before it answers 504.",
                        defaults::RESPONSE_TIMEOUT,
                    )
                }
            }
        },
        "examples": [{ "local": { "response_timeout": "1s" } }]
    })
}

fn load() -> Value {
    json!({
        "description": "The requests that are sent while the run goes on. They go to the plan's own stacks and edge, and nowhere else.",
        "type": "object",
        "additionalProperties": false,
        "required": ["rate"],
        "properties": {
            "host": {
                "description": "`Host` header of every request. It is never resolved: requests go to the plan's own stacks.",
                "type": "string",
                "minLength": 1,
                "default": defaults::HOST,
                "examples": ["shop.example"]
            },
            "rate": rate("Requests through the edge, as users would send them; above 0. A number is per second."),
            "paired": rate_or_zero(
                "Pairs sent directly to both stacks, the same request to each; 0 turns it off. A number is per second.",
                defaults::PAIRED,
            ),
            "ramp": duration("The rate rises from 0 to `rate` over this long.", defaults::RAMP),
            "timeout": positive_duration("The load generator gives up on a request after this long.", defaults::TIMEOUT),
            "requests": {
                "description": "What is sent.",
                "type": "array",
                "minItems": 1,
                "items": request(),
                "default": default_requests(),
                "examples": [[{ "get": "/", "share": 6 }, { "post": "/checkout", "body": "{\"item\":42}" }]]
            }
        }
    })
}

fn request() -> Value {
    let mut properties = serde_json::Map::new();
    for method in keys::METHODS {
        let description = format!(
            "Sends {} to this path, or to a URL whose host is the plan's own.",
            method.to_ascii_uppercase()
        );
        let path = json!({
            "description": description,
            "type": "string",
            "pattern": "^(/|[hH][tT][tT][pP]://)[^\\s#]*$",
            "examples": ["/items/42"]
        });
        properties.insert((*method).to_owned(), path);
    }
    properties.insert(
        "body".to_owned(),
        json!({
            "description": "Sent after the head; beside `post`, `put`, `patch` and `delete` only.",
            "type": "string"
        }),
    );
    properties.insert(
        "share".to_owned(),
        json!({
            "description": "How often, relative to the other requests.",
            "type": "integer",
            "minimum": 1,
            "maximum": parse::LARGEST_SHARE,
            "default": defaults::SHARE
        }),
    );
    let one_method: Vec<Value> = keys::METHODS
        .iter()
        .map(|method| json!({ "required": [method] }))
        .collect();
    let with_body: Vec<Value> = keys::METHODS_WITH_BODY
        .iter()
        .map(|method| json!({ "required": [method] }))
        .collect();
    json!({
        "description": "One kind of request: one method with its path.",
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
        "oneOf": one_method,
        "dependentSchemas": { "body": { "anyOf": with_body } }
    })
}

fn objective() -> Value {
    json!({
        "description": "A bound on the rate of bad requests: the share that fails, or a latency quantile.",
        "type": "object",
        "minProperties": 1,
        "maxProperties": 1,
        "additionalProperties": false,
        "properties": {
            "errors": bounds(
                "Requests that fail: no response, or a status of 500 and above.",
                &json!({ "anyOf": fraction(1.0), "examples": ["0.5%", 0.005] }),
            )
        },
        "patternProperties": {
            r"^p[5-9][0-9](\.[0-9]{1,2}0*)?$": bounds(
                "The latency below which this percentage of requests lies: p50 to p99.99.",
                &json!({ "type": "string", "minLength": 1, "pattern": positive_pattern(), "examples": ["300ms"] }),
            )
        }
    })
}

/// The bounds written out, or `at_most` alone.
fn bounds(description: &str, at_most: &Value) -> Value {
    json!({
        "description": description,
        "anyOf": [
            at_most,
            {
                "type": "object",
                "additionalProperties": false,
                "minProperties": 1,
                "properties": {
                    "at_most": at_most,
                    "versus_source": {
                        "description": "The target may be this many times as bad as the source: 1x to 100x.",
                        "type": "string",
                        "pattern": format!("^{DECIMAL}x$"),
                        "examples": ["1.5x"]
                    }
                }
            }
        ]
    })
}

fn on_missing() -> Value {
    json!({
        "description": "What missing measurements lead to in the end: a person decides, or all traffic goes back. They hold the run at once in any case.",
        "anyOf": [
            { "enum": keys::MISSING },
            {
                "type": "object",
                "additionalProperties": false,
                "required": ["then"],
                "properties": {
                    "after": positive_duration(
                        "How long the run waits for measurements to come back.",
                        defaults::ON_MISSING.after,
                    ),
                    "then": {
                        "description": "What follows then.",
                        "enum": keys::MISSING
                    }
                }
            }
        ],
        "default": "hold",
        "examples": ["rollback", { "after": "10m", "then": "rollback" }]
    })
}

fn default_requests() -> Vec<Value> {
    parse::default_requests()
        .iter()
        .map(|Request { method, path, .. }| json!({ (method.to_ascii_lowercase()): path }))
        .collect()
}

#[cfg(test)]
mod tests;
