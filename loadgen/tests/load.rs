//! What is sent, when, where to, and who is said to have answered.

mod support;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use cutover_loadgen::{Attribution, Endpoint, Schedule, Session, Stage};
use support::{Reply, Server, config, finish, request, run, stream};
use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

#[tokio::test]
async fn a_constant_rate_is_kept_exactly() {
    let server = Server::start(|_| Reply::ok()).await;
    let total = run(config(2, vec![stream(500.0, 2 * SECOND, server.address)])).await;
    let stats = total.all();
    assert_eq!(stats.counters.requests, 1_000);
    assert_eq!(stats.counters.failed.total(), 0, "{:?}", stats.counters);
    assert_eq!(stats.counters.statuses[2], stats.counters.requests);
    assert_eq!(server.seen().len() as u64, stats.counters.requests);
    assert_eq!(stats.from_sent.len(), stats.counters.requests);
    assert_eq!(stats.lateness.len(), stats.counters.requests);
}

#[tokio::test]
async fn a_ramp_sends_the_area_under_it() {
    let server = Server::start(|_| Reply::ok()).await;
    let mut ramp = stream(0.0, SECOND + SECOND / 2, server.address);
    ramp.schedule = Schedule::Ramp {
        start: 0.0,
        stages: [(SECOND, 400.0), (SECOND / 2, 400.0), (Duration::ZERO, 0.0)]
            .map(|(duration, rate)| Stage { duration, rate })
            .to_vec(),
    };
    let total = run(config(2, vec![ramp])).await;
    // 200 on the ramp, 200 on the plateau.
    assert_eq!(total.all().counters.requests, 400);
}

#[tokio::test]
async fn a_pair_gets_the_same_requests_on_both_sides_by_share() {
    let source = Server::start(|_| Reply::ok()).await;
    let target = Server::start(|_| Reply::ok()).await;
    let mut paired = stream(400.0, SECOND, source.address);
    paired.endpoints = vec![
        Endpoint {
            arm: Some(0),
            address: source.address,
        },
        Endpoint {
            arm: Some(1),
            address: target.address,
        },
    ];
    let mut checkout = request("POST", "/checkout");
    checkout.body = "{\"item\":42}".into();
    paired.requests = vec![request("GET", "/"), request("GET", "/items/42"), checkout];
    paired.requests[0].share = 6;
    paired.requests[1].share = 3;
    let total = run(config(2, vec![paired])).await;

    let by_line = |server: &Server| {
        let mut counts = BTreeMap::<String, usize>::new();
        for seen in server.seen() {
            if seen.line.starts_with("POST") {
                assert_eq!(seen.body, b"{\"item\":42}");
            }
            *counts.entry(seen.line).or_default() += 1;
        }
        counts
    };
    let counts = by_line(&source);
    assert_eq!(counts, by_line(&target));
    let all: usize = counts.values().sum();
    for (line, share) in [
        ("GET /", 0.6),
        ("GET /items/42", 0.3),
        ("POST /checkout", 0.1),
    ] {
        let expected = all as f64 * share;
        let off = (counts[line] as f64 - expected).abs();
        assert!(off <= 4.0, "{counts:?}: {line} is {off} off");
    }
    for arm in [0, 1] {
        let stats = total.of(|entry| entry.arm == Some(arm));
        assert_eq!(stats.counters.requests, all as u64);
        assert_eq!(stats.counters.failed.total(), 0);
    }
}

#[tokio::test]
async fn the_arm_that_answered_is_known_from_its_header() {
    let next = Mutex::new(0_usize);
    let server = Server::start(move |_| {
        let mut next = next.lock().unwrap();
        *next += 1;
        Reply::head(
            match *next % 4 {
                0 => "200 OK\r\nx-stack: target\r\nContent-Length: 0",
                1 => "200 OK\r\nContent-Length: 0",
                _ => "200 OK\r\nX-Stack: source\r\nContent-Length: 0",
            },
            "",
        )
    })
    .await;
    let mut edge = stream(400.0, SECOND / 2, server.address);
    edge.attribution = Attribution::Header("X-Stack".into());
    let total = run(config(2, vec![edge])).await;
    let all = total.all().counters.requests;
    let of = |arm| total.of(|entry| entry.arm == arm).counters.requests;
    assert!(
        of(Some(0)).abs_diff(all / 2) <= 1,
        "{} of {all}",
        of(Some(0))
    );
    assert!(
        of(Some(1)).abs_diff(all / 4) <= 1,
        "{} of {all}",
        of(Some(1))
    );
    assert!(of(None).abs_diff(all / 4) <= 1, "{} of {all}", of(None));
}

