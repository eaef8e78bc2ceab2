//! Which fields reach the other side, and what the proxy says about the client.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod support;

use support::upstream::{OK, Upstream};
use support::wire::{Request, Response};
use support::{proxy, proxy_with};

/// Sends one request head through a proxy and returns what came out on both sides.
fn forward(head: &str, answer: &'static str, trusted: &[&str]) -> (Request, Response) {
    let upstream = Upstream::answering(move |_| answer.into());
    let proxy = proxy_with(&[("source", upstream.address, 1)], |config| {
        config.trusted_proxies = trusted.iter().map(|range| range.parse().unwrap()).collect();
    });
    let mut client = proxy.connect();
    client.send(head);
    let response = client.response("GET");
    (upstream.only_request(), response)
}

#[test]
fn fields_of_the_client_connection_are_dropped_and_all_others_kept() {
    let (request, _) = forward(
        "GET /cart?id=1 HTTP/1.1\r\nHost: shop.test:8080\r\n\
         Connection: keep-alive, X-First\r\nConnection: x-second , X-Third\r\n\
         X-First: 1\r\nx-second: 2\r\nX-THIRD: 3\r\n\
         TE: trailers\r\nKeep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\n\
         Upgrade: h2c\r\nProxy: http://evil.test\r\n\
         Accept: a\r\nAccept: b\r\nCookie: basket=7\r\nX-Kept: yes\r\nAuthorization: Bearer t\r\n\r\n",
        OK,
        &[],
    );
    let head = &request.head;
    assert_eq!(head.start, "GET /cart?id=1 HTTP/1.1");
    for dropped in [
        "connection",
        "x-first",
        "x-second",
        "x-third",
        "te",
        "keep-alive",
        "proxy-connection",
        "upgrade",
        "proxy",
        "transfer-encoding",
    ] {
        assert!(head.all(dropped).is_empty(), "`{dropped}` in {head:?}");
    }
    assert_eq!(head.field("host"), Some("shop.test:8080"));
    assert_eq!(head.all("accept"), ["a", "b"]);
    assert_eq!(head.field("cookie"), Some("basket=7"));
    assert_eq!(head.field("x-kept"), Some("yes"));
    assert_eq!(head.field("authorization"), Some("Bearer t"));
}

