//! `steps`: the weights of the shift, in the order in which they are set.

use super::fields::{Field, Fields, Mistakes, Reported};
use super::gate::gate;
use super::values::{self, Zero, conflict, optional};
use crate::defaults;
use crate::keys;
use crate::plan::{Objective, Step};
use crate::quantity::{self, Misread};
use crate::units::Weight;
use crate::yaml::Value;

/// More steps than this are a slip, or a generator gone wild.
pub(crate) const MOST_STEPS: usize = 100;

/// The steps of a plan that lists none.
pub(super) fn default_steps() -> Vec<Step> {
    defaults::weights()
        .map(|weight| Step {
            weight,
            hold: defaults::HOLD,
            gate: None,
            prove: false,
        })
        .collect()
}

/// Reads `steps`. Whether one can `prove` anything is up to the objectives.
pub(super) fn steps(
    field: &Field<'_>,
    objectives: &[Objective],
    mistakes: &mut Mistakes,
) -> Result<Vec<Step>, Reported> {
    let items = field.items("steps such as `5% for 10m`", mistakes)?;
    if items.len() > MOST_STEPS {
        let found = format!("{} steps", items.len());
        let expected = format!("at most {MOST_STEPS} steps");
        return Err(conflict(field, found, expected, None, mistakes));
    }
    let read: Vec<_> = items
        .iter()
        .map(|item| step(item, objectives, mistakes))
        .collect();
    check_rise(&items, &read, mistakes);
    read.into_iter().collect()
}

/// Weights rise strictly and end at 100 %. Steps that could not be read are passed over.
fn check_rise(items: &[Field<'_>], read: &[Result<Step, Reported>], mistakes: &mut Mistakes) {
    let mut before: Option<(&Field<'_>, Weight)> = None;
    for (item, step) in items.iter().zip(read) {
        let Ok(step) = step else { continue };
        let weight = step.weight;
        if let Some((earlier, highest)) = before
            && weight <= highest
        {
            let found = format!("{weight} after {highest} in `{}`", earlier.path);
            let expected = format!("more than {highest}, since weights rise from step to step");
            conflict(item, found, expected, None, mistakes);
            continue;
        }
        before = Some((item, weight));
    }
    if let (Some(item), Some(Ok(last))) = (items.last(), read.last())
        && last.weight != Weight::FULL
    {
        let found = format!("{} in the last step", last.weight);
        let help = Some("add `100%`".to_owned());
        conflict(item, found, "100 % at the end of the shift", help, mistakes);
    }
}

fn step(
    item: &Field<'_>,
    objectives: &[Objective],
    mistakes: &mut Mistakes,
) -> Result<Step, Reported> {
    if !matches!(item.node.value, Value::Map(_)) {
        return values::quantity(item, short_step, mistakes);
    }
    let fields = Fields::of(item, keys::STEP, &[], mistakes)?;
    let weight = fields
        .required("weight", mistakes)
        .and_then(|field| values::quantity(field, quantity::weight, mistakes));
    let hold = optional(&fields, "hold", defaults::HOLD, |field| {
        values::duration(field, Zero::Refused, mistakes)
    });
    let gate = fields
        .get("gate")
        .map(|field| gate(field, mistakes))
        .transpose();
    let prove = optional(&fields, "prove", false, |field| {
        prove(field, objectives, mistakes)
    });
    Ok(Step {
        weight: weight?,
        hold: hold?,
        gate: gate?,
        prove: prove?,
    })
}

/// Reads `prove`. A step that waits for a proof that no data can give would wait for ever: that
/// the target is at most as bad as the source, without any margin, is never shown of one that is
/// just as good.
fn prove(
    field: &Field<'_>,
    objectives: &[Objective],
    mistakes: &mut Mistakes,
) -> Result<bool, Reported> {
    let prove = values::truth(field, mistakes)?;
    let provable = |objective: &Objective| match objective.versus_source {
        Some(ratio) => ratio > 1.0,
        None => objective.at_most.is_some(),
    };
    match objectives.iter().find(|objective| !provable(objective)) {
        Some(objective) if prove => {
            let name = &objective.name;
            let found = format!("`true` beside the objective `{name}`, which leaves no margin");
            let expected = "objectives that can be proven";
            let help = format!("write a `versus_source` above `1x` for `{name}`");
            Err(conflict(field, found, expected, Some(help), mistakes))
        }
        _ => Ok(prove),
    }
}

/// Reads `1% for 5m` or `25%`.
fn short_step(text: &str) -> Result<Step, Misread> {
    let wrong = |help: Option<String>| Misread {
        expected: "a step such as `5% for 10m` or `25%`".to_owned(),
        help,
    };
    let text = text.trim();
    let (weight, hold) = match text.split_once(" for ") {
        Some((weight, hold)) => (weight, Some(hold)),
        None => (text, None),
    };
    if hold.is_none()
        && weight
            .split_once('%')
            .is_none_or(|(_, rest)| !rest.is_empty())
    {
        // Neither a weight nor a step; a bare number gets the help of a weight.
        let help = quantity::weight(weight)
            .err()
            .and_then(|misread| misread.help);
        return Err(wrong(help));
    }
    let weight = quantity::weight(weight)?;
    let hold = match hold {
        None => defaults::HOLD,
        Some(hold) => quantity::duration(hold)?,
    };
    if hold.is_zero() {
        return Err(wrong(Some("hold a weight for more than `0s`".to_owned())));
    }
    Ok(Step {
        weight,
        hold,
        gate: None,
        prove: false,
    })
}
