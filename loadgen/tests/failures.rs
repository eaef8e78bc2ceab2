//! What is said when the target fails.

mod support;

use std::time::Duration;

use cutover_loadgen::stats::FailureKind;
use cutover_loadgen::{Endpoint, Session};
use support::{Reply, Server, config, finish, nobody, request, run, stream};
use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

#[tokio::test]
async fn refused_connections_are_counted_with_the_arm_and_the_moment() {
    let mut refused = stream(200.0, SECOND, nobody());
    refused.endpoints[0].arm = Some(1);
    let total = run(config(2, vec![refused])).await;
    let stats = total.of(|entry| entry.arm == Some(1));
    let counters = &stats.counters;
    assert_eq!(counters.requests, 200);
    assert_eq!(
        counters.failed.of(FailureKind::ConnectRefused),
        counters.requests
    );
    let first = counters.first_failed_at.unwrap();
    assert!(first < SECOND / 2, "{first:?}");
    assert_eq!(stats.from_sent.len(), 0);
}

#[tokio::test]
async fn a_stalled_server_times_out_also_for_those_who_wait_for_a_connection() {
    let server = Server::start(|_| Reply::ok().after(60 * SECOND)).await;
    let mut stalled = stream(100.0, SECOND, server.address);
    stalled.timeout = 300 * MS;
    stalled.connections = 4;
    stalled.slow_over = vec![250 * MS, 2 * SECOND];
    let begun = Instant::now();
    let total = run(config(2, vec![stalled])).await;
    let stats = total.all();
    let counters = &stats.counters;
    assert_eq!(counters.requests, 100);
    assert_eq!(counters.failed.of(FailureKind::Timeout), counters.requests);
    assert_eq!(counters.slow, [counters.requests, 0]);
    let first = counters.first_slow_at[0].unwrap();
    assert!((300 * MS..SECOND).contains(&first), "{first:?}");
    assert_eq!(stats.from_intended.len(), counters.requests);
    let longest = stats.from_intended.max().unwrap();
    assert!((300 * MS..SECOND).contains(&longest), "{longest:?}");
    assert!(
        begun.elapsed() < 4 * SECOND,
        "draining waits for timeouts only"
    );
}

#[tokio::test]
async fn a_full_queue_drops_and_says_so() {
    let server = Server::start(|_| Reply::ok().after(60 * SECOND)).await;
    let mut stalled = stream(200.0, SECOND, server.address);
    stalled.timeout = 10 * SECOND;
    stalled.connections = 2;
    stalled.queue = 5;
    let (session, reports) = Session::start(config(1, vec![stalled])).unwrap();
    tokio::time::sleep(SECOND + 300 * MS).await;
    let total = finish(session, reports, Duration::ZERO).await;
    let counters = total.all().counters;
    assert_eq!(counters.requests, 0);
    // Two on their way; the queue takes five; all others are dropped.
    assert_eq!(counters.abandoned, 2 + 5, "{counters:?}");
    assert_eq!(counters.dropped, 200 - 7);
}

#[tokio::test]
async fn a_stall_shows_from_the_intended_start_and_in_slow() {
    // One connection: all others wait behind the request that takes 500 ms.
    let server = Server::start(|seen| match seen.nth {
        100 => Reply::ok().after(500 * MS),
        _ => Reply::ok(),
    })
    .await;
    let mut one = stream(200.0, 2 * SECOND, server.address);
    one.connections = 1;
    one.slow_over = vec![100 * MS];
    let total = run(config(1, vec![one])).await;
    let stats = total.all();
    assert_eq!(stats.counters.failed.total(), 0, "{:?}", stats.counters);
    // 200/s for the 400 ms in which a wait is longer than 100 ms.
    let slow = stats.counters.slow[0];
    assert!((70..=150).contains(&slow), "{slow} slow");
    let p90 = |latencies: &cutover_loadgen::stats::Latencies| latencies.quantile(0.9).unwrap();
    assert!(p90(&stats.from_intended) > 200 * MS);
    assert!(p90(&stats.from_sent) < 100 * MS);
}

#[tokio::test]
async fn statuses_of_500_and_above_fail() {
    let server = Server::start(|seen| match seen.nth % 4 {
        0 => Reply::head("503 Service Unavailable\r\nContent-Length: 4", "oops"),
        1 => Reply::head("404 Not Found\r\nContent-Length: 0", ""),
        _ => Reply::ok(),
    })
    .await;
    let mut one = stream(200.0, SECOND / 2, server.address);
    one.connections = 1;
    let total = run(config(1, vec![one])).await;
    let counters = total.all().counters;
    let quarter = counters.requests / 4;
    assert!(counters.failed.of(FailureKind::Status).abs_diff(quarter) <= 1);
    assert_eq!(counters.failed.total(), counters.statuses[5]);
    assert!(counters.statuses[4].abs_diff(quarter) <= 1, "{counters:?}");
}

