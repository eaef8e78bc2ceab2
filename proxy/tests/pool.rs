//! Upstream connections: kept, found stale, refused, too slow.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod support;

use std::time::Duration;

use cutover_proxy::ERROR_HEADER;
use support::upstream::{Gate, Key, OK, Upstream, gate};
use support::wire::{Response, Wire};
use support::{Running, any_port, nobody, proxy, proxy_with};

const SHORT: Duration = Duration::from_millis(150);

fn before(upstream: &Upstream) -> Running {
    proxy(&[("source", upstream.address, 1)])
}

fn assert_error(response: &Response, status: u16, cause: &str) {
    assert_eq!(response.status(), status);
    assert_eq!(response.field(ERROR_HEADER), Some(cause));
    assert_eq!(response.text().trim_end(), cause);
}

#[test]
fn requests_of_different_clients_share_a_kept_upstream_connection() {
    let upstream = Upstream::ok();
    let proxy = before(&upstream);
    for _ in 0..5 {
        assert_eq!(proxy.get("/").status(), 200);
    }
    assert_eq!(upstream.connections(), 1);
    assert!(proxy.metric("cutover_proxy_upstream_connects_total{upstream=\"source\"}") == 1.0);
    assert!(proxy.metric("cutover_proxy_upstream_reuses_total{upstream=\"source\"}") == 4.0);
}

#[test]
fn a_connection_that_the_upstream_wants_closed_is_not_used_again() {
    let upstream = Upstream::answering(|_| {
        b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok".to_vec()
    });
    let proxy = before(&upstream);
    let mut client = proxy.connect();
    for _ in 0..3 {
        client.send("GET / HTTP/1.1\r\nhost: shop.test\r\n\r\n");
        let response = client.response("GET");
        assert_eq!(response.status(), 200);
        // That is between proxy and upstream.
        assert_eq!(response.field("connection"), None);
    }
    assert_eq!(upstream.connections(), 3);
}

#[test]
fn idle_upstream_connections_are_closed_in_time() {
    let (key, closed) = gate();
    let upstream = Upstream::scripted(move |wire, _| {
        wire.request().unwrap();
        wire.send(OK);
        wire.assert_closed();
        key.open();
    });
    let proxy = proxy_with(&[("source", upstream.address, 1)], |config| {
        config.timeouts.upstream_idle = SHORT;
    });
    assert_eq!(proxy.get("/").status(), 200);
    closed.pass();
}

/// Answers the first request; then, once the second request has arrived on the same connection,
/// closes it without an answer: what a service does that gave up idling at that very moment.
/// Later connections are answered.
fn closes_on_the_second_request(second: fn(&mut Wire)) -> Upstream {
    Upstream::scripted(move |wire, number| {
        wire.request().unwrap();
        wire.send(OK);
        if number == 0 {
            second(wire);
        } else {
            while wire.request().is_some() {
                wire.send(OK);
            }
        }
    })
}

#[test]
fn a_get_on_a_connection_that_went_stale_is_sent_once_more() {
    let upstream = closes_on_the_second_request(|wire| {
        wire.request().unwrap();
    });
    let proxy = before(&upstream);
    assert_eq!(proxy.get("/1").status(), 200);
    assert_eq!(proxy.get("/2").status(), 200);
    assert_eq!(upstream.connections(), 2);
    assert!(proxy.metric("cutover_proxy_requests_total{upstream=\"source\",class=\"2xx\"}") == 2.0);
    assert!(proxy.metric("cutover_proxy_errors_total{cause=\"upstream_closed\"}") == 0.0);
}

#[test]
fn a_post_may_have_been_acted_on_and_is_not_sent_once_more() {
    for body in ["", "content-length: 5\r\n\r\nhello"] {
        let upstream = closes_on_the_second_request(|wire| {
            wire.request().unwrap();
        });
        let proxy = before(&upstream);
        assert_eq!(proxy.get("/1").status(), 200);
        let mut client = proxy.connect();
        let end = if body.is_empty() { "\r\n" } else { body };
        client.send(format!("POST /2 HTTP/1.1\r\nhost: shop.test\r\n{end}"));
        assert_error(&client.response("POST"), 502, "upstream_closed");
        assert_eq!(upstream.connections(), 1, "{body:?}");
        // Only the request failed, not the client's connection.
        client.send("GET /3 HTTP/1.1\r\nhost: shop.test\r\n\r\n");
        assert_eq!(client.response("GET").status(), 200);
    }
}

