//! Requests as the bytes that go out, rendered once per stream.

use crate::config::RequestSpec;

/// A request that is ready to be sent any number of times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    /// Head and body.
    pub(crate) bytes: Vec<u8>,
    /// The response has no body, whatever its head says.
    pub(crate) is_head: bool,
    /// Sending it twice does what sending it once does (RFC 9110 §9.2.2), so it may be tried
    /// again when a kept connection turns out to be closed.
    pub(crate) idempotent: bool,
    /// It asks for the connection to be closed.
    pub(crate) closes: bool,
}

impl Request {
    /// Renders a request that has been checked.
    pub(crate) fn render(spec: &RequestSpec) -> Self {
        let mut head = format!("{} {} HTTP/1.1\r\n", spec.method, spec.path);
        let mut closes = false;
        for (name, value) in &spec.headers {
            closes |= name.eq_ignore_ascii_case("connection")
                && value
                    .split(',')
                    .any(|option| option.trim().eq_ignore_ascii_case("close"));
            head.push_str(name);
            head.push_str(": ");
            head.push_str(value);
            head.push_str("\r\n");
        }
        // RFC 9110 §8.6: methods that give meaning to a body say so even when it is empty.
        let expects_body = ["POST", "PUT", "PATCH"].contains(&spec.method.as_str());
        if expects_body || !spec.body.is_empty() {
            head.push_str(&format!("Content-Length: {}\r\n", spec.body.len()));
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(&spec.body);
        let idempotent = ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"];
        Request {
            bytes,
            is_head: spec.method == "HEAD",
            idempotent: idempotent.contains(&spec.method.as_str()),
            closes,
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn rendered(method: &str, body: &'static str) -> Request {
        Request::render(&RequestSpec {
            method: method.into(),
            path: "/a?b=c".into(),
            headers: vec![("Host".into(), "shop".into())],
            body: Bytes::from_static(body.as_bytes()),
            share: 1,
        })
    }

    #[test]
    fn a_get_has_no_length() {
        let request = rendered("GET", "");
        assert_eq!(request.bytes, b"GET /a?b=c HTTP/1.1\r\nHost: shop\r\n\r\n");
        assert!(request.idempotent && !request.is_head && !request.closes);
    }

    #[test]
    fn a_post_has_a_length_even_when_it_is_empty() {
        let head = "POST /a?b=c HTTP/1.1\r\nHost: shop\r\nContent-Length: ";
        assert_eq!(
            rendered("POST", "").bytes,
            format!("{head}0\r\n\r\n").as_bytes()
        );
        let request = rendered("POST", "body");
        assert_eq!(request.bytes, format!("{head}4\r\n\r\nbody").as_bytes());
        assert!(!request.idempotent);
    }

    #[test]
    fn a_request_to_close_is_noticed() {
        let request = Request::render(&RequestSpec {
            method: "GET".into(),
            path: "/".into(),
            headers: vec![("connection".into(), "foo, Close".into())],
            body: Bytes::new(),
            share: 1,
        });
        assert!(request.closes);
    }
}