#[tokio::test]
async fn bodies_of_every_framing_are_read_to_their_end() {
    // Several rounds on the connections that stay open: a byte left over would spoil the next.
    let server = Server::start(|seen| match seen.line.as_str() {
        "GET /chunked" => Reply::head(
            "200 OK\r\nTransfer-Encoding: chunked",
            "5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nTrailer: t\r\n\r\n",
        ),
        "GET /until-close" => Reply::head("200 OK", &"x".repeat(100_000)).closing(),
        "GET /big" => Reply::head("200 OK\r\nContent-Length: 300000", &"x".repeat(300_000)),
        "GET /interim" => Reply::head(
            "103 Early Hints\r\nLink: </a>",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        ),
        "HEAD /head" => Reply::head("200 OK\r\nContent-Length: 500", ""),
        "GET /empty" => Reply::head("204 No Content", ""),
        _ => Reply::head("200 OK\r\nContent-Length: 2\r\nConnection: close", "ok").closing(),
    })
    .await;
    let mut mixed = stream(300.0, SECOND, server.address);
    mixed.requests = [
        ("GET", "/chunked"),
        ("GET", "/until-close"),
        ("GET", "/big"),
        ("GET", "/interim"),
        ("HEAD", "/head"),
        ("GET", "/empty"),
        ("GET", "/close"),
    ]
    .map(|(method, path)| request(method, path))
    .to_vec();
    let total = run(config(1, vec![mixed])).await;
    let counters = total.all().counters;
    assert_eq!(counters.requests, 300);
    assert_eq!(counters.failed.total(), 0, "{counters:?}");
    assert_eq!(counters.statuses[2], counters.requests);
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_is_tried_again_only_where_that_is_safe() {
    // Closes when the second request on a connection arrives, without answering it.
    let fickle = |seen: &support::Seen| match seen.nth {
        0 => Reply::ok(),
        _ => Reply {
            bytes: Vec::new(),
            ..Reply::ok().closing()
        },
    };
    for (method, safe) in [("GET", true), ("POST", false)] {
        let server = Server::start(fickle).await;
        let mut one = stream(100.0, SECOND / 2, server.address);
        one.connections = 1;
        one.requests = vec![request(method, "/")];
        let total = run(config(1, vec![one])).await;
        let counters = total.all().counters;
        let closed = counters.failed.of(FailureKind::Closed);
        if safe {
            assert_eq!(counters.failed.total(), 0, "{counters:?}");
            assert!(
                counters.retried.abs_diff(counters.requests - 1) <= 1,
                "{counters:?}"
            );
        } else {
            assert_eq!(counters.retried, 0, "{counters:?}");
            assert!(closed.abs_diff(counters.requests / 2) <= 1, "{counters:?}");
        }
    }
}

#[tokio::test]
async fn responses_cut_short_and_nonsense_are_told_apart() {
    let server = Server::start(|seen| match seen.line.as_str() {
        "GET /cut" => Reply::head("200 OK\r\nContent-Length: 100", "only this").closing(),
        _ => Reply {
            bytes: b"220 smtp.test ESMTP\r\n".to_vec(),
            ..Reply::ok()
        },
    })
    .await;
    let mut broken = stream(200.0, SECOND / 2, server.address);
    broken.requests = vec![request("GET", "/cut"), request("GET", "/nonsense")];
    let total = run(config(1, vec![broken])).await;
    let counters = total.all().counters;
    let half = counters.requests / 2;
    assert!(counters.failed.of(FailureKind::Closed).abs_diff(half) <= 2);
    assert!(counters.failed.of(FailureKind::Protocol).abs_diff(half) <= 2);
    assert_eq!(counters.failed.total(), counters.requests, "{counters:?}");
}

#[tokio::test]
async fn one_side_of_a_pair_does_not_hold_up_the_other() {
    let source = Server::start(|_| Reply::ok()).await;
    let target = Server::start(|_| Reply::ok().after(60 * SECOND)).await;
    let mut paired = stream(100.0, SECOND, source.address);
    paired.timeout = 200 * MS;
    paired.endpoints = [source.address, target.address]
        .into_iter()
        .enumerate()
        .map(|(arm, address)| Endpoint {
            arm: Some(arm),
            address,
        })
        .collect();
    let total = run(config(2, vec![paired])).await;
    let source = total.of(|entry| entry.arm == Some(0));
    let target = total.of(|entry| entry.arm == Some(1));
    assert_eq!(source.counters.requests, target.counters.requests);
    assert_eq!(source.counters.failed.total(), 0);
    assert_eq!(target.error_rate(), Some(1.0));
    assert!(source.from_intended.quantile(0.9).unwrap() < 100 * MS);
}
