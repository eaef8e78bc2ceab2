//! `objectives`: what must hold.

use std::collections::HashMap;

use super::fields::{Field, Fields, Mistakes, Reported};
use super::values::{self, Zero};
use crate::diagnostic::{Kind, did_you_mean, quote};
use crate::keys;
use crate::plan::{Bound, Objective, Signal};
use crate::quantity;
use crate::yaml::Value;

const EXPECTED: &str = "`errors`, or a latency quantile from `p50` to `p99.99`";
/// Names to guess from when one is not known; of two as near, the first. People who write `p999`
/// mean `p99.9`.
const USUAL: [&str; 7] = ["errors", "p99.9", "p99", "p95", "p90", "p75", "p50"];
/// Quantiles are written to a hundredth of a percent.
const QUANTILE_SCALE: u32 = 10_000;
/// p50: lower quantiles say nothing about users who suffer.
const LOWEST_QUANTILE: u32 = 5_000;

/// Reads `objectives`.
pub(super) fn objectives(
    field: &Field<'_>,
    mistakes: &mut Mistakes,
) -> Result<Vec<Objective>, Reported> {
    let items = field.items("objectives such as `errors: 1%` or `p99: 300ms`", mistakes)?;
    let read: Vec<_> = items.iter().map(|item| objective(item, mistakes)).collect();
    let mut first_lines: HashMap<&str, usize> = HashMap::new();
    for (item, objective) in items.iter().zip(&read) {
        let Ok(objective) = objective else { continue };
        let at = item.node.at;
        if let Some(first) = first_lines.get(objective.name.as_str()) {
            let help = format!("the first is on line {first}; put both bounds there");
            let found = quote(&objective.name);
            let expected = "each objective once";
            mistakes.at(
                at,
                &item.path,
                Kind::DuplicateKey,
                found,
                expected,
                Some(help),
            );
        } else {
            first_lines.insert(&objective.name, at.line);
        }
    }
    read.into_iter().collect()
}

fn objective(item: &Field<'_>, mistakes: &mut Mistakes) -> Result<Objective, Reported> {
    let entry = match &item.node.value {
        Value::Map(entries) => match entries.as_slice() {
            [only] => only,
            [] => return Err(mistakes.wrong(item, EXPECTED, None)),
            [_, second, ..] => {
                let help = "begin each objective with `- `, and indent its bounds".to_owned();
                let found = format!("{} as a second key", quote(&second.key));
                let expected = "one objective an item";
                let (at, path) = (second.key_at, &item.path);
                return Err(mistakes.at(at, path, Kind::Value, found, expected, Some(help)));
            }
        },
        _ => {
            let help = Some("write for instance `errors: 1%`".to_owned());
            return Err(mistakes.wrong(item, EXPECTED, help));
        }
    };
    let Some((name, signal)) = signal(&entry.key) else {
        let help = did_you_mean(&entry.key, USUAL);
        let (at, path, found) = (entry.key_at, &item.path, quote(&entry.key));
        return Err(mistakes.at(at, path, Kind::UnknownKey, found, EXPECTED, help));
    };
    let field = Field {
        node: &entry.value,
        path: format!("{}.{}", item.path, entry.key),
    };
    let (at_most, versus_source) = bounds(&field, signal, mistakes)?;
    Ok(Objective {
        name,
        signal,
        at_most,
        versus_source,
    })
}

/// What a name stands for, and the name in its shortest form (`p99.90` is `p99.9`).
fn signal(name: &str) -> Option<(String, Signal)> {
    if name == "errors" {
        return Some((name.to_owned(), Signal::Errors));
    }
    let percent = name.strip_prefix('p')?;
    // A quantile is written like a weight, and has the same two decimals.
    let parts = quantity::weight(&format!("{percent}%")).ok()?.parts();
    if !percent.starts_with(|c: char| c.is_ascii_digit())
        || percent.ends_with(' ')
        || !(LOWEST_QUANTILE..QUANTILE_SCALE).contains(&parts)
    {
        return None;
    }
    let quantile = f64::from(parts) / f64::from(QUANTILE_SCALE);
    let name = format!("p{}", f64::from(parts) / 100.0);
    Some((name, Signal::Latency { quantile }))
}

type Bounds = (Option<Bound>, Option<f64>);

/// Reads `{ at_most: …, versus_source: … }`, or the bound alone.
fn bounds(field: &Field<'_>, signal: Signal, mistakes: &mut Mistakes) -> Result<Bounds, Reported> {
    if values::scalar(field).is_some() {
        return Ok((Some(at_most(field, signal, mistakes)?), None));
    }
    let fields = Fields::of(field, keys::BOUNDS, &[], mistakes)?;
    let at_most = fields
        .get("at_most")
        .map(|field| at_most(field, signal, mistakes))
        .transpose();
    let versus_source = fields
        .get("versus_source")
        .map(|field| values::quantity(field, quantity::ratio, mistakes))
        .transpose();
    match (at_most?, versus_source?) {
        (None, None) => Err(fields.instead_of(keys::BOUNDS).unwrap_or_else(|| {
            mistakes.at(
                field.node.at,
                &field.path,
                Kind::Value,
                "no bound",
                "`at_most`, `versus_source`, or both",
                None,
            )
        })),
        bounds => Ok(bounds),
    }
}

fn at_most(field: &Field<'_>, signal: Signal, mistakes: &mut Mistakes) -> Result<Bound, Reported> {
    match signal {
        Signal::Errors => values::quantity(field, quantity::fraction, mistakes).map(Bound::Rate),
        Signal::Latency { .. } => {
            values::duration(field, Zero::Refused, mistakes).map(Bound::Latency)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_read_exactly_and_named_in_short() {
        for (text, name, quantile) in [
            ("p50", "p50", 0.5),
            ("p99", "p99", 0.99),
            ("p99.9", "p99.9", 0.999),
            ("p99.90", "p99.9", 0.999),
            ("p99.99", "p99.99", 0.9999),
        ] {
            let expected = (name.to_owned(), Signal::Latency { quantile });
            assert_eq!(signal(text), Some(expected), "{text}");
        }
        for text in [
            "p", "p49", "p100", "p99.999", "p0", "99", "P99", "p-5", "p 99", "p99 ", "",
        ] {
            assert_eq!(signal(text), None, "{text}");
        }
    }
}
