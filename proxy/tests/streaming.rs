//! Bodies pass through as they arrive, whole or visibly broken.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod support;

use std::thread;

use support::upstream::{OK, Upstream, gate};
use support::{Running, proxy};

fn before(upstream: &Upstream) -> Running {
    proxy(&[("source", upstream.address, 1)])
}

const GET: &str = "GET / HTTP/1.1\r\nhost: shop.test\r\n\r\n";

/// Bytes that show when some are lost, doubled or swapped.
fn pattern(count: usize) -> Vec<u8> {
    (0..count as u64)
        .flat_map(|n| n.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes())
        .take(count)
        .collect()
}

#[test]
fn the_first_chunk_reaches_the_client_before_the_upstream_has_the_second() {
    let (key, more) = gate();
    let upstream = Upstream::scripted(move |wire, _| {
        wire.request().unwrap();
        wire.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n");
        more.pass();
        wire.send("6\r\nsecond\r\n0\r\n\r\n");
    });
    let proxy = before(&upstream);
    let mut client = proxy.connect();
    client.send(GET);
    assert_eq!(client.head().unwrap().status(), 200);
    assert_eq!(client.chunk().unwrap(), b"first");
    key.open();
    assert_eq!(client.chunk().unwrap(), b"second");
    assert_eq!(client.chunk().unwrap(), b"");
}

#[test]
fn the_response_head_reaches_the_client_before_any_of_the_body() {
    let (key, more) = gate();
    let upstream = Upstream::scripted(move |wire, _| {
        wire.request().unwrap();
        wire.send("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n");
        more.pass();
        wire.send("body");
    });
    let proxy = before(&upstream);
    let mut client = proxy.connect();
    client.send(GET);
    let head = client.head().unwrap();
    assert_eq!(head.field("content-length"), Some("4"));
    key.open();
    assert_eq!(client.take(4), b"body");
}

#[test]
fn the_first_chunk_reaches_the_upstream_before_the_client_has_the_second() {
    let (key, arrived) = gate();
    let upstream = Upstream::scripted(move |wire, _| {
        wire.head().unwrap();
        assert_eq!(wire.chunk().unwrap(), b"first");
        key.open();
        assert_eq!(wire.chunk().unwrap(), b"second");
        assert_eq!(wire.chunk().unwrap(), b"");
        wire.send(OK);
    });
    let proxy = before(&upstream);
    let mut client = proxy.connect();
    client.send(
        "POST / HTTP/1.1\r\nhost: shop.test\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n",
    );
    arrived.pass();
    client.send("6\r\nsecond\r\n0\r\n\r\n");
    assert_eq!(client.response("POST").status(), 200);
}

#[test]
fn a_response_may_begin_before_its_request_has_ended() {
    let upstream = Upstream::scripted(|wire, _| {
        while wire.head().is_some() {
            wire.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
            while let Some(chunk) = wire.chunk() {
                wire.send(format!("{:x}\r\n", chunk.len()));
                wire.send(&chunk);
                wire.send("\r\n");
                if chunk.is_empty() {
                    break;
                }
            }
        }
    });
    let proxy = before(&upstream);
    let mut client = proxy.connect();
    for round in 0..2 {
        client.send("POST / HTTP/1.1\r\nhost: shop.test\r\ntransfer-encoding: chunked\r\n\r\n");
        assert_eq!(client.head().unwrap().status(), 200);
        for word in ["one", "two", "three"] {
            client.send(format!("{:x}\r\n{word}\r\n", word.len()));
            assert_eq!(client.chunk().unwrap(), word.as_bytes(), "round {round}");
        }
        client.send("0\r\n\r\n");
        assert_eq!(client.chunk().unwrap(), b"");
    }
    assert_eq!(upstream.connections(), 1, "both requests ended cleanly");
}

#[test]
fn five_megabytes_arrive_intact_in_both_directions_however_they_are_framed() {
    let body = pattern(5 << 20);
    for chunked in [false, true] {
        let upstream = Upstream::answering(move |request| {
            let mut response = b"HTTP/1.1 200 OK\r\n".to_vec();
            response.extend(framed(&request.body, chunked));
            response
        });
        let proxy = before(&upstream);
        let mut client = proxy.connect();
        // Twice: the second finds the connections as the first left them.
        for round in 0..2 {
            let mut sender = client.sender();
            let bytes = framed(&body, chunked);
            let sending = thread::spawn(move || {
                sender.send("POST / HTTP/1.1\r\nhost: shop.test\r\n");
                sender.send(bytes);
            });
            let response = client.response("POST");
            sending.join().unwrap();
            assert!(response.is_whole);
            // Not `assert_eq!`: nobody wants to read ten megabytes.
            assert!(response.body == body, "chunked: {chunked}, round {round}");
        }
        assert_eq!(upstream.connections(), 1);
    }
}

/// A framing field, the end of the head and the body.
fn framed(body: &[u8], chunked: bool) -> Vec<u8> {
    if !chunked {
        let mut framed = format!("content-length: {}\r\n\r\n", body.len()).into_bytes();
        framed.extend_from_slice(body);
        return framed;
    }
    let mut framed = b"transfer-encoding: chunked\r\n\r\n".to_vec();
    for piece in body.chunks(99_991) {
        framed.extend(format!("{:x}\r\n", piece.len()).into_bytes());
        framed.extend_from_slice(piece);
        framed.extend_from_slice(b"\r\n");
    }
    framed.extend_from_slice(b"0\r\n\r\n");
    framed
}

