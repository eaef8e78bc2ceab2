//! The head of a response: what it is, how its body ends, what becomes of the connection.

use std::mem::MaybeUninit;

use httparse::{Header, ParserConfig, Status};

use super::ProtocolError;
use super::body::Body;

/// Heads longer than this are refused, so that a broken peer cannot fill our memory.
pub(crate) const HEAD_LIMIT: usize = 64 * 1024;

/// Most header lines in a response.
const MOST_HEADERS: usize = 128;

/// Which arm a response header names.
#[derive(Debug, Clone)]
pub(crate) struct ArmHeader {
    /// Name of the header.
    pub(crate) name: String,
    /// Its values, by arm.
    pub(crate) arms: Vec<String>,
}

/// What matters of a final response's head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    /// 200–599.
    pub(crate) status: u16,
    /// How the body is framed.
    pub(crate) body: Body,
    /// Another request may follow on the connection once the body is read.
    pub(crate) keep_alive: bool,
    /// The arm that the attribution header names.
    pub(crate) arm: Option<usize>,
}

/// What the bytes read so far amount to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Parsed {
    /// Not a whole head yet.
    Partial,
    /// An interim response (1xx) of this many bytes; the final one comes after it.
    Interim(usize),
    /// A final head of this many bytes.
    Final(usize, Head),
}

/// Reads the head at the beginning of `bytes`.
///
/// The rules for the body's length are RFC 9112 §6.3, in its order.
///
/// # Errors
/// Malformed, too long, too many headers, contradictory lengths, or a switch of protocols that
/// was not asked for.
pub(crate) fn parse(
    bytes: &[u8],
    to_head: bool,
    arm_header: Option<&ArmHeader>,
) -> Result<Parsed, ProtocolError> {
    let mut lines = [MaybeUninit::<Header<'_>>::uninit(); MOST_HEADERS];
    let mut response = httparse::Response::new(&mut []);
    let config = ParserConfig::default();
    let length = match config.parse_response_with_uninit_headers(&mut response, bytes, &mut lines) {
        Ok(Status::Complete(length)) => length,
        Ok(Status::Partial) if bytes.len() < HEAD_LIMIT => return Ok(Parsed::Partial),
        Ok(Status::Partial) | Err(_) => return Err(ProtocolError),
    };
    let status = response.code.ok_or(ProtocolError)?;
    match status {
        101 => return Err(ProtocolError),
        100..=199 => return Ok(Parsed::Interim(length)),
        200..=599 => {}
        _ => return Err(ProtocolError),
    }

    let mut content_length = None;
    let mut coding = None;
    // HTTP/1.1 keeps connections unless told otherwise, 1.0 the other way round.
    let mut keep_alive = response.version == Some(1);
    let mut arm = None;
    for header in response.headers.iter() {
        // Most names are told apart by their length alone.
        if header.name.eq_ignore_ascii_case("content-length") {
            content_length = Some(parse_length(header.value, content_length)?);
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
            coding = Some(last_item(header.value));
        } else if header.name.eq_ignore_ascii_case("connection") {
            for option in items(header.value) {
                if option.eq_ignore_ascii_case(b"close") {
                    keep_alive = false;
                } else if option.eq_ignore_ascii_case(b"keep-alive") && response.version == Some(0)
                {
                    keep_alive = true;
                }
            }
        } else if let Some(wanted) = arm_header
            && header.name.eq_ignore_ascii_case(&wanted.name)
        {
            arm = wanted
                .arms
                .iter()
                .position(|name| name.as_bytes() == header.value.trim_ascii());
        }
    }

    let body = if to_head || status == 204 || status == 304 {
        Body::None
    } else if let Some(coding) = coding {
        // Both framings at once is how requests are smuggled: read it, then hang up.
        keep_alive &= content_length.is_none();
        if coding.eq_ignore_ascii_case(b"chunked") {
            Body::chunked()
        } else {
            Body::UntilClose
        }
    } else if let Some(length) = content_length {
        Body::length(length)
    } else {
        Body::UntilClose
    };
    keep_alive &= body != Body::UntilClose;
    let head = Head {
        status,
        body,
        keep_alive,
        arm,
    };
    Ok(Parsed::Final(length, head))
}

/// A length that may be repeated as long as it agrees with itself (RFC 9110 §8.6).
fn parse_length(value: &[u8], earlier: Option<u64>) -> Result<u64, ProtocolError> {
    let mut agreed = earlier;
    for item in items(value) {
        if item.is_empty() || !item.iter().all(u8::is_ascii_digit) {
            return Err(ProtocolError);
        }
        let length = item.iter().try_fold(0_u64, |sum, digit| {
            sum.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
        });
        let length = length.ok_or(ProtocolError)?;
        if agreed.is_some_and(|agreed| agreed != length) {
            return Err(ProtocolError);
        }
        agreed = Some(length);
    }
    agreed.ok_or(ProtocolError)
}

fn items(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii)
}

