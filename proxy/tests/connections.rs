//! What clients do with a connection besides one request and one response.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod support;

use std::time::Duration;

use cutover_proxy::ERROR_HEADER;
use support::upstream::{OK, Upstream, gate};
use support::{Running, eventually, nobody, proxy, proxy_with};

const SHORT: Duration = Duration::from_millis(150);

fn before(upstream: &Upstream) -> Running {
    proxy(&[("source", upstream.address, 1)])
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let (key, slow) = gate();
    let upstream = Upstream::answering(move |request| {
        let target = request.head.start.split(' ').nth(1).unwrap();
        if target == "/slow" {
            slow.pass();
        }
        format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{target}",
            target.len()
        )
        .into_bytes()
    });
    let proxy = before(&upstream);
    let mut client = proxy.connect();
    client.send(
        "GET /slow HTTP/1.1\r\nhost: shop.test\r\n\r\n\
         POST /second HTTP/1.1\r\nhost: shop.test\r\ncontent-length: 5\r\n\r\nhello\
         GET /third HTTP/1.1\r\nhost: shop.test\r\n\r\n",
    );
    upstream.wait_for_connections(1);
    key.open();
    for target in ["/slow", "/second", "/third"] {
        assert_eq!(client.response("GET").text(), target);
    }
}

#[test]
fn a_client_that_has_finished_sending_is_answered() {
    let (key, slow) = gate();
    let upstream = Upstream::answering(move |_| {
        slow.pass();
        OK.into()
    });
    let proxy = before(&upstream);
    let mut client = proxy.connect();
    client.send("GET / HTTP/1.1\r\nhost: shop.test\r\n\r\n");
    client.finish_sending();
    upstream.wait_for_connections(1);
    key.open();
    assert_eq!(client.response("GET").text(), "ok");
    client.assert_closed();
}

#[test]
fn a_client_that_asks_for_it_gets_its_connection_closed() {
    let upstream = Upstream::ok();
    let proxy = before(&upstream);
    let mut client = proxy.connect();
    client.send("GET / HTTP/1.1\r\nhost: shop.test\r\nconnection: close\r\n\r\n");
    let response = client.response("GET");
    assert_eq!(response.field("connection"), Some("close"));
    client.assert_closed();
}

#[test]
fn a_client_that_expects_to_be_asked_for_its_body_is_asked() {
    let upstream = Upstream::ok();
    let proxy = before(&upstream);
    let mut client = proxy.connect();
    client.send(
        "POST / HTTP/1.1\r\nhost: shop.test\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n",
    );
    assert_eq!(client.response("POST").status(), 100);
    client.send("hello");
    assert_eq!(client.response("POST").status(), 200);
    let request = upstream.only_request();
    assert_eq!(request.body, b"hello");
    assert_eq!(request.head.field("expect"), None);
}

#[test]
fn a_client_is_not_asked_for_a_body_that_nobody_would_take() {
    let proxy = proxy(&[("source", nobody(), 1)]);
    let mut client = proxy.connect();
    client.send(
        "POST / HTTP/1.1\r\nhost: shop.test\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n",
    );
    assert_eq!(client.response("POST").status(), 502);
}

#[test]
fn interim_responses_are_dropped_and_the_final_one_is_passed_on() {
    let upstream = Upstream::answering(|_| {
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n\
          HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
            .to_vec()
    });
    let proxy = before(&upstream);
    for _ in 0..2 {
        let response = proxy.get("/");
        assert_eq!((response.status(), response.text()), (200, "ok".to_owned()));
        assert_eq!(response.field("link"), None);
    }
    assert_eq!(upstream.connections(), 1);
}

const UPGRADE: &str = "GET /chat HTTP/1.1\r\nhost: shop.test\r\nconnection: keep-alive, Upgrade\r\n\
                       upgrade: websocket\r\nsec-websocket-key: abc\r\n\r\n";

/// Switches protocols, greets, then returns every byte until the client has finished.
fn echo() -> Upstream {
    Upstream::scripted(|wire, _| {
        let request = wire.request().unwrap();
        assert_eq!(request.head.field("connection"), Some("upgrade"));
        assert_eq!(request.head.field("upgrade"), Some("websocket"));
        assert_eq!(request.head.field("sec-websocket-key"), Some("abc"));
        wire.send(
            "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-accept: xyz\r\n\r\nwelcome",
        );
        loop {
            let byte = wire.take(1);
            if byte.is_empty() {
                // The client's end of stream came through; ours goes back.
                return wire.send("bye");
            }
            wire.send(byte);
        }
    })
}

