//! `steps` and their gates.

use serde_json::{Value, json};

use super::hooks;
use super::quantities::{DURATION, WEIGHT, positive_duration};
use crate::defaults;
use crate::keys;
use crate::parse;
use crate::quantity::show_duration;

/// `steps`.
pub(super) fn steps() -> Value {
    json!({
        "description": "The target's share of traffic over time: weights rise strictly and end at 100%.",
        "type": "array",
        "minItems": 1,
        "maxItems": parse::MOST_STEPS,
        "items": step(),
        "default": default_steps(),
        "examples": [["1% for 5m", "25% for 15m", { "weight": "50%", "hold": "30m", "gate": "manual" }, "100%"]]
    })
}

fn step() -> Value {
    json!({
        "description": "A weight, how long it is watched, and what must open before it is set.",
        "anyOf": [
            { "type": "string", "pattern": format!("^{WEIGHT}( for (?=.*[1-9]){DURATION})?$") },
            {
                "type": "object",
                "additionalProperties": false,
                "required": ["weight"],
                "properties": {
                    "weight": {
                        "description": "The target's share of traffic, above 0%, exact to 0.01%.",
                        "type": "string",
                        "pattern": format!("^{WEIGHT}$"),
                        "examples": ["25%"]
                    },
                    "hold": positive_duration("How long the weight is watched before the next step.", defaults::HOLD),
                    "gate": gate(),
                    "prove": {
                        "description": "The step advances as soon as the target is shown to be no worse than every objective allows, and holds until then; `hold` is the shortest time it lasts.",
                        "type": "boolean",
                        "default": false
                    }
                }
            }
        ]
    })
}

fn gate() -> Value {
    json!({
        "description": "What must open before the weight is set: a person says go, the time lies in a window, or a web service says go.",
        "anyOf": [
            { "const": "manual" },
            {
                "type": "object",
                "additionalProperties": false,
                "minProperties": 1,
                "maxProperties": 1,
                "properties": {
                    "window": window(),
                    "webhook": hooks::webhook_gate()
                }
            }
        ],
        "examples": ["manual", { "window": { "days": "mon-fri", "hours": "09:00-17:00", "time_zone": "Europe/Berlin" } }]
    })
}

fn window() -> Value {
    let day = format!("({})", keys::DAYS.join("|"));
    let day_or_range = json!({ "type": "string", "pattern": format!("^{day}(-{day})?$") });
    json!({
        "description": "Days and hours in which the step may begin.",
        "type": "object",
        "additionalProperties": false,
        "required": keys::WINDOW,
        "properties": {
            "days": {
                "description": "Days of the week, or ranges of them.",
                "anyOf": [
                    day_or_range,
                    { "type": "array", "minItems": 1, "items": day_or_range }
                ],
                "examples": ["mon-fri", ["mon", "tue"]]
            },
            "hours": {
                "description": "Opening and closing time, 24 hours, within one day.",
                "type": "string",
                "pattern": "^[0-9]{2}:[0-9]{2}-[0-9]{2}:[0-9]{2}$",
                "examples": ["09:00-17:00"]
            },
            "time_zone": {
                "description": "IANA name of the time zone of `days` and `hours`.",
                "type": "string",
                "examples": ["Europe/Berlin"]
            }
        }
    })
}

fn default_steps() -> Vec<String> {
    let hold = show_duration(defaults::HOLD);
    defaults::WEIGHTS_PERCENT
        .iter()
        .map(|percent| format!("{percent}% for {hold}"))
        .collect()
}
