//! Single values: text, quantities, words out of a list.

use std::time::Duration;

use super::fields::{Field, Fields, Mistakes, Reported};
use crate::diagnostic::{Kind, did_you_mean, one_of, quote};
use crate::quantity::{self, Misread};
use crate::yaml::{Resolved, Value, resolve};

/// Whether a duration may be `0s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Zero {
    Allowed,
    Refused,
}

/// The value of a key, or its default where the key is not there.
pub(super) fn optional<'a, T>(
    fields: &Fields<'a>,
    key: &str,
    default: T,
    decode: impl FnOnce(&Field<'a>) -> Result<T, Reported>,
) -> Result<T, Reported> {
    match fields.get(key) {
        Some(field) => decode(field),
        None => Ok(default),
    }
}

/// The text of a single value, quoted or not; `None` for nothing, a list, a map.
pub(super) fn scalar<'a>(field: &Field<'a>) -> Option<&'a str> {
    match &field.node.value {
        Value::Plain(text) if resolve(text) == Resolved::Nothing => None,
        Value::Plain(text) | Value::Text(text) => Some(text),
        Value::List(_) | Value::Map(_) | Value::Refused => None,
    }
}

/// A text. Plain `5` and `true` are refused, since YAML gives them another type.
pub(super) fn text<'a>(
    field: &Field<'a>,
    expected: &str,
    mistakes: &mut Mistakes,
) -> Result<&'a str, Reported> {
    let help = match &field.node.value {
        Value::Text(text) => return Ok(text),
        Value::Plain(text) => match resolve(text) {
            Resolved::Text => return Ok(text),
            Resolved::Nothing => None,
            Resolved::Truth | Resolved::Number => Some(format!(
                "YAML reads that as a number or a truth value; write `'{text}'`"
            )),
        },
        Value::List(_) | Value::Map(_) | Value::Refused => None,
    };
    Err(mistakes.wrong(field, expected, help))
}

/// A quantity, read by one of the functions of [`quantity`].
pub(super) fn quantity<T>(
    field: &Field<'_>,
    read: impl Fn(&str) -> Result<T, Misread>,
    mistakes: &mut Mistakes,
) -> Result<T, Reported> {
    // Reading nothing fails, and so says what is expected where a list or a map stands.
    let (text, is_scalar) = match scalar(field) {
        Some(text) => (text, true),
        None => ("", false),
    };
    read(text).map_err(|misread| {
        let help = if is_scalar { misread.help } else { None };
        mistakes.wrong(field, misread.expected, help)
    })
}

/// A duration.
pub(super) fn duration(
    field: &Field<'_>,
    zero: Zero,
    mistakes: &mut Mistakes,
) -> Result<Duration, Reported> {
    let duration = quantity(field, quantity::duration, mistakes)?;
    if duration.is_zero() && zero == Zero::Refused {
        return Err(mistakes.wrong(field, "a duration above `0s`", None));
    }
    Ok(duration)
}

/// One word out of a list.
pub(super) fn word(
    field: &Field<'_>,
    words: &'static [&'static str],
    mistakes: &mut Mistakes,
) -> Result<&'static str, Reported> {
    let found = scalar(field);
    if let Some(word) = words.iter().find(|word| found == Some(**word)) {
        return Ok(word);
    }
    let help = found.and_then(|text| did_you_mean(text, words.iter().copied()));
    Err(mistakes.wrong(field, one_of(words), help))
}

/// A truth value. Text in quotes is none.
pub(super) fn truth(field: &Field<'_>, mistakes: &mut Mistakes) -> Result<bool, Reported> {
    match &field.node.value {
        Value::Plain(text) if text.eq_ignore_ascii_case("true") => Ok(true),
        Value::Plain(text) if text.eq_ignore_ascii_case("false") => Ok(false),
        Value::Plain(text) | Value::Text(text) => {
            let help = match text.to_ascii_lowercase().as_str() {
                "yes" | "on" | "1" | "true" => Some("write `true`".to_owned()),
                "no" | "off" | "0" | "false" => Some("write `false`".to_owned()),
                _ => None,
            };
            Err(mistakes.wrong(field, "`true` or `false`", help))
        }
        _ => Err(mistakes.wrong(field, "`true` or `false`", None)),
    }
}

/// Records that a value is not what it should be, without repeating it: it may be a secret.
pub(super) fn unrepeated(
    field: &Field<'_>,
    expected: impl Into<String>,
    help: Option<String>,
    mistakes: &mut Mistakes,
) -> Reported {
    match scalar(field) {
        None => mistakes.wrong(field, expected, help),
        Some(_) => {
            let found = "text that may be a secret and is not repeated".to_owned();
            conflict(field, found, expected, help, mistakes)
        }
    }
}

/// A value that is valid by itself, but not beside another one.
pub(super) fn conflict(
    field: &Field<'_>,
    found: String,
    expected: impl Into<String>,
    help: Option<String>,
    mistakes: &mut Mistakes,
) -> Reported {
    mistakes.at(
        field.node.at,
        &field.path,
        Kind::Value,
        found,
        expected,
        help,
    )
}

/// `` `a` and `b` `` for messages about two words.
pub(super) fn both(first: &str, second: &str) -> String {
    format!("{} and {}", quote(first), quote(second))
}
