//! Reading a response head and deciding how its body is framed (RFC 9112 §4 and §6.3).

use std::mem::MaybeUninit;
use std::ops::Range;

use bytes::BytesMut;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};

use crate::headers::hop_by_hop::{Nominated, is_hop_by_hop};

/// A response head above this is refused.
const MAX_HEAD: usize = 64 * 1024;
const MAX_FIELDS: usize = 128;

/// How the end of a response body is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    Empty,
    Length(u64),
    Chunked,
    /// Until the upstream closes.
    Close,
}

#[derive(Debug)]
pub(crate) struct ResponseHead {
    pub(crate) status: StatusCode,
    /// Without the fields of the connection.
    pub(crate) headers: HeaderMap,
    pub(crate) framing: Framing,
    /// The upstream will take another request on this connection.
    pub(crate) keep_alive: bool,
    /// The protocol of a 101 response.
    pub(crate) upgrade: Option<HeaderValue>,
}

/// The response is not HTTP/1, or its framing is ambiguous.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Invalid;

/// Takes a response head off the front of `received`. `None` when more bytes are needed.
/// Interim responses (100, 102, 103) are skipped: the server side could not pass them on.
pub(crate) fn parse(
    received: &mut BytesMut,
    method: &Method,
) -> Result<Option<ResponseHead>, Invalid> {
    loop {
        match parse_one(received, method)? {
            Some(head) if head.status.is_informational() && head.upgrade.is_none() => {}
            other => return Ok(other),
        }
    }
}

fn parse_one(received: &mut BytesMut, method: &Method) -> Result<Option<ResponseHead>, Invalid> {
    if received.is_empty() {
        return Ok(None);
    }
    // Left uninitialised: clearing room for every possible field costs more than parsing a few.
    let mut fields = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut response = httparse::Response::new(&mut []);
    let outcome = httparse::ParserConfig::default().parse_response_with_uninit_headers(
        &mut response,
        received,
        &mut fields,
    );
    let length = match outcome {
        Ok(httparse::Status::Complete(length)) if length <= MAX_HEAD => length,
        Ok(httparse::Status::Partial) if received.len() <= MAX_HEAD => return Ok(None),
        _ => return Err(Invalid),
    };
    // Offsets instead of slices, because the bytes are split off once the length is known.
    let mut spans = [(Span::default(), Span::default()); MAX_FIELDS];
    let count = response.headers.len();
    for (span, field) in spans.iter_mut().zip(response.headers.iter()) {
        *span = (
            Span::of(field.name.as_bytes(), received)?,
            Span::of(field.value, received)?,
        );
    }
    let spans = &spans[..count];
    let status = StatusCode::from_u16(response.code.unwrap_or(0)).map_err(|_| Invalid)?;
    let is_http11 = response.version == Some(1);
    let head = received.split_to(length).freeze();

    let mut nominated = Nominated::default();
    let mut keep_alive = is_http11;
    for (name, value) in spans {
        if head[name.range()].eq_ignore_ascii_case(b"connection") {
            let value = &head[value.range()];
            nominated.add(value);
            for token in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
                if token.eq_ignore_ascii_case(b"close") {
                    keep_alive = false;
                } else if token.eq_ignore_ascii_case(b"keep-alive") && !is_http11 {
                    keep_alive = true;
                }
            }
        }
    }
    let mut headers = HeaderMap::with_capacity(count + 1);
    let mut length = None;
    let mut chunked = None;
    let mut upgrade = None;
    for (name, value) in spans {
        let name = HeaderName::from_bytes(&head[name.range()]).map_err(|_| Invalid)?;
        let value =
            HeaderValue::from_maybe_shared(head.slice(value.range())).map_err(|_| Invalid)?;
        match name {
            header::TRANSFER_ENCODING => {
                let is_chunked = value.as_bytes().eq_ignore_ascii_case(b"chunked");
                if chunked.replace(is_chunked).is_some() {
                    return Err(Invalid);
                }
                continue;
            }
            header::CONTENT_LENGTH => {
                let number = parse_length(value.as_bytes()).ok_or(Invalid)?;
                if length.is_some_and(|earlier| earlier != number) {
                    return Err(Invalid);
                }
                if length.replace(number).is_some() {
                    continue;
                }
            }
            header::UPGRADE => {
                upgrade = Some(value);
                continue;
            }
            _ if is_hop_by_hop(&name) || nominated.contains(name.as_str()) => continue,
            _ => {}
        }
        headers.append(name, value);
    }
    let bodiless = *method == Method::HEAD
        || status.is_informational()
        || status == StatusCode::NO_CONTENT
        || status == StatusCode::NOT_MODIFIED;
    let framing = match (bodiless, chunked, length) {
        // Both is how responses are smuggled; a coding that is not `chunked` cannot be framed.
        (_, Some(_), Some(_)) | (false, Some(false), _) => return Err(Invalid),
        (true, ..) | (_, None, Some(0)) => Framing::Empty,
        (_, Some(true), _) => Framing::Chunked,
        (_, None, Some(length)) => Framing::Length(length),
        (_, None, None) => Framing::Close,
    };
    if status == StatusCode::NO_CONTENT {
        headers.remove(header::CONTENT_LENGTH);
    }
    let upgrade = upgrade.filter(|_| status == StatusCode::SWITCHING_PROTOCOLS);
    if status == StatusCode::SWITCHING_PROTOCOLS && upgrade.is_none() {
        return Err(Invalid);
    }
    let keep_alive = keep_alive && framing != Framing::Close;
    Ok(Some(ResponseHead {
        status,
        headers,
        framing,
        keep_alive,
        upgrade,
    }))
}

