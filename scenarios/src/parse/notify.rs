//! `notify`: who is told about the run, and about what.

use super::endpoint::{endpoint, variable};
use super::fields::{Field, Fields, Mistakes, Reported};
use super::values::{self, both, conflict, unrepeated};
use crate::diagnostic::{Kind, one_of};
use crate::keys;
use crate::plan::{Endpoint, EndpointUrl, Notify, NotifyFormat, NotifyOn};
use crate::yaml::Value;

/// Every subject, in the order of [`keys::NOTIFY_ON`] and of their values.
const SUBJECTS: [NotifyOn; 6] = [
    NotifyOn::Start,
    NotifyOn::Step,
    NotifyOn::Hold,
    NotifyOn::Breach,
    NotifyOn::Rollback,
    NotifyOn::Done,
];

const EXPECTED: &str = "a map with `webhook` or `slack`, and perhaps `on`";

/// Reads `notify`.
pub(super) fn notify(field: &Field<'_>, mistakes: &mut Mistakes) -> Result<Vec<Notify>, Reported> {
    if values::scalar(field).is_some() {
        let expected = "a list of receivers such as `{ slack: { url_env: SLACK_URL } }`";
        return Err(unrepeated(field, expected, None, mistakes));
    }
    let items = field.items(
        "receivers such as `{ slack: { url_env: SLACK_URL } }`",
        mistakes,
    )?;
    let read: Vec<_> = items.iter().map(|item| receiver(item, mistakes)).collect();
    read.into_iter().collect()
}

fn receiver(item: &Field<'_>, mistakes: &mut Mistakes) -> Result<Notify, Reported> {
    if !matches!(item.node.value, Value::Map(_)) {
        return Err(unrepeated(item, EXPECTED, None, mistakes));
    }
    let fields = Fields::of(item, keys::NOTIFY, &[], mistakes)?;
    let to = match (fields.get("webhook"), fields.get("slack")) {
        (Some(field), None) => webhook(field, mistakes).map(|to| (to, NotifyFormat::Json)),
        (None, Some(field)) => slack(field, mistakes).map(|to| (to, NotifyFormat::Slack)),
        (Some(_), Some(_)) => {
            let found = both("webhook", "slack");
            let help = Some("begin each receiver with `- `".to_owned());
            Err(conflict(
                item,
                found,
                "one receiver an item",
                help,
                mistakes,
            ))
        }
        (None, None) => Err(fields.instead_of(keys::NOTIFY_FORMATS).unwrap_or_else(|| {
            let expected = one_of(keys::NOTIFY_FORMATS);
            conflict(item, "no receiver".to_owned(), expected, None, mistakes)
        })),
    };
    let on = match fields.get("on") {
        Some(field) => subjects(field, mistakes),
        None => Ok(SUBJECTS.to_vec()),
    };
    let (endpoint, format) = to?;
    Ok(Notify {
        endpoint,
        format,
        on: on?,
    })
}

fn webhook(field: &Field<'_>, mistakes: &mut Mistakes) -> Result<Endpoint, Reported> {
    if values::scalar(field).is_some() {
        let expected = "a map with `url` or `url_env`";
        return Err(unrepeated(field, expected, None, mistakes));
    }
    let fields = Fields::of(field, keys::WEBHOOK, &[], mistakes)?;
    endpoint(&fields, mistakes)
}

/// Slack's address is a secret as a whole, so it comes from the environment.
fn slack(field: &Field<'_>, mistakes: &mut Mistakes) -> Result<Endpoint, Reported> {
    if values::scalar(field).is_some() {
        let help = Some("write `{ url_env: SLACK_URL }`".to_owned());
        return Err(unrepeated(field, "a map with `url_env`", help, mistakes));
    }
    let fields = Fields::refusing(
        field,
        keys::SLACK,
        keys::SLACK_REFUSED,
        Kind::Value,
        mistakes,
    )?;
    let name = fields
        .required("url_env", mistakes)
        .and_then(|field| variable(field, mistakes))?;
    Ok(Endpoint {
        url: EndpointUrl::Env(name),
        secret_env: None,
    })
}

/// Reads one subject, or a list of them; each once, sorted.
fn subjects(field: &Field<'_>, mistakes: &mut Mistakes) -> Result<Vec<NotifyOn>, Reported> {
    let items = if values::scalar(field).is_some() {
        vec![field.clone()]
    } else {
        field.items("subjects such as `[breach, rollback, done]`", mistakes)?
    };
    let read: Vec<_> = items.iter().map(|item| subject(item, mistakes)).collect();
    let mut subjects: Vec<NotifyOn> = read.into_iter().collect::<Result<_, _>>()?;
    subjects.sort_unstable();
    if let Some(twice) = subjects.windows(2).find(|pair| pair[0] == pair[1]) {
        let name = keys::NOTIFY_ON[twice[0] as usize];
        let found = format!("`{name}` twice");
        return Err(conflict(field, found, "each subject once", None, mistakes));
    }
    Ok(subjects)
}

fn subject(field: &Field<'_>, mistakes: &mut Mistakes) -> Result<NotifyOn, Reported> {
    Ok(match values::word(field, keys::NOTIFY_ON, mistakes)? {
        "start" => NotifyOn::Start,
        "step" => NotifyOn::Step,
        "hold" => NotifyOn::Hold,
        "breach" => NotifyOn::Breach,
        "rollback" => NotifyOn::Rollback,
        _ => NotifyOn::Done,
    })
}