#[test]
fn a_client_cannot_have_protected_fields_dropped() {
    let (request, _) = forward(
        "GET / HTTP/1.1\r\nHost: shop.test\r\n\
         Connection: host, authorization, cookie, x-forwarded-for, content-length\r\n\
         Authorization: Bearer t\r\nCookie: a=b\r\nContent-Length: 3\r\n\r\nabc",
        OK,
        &[],
    );
    assert_eq!(request.head.field("host"), Some("shop.test"));
    assert_eq!(request.head.field("authorization"), Some("Bearer t"));
    assert_eq!(request.head.field("cookie"), Some("a=b"));
    assert_eq!(request.head.field("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(request.body, b"abc");
}

#[test]
fn fields_of_the_upstream_connection_are_dropped_and_all_others_kept() {
    let (_, response) = forward(
        "GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n",
        "HTTP/1.1 200 OK\r\nConnection: x-first\r\nConnection: X-Second\r\nx-first: 1\r\n\
         x-second: 2\r\nKeep-Alive: timeout=5\r\nUpgrade: h2c\r\nServer: shop/1\r\n\
         Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 2\r\n\r\nok",
        &[],
    );
    let head = &response.head;
    for dropped in ["connection", "x-first", "x-second", "keep-alive", "upgrade"] {
        assert!(head.all(dropped).is_empty(), "`{dropped}` in {head:?}");
    }
    assert_eq!(head.field("server"), Some("shop/1"));
    assert_eq!(head.all("set-cookie"), ["a=1", "b=2"]);
    assert_eq!(response.text(), "ok");
}

#[test]
fn an_unknown_peer_is_not_believed_about_who_it_is() {
    let (request, _) = forward(
        "GET / HTTP/1.1\r\nHost: shop.test\r\nX-Forwarded-For: 6.6.6.6\r\n\
         X-Real-IP: 6.6.6.6\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil.test\r\n\
         X-Forwarded-Port: 1\r\nX-Forwarded-Prefix: /evil\r\nX-Request-ID: mine\r\n\r\n",
        OK,
        &[],
    );
    let head = &request.head;
    assert_eq!(head.field("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(head.field("x-original-forwarded-for"), Some("6.6.6.6"));
    assert_eq!(head.field("x-real-ip"), Some("127.0.0.1"));
    assert_eq!(head.field("x-forwarded-proto"), Some("http"));
    assert_eq!(head.field("x-forwarded-host"), Some("shop.test"));
    assert!(
        head.field("x-forwarded-port")
            .is_some_and(|port| port != "1")
    );
    assert_eq!(head.field("x-forwarded-prefix"), None);
    assert_eq!(head.field("x-request-id"), Some("mine"));
}

#[test]
fn a_trusted_peer_is_believed_and_added_to_the_list() {
    let (request, _) = forward(
        "GET / HTTP/1.1\r\nHost: shop.test\r\nX-Forwarded-For: 6.6.6.6, 203.0.113.9:4711\r\n\
         X-Forwarded-For: 10.1.2.3\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Port: 443\r\n\r\n",
        OK,
        &["127.0.0.0/8", "10.0.0.0/8"],
    );
    let head = &request.head;
    assert_eq!(
        head.field("x-forwarded-for"),
        Some("6.6.6.6, 203.0.113.9:4711, 10.1.2.3, 127.0.0.1")
    );
    // The right-most address that no trusted proxy has.
    assert_eq!(head.field("x-real-ip"), Some("203.0.113.9"));
    assert_eq!(head.field("x-forwarded-proto"), Some("https"));
    assert_eq!(head.field("x-forwarded-port"), Some("443"));
    assert_eq!(head.field("x-forwarded-host"), Some("shop.test"));
}

#[test]
fn requests_without_an_id_get_different_ones() {
    let upstream = Upstream::ok();
    let proxy = proxy(&[("source", upstream.address, 1)]);
    proxy.get("/1");
    proxy.get("/2");
    let requests = upstream.requests();
    let ids: Vec<&str> = requests
        .iter()
        .map(|request| request.head.field("x-request-id").unwrap())
        .collect();
    assert_eq!(ids.len(), 2);
    assert_ne!(ids[0], ids[1]);
}

#[test]
fn the_target_is_forwarded_byte_for_byte() {
    let (request, _) = forward(
        "GET //a/../b/%2f;v=1?q=%20&r=a+b&& HTTP/1.1\r\nHost: shop.test\r\n\r\n",
        OK,
        &[],
    );
    assert_eq!(
        request.head.start,
        "GET //a/../b/%2f;v=1?q=%20&r=a+b&& HTTP/1.1"
    );
}

#[test]
fn the_authority_of_an_absolute_target_replaces_the_host() {
    let (request, _) = forward(
        "GET http://real.test:81/path?q HTTP/1.1\r\nHost: other.test\r\n\r\n",
        OK,
        &[],
    );
    assert_eq!(request.head.start, "GET /path?q HTTP/1.1");
    assert_eq!(request.head.field("host"), Some("real.test:81"));
    assert_eq!(request.head.field("x-forwarded-host"), Some("real.test:81"));
}

#[test]
fn http_1_0_may_do_without_a_host() {
    let upstream = Upstream::ok();
    let proxy = proxy(&[("source", upstream.address, 1)]);
    let mut client = proxy.connect();
    client.send("GET / HTTP/1.0\r\n\r\n");
    let response = client.response("GET");
    assert_eq!(response.status(), 200);
    client.assert_closed();
    let host = upstream.address.to_string();
    let request = upstream.only_request();
    assert_eq!(request.head.start, "GET / HTTP/1.1");
    assert_eq!(request.head.field("host"), Some(host.as_str()));
}

#[test]
fn options_of_the_whole_server_keeps_its_asterisk() {
    let (request, _) = forward("OPTIONS * HTTP/1.1\r\nHost: shop.test\r\n\r\n", OK, &[]);
    assert_eq!(request.head.start, "OPTIONS * HTTP/1.1");
}
