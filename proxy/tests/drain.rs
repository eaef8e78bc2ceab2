//! Ending without dropping anything, within the library.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod support;

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use support::upstream::{Gate, Key, OK, Upstream, gate};
use support::wire::Wire;
use support::{LIMIT, Running, eventually, proxy, proxy_with};

const SHORT: Duration = Duration::from_millis(150);
const GET: &str = "GET / HTTP/1.1\r\nhost: shop.test\r\n\r\n";

/// Answers each request when its test says so.
fn slow() -> (Upstream, Key) {
    let (key, opened): (Key, Gate) = gate();
    let upstream = Upstream::answering(move |_| {
        opened.pass();
        OK.into()
    });
    (upstream, key)
}

/// Long enough that nothing but the test ends it.
fn with_lame_duck(upstream: &Upstream) -> Running {
    proxy_with(&[("source", upstream.address, 1)], |config| {
        config.lame_duck = LIMIT * 6;
    })
}

fn wait_until_refused(address: SocketAddr) {
    eventually(
        "new connections are refused",
        || match TcpStream::connect_timeout(&address, LIMIT) {
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => Ok(()),
            other => Err(format!("{other:?}")),
        },
    );
}

/// The drain has reached the proxy's thread when its responses ask to close.
fn wait_until_draining(proxy: &Running) {
    eventually("responses ask to close", || {
        let mut client = proxy.connect();
        client.send(GET);
        let response = client.response("GET");
        match response.field("connection") {
            Some("close") => Ok(()),
            _ => Err(format!("{:?}", response.head)),
        }
    });
}

#[test]
fn a_request_in_flight_is_finished_while_new_connections_are_refused() {
    let (upstream, key) = slow();
    let mut proxy = proxy(&[("source", upstream.address, 1)]);
    let mut client = proxy.connect();
    client.send(GET);
    upstream.wait_for_connections(1);
    proxy.drain();
    wait_until_refused(proxy.listen());
    assert!(!proxy.is_finished(), "a request is in flight");
    key.open();
    let response = client.response("GET");
    assert_eq!((response.status(), response.text()), (200, "ok".to_owned()));
    assert_eq!(response.field("connection"), Some("close"));
    client.assert_closed();
    proxy.ended();
}

#[test]
fn a_body_in_flight_arrives_whole() {
    let (key, more) = gate();
    let upstream = Upstream::scripted(move |wire, _| {
        wire.request().unwrap();
        wire.send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nfirst");
        more.pass();
        wire.send("later");
    });
    let mut proxy = proxy(&[("source", upstream.address, 1)]);
    let mut client = proxy.connect();
    client.send(GET);
    let head = client.head().unwrap();
    assert_eq!(head.status(), 200);
    assert_eq!(client.take(5), b"first");
    proxy.drain();
    wait_until_refused(proxy.listen());
    key.open();
    assert_eq!(client.take(5), b"later");
    client.assert_closed();
    proxy.ended();
}

#[test]
fn an_upload_in_flight_is_taken_whole() {
    let upstream = Upstream::ok();
    let mut proxy = proxy(&[("source", upstream.address, 1)]);
    let mut client = proxy.connect();
    client.send("POST / HTTP/1.1\r\nhost: shop.test\r\ncontent-length: 10\r\n\r\nfirst");
    upstream.wait_for_connections(1);
    proxy.drain();
    wait_until_refused(proxy.listen());
    client.send("later");
    assert_eq!(client.response("POST").status(), 200);
    assert_eq!(upstream.only_request().body, b"firstlater");
    proxy.ended();
}

#[test]
fn idle_connections_do_not_hold_the_drain_up() {
    let upstream = Upstream::ok();
    let mut proxy = proxy(&[("source", upstream.address, 1)]);
    let mut fresh = proxy.connect();
    let mut used = proxy.connect();
    used.send(GET);
    assert_eq!(used.response("GET").status(), 200);
    proxy.drain();
    proxy.ended();
    used.assert_closed();
    fresh.assert_closed();
}

#[test]
fn a_lame_duck_goes_on_serving_is_not_ready_and_asks_to_close() {
    let upstream = Upstream::ok();
    let proxy = with_lame_duck(&upstream);
    let mut kept = proxy.connect();
    kept.send(GET);
    assert_eq!(kept.response("GET").field("connection"), None);
    assert_eq!(proxy.admin_request("GET", "/ready", "").status(), 200);
    assert_eq!(proxy.admin_request("GET", "/health", "").status(), 200);

    let answer = proxy.admin_request("POST", "/drain", "");
    assert_eq!(answer.status(), 202);
    assert_eq!(proxy.admin_request("GET", "/ready", "").status(), 503);
    assert_eq!(proxy.admin_request("GET", "/health", "").status(), 200);
    wait_until_draining(&proxy);
    // The load balancer's old connection is served, and asked to end.
    kept.send(GET);
    let response = kept.response("GET");
    assert_eq!(response.status(), 200);
    assert_eq!(response.field("connection"), Some("close"));
    kept.assert_closed();
    assert!(!proxy.is_finished());
}

