//! What HTTP allows where a plan names hosts and paths.

use crate::diagnostic::quote;

/// A request line longer than this is refused by common servers (nginx: 8 KiB).
pub(crate) const LONGEST_PATH: usize = 8000;

/// Whether a text is a host name (RFC 1123 §2.1), with the underscores that private names have.
pub(crate) fn is_host_name(name: &str) -> bool {
    let label = |label: &str| {
        let letter = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        (1..=63).contains(&label.len()) && label.bytes().all(letter)
    };
    name.len() <= 253 && name.split('.').all(label)
}

/// Why a path and query cannot be sent as they are (RFC 3986 §3.3, §3.4), if they cannot.
pub(crate) fn unfit_for_a_request_line(path: &str) -> Option<String> {
    // Square brackets are not quite allowed in a query, but widely used there.
    const PUNCTUATION: &[u8] = b"-._~!$&'()*+,;=:@/?%[]";
    if !path.starts_with('/') {
        return Some("begin it with `/`".to_owned());
    }
    if path.starts_with("//") {
        return Some("begin it with a single `/`; what follows two is read as a host".to_owned());
    }
    if path.len() > LONGEST_PATH {
        return Some(format!(
            "it has {} bytes; write at most {LONGEST_PATH}",
            path.len()
        ));
    }
    if path.contains('#') {
        return Some("a fragment (`#…`) is never sent; remove it".to_owned());
    }
    let allowed =
        |c: char| c.is_ascii_alphanumeric() || c.is_ascii() && PUNCTUATION.contains(&(c as u8));
    if let Some(character) = path.chars().find(|c| !allowed(*c)) {
        let mut utf8 = [0; 4];
        let encoded: String = character
            .encode_utf8(&mut utf8)
            .bytes()
            .map(|byte| format!("%{byte:02X}"))
            .collect();
        let character = quote(&character.to_string());
        return Some(format!("write {character} as `{encoded}`"));
    }
    let is_hex = |digits: Option<&str>| {
        digits.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
    };
    let mut after_percent = path.split('%').skip(1);
    if after_percent.any(|rest| !is_hex(rest.get(..2))) {
        return Some("write a percent sign as `%25`".to_owned());
    }
    None
}
