//! Requests that two parsers could read differently never reach an upstream.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod support;

use support::upstream::{OK, Upstream};
use support::{Running, proxy};

const HOST: &str = "host: shop.test\r\n";

fn before(upstream: &Upstream) -> Running {
    proxy(&[("source", upstream.address, 1)])
}

/// Sends raw bytes, expects one of `statuses` and the end of the connection, and that the upstream
/// has heard nothing: the next good request is the first that reaches it.
fn assert_refused(what: &str, bytes: &str, statuses: &[u16]) {
    let upstream = Upstream::ok();
    let proxy = before(&upstream);
    let mut client = proxy.connect();
    // The answer may come before everything is sent.
    let _ = client.try_send(bytes);
    let response = client.response("GET");
    assert!(
        statuses.contains(&response.status()),
        "{what}: expected {statuses:?}, found {}",
        response.head.start
    );
    assert_eq!(response.field("connection"), Some("close"), "{what}");
    client.assert_closed();
    assert_eq!(proxy.get("/good").status(), 200, "{what}");
    let request = upstream.only_request();
    assert!(
        request.head.start.starts_with("GET /good "),
        "{what}: {request:?}"
    );
    assert_eq!(upstream.connections(), 1, "{what}");
}

#[test]
fn a_missing_repeated_or_malformed_host_is_refused() {
    for (what, host) in [
        ("none", ""),
        ("two", "host: a.test\r\nhost: b.test\r\n"),
        ("two equal", "host: a.test\r\nhost: a.test\r\n"),
        ("empty", "host:\r\n"),
        ("list", "host: a.test, b.test\r\n"),
        ("user information", "host: a@b.test\r\n"),
        ("path", "host: a.test/x\r\n"),
        ("port", "host: a.test:99999\r\n"),
    ] {
        assert_refused(what, &format!("GET / HTTP/1.1\r\n{host}\r\n"), &[400]);
    }
}

#[test]
fn a_malformed_or_contradictory_content_length_is_refused() {
    for length in [
        "content-length: +5\r\n",
        "content-length: -5\r\n",
        "content-length: 0x5\r\n",
        "content-length: 5,5\r\n",
        "content-length: 5, 6\r\n",
        "content-length: 5 5\r\n",
        "content-length:\r\n",
        "content-length: 18446744073709551616\r\n",
        "content-length: 5\r\ncontent-length: 6\r\n",
    ] {
        let bytes = format!("POST / HTTP/1.1\r\n{HOST}{length}\r\nhello");
        assert_refused(length, &bytes, &[400]);
    }
}

#[test]
fn a_transfer_coding_other_than_chunked_is_refused() {
    for coding in [
        "transfer-encoding: xchunked\r\n",
        "transfer-encoding: gzip, chunked\r\n",
        "transfer-encoding: chunked, gzip\r\n",
        "transfer-encoding: chunked, chunked\r\n",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: identity\r\n",
        "transfer-encoding: \x0bchunked\r\n",
        "transfer-encoding:\r\n",
    ] {
        let bytes = format!("POST / HTTP/1.1\r\n{HOST}{coding}\r\n5\r\nhello\r\n0\r\n\r\n");
        assert_refused(coding, &bytes, &[400, 501]);
    }
}

