//! Fields that belong to one connection and are not forwarded (RFC 9110 §7.6.1).

use http::HeaderName;
use http::header;

/// Names that a message's `Connection` fields nominate, lower-cased.
///
/// Every `Connection` line counts, not only the first.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Nominated {
    names: Vec<String>,
}

impl Nominated {
    /// Adds the names in one `Connection` value.
    pub(crate) fn add(&mut self, value: &[u8]) {
        for token in value.split(|byte| *byte == b',') {
            let token = token.trim_ascii();
            // The two options that everybody sends nominate nothing.
            if token.is_empty()
                || token.eq_ignore_ascii_case(b"close")
                || token.eq_ignore_ascii_case(b"keep-alive")
            {
                continue;
            }
            let name = String::from_utf8_lossy(token).to_ascii_lowercase();
            if !is_protected(&name) {
                self.names.push(name);
            }
        }
    }

    /// Whether `name` (lower case) was nominated.
    pub(crate) fn contains(&self, name: &str) -> bool {
        self.names.iter().any(|nominated| nominated == name)
    }
}

/// Fields that a peer may not have dropped by nominating them: without them the next hop would
/// frame, route or authorise the message differently.
fn is_protected(name: &str) -> bool {
    matches!(
        name,
        "host" | "content-length" | "authorization" | "cookie" | "x-real-ip" | "x-request-id"
    ) || name.starts_with("x-forwarded-")
        || name.starts_with("x-original-forwarded-")
}

/// Whether a field always belongs to one connection.
///
/// `Trailer` is end-to-end and stays. `Proxy-Authenticate` and `Proxy-Authorization` belong to
/// forward proxies and pass, as they do through nginx.
pub(crate) fn is_hop_by_hop(name: &HeaderName) -> bool {
    match *name {
        header::CONNECTION | header::TE | header::TRANSFER_ENCODING | header::UPGRADE => true,
        _ => matches!(name.as_str(), "keep-alive" | "proxy-connection"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nominated(lines: &[&str]) -> Nominated {
        let mut nominated = Nominated::default();
        for line in lines {
            nominated.add(line.as_bytes());
        }
        nominated
    }

    #[test]
    fn every_connection_line_nominates() {
        let found = nominated(&["close, X-One", " x-two ,", "keep-alive"]);
        assert_eq!(found.names, ["x-one", "x-two"]);
        assert!(found.contains("x-two") && !found.contains("close"));
    }

    #[test]
    fn framing_identity_and_forwarding_fields_cannot_be_nominated() {
        for name in [
            "Host",
            "Content-Length",
            "Authorization",
            "Cookie",
            "X-Forwarded-For",
            "X-Real-IP",
            "X-Original-Forwarded-For",
        ] {
            assert_eq!(nominated(&[name]), Nominated::default(), "{name}");
        }
    }

    #[test]
    fn connection_fields_are_hop_by_hop_and_end_to_end_fields_are_not() {
        for name in [
            "connection",
            "keep-alive",
            "proxy-connection",
            "te",
            "transfer-encoding",
            "upgrade",
        ] {
            assert!(is_hop_by_hop(&HeaderName::from_static(name)), "{name}");
        }
        for name in [
            "trailer",
            "host",
            "content-length",
            "x-keep-alive",
            "accept-encoding",
        ] {
            assert!(!is_hop_by_hop(&HeaderName::from_static(name)), "{name}");
        }
    }
}