/// Where a part of a head lies, small because there is one pair for every possible field.
/// [`MAX_HEAD`] keeps offsets below 2¹⁶.
#[derive(Clone, Copy, Default)]
struct Span {
    start: u16,
    end: u16,
}

impl Span {
    /// Where `part` lies in `whole`, of which it is a slice.
    fn of(part: &[u8], whole: &[u8]) -> Result<Self, Invalid> {
        let start = (part.as_ptr() as usize).wrapping_sub(whole.as_ptr() as usize);
        let offset = |at: usize| u16::try_from(at).map_err(|_| Invalid);
        Ok(Span {
            start: offset(start)?,
            end: offset(start.wrapping_add(part.len()))?,
        })
    }

    fn range(self) -> Range<usize> {
        usize::from(self.start)..usize::from(self.end)
    }
}

/// Digits only: `u64::parse` alone would take a sign.
fn parse_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str, method: Method) -> Result<Option<ResponseHead>, Invalid> {
        parse(&mut BytesMut::from(text), &method)
    }

    fn framing(text: &str, method: Method) -> Result<Framing, Invalid> {
        parsed(text, method).map(|head| head.expect("a whole head").framing)
    }

    #[test]
    fn the_body_ends_where_its_framing_says() {
        let ok = "HTTP/1.1 200 OK\r\n";
        for (fields, expected) in [
            ("content-length: 5\r\n", Ok(Framing::Length(5))),
            (
                "content-length: 5\r\ncontent-length: 5\r\n",
                Ok(Framing::Length(5)),
            ),
            ("content-length: 0\r\n", Ok(Framing::Empty)),
            ("transfer-encoding: Chunked\r\n", Ok(Framing::Chunked)),
            ("", Ok(Framing::Close)),
            ("content-length: 5\r\ncontent-length: 6\r\n", Err(Invalid)),
            ("content-length: +5\r\n", Err(Invalid)),
            ("content-length: 5, 5\r\n", Err(Invalid)),
            (
                "content-length: 5\r\ntransfer-encoding: chunked\r\n",
                Err(Invalid),
            ),
            ("transfer-encoding: gzip\r\n", Err(Invalid)),
        ] {
            let text = format!("{ok}{fields}\r\n");
            assert_eq!(framing(&text, Method::GET), expected, "{fields:?}");
        }
    }

    #[test]
    fn responses_to_head_and_204_and_304_have_no_body() {
        let text = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n";
        assert_eq!(framing(text, Method::HEAD), Ok(Framing::Empty));
        for status in ["204 No Content", "304 Not Modified"] {
            let text = format!("HTTP/1.1 {status}\r\n\r\n");
            assert_eq!(framing(&text, Method::GET), Ok(Framing::Empty), "{status}");
        }
    }

    #[test]
    fn interim_responses_are_skipped() {
        let text = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n\
                    HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n";
        let head = parsed(text, Method::POST).unwrap().unwrap();
        assert_eq!(head.status, StatusCode::CREATED);
    }

    #[test]
    fn connection_fields_are_dropped_and_obeyed() {
        let text = "HTTP/1.1 200 OK\r\nconnection: x-a\r\nconnection: close, x-b\r\nx-a: 1\r\n\
                    x-b: 2\r\nx-c: 3\r\nkeep-alive: 5\r\ncontent-length: 0\r\n\r\n";
        let head = parsed(text, Method::GET).unwrap().unwrap();
        let names: Vec<&str> = head.headers.keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["x-c", "content-length"]);
        assert!(!head.keep_alive);
    }

    #[test]
    fn an_incomplete_head_waits_and_rubbish_does_not() {
        assert!(
            parsed("HTTP/1.1 200 OK\r\nx: ", Method::GET)
                .unwrap()
                .is_none()
        );
        assert!(parsed("SMTP ready\r\n\r\n", Method::GET).is_err());
    }
}
