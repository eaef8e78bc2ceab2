//! What a server answered, as a sentence that is safe to show: short, without control characters,
//! and without the secrets that servers like to repeat ("cannot POST /services/…").

use cutover_engine::secret::Secret;
use cutover_scenarios::address::Address;
use http::StatusCode;

/// Characters of an answer that are shown.
const SHOWN_AT_MOST: usize = 200;
/// A shorter part of a path or a key is no secret; leaving it out would maim every sentence.
const SHORTEST_SECRET: usize = 4;

/// `403 Forbidden: change freeze until Monday`.
pub(crate) fn sentence(
    status: StatusCode,
    content_type: Option<&str>,
    body: &[u8],
    secrets: &[Secret],
) -> String {
    let mut sentence = status.as_u16().to_string();
    if let Some(reason) = status.canonical_reason() {
        sentence.push(' ');
        sentence.push_str(reason);
    }
    if status.is_redirection() {
        sentence.push_str(": redirects are not followed; write the address it leads to");
        return sentence;
    }
    // A page for browsers says little in its first lines.
    let is_page = content_type.is_some_and(|kind| kind.starts_with("text/html"));
    let text = readable(&redact(&String::from_utf8_lossy(body), secrets));
    if !is_page && !text.is_empty() {
        sentence.push_str(": ");
        sentence.push_str(&text);
    }
    sentence
}

/// All of an address, and of what goes with it, that no sentence may contain; longest first, so
/// that a part does not spoil the whole.
pub(crate) fn secrets_of(address: &Address, key: Option<&Secret>) -> Vec<Secret> {
    let target = address.target();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut parts = vec![target, path, query];
    // Words of a path are no secrets, and answers consist of words.
    let has_digit = |part: &&str| part.contains(|c: char| c.is_ascii_digit());
    parts.extend(path.split('/').filter(has_digit));
    parts.extend(
        query
            .split('&')
            .map(|pair| pair.split_once('=').map_or(pair, |(_, value)| value)),
    );
    parts.extend(address.userinfo());
    parts.extend(address.userinfo().iter().flat_map(|user| user.split(':')));
    parts.extend(key.map(Secret::reveal));
    parts.retain(|part| part.len() >= SHORTEST_SECRET);
    parts.sort_unstable_by_key(|part| std::cmp::Reverse(part.len()));
    parts.dedup();
    parts.into_iter().map(Secret::new).collect()
}

/// The text without the secrets.
pub(crate) fn redact(text: &str, secrets: &[Secret]) -> String {
    secrets.iter().fold(text.to_owned(), |text, secret| {
        text.replace(secret.reveal(), "***")
    })
}

/// One line of characters that a terminal shows and does not obey, cut to a readable length.
fn readable(text: &str) -> String {
    // Zero-width characters and changes of the direction of writing hide what stands there.
    let misleads = |c: char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
    let shown: String = text
        .chars()
        .map(|c| {
            if c.is_control() || misleads(c) {
                ' '
            } else {
                c
            }
        })
        .collect();
    let line = shown.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(SHOWN_AT_MOST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(status: u16, body: &str) -> String {
        let status = StatusCode::from_u16(status).unwrap();
        sentence(status, Some("text/plain"), body.as_bytes(), &[])
    }

    #[test]
    fn an_answer_is_status_and_words() {
        assert_eq!(
            told(403, "change freeze until Monday\n"),
            "403 Forbidden: change freeze until Monday"
        );
        assert_eq!(told(500, ""), "500 Internal Server Error");
        assert_eq!(told(599, "?"), "599: ?");
        let page = sentence(
            StatusCode::BAD_GATEWAY,
            Some("text/html; charset=utf-8"),
            b"<html>",
            &[],
        );
        assert_eq!(page, "502 Bad Gateway");
    }

    #[test]
    fn a_terminal_shows_an_answer_and_does_not_obey_it() {
        assert_eq!(
            told(403, "\u{1b}[2J\u{7}no\r\n\u{202e}not\0 now\u{85}"),
            "403 Forbidden: [2J no not now"
        );
        let long = told(403, &"é".repeat(5000));
        assert_eq!(long.chars().filter(|c| *c == 'é').count(), SHOWN_AT_MOST);
        assert!(long.ends_with('…'));
    }

    #[test]
    fn bytes_that_are_no_text_are_survived() {
        let answer = sentence(StatusCode::OK, None, &[0xff, 0xfe, b'o', b'k'], &[]);
        assert!(answer.ends_with("ok"), "{answer}");
    }

    #[test]
    fn what_a_server_repeats_of_the_address_is_hidden() {
        let address =
            Address::read("https://ann:hunter2@a.example/services/T0/hunter3?token=hunter4")
                .unwrap();
        let key = Secret::new("hunter5");
        let secrets = secrets_of(&address, Some(&key));
        for echo in [
            "cannot POST /services/T0/hunter3?token=hunter4",
            "no route /services/T0/hunter3",
            "unknown token hunter4 of hunter2, key hunter5, id hunter3",
        ] {
            let told = redact(echo, &secrets);
            assert!(!told.contains("hunter"), "{told}");
            assert!(told.contains("***"), "{told}");
        }
    }
}
