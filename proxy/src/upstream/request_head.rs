//! The request head as the upstream gets it: decided and written in one pass over the fields.

use std::io::Write;
use std::net::SocketAddr;

use http::header::{self, HeaderValue};
use http::{Method, Version, request};

use crate::config::{Cidr, ForwardingField};
use crate::error::Cause;
use crate::headers::hop_by_hop::{Nominated, is_hop_by_hop};
use crate::headers::{forwarded, host};

/// What is known about a client connection before its requests.
#[derive(Debug)]
pub(crate) struct Client {
    peer: SocketAddr,
    is_trusted: bool,
    local_port: u16,
    fields: Vec<ForwardingField>,
    trusted: Vec<Cidr>,
    /// The lines that are the same for each request of an untrusted peer.
    fixed_lines: Vec<u8>,
}

impl Client {
    pub(crate) fn new(
        peer: SocketAddr,
        local_port: u16,
        fields: &[ForwardingField],
        trusted: &[Cidr],
    ) -> Self {
        let ip = peer.ip().to_canonical();
        let mut fixed_lines = Vec::new();
        for field in fields {
            let value = match field {
                ForwardingField::For | ForwardingField::RealIp => ip.to_string(),
                ForwardingField::Proto => "http".to_owned(),
                ForwardingField::Port => local_port.to_string(),
                ForwardingField::Host | ForwardingField::RequestId => continue,
            };
            line(&mut fixed_lines, field.name(), value.as_bytes());
        }
        Client {
            peer: SocketAddr::new(ip, peer.port()),
            is_trusted: trusted.iter().any(|range| range.contains(ip)),
            local_port,
            fields: fields.to_vec(),
            trusted: trusted.to_vec(),
            fixed_lines,
        }
    }
}

/// How the request body is framed towards the upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    Empty,
    Length(u64),
    Chunked,
}

/// What the rest of the exchange needs to know about the head.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Encoded {
    pub(crate) framing: Framing,
    pub(crate) wants_upgrade: bool,
}

/// Writes the head for the upstream into `out`.
///
/// # Errors
/// The request must not be forwarded.
pub(crate) fn encode(
    request: &request::Parts,
    client: &Client,
    default_host: &HeaderValue,
    request_id: u64,
    out: &mut Vec<u8>,
) -> Result<Encoded, Cause> {
    if request.method == Method::CONNECT {
        return Err(Cause::ConnectUnsupported);
    }
    let headers = &request.headers;
    let mut nominated = Nominated::default();
    for value in headers.get_all(header::CONNECTION) {
        nominated.add(value.as_bytes());
    }
    let host = effective_host(request, default_host)?;

    out.extend_from_slice(request.method.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(
        request
            .uri
            .path_and_query()
            .map_or("/", |target| target.as_str())
            .as_bytes(),
    );
    out.extend_from_slice(b" HTTP/1.1\r\n");
    line(out, "host", host);

    let mut framing = Framing::Empty;
    let mut upgrade = None;
    let mut request_id_seen = false;
    for (name, value) in headers {
        match *name {
            header::HOST | header::EXPECT | header::CONNECTION | header::TE => continue,
            header::TRANSFER_ENCODING => {
                if framing != Framing::Empty || !value.as_bytes().eq_ignore_ascii_case(b"chunked") {
                    return Err(Cause::TransferEncodingUnsupported);
                }
                framing = Framing::Chunked;
                continue;
            }
            header::CONTENT_LENGTH => {
                // hyper has dropped repetitions and anything but digits, and the field itself
                // when there is a transfer coding.
                let length = value.to_str().ok().and_then(|text| text.parse().ok());
                framing = Framing::Length(length.ok_or(Cause::FramingInvalid)?);
            }
            header::UPGRADE => {
                upgrade = Some(value);
                continue;
            }
            _ => {
                let text = name.as_str();
                if is_hop_by_hop(name) || nominated.contains(text) || text == "proxy" {
                    continue;
                }
                if text.starts_with("x-") {
                    match text {
                        "x-request-id" => request_id_seen = true,
                        "x-forwarded-for" if client.is_trusted => continue,
                        "x-forwarded-for" => {
                            line(out, "x-original-forwarded-for", value.as_bytes());
                            continue;
                        }
                        "x-real-ip" | "x-original-forwarded-for" => continue,
                        _ if text.starts_with("x-forwarded-") && !client.is_trusted => continue,
                        _ => {}
                    }
                }
            }
        }
        line(out, name.as_str(), value.as_bytes());
    }
    if framing == Framing::Chunked {
        line(out, "transfer-encoding", b"chunked");
    }
    let wants_upgrade = match upgrade {
        // Cleartext HTTP/2 would leave the proxy blind to what follows.
        Some(protocol)
            if request.version == Version::HTTP_11
                && framing == Framing::Empty
                && is_upgrade_connection(request)
                && !protocol.as_bytes().eq_ignore_ascii_case(b"h2c") =>
        {
            line(out, "connection", b"upgrade");
            line(out, "upgrade", protocol.as_bytes());
            true
        }
        _ => false,
    };
    add_forwarding(
        request,
        client,
        host,
        (!request_id_seen).then_some(request_id),
        out,
    );
    out.extend_from_slice(b"\r\n");
    Ok(Encoded {
        framing,
        wants_upgrade,
    })
}

/// The `Host` to send: the target's authority wins (RFC 9112 §3.2.2); HTTP/1.0 may do without.
fn effective_host<'a>(
    request: &'a request::Parts,
    default_host: &'a HeaderValue,
) -> Result<&'a [u8], Cause> {
    let mut hosts = request.headers.get_all(header::HOST).iter();
    let first = hosts.next().map(HeaderValue::as_bytes);
    if hosts.next().is_some() || (first.is_none() && request.version == Version::HTTP_11) {
        return Err(Cause::HostInvalid);
    }
    if first.is_some_and(|value| !host::is_valid(value)) {
        return Err(Cause::HostInvalid);
    }
    match request.uri.authority() {
        Some(authority) if host::is_valid(authority.as_str().as_bytes()) => {
            Ok(authority.as_str().as_bytes())
        }
        Some(_) => Err(Cause::HostInvalid),
        None => Ok(first.unwrap_or(default_host.as_bytes())),
    }
}