#[test]
fn the_lame_duck_ends_by_itself() {
    let upstream = Upstream::ok();
    let mut proxy = proxy_with(&[("source", upstream.address, 1)], |config| {
        config.lame_duck = SHORT;
    });
    proxy.drain();
    proxy.ended();
}

#[test]
fn what_is_not_done_by_the_deadline_is_cut() {
    let (upstream, key) = slow();
    let mut proxy = proxy_with(&[("source", upstream.address, 1)], |config| {
        config.drain_timeout = SHORT;
    });
    let mut client = proxy.connect();
    client.send(GET);
    upstream.wait_for_connections(1);
    proxy.drain();
    proxy.ended();
    client.assert_closed();
    key.open();
}

#[test]
fn stop_does_not_wait() {
    let (upstream, key) = slow();
    let mut proxy = with_lame_duck(&upstream);
    let mut client = proxy.connect();
    client.send(GET);
    upstream.wait_for_connections(1);
    proxy.drain();
    proxy.stop();
    proxy.ended();
    client.assert_closed();
    key.open();
}

#[test]
fn a_connection_that_the_kernel_took_before_the_end_is_served() {
    let (upstream, key) = slow();
    let proxy = proxy(&[("source", upstream.address, 1)]);
    // Connected and sent, whether or not the proxy has seen any of them when it stops accepting.
    let mut clients: Vec<Wire> = (0..50).map(|_| proxy.connect()).collect();
    for client in &mut clients {
        client.send(GET);
    }
    proxy.drain();
    for _ in &clients {
        key.open();
    }
    for client in &mut clients {
        assert_eq!(client.response("GET").status(), 200);
    }
}

#[test]
fn busy_clients_on_kept_connections_lose_no_request_to_a_drain() {
    let upstream = Upstream::ok();
    let mut proxy = proxy_with(&[("source", upstream.address, 1)], |config| {
        config.threads = 2;
        config.lame_duck = SHORT;
    });
    let address = proxy.listen();
    let clients: Vec<_> = (0..4)
        .map(|_| std::thread::spawn(move || be_busy(address)))
        .collect();
    eventually("the clients are busy", || {
        let served = upstream.requests().len();
        (served >= 200).then_some(()).ok_or(served)
    });
    proxy.drain();
    for client in clients {
        client.join().expect("no request failed");
    }
    proxy.ended();
}

/// Asks on one connection until a response says to close it, then on the next, until there is none.
fn be_busy(address: SocketAddr) {
    while let Ok(stream) = TcpStream::connect_timeout(&address, LIMIT) {
        let mut client = Wire::new(stream);
        let mut served = 0;
        loop {
            // A connection made at the very end may find nobody; one that was served may not.
            let sent = client.try_send(GET);
            let Some(head) = client.head() else {
                assert!(served == 0, "cut after {served} requests, {sent:?}");
                break;
            };
            assert_eq!(head.status(), 200);
            assert_eq!(client.take(2), b"ok");
            served += 1;
            if head.field("connection") == Some("close") {
                break;
            }
        }
    }
}

#[test]
fn an_idle_proxy_ends_by_itself() {
    let upstream = Upstream::ok();
    let mut proxy = proxy_with(&[("source", upstream.address, 1)], |config| {
        config.idle_exit = Some(SHORT);
    });
    let mut kept = proxy.connect();
    kept.send(GET);
    assert_eq!(kept.response("GET").status(), 200);
    proxy.ended();
    kept.assert_closed();
}

#[test]
fn a_proxy_with_a_request_or_a_tunnel_is_not_idle() {
    let (key, more) = gate();
    let upstream = Upstream::scripted(move |wire, _| {
        let request = wire.request().unwrap();
        if request.head.field("upgrade").is_some() {
            wire.send("HTTP/1.1 101 Switching Protocols\r\nupgrade: chat\r\n\r\n");
            while !wire.take(1).is_empty() {
                wire.send("!");
            }
        } else {
            more.pass();
            wire.send(OK);
        }
    });
    let idle_exit = SHORT * 4;
    let mut proxy = proxy_with(&[("source", upstream.address, 1)], |config| {
        config.idle_exit = Some(idle_exit);
    });
    let mut client = proxy.connect();
    client.send(GET);
    still_serving_after(idle_exit * 2, &proxy);
    key.open();
    assert_eq!(client.response("GET").status(), 200);
    client
        .send("GET / HTTP/1.1\r\nhost: shop.test\r\nconnection: upgrade\r\nupgrade: chat\r\n\r\n");
    assert_eq!(client.head().unwrap().status(), 101);
    still_serving_after(idle_exit * 2, &proxy);
    client.send("?");
    assert_eq!(client.take(1), b"!");
    drop(client);
    proxy.ended();
}

/// That something does not happen can only be seen by letting the time pass in which it would.
#[expect(clippy::disallowed_methods, reason = "the passing time is the test")]
fn still_serving_after(time: Duration, proxy: &Running) {
    std::thread::sleep(time);
    assert!(!proxy.remote().is_draining());
}
