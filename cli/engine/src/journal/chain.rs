//! Records that are chained by their hashes, so that a change of any of them shows.
//!
//! The last field of each line is `"chain"`: SHA-256 over the chain of the record before it and the
//! record's own bytes without that field. Who changes, drops or adds a record has to write all later
//! ones anew; and the last chain is kept in a file of its own, so that records missing at the end
//! are told apart from a crash. Both are a protection against accidents and against edits by hand,
//! not against someone who rewrites every file of the run.

use sha2::{Digest as _, Sha256};

/// The chain before the first record.
pub(super) const BEGINNING: &str = "";

const FIELD: &[u8] = b",\"chain\":\"";
const END: &[u8] = b"\"}";
const DIGITS: usize = 64;

/// The chain of the record `body` (one JSON object) that follows a record with the chain `before`.
pub(super) fn link(before: &str, body: &[u8]) -> String {
    let mut hash = Sha256::new();
    hash.update(before.as_bytes());
    hash.update(body);
    hash.finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// The line of a record: its body with the chain as the last field, and a newline.
pub(super) fn line(mut body: Vec<u8>, chain: &str) -> Vec<u8> {
    // The closing brace of the object gives way to one more field.
    body.pop();
    body.extend_from_slice(FIELD);
    body.extend_from_slice(chain.as_bytes());
    body.extend_from_slice(END);
    body.push(b'\n');
    body
}

/// The body and the chain of a line without its newline; `None` when it does not end in a chain.
pub(super) fn split(line: &[u8]) -> Option<(Vec<u8>, &str)> {
    let line = line.strip_suffix(END)?;
    let (line, chain) = line.split_at_checked(line.len().checked_sub(DIGITS)?)?;
    let chain = std::str::from_utf8(chain).ok()?;
    let mut body = line.strip_suffix(FIELD)?.to_vec();
    body.push(b'}');
    Some((body, chain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_splits_into_what_it_was_made_of() {
        let body = br#"{"seq":0}"#.to_vec();
        let chain = link(BEGINNING, &body);
        let line = line(body.clone(), &chain);
        let (same, found) = split(line.strip_suffix(b"\n").unwrap()).unwrap();
        assert_eq!((same, found), (body, chain.as_str()));
        assert_eq!(split(br#"{"seq":0}"#), None);
    }

    /// SHA-256 of `{"seq":0}` and of that chain followed by `{"seq":1}`, as `sha256sum` has them.
    #[test]
    fn the_chain_is_plain_sha_256() {
        let first = link(BEGINNING, br#"{"seq":0}"#);
        let second = link(&first, br#"{"seq":1}"#);
        assert_eq!(
            first,
            "0b4a4b8d8ded37902ac671f24db72af504765ef7016d8030dc18b71edd42d092"
        );
        assert_eq!(
            second,
            "236a3bc75413280e93070061bec118b78dbdfa70f3b16af133f938e4cbc26913"
        );
    }
}