#[test]
fn an_upgraded_connection_carries_bytes_both_ways_until_each_side_ends() {
    let upstream = echo();
    let proxy = before(&upstream);
    let mut client = proxy.connect();
    // The first bytes of the new protocol may come with the request.
    client.send(format!("{UPGRADE}early,"));
    let head = client.head().unwrap();
    assert_eq!(head.status(), 101);
    assert_eq!(head.field("connection"), Some("upgrade"));
    assert_eq!(head.field("upgrade"), Some("websocket"));
    assert_eq!(head.field("sec-websocket-accept"), Some("xyz"));
    assert_eq!(client.take(13), b"welcomeearly,");
    client.send("hello");
    assert_eq!(client.take(5), b"hello");
    client.finish_sending();
    assert_eq!(client.rest(), b"bye");
    assert!(proxy.metric("cutover_proxy_requests_total{upstream=\"source\",class=\"1xx\"}") == 1.0);
    proxy.wait_for_metric("cutover_proxy_connections", 0.0);
}

#[test]
fn an_upgraded_connection_outlives_the_idle_timeouts() {
    let upstream = echo();
    let proxy = proxy_with(&[("source", upstream.address, 1)], |config| {
        config.timeouts.client_idle = SHORT;
        config.timeouts.client_head = SHORT;
        config.timeouts.transfer_idle = SHORT;
        config.timeouts.response_head = SHORT;
    });
    let mut idle = proxy.connect();
    let mut client = proxy.connect();
    client.send(UPGRADE);
    assert_eq!(client.head().unwrap().status(), 101);
    assert_eq!(client.take(7), b"welcome");
    // A connection as old as the tunnel, and one begun later, are closed; the tunnel is not.
    idle.assert_closed();
    proxy.connect().assert_closed();
    client.send("hello");
    assert_eq!(client.take(5), b"hello");
}

#[test]
fn an_upgrade_that_the_upstream_declines_is_an_ordinary_response() {
    let upstream = Upstream::ok();
    let proxy = before(&upstream);
    let mut client = proxy.connect();
    for _ in 0..2 {
        client.send(UPGRADE);
        let response = client.response("GET");
        assert_eq!((response.status(), response.text()), (200, "ok".to_owned()));
    }
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn a_switch_of_protocols_that_nobody_asked_for_is_refused() {
    let upstream = Upstream::answering(|_| {
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\r\n".to_vec()
    });
    let proxy = before(&upstream);
    let response = proxy.get("/");
    assert_eq!(response.status(), 502);
    assert_eq!(
        response.field(ERROR_HEADER),
        Some("upstream_response_invalid")
    );
}

#[test]
fn cleartext_http_2_is_not_switched_to() {
    let upstream = Upstream::ok();
    let proxy = before(&upstream);
    let mut client = proxy.connect();
    client.send(
        "GET / HTTP/1.1\r\nhost: shop.test\r\nconnection: upgrade, http2-settings\r\n\
         upgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n\r\n",
    );
    assert_eq!(client.response("GET").status(), 200);
    let request = upstream.only_request();
    assert_eq!(request.head.field("upgrade"), None);
    assert_eq!(request.head.field("http2-settings"), None);
}

#[test]
fn a_head_that_does_not_end_in_time_is_cut_however_it_trickles() {
    let upstream = Upstream::ok();
    let proxy = proxy_with(&[("source", upstream.address, 1)], |config| {
        config.timeouts.client_head = SHORT;
    });
    let mut client = proxy.connect();
    client.send("GET / HTTP/1.1\r\nhost: shop.test\r\n");
    // Each byte is progress, and none of them buys time.
    eventually("the trickling client is cut", || {
        client
            .try_send("x-a: 1\r\n")
            .is_err()
            .then_some(())
            .ok_or("still taken")
    });
    let sample = "cutover_proxy_errors_total{cause=\"client_head_timeout\"}";
    assert!(proxy.metric(sample) == 1.0);
    assert!(upstream.requests().is_empty());
}

/// Its beginning was read along with the request before, so the proxy sees an idle connection
/// until the next byte; the idle limit holds at the latest.
#[test]
fn a_pipelined_head_that_stops_is_cut_as_an_idle_connection_is() {
    let upstream = Upstream::ok();
    let proxy = proxy_with(&[("source", upstream.address, 1)], |config| {
        config.timeouts.client_idle = SHORT;
    });
    let mut client = proxy.connect();
    client.send("GET / HTTP/1.1\r\nhost: shop.test\r\n\r\nGET / HT");
    assert_eq!(client.response("GET").status(), 200);
    client.assert_closed();
}

#[test]
fn an_idle_connection_is_kept_for_its_own_time_and_then_closed_without_a_word() {
    let upstream = Upstream::ok();
    let proxy = proxy_with(&[("source", upstream.address, 1)], |config| {
        config.timeouts.client_idle = SHORT;
        // Far shorter: must not matter between requests.
        config.timeouts.client_head = Duration::from_millis(10);
    });
    let mut client = proxy.connect();
    client.send("GET / HTTP/1.1\r\nhost: shop.test\r\n\r\n");
    assert_eq!(client.response("GET").status(), 200);
    client.assert_closed();
    let sample = "cutover_proxy_errors_total{cause=\"client_head_timeout\"}";
    assert!(proxy.metric(sample) == 0.0);
}
