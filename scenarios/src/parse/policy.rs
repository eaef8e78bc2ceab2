//! What follows from trouble: `on_breach`, `on_missing`, `on_broken_source`, and the point from
//! which nothing goes back by itself.

use super::fields::{Field, Fields, Mistakes, Reported};
use super::values::{self, Zero, conflict, optional};
use crate::defaults;
use crate::diagnostic::one_of;
use crate::keys;
use crate::plan::{Missing, OnBreach, OnBrokenSource, OnMissing, Step};
use crate::quantity;
use crate::units::Weight;
use crate::yaml::Value;

/// Reads `on_breach`.
pub(super) fn on_breach(field: &Field<'_>, mistakes: &mut Mistakes) -> Result<OnBreach, Reported> {
    match values::word(field, keys::ON_BREACH, mistakes)? {
        "hold" => Ok(OnBreach::Hold),
        _ => Ok(OnBreach::Rollback),
    }
}

/// Reads `on_broken_source`.
pub(super) fn on_broken_source(
    field: &Field<'_>,
    mistakes: &mut Mistakes,
) -> Result<OnBrokenSource, Reported> {
    match values::word(field, keys::ON_BROKEN_SOURCE, mistakes)? {
        "hold" => Ok(OnBrokenSource::Hold),
        _ => Ok(OnBrokenSource::Rollback),
    }
}

/// Reads `hold`, `rollback`, or `{ after: …, then: … }`.
pub(super) fn on_missing(
    field: &Field<'_>,
    mistakes: &mut Mistakes,
) -> Result<OnMissing, Reported> {
    if !matches!(field.node.value, Value::Map(_)) {
        if let Some(after) = values::scalar(field)
            && quantity::duration(after).is_ok()
        {
            let help = Some(format!("write `{{ after: {after}, then: hold }}`"));
            return Err(mistakes.wrong(field, one_of(keys::MISSING), help));
        }
        return missing(field, mistakes).map(|then| OnMissing {
            then,
            ..defaults::ON_MISSING
        });
    }
    let fields = Fields::of(field, keys::ON_MISSING, &[], mistakes)?;
    let after = optional(&fields, "after", defaults::ON_MISSING.after, |field| {
        values::duration(field, Zero::Refused, mistakes)
    });
    let then = fields
        .required("then", mistakes)
        .and_then(|field| missing(field, mistakes));
    Ok(OnMissing {
        after: after?,
        then: then?,
    })
}

fn missing(field: &Field<'_>, mistakes: &mut Mistakes) -> Result<Missing, Reported> {
    match values::word(field, keys::MISSING, mistakes)? {
        "hold" => Ok(Missing::Hold),
        _ => Ok(Missing::Rollback),
    }
}

/// Reads `point_of_no_return`: the weight of a step.
pub(super) fn point_of_no_return(
    field: &Field<'_>,
    steps: &Result<Vec<Step>, Reported>,
    mistakes: &mut Mistakes,
) -> Result<Weight, Reported> {
    let weight = values::quantity(field, quantity::weight, mistakes)?;
    // Steps that could not be read may have this weight.
    let Ok(steps) = steps else { return Ok(weight) };
    if steps.iter().any(|step| step.weight == weight) {
        return Ok(weight);
    }
    let weights: Vec<String> = steps
        .iter()
        .map(|step| step.weight.to_string().replace(' ', ""))
        .collect();
    let weights: Vec<&str> = weights.iter().map(String::as_str).collect();
    let found = format!("{weight}, which no step has");
    let expected = format!("the weight of a step: {}", one_of(&weights));
    Err(conflict(field, found, expected, None, mistakes))
}
