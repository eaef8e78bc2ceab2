//! The gates of steps: a person, days and hours, or a web service.

use std::time::Duration;

use super::endpoint::endpoint;
use super::fields::{Field, Fields, Mistakes, Reported};
use super::values::{self, Zero, both, conflict, optional};
use super::window::window;
use crate::defaults;
use crate::diagnostic::did_you_mean;
use crate::keys;
use crate::plan::{Gate, WebhookGate};
use crate::quantity::show_duration;
use crate::yaml::Value;

const EXPECTED: &str = "`manual`, or a map with `window` or `webhook`";
const WRITE_WEBHOOK: &str =
    "write `{ webhook: { url: … } }`, or `url_env` for an address that is a secret";
/// Asking more often is a load on the service that helps nobody.
const MOST_OFTEN: Duration = Duration::from_secs(1);

/// Reads `manual`, `{ window: … }` or `{ webhook: … }`.
pub(super) fn gate(field: &Field<'_>, mistakes: &mut Mistakes) -> Result<Gate, Reported> {
    let help = match (&field.node.value, values::scalar(field)) {
        (Value::Map(_), _) => return written_out(field, mistakes),
        (_, Some("manual")) => return Ok(Gate::Manual),
        (_, Some("window")) => Some(
            "write `{ window: { days: mon-fri, hours: \"09:00-17:00\", time_zone: Europe/Berlin } }`"
                .to_owned(),
        ),
        (_, Some("webhook")) => Some(WRITE_WEBHOOK.to_owned()),
        // An address may be a secret, so none is repeated.
        (_, Some(word)) if word.contains("://") => {
            let help = Some(WRITE_WEBHOOK.to_owned());
            return Err(values::unrepeated(field, EXPECTED, help, mistakes));
        }
        (_, Some(word)) => did_you_mean(word, ["manual", "window", "webhook"]),
        (_, None) => None,
    };
    Err(mistakes.wrong(field, EXPECTED, help))
}

fn written_out(field: &Field<'_>, mistakes: &mut Mistakes) -> Result<Gate, Reported> {
    let fields = Fields::of(field, keys::GATE, &[], mistakes)?;
    let mut kinds = fields.iter();
    match (kinds.next(), kinds.next()) {
        (Some(("webhook", inner)), None) => webhook(inner, mistakes).map(Gate::Webhook),
        (Some((_, inner)), None) => window(inner, mistakes).map(Gate::Window),
        (Some((first, _)), Some((second, _))) => {
            let help = Some("give the next step the other gate".to_owned());
            let found = both(first, second);
            Err(conflict(field, found, "one gate", help, mistakes))
        }
        (None, _) => Err(fields.instead_of(keys::GATE).unwrap_or_else(|| {
            conflict(
                field,
                "no gate".to_owned(),
                "`window` or `webhook`",
                None,
                mistakes,
            )
        })),
    }
}

fn webhook(field: &Field<'_>, mistakes: &mut Mistakes) -> Result<WebhookGate, Reported> {
    if values::scalar(field).is_some() {
        let expected = "a map with `url` or `url_env`";
        return Err(values::unrepeated(field, expected, None, mistakes));
    }
    let fields = Fields::of(field, keys::WEBHOOK_GATE, &[], mistakes)?;
    let endpoint = endpoint(&fields, mistakes);
    let timeout = optional(&fields, "timeout", defaults::GATE_TIMEOUT, |field| {
        values::duration(field, Zero::Refused, mistakes)
    });
    let every = optional(&fields, "every", defaults::GATE_EVERY, |field| {
        let every = values::duration(field, Zero::Refused, mistakes)?;
        if every < MOST_OFTEN {
            let expected = format!("at least `{}`", show_duration(MOST_OFTEN));
            return Err(mistakes.wrong(field, expected, None));
        }
        Ok(every)
    });
    Ok(WebhookGate {
        endpoint: endpoint?,
        timeout: timeout?,
        every: every?,
    })
}