fn is_upgrade_connection(request: &request::Parts) -> bool {
    request
        .headers
        .get_all(header::CONNECTION)
        .iter()
        .any(|value| {
            value
                .as_bytes()
                .split(|byte| *byte == b',')
                .any(|token| token.trim_ascii().eq_ignore_ascii_case(b"upgrade"))
        })
}

fn add_forwarding(
    request: &request::Parts,
    client: &Client,
    host: &[u8],
    new_request_id: Option<u64>,
    out: &mut Vec<u8>,
) {
    if !client.is_trusted {
        out.extend_from_slice(&client.fixed_lines);
    }
    for field in &client.fields {
        let given = || request.headers.contains_key(field.name());
        match field {
            ForwardingField::RequestId => {
                if let Some(id) = new_request_id {
                    out.extend_from_slice(b"x-request-id: ");
                    // Writing to a vector cannot fail.
                    let _ = write!(out, "{id:016x}\r\n");
                }
            }
            ForwardingField::Host if !(client.is_trusted && given()) => {
                line(out, field.name(), host);
            }
            _ if !client.is_trusted => {}
            ForwardingField::For | ForwardingField::RealIp => {
                let received: Vec<&str> = request
                    .headers
                    .get_all("x-forwarded-for")
                    .iter()
                    .filter_map(|value| value.to_str().ok())
                    .collect();
                let received = received.join(", ");
                let peer = client.peer.ip();
                let value = if *field == ForwardingField::RealIp {
                    forwarded::real_ip(peer, &received, &client.trusted).to_string()
                } else if received.is_empty() {
                    peer.to_string()
                } else {
                    format!("{received}, {peer}")
                };
                line(out, field.name(), value.as_bytes());
            }
            ForwardingField::Proto if !given() => line(out, field.name(), b"http"),
            ForwardingField::Port if !given() => {
                line(out, field.name(), client.local_port.to_string().as_bytes());
            }
            _ => {}
        }
    }
}

