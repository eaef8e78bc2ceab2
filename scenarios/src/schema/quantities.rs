//! Schemas of single values, as [`crate::quantity`] reads them.

use std::time::Duration;

use serde_json::{Value, json};

use crate::defaults;
use crate::quantity::{HIGHEST_RATE, show_duration};

/// A duration: each unit at most once, longest first.
pub(super) const DURATION: &str = "([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?";
pub(super) const DECIMAL: &str = r"[0-9]+(\.[0-9]+)?";
/// Above 0 % (some digit is not 0) to 100 %, to a hundredth of a percent.
pub(super) const WEIGHT: &str = r"(?=[0-9.]*[1-9])(100(\.0+)?|[0-9]{1,2}(\.[0-9]{1,2})?) ?%";

/// An address on this machine.
pub(super) fn listen(description: &str) -> Value {
    json!({
        "description": format!("{description} A loopback address; port 0 takes any free port."),
        "type": "string",
        "pattern": r"^(127(\.[0-9]{1,3}){3}|\[::1\]):[0-9]{1,5}$",
        "default": defaults::LISTEN.to_string(),
        "examples": ["127.0.0.1:8080"]
    })
}

/// A duration that may be 0.
pub(super) fn duration(description: &str, default: Duration) -> Value {
    json!({
        "description": format!("{description} At most 30 days."),
        "type": "string",
        "minLength": 1,
        "pattern": format!("^{DURATION}$"),
        "default": show_duration(default),
        "examples": ["250ms", "5s", "1h30m"]
    })
}

/// A duration above 0.
pub(super) fn positive_duration(description: &str, default: Duration) -> Value {
    let mut schema = duration(description, default);
    schema["pattern"] = positive_pattern().into();
    schema
}

/// A duration with a digit other than 0.
pub(super) fn positive_pattern() -> String {
    format!("^(?=.*[1-9]){DURATION}$")
}

/// A rate above 0.
pub(super) fn rate(description: &str) -> Value {
    json!({
        "description": description,
        "anyOf": [
            { "type": "string", "pattern": format!("^(?=.*[1-9]){DECIMAL}(/[smh])?$") },
            { "type": "number", "exclusiveMinimum": 0, "maximum": HIGHEST_RATE }
        ],
        "examples": ["250/s", "15000/m"]
    })
}

/// A rate that may be 0.
pub(super) fn rate_or_zero(description: &str, default: f64) -> Value {
    json!({
        "description": description,
        "anyOf": [
            { "type": "string", "pattern": format!("^{DECIMAL}(/[smh])?$") },
            { "type": "number", "minimum": 0, "maximum": HIGHEST_RATE }
        ],
        "default": format!("{default}/s"),
        "examples": ["40/s"]
    })
}

/// A percentage or a fraction, above 0 and below a bound.
pub(super) fn fraction(below: f64) -> Value {
    json!([
        { "type": "string", "pattern": format!("^{DECIMAL} ?%$") },
        { "type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": below }
    ])
}

/// A fraction as a percentage.
pub(super) fn percent(fraction: f64) -> String {
    format!("{}%", fraction * 100.0)
}