#[tokio::test]
async fn connections_are_kept_and_no_more_than_allowed() {
    let server = Server::start(|_| Reply::ok()).await;
    let mut few = stream(200.0, SECOND, server.address);
    few.connections = 3;
    let total = run(config(1, vec![few])).await;
    assert_eq!(total.all().counters.requests, 200);
    let connections = server.connections();
    assert!(connections <= 3, "{connections} connections");
}

#[tokio::test]
async fn a_request_carries_a_mark_only_once_it_is_set() {
    let server = Server::start(|_| Reply::ok().after(20 * MS)).await;
    let (session, reports) =
        Session::start(config(2, vec![stream(400.0, 5 * SECOND, server.address)])).unwrap();
    tokio::time::sleep(SECOND / 2).await;
    let before = Instant::now();
    session.set_mark(7);
    let after = Instant::now();
    tokio::time::sleep(SECOND / 2).await;
    let total = finish(session, reports, SECOND).await;

    let marked = total.of(|entry| entry.mark == 7).counters.requests;
    let unmarked = total.of(|entry| entry.mark == 0).counters.requests;
    let seen = server.seen();
    assert_eq!(marked + unmarked, seen.len() as u64);
    // The server sees a request some time after it was sent: those it saw before the mark was
    // set cannot carry it, and those sent before cannot all be late.
    let early = seen.iter().filter(|seen| seen.at < before).count() as u64;
    assert!(
        marked <= seen.len() as u64 - early,
        "{marked} marked, {early} early"
    );
    let late = seen
        .iter()
        .filter(|seen| seen.at > after + 100 * MS)
        .count() as u64;
    assert!(marked >= late, "{marked} marked, {late} late");
}

#[tokio::test]
async fn after_arrivals_stop_nothing_is_sent_but_what_is_under_way_ends() {
    let server = Server::start(|_| Reply::ok().after(200 * MS)).await;
    let mut constant = stream(0.0, SECOND, server.address);
    constant.schedule = Schedule::Constant { rate: 200.0 };
    let (session, reports) = Session::start(config(2, vec![constant])).unwrap();
    tokio::time::sleep(SECOND / 2).await;
    session.stop_arrivals();
    let stopped = Instant::now();
    tokio::time::sleep(SECOND).await;
    let total = finish(session, reports, SECOND).await;
    let seen = server.seen();
    assert!(seen.len() >= 50, "{} requests", seen.len());
    let last = seen.iter().map(|seen| seen.at).max().unwrap();
    assert!(last < stopped + SECOND / 2, "{:?} after", last - stopped);
    let counters = total.all().counters;
    assert_eq!(counters.statuses[2], seen.len() as u64, "{counters:?}");
    assert_eq!(counters.abandoned, 0);
}

#[tokio::test]
async fn saturation_keeps_every_connection_busy_and_stops_when_told() {
    let server = Server::start(|_| Reply::ok().after(10 * MS)).await;
    let mut blast = stream(0.0, SECOND, server.address);
    blast.schedule = Schedule::Saturate;
    blast.connections = 8;
    let (session, reports) = Session::start(config(1, vec![blast])).unwrap();
    tokio::time::sleep(SECOND / 2).await;
    let total = finish(session, reports, SECOND).await;
    let counters = total.all().counters;
    // One connection alone gets no further than 50 in the half second.
    assert!(counters.requests > 100, "{counters:?}");
    assert_eq!(counters.statuses[2], counters.requests);
    assert_eq!((counters.abandoned, server.connections()), (0, 8));
}

#[tokio::test]
async fn reports_come_at_every_flush_even_when_nothing_happens() {
    let server = Server::start(|_| Reply::ok()).await;
    let mut quiet = stream(0.0, SECOND, server.address);
    quiet.schedule = Schedule::ramp_to(0.0, SECOND);
    let total = run(config(1, vec![quiet])).await;
    assert_eq!(total.all().counters.requests, 0);
    // 20 flushes in a second, and the last words.
    assert!(total.reports >= 10, "{} reports", total.reports);
}

#[tokio::test]
async fn a_dropped_session_stops_by_itself() {
    let server = Server::start(|_| Reply::ok()).await;
    let (session, mut reports) =
        Session::start(config(2, vec![stream(100.0, SECOND, server.address)])).unwrap();
    drop(session);
    let limit = Instant::now() + 5 * SECOND;
    let ended = tokio::time::timeout_at(limit, async { while reports.recv().await.is_some() {} });
    assert!(ended.await.is_ok(), "threads go on after 5 s");
}