fn line(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(
        trusted: &str,
        request: http::request::Builder,
    ) -> (Result<Encoded, Cause>, Vec<String>) {
        let trusted: Vec<Cidr> = trusted
            .split_whitespace()
            .map(|r| r.parse().unwrap())
            .collect();
        let client = Client::new(
            "10.0.0.9:4711".parse().unwrap(),
            80,
            &ForwardingField::ALL,
            &trusted,
        );
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let mut out = Vec::new();
        let result = encode(
            &parts,
            &client,
            &HeaderValue::from_static("up"),
            1,
            &mut out,
        );
        let text = String::from_utf8(out).unwrap();
        (result, text.split("\r\n").map(str::to_owned).collect())
    }

    fn get() -> http::request::Builder {
        http::Request::get("/a%2Fb?q=1").header("host", "shop")
    }

    fn has(lines: &[String], line: &str) -> bool {
        lines.iter().any(|l| l == line)
    }

    #[test]
    fn the_target_is_sent_as_it_came_and_the_client_is_named() {
        let (result, lines) = encoded("", get());
        assert_eq!(
            result,
            Ok(Encoded {
                framing: Framing::Empty,
                wants_upgrade: false
            })
        );
        assert_eq!(
            lines,
            [
                "GET /a%2Fb?q=1 HTTP/1.1",
                "host: shop",
                "x-forwarded-for: 10.0.0.9",
                "x-real-ip: 10.0.0.9",
                "x-forwarded-proto: http",
                "x-forwarded-port: 80",
                "x-forwarded-host: shop",
                "x-request-id: 0000000000000001",
                "",
                "",
            ]
        );
    }

    #[test]
    fn fields_of_the_connection_are_dropped_on_every_line() {
        let (_, lines) = encoded(
            "",
            get()
                .header("connection", "x-one")
                .header("connection", "close, X-Two, Host, Cookie")
                .header("x-one", "1")
                .header("x-two", "2")
                .header("cookie", "c")
                .header("te", "trailers")
                .header("keep-alive", "timeout=5")
                .header("proxy", "evil")
                .header("expect", "100-continue"),
        );
        assert!(
            has(&lines, "cookie: c") && has(&lines, "host: shop"),
            "{lines:?}"
        );
        for gone in [
            "x-one",
            "x-two",
            "te:",
            "keep-alive",
            "proxy:",
            "expect",
            "connection",
        ] {
            assert!(
                !lines.iter().any(|l| l.starts_with(gone)),
                "{gone}: {lines:?}"
            );
        }
    }

    #[test]
    fn an_untrusted_client_cannot_claim_another_address() {
        let request = get()
            .header("x-forwarded-for", "6.6.6.6")
            .header("x-forwarded-proto", "https");
        let (_, lines) = encoded("", request);
        assert!(has(&lines, "x-forwarded-for: 10.0.0.9"), "{lines:?}");
        assert!(
            has(&lines, "x-original-forwarded-for: 6.6.6.6"),
            "{lines:?}"
        );
        assert!(has(&lines, "x-forwarded-proto: http"), "{lines:?}");
    }

    #[test]
    fn a_trusted_proxy_is_appended_to() {
        let request = get()
            .header("x-forwarded-for", "6.6.6.6")
            .header("x-forwarded-for", "7.7.7.7:80")
            .header("x-forwarded-proto", "https")
            .header("x-request-id", "abc");
        let (_, lines) = encoded("10.0.0.0/8", request);
        assert!(
            has(&lines, "x-forwarded-for: 6.6.6.6, 7.7.7.7:80, 10.0.0.9"),
            "{lines:?}"
        );
        assert!(has(&lines, "x-real-ip: 7.7.7.7"), "{lines:?}");
        assert!(has(&lines, "x-forwarded-proto: https"), "{lines:?}");
        assert!(!has(&lines, "x-forwarded-proto: http"), "{lines:?}");
        assert!(has(&lines, "x-request-id: abc"), "{lines:?}");
    }

    #[test]
    fn the_host_is_one_valid_host() {
        let cases = [
            (http::Request::get("/"), Err(Cause::HostInvalid)),
            (get().header("host", "other"), Err(Cause::HostInvalid)),
            (
                http::Request::get("/").header("host", "a/b"),
                Err(Cause::HostInvalid),
            ),
            (
                http::Request::get("/").version(Version::HTTP_10),
                Ok("host: up"),
            ),
            (
                http::Request::get("http://real/").header("host", "shop"),
                Ok("host: real"),
            ),
        ];
        for (request, expected) in cases {
            let (result, lines) = encoded("", request);
            match expected {
                Ok(line) => assert!(has(&lines, line), "{lines:?}"),
                Err(cause) => assert_eq!(result, Err(cause)),
            }
        }
    }

    #[test]
    fn framing_is_length_or_chunked_and_nothing_else() {
        for (name, value, expected) in [
            ("content-length", "5", Ok(Framing::Length(5))),
            ("transfer-encoding", "chunked", Ok(Framing::Chunked)),
            (
                "transfer-encoding",
                "gzip, chunked",
                Err(Cause::TransferEncodingUnsupported),
            ),
        ] {
            let (result, _) = encoded("", get().header(name, value));
            assert_eq!(
                result.map(|encoded| encoded.framing),
                expected,
                "{name}: {value}"
            );
        }
    }

    #[test]
    fn only_a_proper_upgrade_is_passed_on() {
        for (connection, protocol, passes) in [
            ("keep-alive, Upgrade", "websocket", true),
            ("keep-alive", "websocket", false),
            ("upgrade, http2-settings", "h2c", false),
        ] {
            let request = get()
                .header("connection", connection)
                .header("upgrade", protocol);
            let (result, lines) = encoded("", request);
            assert_eq!(
                result.unwrap().wants_upgrade,
                passes,
                "{connection} {protocol}"
            );
            assert_eq!(
                has(&lines, &format!("upgrade: {protocol}")),
                passes,
                "{lines:?}"
            );
        }
    }
}