#[test]
fn http_1_0_has_no_transfer_codings() {
    let bytes = format!(
        "POST / HTTP/1.0\r\n{HOST}transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    );
    assert_refused("HTTP/1.0", &bytes, &[400, 501]);
}

#[test]
fn a_malformed_head_is_refused() {
    for (what, bytes) in [
        (
            "space before the colon",
            "GET / HTTP/1.1\r\nhost : a.test\r\n\r\n",
        ),
        (
            "folded line",
            "GET / HTTP/1.1\r\nhost: a.test\r\nx-a: 1\r\n 2\r\n\r\n",
        ),
        (
            "NUL in a value",
            "GET / HTTP/1.1\r\nhost: a.test\r\nx-a: 1\x002\r\n\r\n",
        ),
        (
            "CR in a value",
            "GET / HTTP/1.1\r\nhost: a.test\r\nx-a: 1\r2\r\n\r\n",
        ),
        ("no version", "GET /\r\nhost: a.test\r\n\r\n"),
        (
            "space in the target",
            "GET /a b HTTP/1.1\r\nhost: a.test\r\n\r\n",
        ),
        ("no name", "GET / HTTP/1.1\r\nhost: a.test\r\n: 1\r\n\r\n"),
    ] {
        assert_refused(what, bytes, &[400]);
    }
}

#[test]
fn connect_is_refused() {
    assert_refused(
        "CONNECT",
        "CONNECT a.test:443 HTTP/1.1\r\nhost: a.test:443\r\n\r\n",
        &[405],
    );
}

#[test]
fn a_head_that_is_too_large_is_refused_with_431() {
    let large = "a".repeat(100 * 1024);
    let many = (0..200).fold(String::new(), |all, n| all + &format!("x-{n}: 1\r\n"));
    for (what, fields) in [("large", format!("x-large: {large}\r\n")), ("many", many)] {
        let bytes = format!("GET / HTTP/1.1\r\n{HOST}{fields}\r\n");
        assert_refused(what, &bytes, &[431]);
    }
}

#[test]
fn length_and_chunks_together_reach_the_upstream_as_chunks_alone_and_end_the_connection() {
    for fields in [
        "content-length: 4\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 4\r\n",
    ] {
        let upstream = Upstream::ok();
        let proxy = before(&upstream);
        let mut client = proxy.connect();
        client.send(format!(
            "POST /first HTTP/1.1\r\n{HOST}{fields}\r\n5\r\nhello\r\n0\r\n\r\n\
             GET /smuggled HTTP/1.1\r\n{HOST}\r\n"
        ));
        assert_eq!(client.response("POST").status(), 200);
        client.assert_closed();
        assert_eq!(proxy.get("/after").status(), 200);
        let requests = upstream.requests();
        let starts: Vec<&str> = requests.iter().map(|r| r.head.start.as_str()).collect();
        assert_eq!(starts, ["POST /first HTTP/1.1", "GET /after HTTP/1.1"]);
        // The upstream's reader asserts that there is one framing field only.
        assert_eq!(requests[0].body, b"hello");
        assert_eq!(requests[0].head.field("content-length"), None);
    }
}

#[test]
fn equal_content_lengths_are_merged_into_one() {
    let upstream = Upstream::ok();
    let proxy = before(&upstream);
    let mut client = proxy.connect();
    client.send(format!(
        "POST / HTTP/1.1\r\n{HOST}content-length: 5\r\ncontent-length: 5\r\n\r\nhello"
    ));
    assert_eq!(client.response("POST").status(), 200);
    let request = upstream.only_request();
    assert_eq!(request.head.field("content-length"), Some("5"));
    assert_eq!(request.body, b"hello");
}

#[test]
fn chunk_extensions_are_dropped_and_trailers_that_frame_or_route_are_not_passed_on() {
    let upstream = Upstream::scripted(|wire, _| {
        wire.head().unwrap();
        // The raw end of the request comes back as the body.
        assert_eq!(wire.chunk().unwrap(), b"hello");
        let end = String::from_utf8(wire.take("0\r\nx-sum: 7\r\n\r\n".len())).unwrap();
        wire.send(format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{end}",
            end.len()
        ));
    });
    let proxy = before(&upstream);
    let mut client = proxy.connect();
    client.send(format!(
        "POST / HTTP/1.1\r\n{HOST}transfer-encoding: chunked\r\n\r\n5;ext=1\r\nhello\r\n\
         0\r\nx-sum: 7\r\nhost: evil.test\r\ncontent-length: 9\r\n\r\n"
    ));
    assert_eq!(client.response("POST").text(), "0\r\nx-sum: 7\r\n\r\n");
}

/// The upstream must not take the part that arrived for the whole.
#[test]
fn a_chunk_that_turns_out_malformed_breaks_the_upstream_request_off() {
    let (told, heard) = std::sync::mpsc::channel();
    let upstream = Upstream::scripted(move |wire, _| {
        wire.head().unwrap();
        assert_eq!(wire.chunk().unwrap(), b"hello");
        told.send(wire.rest()).unwrap();
    });
    let proxy = before(&upstream);
    let mut client = proxy.connect();
    client.send(format!(
        "POST / HTTP/1.1\r\n{HOST}transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n"
    ));
    upstream.wait_for_connections(1);
    client.send("zz\r\nhello\r\n0\r\n\r\n");
    let response = client.response("POST");
    assert_eq!(response.status(), 400);
    assert_eq!(
        response.field(cutover_proxy::ERROR_HEADER),
        Some("client_body_invalid")
    );
    client.assert_closed();
    let rest = heard.recv_timeout(support::LIMIT).unwrap();
    assert!(rest.is_empty(), "{:?}", String::from_utf8_lossy(&rest));
}

#[test]
fn ambiguous_responses_become_502_and_their_connection_is_not_used_again() {
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok?",
        "HTTP/1.1 200 OK\r\ncontent-length: +2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: xchunked\r\n\r\nok",
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n",
        "SSH-2.0-OpenSSH_9.2\r\n\r\n",
    ] {
        let upstream = Upstream::answering(move |request| {
            let is_good = request.head.start.starts_with("GET /good ");
            if is_good { OK } else { answer }.into()
        });
        let proxy = before(&upstream);
        let response = proxy.get("/");
        assert_eq!(response.status(), 502, "{answer}");
        assert_eq!(
            response.field(cutover_proxy::ERROR_HEADER),
            Some("upstream_response_invalid"),
            "{answer}"
        );
        assert_eq!(proxy.get("/good").status(), 200, "{answer}");
        assert_eq!(upstream.connections(), 2, "{answer}");
    }
}
