//! What is sent: a note in the form of its receiver.

use cutover_engine::ports::Note;
use cutover_scenarios::plan::NotifyFormat;
use serde::Serialize;
use serde_json::json;

/// The body of a notification.
///
/// # Errors
/// Never for the notes that the engine makes; what serde says otherwise.
pub(crate) fn notification(format: NotifyFormat, note: &Note) -> serde_json::Result<Vec<u8>> {
    match format {
        NotifyFormat::Json => {
            let delivery = format!("{}/{}", note.run, note.seq);
            serde_json::to_vec(&Delivery { delivery, note })
        }
        NotifyFormat::Slack => serde_json::to_vec(&json!({ "text": slack_text(note) })),
    }
}

/// A note with the id that all its repetitions share, so that receivers can drop them.
#[derive(Serialize)]
struct Delivery<'a> {
    /// `run/seq`.
    delivery: String,
    #[serde(flatten)]
    note: &'a Note,
}

/// `*shop*: step 1 of 7: the target's weight is 1 %`, and the run's id below.
fn slack_text(note: &Note) -> String {
    format!(
        "*{}*: {}\n{}",
        escape(&note.plan),
        escape(&note.text),
        escape(&note.run)
    )
}

/// The three characters that control Slack's text
/// (<https://docs.slack.dev/messaging/formatting-message-text#escaping>): unescaped, a message
/// could mention everyone or hide where a link leads.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use cutover_engine::phase::{Outcome, Phase};
    use cutover_scenarios::plan::NotifyOn;

    use super::*;

    fn note() -> Note {
        Note {
            on: NotifyOn::Done,
            run: "20261120-100000-shop-0001".to_owned(),
            plan: "shop".to_owned(),
            seq: 41,
            at: "2026-11-20T10:00:00Z".parse().unwrap(),
            text: "failed: <!channel> & <https://a.example|b>".to_owned(),
            phase: Phase::Ended,
            weight_percent: Some(25.0),
            outcome: Some(Outcome::RolledBack),
        }
    }

    fn text(format: NotifyFormat) -> String {
        String::from_utf8(notification(format, &note()).unwrap()).unwrap()
    }

    #[test]
    fn a_generic_receiver_gets_the_whole_note_and_its_delivery_id() {
        let body: serde_json::Value = serde_json::from_str(&text(NotifyFormat::Json)).unwrap();
        assert_eq!(
            body,
            json!({
                "delivery": "20261120-100000-shop-0001/41",
                "on": "done",
                "run": "20261120-100000-shop-0001",
                "plan": "shop",
                "seq": 41,
                "at": "2026-11-20T10:00:00Z",
                "text": "failed: <!channel> & <https://a.example|b>",
                "phase": "ended",
                "weight_percent": 25.0,
                "outcome": "rolled_back",
            })
        );
    }

    #[test]
    fn slack_is_mentioned_nobody_and_shown_no_links() {
        assert_eq!(
            text(NotifyFormat::Slack),
            r#"{"text":"*shop*: failed: &lt;!channel&gt; &amp; &lt;https://a.example|b&gt;\n20261120-100000-shop-0001"}"#
        );
    }
}