fn last_item(value: &[u8]) -> &[u8] {
    items(value).last().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &str) -> Result<Parsed, ProtocolError> {
        parse(text.as_bytes(), false, None)
    }

    fn last(text: &str) -> Head {
        match head(text) {
            Ok(Parsed::Final(length, head)) if length == text.len() => head,
            other => panic!("{other:?} from {text:?}"),
        }
    }

    #[test]
    fn the_body_is_framed_as_rfc_9112_says() {
        let cases = [
            ("200 OK\r\nContent-Length: 12", Body::length(12), true),
            ("200 OK\r\nContent-Length: 12, 12", Body::length(12), true),
            ("200 OK\r\nContent-Length: 0", Body::None, true),
            (
                "200 OK\r\nTransfer-Encoding: chunked",
                Body::chunked(),
                true,
            ),
            (
                "200 OK\r\ntransfer-encoding: gzip, Chunked",
                Body::chunked(),
                true,
            ),
            ("200 OK\r\nTransfer-Encoding: gzip", Body::UntilClose, false),
            (
                "200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3",
                Body::chunked(),
                false,
            ),
            ("200 OK\r\nServer: x", Body::UntilClose, false),
            ("204 No Content\r\nServer: x", Body::None, true),
            ("304 Not Modified\r\nContent-Length: 7", Body::None, true),
            (
                "200 OK\r\nContent-Length: 1\r\nConnection: close",
                Body::length(1),
                false,
            ),
        ];
        for (text, body, keep_alive) in cases {
            let head = last(&format!("HTTP/1.1 {text}\r\n\r\n"));
            assert_eq!((head.body, head.keep_alive), (body, keep_alive), "{text}");
        }
    }

    #[test]
    fn the_old_version_closes_unless_it_says_otherwise() {
        assert!(!last("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n").keep_alive);
        let kept = "HTTP/1.0 200 OK\r\nContent-Length: 1\r\nConnection: Keep-Alive\r\n\r\n";
        assert!(last(kept).keep_alive);
    }

    #[test]
    fn a_response_to_head_has_no_body() {
        let text = b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n";
        let Ok(Parsed::Final(_, head)) = parse(text, true, None) else {
            panic!("a final head");
        };
        assert_eq!(head.body, Body::None);
        assert!(head.keep_alive);
    }

    #[test]
    fn interim_responses_are_told_apart() {
        let text = "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n";
        assert_eq!(head(text), Ok(Parsed::Interim(text.len())));
    }

    #[test]
    fn an_incomplete_head_waits_for_more_up_to_the_limit() {
        assert_eq!(head("HTTP/1.1 200 OK\r\nA: b\r\n"), Ok(Parsed::Partial));
        let endless = format!("HTTP/1.1 200 OK\r\nA: {}", "b".repeat(HEAD_LIMIT));
        assert_eq!(head(&endless), Err(ProtocolError));
    }

    #[test]
    fn what_cannot_be_trusted_is_refused() {
        let cases = [
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
            "HTTP/1.1 101 Switching Protocols\r\n\r\n",
            "HTTP/1.1 999 What\r\n\r\n",
            "SSH-2.0-OpenSSH_9.2\r\n\r\n",
        ];
        for text in cases {
            assert_eq!(head(text), Err(ProtocolError), "{text}");
        }
    }

    #[test]
    fn the_arm_is_read_from_its_header() {
        let header = ArmHeader {
            name: "X-Stack".into(),
            arms: vec!["source".into(), "target".into()],
        };
        let arm = |value: &str| {
            let text = format!("HTTP/1.1 200 OK\r\nx-stack: {value}\r\nContent-Length: 0\r\n\r\n");
            match parse(text.as_bytes(), false, Some(&header)) {
                Ok(Parsed::Final(_, head)) => head.arm,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(arm("target"), Some(1));
        assert_eq!(arm("stranger"), None);
    }
}