#[test]
fn responses_without_a_body_keep_their_fields_and_the_connections() {
    let upstream = Upstream::answering(|request| {
        match request.head.start.split(' ').nth(1) {
            Some("/head") => "HTTP/1.1 200 OK\r\ncontent-length: 1234\r\n\r\n",
            Some("/head-chunked") => "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
            Some("/204") => "HTTP/1.1 204 No Content\r\n\r\n",
            Some("/304") => "HTTP/1.1 304 Not Modified\r\netag: \"a\"\r\ncontent-length: 9\r\n\r\n",
            Some("/empty") => "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            _ => OK,
        }
        .into()
    });
    let proxy = before(&upstream);
    let mut client = proxy.connect();
    let mut ask = |method: &str, target: &str| {
        client.send(format!(
            "{method} {target} HTTP/1.1\r\nhost: shop.test\r\n\r\n"
        ));
        client.response(method)
    };
    let response = ask("HEAD", "/head");
    assert_eq!(response.status(), 200);
    assert_eq!(response.field("content-length"), Some("1234"));
    let response = ask("HEAD", "/head-chunked");
    assert_eq!(response.status(), 200);
    assert_eq!(response.field("content-length"), None);
    let response = ask("GET", "/204");
    assert_eq!(response.status(), 204);
    assert_eq!(response.field("content-length"), None);
    assert_eq!(response.field("transfer-encoding"), None);
    let response = ask("GET", "/304");
    assert_eq!(response.status(), 304);
    assert_eq!(response.field("etag"), Some("\"a\""));
    let response = ask("GET", "/empty");
    assert_eq!(response.field("content-length"), Some("0"));
    assert_eq!(ask("GET", "/").text(), "ok");
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn a_response_that_breaks_off_is_seen_to_be_broken() {
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\npart",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\npart\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\npart\r\nzz\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\npart",
    ] {
        let upstream = Upstream::scripted(move |wire, _| {
            wire.request().unwrap();
            wire.send(answer);
        });
        let proxy = before(&upstream);
        let mut client = proxy.connect();
        client.send(GET);
        let response = client.response("GET");
        assert_eq!(response.status(), 200, "{answer}");
        assert!(!response.is_whole, "{answer}: {response:?}");
        client.assert_closed();
        let sample = "cutover_proxy_errors_total{cause=\"upstream_body_invalid\"}";
        assert!(proxy.metric(sample) == 1.0, "{answer}");
    }
}

#[test]
fn a_response_that_ends_with_its_connection_is_whole() {
    let upstream = Upstream::scripted(|wire, _| {
        wire.request().unwrap();
        wire.send("HTTP/1.1 200 OK\r\nserver: old\r\n\r\nall of ");
        wire.send("it");
    });
    let proxy = before(&upstream);
    let mut client = proxy.connect();
    for _ in 0..2 {
        client.send(GET);
        let response = client.response("GET");
        // The client's connection is kept, so the end must be marked.
        assert_eq!(response.field("transfer-encoding"), Some("chunked"));
        assert_eq!(response.text(), "all of it");
        assert!(response.is_whole);
    }
    assert_eq!(upstream.connections(), 2);
}

#[test]
fn an_http_1_0_client_gets_the_end_of_a_chunked_response_by_the_end_of_its_connection() {
    let upstream = Upstream::answering(|_| {
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n6\r\nsecond\r\n0\r\n\r\n"
            .to_vec()
    });
    let proxy = before(&upstream);
    let mut client = proxy.connect();
    client.send("GET / HTTP/1.0\r\nhost: shop.test\r\n\r\n");
    let response = client.response("GET");
    assert_eq!(response.field("transfer-encoding"), None);
    assert_eq!(response.text(), "firstsecond");
}

#[test]
fn a_client_that_leaves_takes_its_upstream_request_along() {
    let (key, gone) = gate();
    let upstream = Upstream::scripted(move |wire, _| {
        wire.request().unwrap();
        wire.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n");
        // Until the proxy closes this connection too.
        let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
        while wire.try_send(&chunk).is_ok() {}
        key.open();
    });
    let proxy = before(&upstream);
    let mut client = proxy.connect();
    client.send(GET);
    assert_eq!(client.head().unwrap().status(), 200);
    drop(client);
    gone.pass();
    proxy.wait_for_metric("cutover_proxy_errors_total{cause=\"client_gone\"}", 1.0);
    proxy.wait_for_metric("cutover_proxy_active_requests", 0.0);
}

#[test]
fn an_answer_to_half_a_request_reaches_the_client_and_ends_the_upstream_connection() {
    let upstream = Upstream::scripted(|wire, number| {
        if number == 0 {
            wire.head().unwrap();
            wire.send("HTTP/1.1 413 Content Too Large\r\ncontent-length: 4\r\n\r\nmore");
            // Reads on, as a polite server does, so that its answer is not lost to a reset.
            wire.rest();
        } else {
            wire.request().unwrap();
            wire.send(OK);
        }
    });
    let proxy = before(&upstream);
    let mut client = proxy.connect();
    client.send("POST / HTTP/1.1\r\nhost: shop.test\r\ncontent-length: 100\r\n\r\npart");
    let response = client.response("POST");
    assert_eq!(
        (response.status(), response.text()),
        (413, "more".to_owned())
    );
    assert_eq!(proxy.get("/").status(), 200);
    assert_eq!(upstream.connections(), 2);
}