#[test]
fn a_put_whose_body_is_gone_is_not_sent_once_more() {
    let upstream = closes_on_the_second_request(|wire| {
        wire.request().unwrap();
    });
    let proxy = before(&upstream);
    assert_eq!(proxy.get("/1").status(), 200);
    let response = support::request(proxy.listen(), "PUT", "/2", "hello");
    assert_error(&response, 502, "upstream_closed");
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn a_request_is_sent_once_more_but_not_twice() {
    let upstream = Upstream::scripted(|wire, number| {
        if number == 0 {
            wire.request().unwrap();
            wire.send(OK);
        }
        wire.request();
    });
    let proxy = before(&upstream);
    assert_eq!(proxy.get("/1").status(), 200);
    assert_error(&proxy.get("/2"), 502, "upstream_closed");
    assert_eq!(upstream.connections(), 2);
}

#[test]
fn a_connection_that_was_closed_while_idle_is_not_tried_for_any_request() {
    let (key, closed) = gate();
    let upstream = Upstream::scripted(move |wire, _| {
        wire.request().unwrap();
        wire.send(OK);
        wire.finish_sending();
        key.open();
        wire.rest();
    });
    let proxy = before(&upstream);
    for round in 1..=20 {
        let response = support::request(proxy.listen(), "POST", "/", "hello");
        assert_eq!(response.status(), 200, "round {round}");
        closed.pass();
        assert_eq!(upstream.connections(), round);
    }
    assert!(proxy.metric("cutover_proxy_upstream_reuses_total{upstream=\"source\"}") == 0.0);
}

#[test]
fn an_upstream_that_refuses_gives_502_with_the_cause() {
    let proxy = proxy_with(&[("target", nobody(), 1)], |config| {
        config.stack_header = Some("x-stack".parse().unwrap());
    });
    let mut client = proxy.connect();
    for _ in 0..2 {
        client.send("POST / HTTP/1.1\r\nhost: shop.test\r\ncontent-length: 5\r\n\r\nhello");
        let response = client.response("POST");
        assert_error(&response, 502, "upstream_connect_refused");
        assert_eq!(response.field("x-stack"), Some("target"));
    }
}

/// Reads the request, then nothing until its test is over.
fn silent() -> (Upstream, Key) {
    let (key, end): (Key, Gate) = gate();
    let upstream = Upstream::scripted(move |wire, _| {
        wire.request();
        end.pass();
    });
    (upstream, key)
}

#[test]
fn an_upstream_that_does_not_answer_gives_504() {
    let (upstream, key) = silent();
    let proxy = proxy_with(&[("target", upstream.address, 1)], |config| {
        config.timeouts.response_head = SHORT;
        config.stack_header = Some("x-stack".parse().unwrap());
    });
    let response = proxy.get("/");
    assert_error(&response, 504, "upstream_timeout");
    assert_eq!(response.field("x-stack"), Some("target"));
    key.open();
}

#[test]
fn an_upstream_that_stalls_within_a_body_is_cut() {
    let (key, end) = gate();
    let upstream = Upstream::scripted(move |wire, _| {
        wire.request();
        wire.send("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\npart");
        end.pass();
    });
    let proxy = proxy_with(&[("target", upstream.address, 1)], |config| {
        config.timeouts.transfer_idle = SHORT;
    });
    let mut client = proxy.connect();
    client.send("GET / HTTP/1.1\r\nhost: shop.test\r\n\r\n");
    let response = client.response("GET");
    assert_eq!((response.status(), response.is_whole), (200, false));
    assert!(proxy.metric("cutover_proxy_errors_total{cause=\"transfer_timeout\"}") == 1.0);
    key.open();
}

#[test]
fn an_upstream_that_does_not_accept_gives_504() {
    // A full backlog: the kernel drops further attempts, as a black hole does.
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&any_port().into()).unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let waiting: Vec<socket2::Socket> = (0..8)
        .map(|_| {
            let socket =
                socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
            socket.set_nonblocking(true).unwrap();
            let _ = socket.connect(&address.into());
            socket
        })
        .collect();
    let proxy = proxy_with(&[("target", address, 1)], |config| {
        config.timeouts.connect = SHORT;
    });
    assert_error(&proxy.get("/"), 504, "upstream_connect_timeout");
    drop(waiting);
}

#[test]
fn a_reset_before_the_response_gives_502() {
    let upstream = Upstream::scripted(|wire, _| {
        wire.head().unwrap();
        wire.reset();
    });
    let proxy = before(&upstream);
    assert_error(&proxy.get("/"), 502, "upstream_reset");
}

/// A slow client must not be held against the upstream.
#[test]
fn a_client_that_stalls_within_its_body_gets_408() {
    let (key, end) = gate();
    let upstream = Upstream::scripted(move |wire, _| {
        wire.head().unwrap();
        wire.rest();
        end.pass();
    });
    let proxy = proxy_with(&[("target", upstream.address, 1)], |config| {
        config.timeouts.response_head = SHORT;
        config.timeouts.transfer_idle = SHORT;
    });
    let mut client = proxy.connect();
    client.send("POST / HTTP/1.1\r\nhost: shop.test\r\ncontent-length: 100\r\n\r\npart");
    let response = client.response("POST");
    assert_error(&response, 408, "client_body_timeout");
    client.assert_closed();
    key.open();
}
