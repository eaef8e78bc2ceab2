//! The text of a plan → a [`Plan`], or every mistake in it.
//!
//! Reading never stops at the first mistake: each part is decoded on its own, and a part that
//! cannot be decoded leaves a `Reported` behind, which only exists once a
//! mistake has been recorded. The plan is put together at the very end, when all have been seen.
//!
//! | module | subject |
//! | --- | --- |
//! | `fields` | maps with known keys, and the list of mistakes |
//! | `values` | single values: text, quantities, words out of a list |
//! | `stacks` | `source`, `target`, `traffic` |
//! | `load` | `load`, its requests, and the hosts they may go to |
//! | `objectives` | `objectives` |
//! | `steps` | `steps` and their weights |
//! | `gate`, `window` | the gates of steps |
//! | `endpoint` | where webhooks go |
//! | `notify` | who is told about the run |
//! | `policy` | what follows from trouble: `on_breach` and its like |

mod endpoint;
mod fields;
mod gate;
mod load;
mod notify;
mod objectives;
mod policy;
mod stacks;
mod steps;
mod values;
mod window;

pub(crate) use load::{LARGEST_SHARE, default_requests};
pub(crate) use steps::MOST_STEPS;

use crate::defaults;
use crate::diagnostic::Diagnostics;
use crate::keys;
use crate::plan::{OnBreach, Plan};
use crate::quantity;
use crate::yaml;

use fields::{Field, Fields, Mistakes, Reported};
use values::{Zero, optional};

/// Longest name of a run: what a DNS label may have (RFC 1035 §2.3.4), since names of stacks,
/// folders and Kubernetes objects are made from it.
pub(crate) const LONGEST_NAME: usize = 63;

/// Reads a plan. `file_name` is only repeated in messages.
///
/// # Errors
/// All mistakes of the text, sorted by position.
pub fn plan(file_name: &str, text: &str) -> Result<Plan, Diagnostics> {
    let mut mistakes = Mistakes::default();
    let plan = match yaml::read(text, &mut mistakes.list) {
        Ok(Some(root)) => decode(&Field::root(&root), &mut mistakes),
        Ok(None) => Err(mistakes.record(yaml::nothing_there())),
        Err(mistake) => Err(mistakes.record(*mistake)),
    };
    match plan {
        Ok(plan) if mistakes.list.is_empty() => Ok(plan),
        _ => Err(Diagnostics::new(file_name, mistakes.list)),
    }
}

fn decode(root: &Field<'_>, mistakes: &mut Mistakes) -> Result<Plan, Reported> {
    let fields = Fields::of(root, keys::PLAN, &[], mistakes)?;
    let name = fields
        .required("name", mistakes)
        .and_then(|field| name(field, mistakes));
    let source = fields
        .required("source", mistakes)
        .and_then(|field| stacks::stack(field, mistakes));
    let target = fields
        .required("target", mistakes)
        .and_then(|field| stacks::stack(field, mistakes));
    let traffic = fields
        .required("traffic", mistakes)
        .and_then(|field| stacks::traffic(field, mistakes));
    let addresses = stacks::addresses(&source, &target, &traffic, mistakes);
    let load = fields
        .required("load", mistakes)
        .and_then(|field| load::load(field, &addresses, mistakes));
    let objectives = fields
        .required("objectives", mistakes)
        .and_then(|field| objectives::objectives(field, mistakes));
    let steps = match fields.get("steps") {
        Some(field) => {
            let objectives = objectives.as_deref().unwrap_or_default();
            steps::steps(field, objectives, mistakes)
        }
        None => Ok(steps::default_steps()),
    };
    let qualify = optional(&fields, "qualify", defaults::QUALIFY, |field| {
        values::duration(field, Zero::Allowed, mistakes)
    });
    let bake = optional(&fields, "bake", defaults::BAKE, |field| {
        values::duration(field, Zero::Allowed, mistakes)
    });
    let on_breach = optional(&fields, "on_breach", OnBreach::Rollback, |field| {
        policy::on_breach(field, mistakes)
    });
    let on_missing = optional(&fields, "on_missing", defaults::ON_MISSING, |field| {
        policy::on_missing(field, mistakes)
    });
    let on_broken_source = optional(
        &fields,
        "on_broken_source",
        defaults::ON_BROKEN_SOURCE,
        |field| policy::on_broken_source(field, mistakes),
    );
    let point_of_no_return = fields
        .get("point_of_no_return")
        .map(|field| policy::point_of_no_return(field, &steps, mistakes))
        .transpose();
    let notify = optional(&fields, "notify", Vec::new(), |field| {
        notify::notify(field, mistakes)
    });
    let alpha = optional(&fields, "alpha", defaults::ALPHA, |field| {
        alpha(field, mistakes)
    });
    let min_requests = optional(&fields, "min_requests", defaults::MIN_REQUESTS, |field| {
        let at_least_one = |text: &str| quantity::whole(text, 1..=u64::MAX);
        values::quantity(field, at_least_one, mistakes)
    });
    Ok(Plan {
        name: name?,
        source: source?.stack,
        target: target?.stack,
        traffic: traffic?.traffic,
        load: load?,
        objectives: objectives?,
        steps: steps?,
        qualify: qualify?,
        bake: bake?,
        on_breach: on_breach?,
        on_missing: on_missing?,
        on_broken_source: on_broken_source?,
        point_of_no_return: point_of_no_return?,
        notify: notify?,
        alpha: alpha?,
        min_requests: min_requests?,
    })
}

fn name(field: &Field<'_>, mistakes: &mut Mistakes) -> Result<String, Reported> {
    let expected = "a name of `a-z`, `0-9` and `-`, at most 63 characters, not beginning with `-`";
    let text = values::text(field, expected, mistakes)?;
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let fits = (1..=LONGEST_NAME).contains(&text.len())
        && text.chars().all(allowed)
        && !text.starts_with('-');
    if fits {
        return Ok(text.to_owned());
    }
    // The name that was meant, if a change of case and separators makes one.
    let slug: String = text
        .to_ascii_lowercase()
        .replace(|c: char| !allowed(c), "-")
        .trim_start_matches('-')
        .to_owned();
    let helps = (1..=LONGEST_NAME).contains(&slug.len());
    let help = helps.then(|| format!("for instance `{slug}`"));
    Err(mistakes.wrong(field, expected, help))
}

fn alpha(field: &Field<'_>, mistakes: &mut Mistakes) -> Result<f64, Reported> {
    let alpha = values::quantity(field, quantity::fraction, mistakes)?;
    if alpha < 0.5 {
        return Ok(alpha);
    }
    let help = "`alpha` is the chance of a false rollback over the whole run; 1% is usual";
    Err(mistakes.wrong(field, "more than 0% and less than 50%", Some(help.into())))
}

#[cfg(test)]
pub(crate) mod examples;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
