//! Weights: what each setting promises, under load, at the moment it is confirmed.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;

use cutover_proxy::{ERROR_HEADER, WeightStatus};
use support::upstream::Upstream;
use support::wire::{Response, Wire};
use support::{Running, eventually, nobody, proxy_with};

const CLIENTS: usize = 6;
const CHANGES: usize = 200;
/// Requests that are let through between two changes.
const BETWEEN: usize = 12;

/// Two stacks that say who they are, behind a proxy that says whom it chose.
struct Stacks {
    source: Upstream,
    target: Upstream,
    proxy: Arc<Running>,
}

fn stacks(source_weight: u64, target_weight: u64, threads: usize) -> Stacks {
    let named = |name: &'static str| {
        Upstream::answering(move |_| {
            format!("HTTP/1.1 200 OK\r\nx-answered-by: {name}\r\ncontent-length: 0\r\n\r\n")
                .into_bytes()
        })
    };
    let (source, target) = (named("source"), named("target"));
    let upstreams = [
        ("source", source.address, source_weight),
        ("target", target.address, target_weight),
    ];
    let proxy = proxy_with(&upstreams, |config| {
        config.threads = threads;
        config.stack_header = Some("x-stack".parse().unwrap());
    });
    Stacks {
        source,
        target,
        proxy: Arc::new(proxy),
    }
}

fn put(proxy: &Running, body: &str) -> Response {
    proxy.admin_request("PUT", "/weights", body)
}

fn put_percent(proxy: &Running, target: u64) {
    let source = 100 - target;
    let body = format!(r#"{{"weights": {{"source": {source}, "target": {target}}}}}"#);
    let response = put(proxy, &body);
    assert_eq!(response.status(), 200, "{}", response.text());
}

fn weights(proxy: &Running) -> WeightStatus {
    let response = proxy.admin_request("GET", "/weights", "");
    assert_eq!(response.status(), 200);
    serde_json::from_str(&response.text()).unwrap()
}

/// The stack that served one request on a kept connection.
fn ask(client: &mut Wire) -> String {
    client.send("GET / HTTP/1.1\r\nhost: shop.test\r\n\r\n");
    let response = client.response("GET");
    assert_eq!(response.status(), 200, "{:?}", response.head);
    let chosen = response.field("x-stack").unwrap().to_owned();
    assert_eq!(response.field("x-answered-by"), Some(chosen.as_str()));
    chosen
}

/// One request, and what the weights may have been while it was served.
struct Sample {
    /// The number of the last change confirmed before the request was sent.
    confirmed: usize,
    /// The number of the last change asked for before the response had come.
    asked: usize,
    to_target: bool,
}

#[test]
fn two_hundred_changes_under_load_fail_no_request_and_each_holds_once_confirmed() {
    let stacks = stacks(100, 0, 2);
    // Every third change takes the target out.
    let percents: Vec<u64> = (0..=CHANGES)
        .map(|n| {
            if n % 3 == 0 {
                0
            } else {
                (n as u64 * 37) % 100 + 1
            }
        })
        .collect();
    let asked = Arc::new(AtomicUsize::new(0));
    let confirmed = Arc::new(AtomicUsize::new(0));
    let served = Arc::new(AtomicUsize::new(0));
    let is_over = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let proxy = Arc::clone(&stacks.proxy);
            let (asked, confirmed) = (Arc::clone(&asked), Arc::clone(&confirmed));
            let (served, is_over) = (Arc::clone(&served), Arc::clone(&is_over));
            thread::spawn(move || {
                let mut samples = Vec::new();
                let mut client = proxy.connect();
                while !is_over.load(SeqCst) {
                    if samples.len() % 50 == 49 {
                        client = proxy.connect();
                    }
                    let confirmed = confirmed.load(SeqCst);
                    let to_target = ask(&mut client) == "target";
                    served.fetch_add(1, SeqCst);
                    samples.push(Sample {
                        confirmed,
                        asked: asked.load(SeqCst),
                        to_target,
                    });
                }
                samples
            })
        })
        .collect();
    for (number, percent) in percents.iter().enumerate().skip(1) {
        let enough = served.load(SeqCst) + BETWEEN;
        eventually("requests were served", || {
            let served = served.load(SeqCst);
            (served >= enough)
                .then_some(())
                .ok_or(format!("{served} of {enough}"))
        });
        asked.store(number, SeqCst);
        put_percent(&stacks.proxy, *percent);
        confirmed.store(number, SeqCst);
    }
    is_over.store(true, SeqCst);
    let samples: Vec<Sample> = clients
        .into_iter()
        .flat_map(|client| client.join().expect("no request failed"))
        .collect();

    // Requests that can only have been routed by one setting.
    let (mut count, mut expected, mut variance, mut observed) = (0, 0.0, 0.0, 0.0);
    for sample in &samples {
        let possible = &percents[sample.confirmed..=sample.asked];
        assert!(
            !sample.to_target || possible.iter().any(|percent| *percent > 0),
            "a request reached the target under weights {possible:?}"
        );
        if let [percent] = possible {
            let share = *percent as f64 / 100.0;
            count += 1;
            expected += share;
            variance += share * (1.0 - share);
            observed += f64::from(u8::from(sample.to_target));
        }
    }
    assert!(
        count >= CHANGES * BETWEEN / 2,
        "only {count} of {}",
        samples.len()
    );
    // Random picks would stay within five standard deviations but once in two million runs.
    let difference = f64::abs(observed - expected);
    assert!(
        difference <= 5.0 * f64::sqrt(variance),
        "{observed} of {count} to the target, expected {expected:.1}"
    );
    let generation = weights(&stacks.proxy).generation;
    assert_eq!(generation, CHANGES as u64 + 1);
}

/// Tighter than chance would be: the split is a low-discrepancy sequence on each core.
#[test]
fn the_observed_share_stays_within_a_few_requests_of_the_weight() {
    let stacks = stacks(75, 25, 2);
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let proxy = Arc::clone(&stacks.proxy);
            thread::spawn(move || {
                let mut client = proxy.connect();
                (0..500).filter(|_| ask(&mut client) == "target").count()
            })
        })
        .collect();
    let to_target: usize = clients.into_iter().map(|c| c.join().unwrap()).sum();
    assert!(to_target.abs_diff(500) <= 10, "{to_target} of 2000");
    assert_eq!(stacks.target.requests().len(), to_target);
    assert_eq!(stacks.source.requests().len(), 2000 - to_target);
}

#[test]
fn a_change_is_answered_with_what_holds_from_then_on() {
    let stacks = stacks(1, 0, 1);
    let before = weights(&stacks.proxy);
    assert_eq!(before.generation, 1);
    let change = r#"{"weights": {"source": 0, "target": 7}, "expect": {"source": 1, "target": 0}}"#;
    let answer: WeightStatus = serde_json::from_str(&put(&stacks.proxy, change).text()).unwrap();
    assert_eq!(answer.generation, 2);
    let expected = BTreeMap::from([("source".to_owned(), 0), ("target".to_owned(), 7)]);
    assert_eq!(answer.weights, expected);
    assert_eq!(weights(&stacks.proxy), answer);
    let mut client = stacks.proxy.connect();
    assert_eq!(ask(&mut client), "target");
}

#[test]
fn a_change_that_expected_other_weights_is_refused_with_409_and_changes_nothing() {
    let stacks = stacks(1, 0, 1);
    let before = weights(&stacks.proxy);
    let change = r#"{"weights": {"source": 0, "target": 1}, "expect": {"source": 0, "target": 1}}"#;
    let response = put(&stacks.proxy, change);
    assert_eq!(response.status(), 409);
    assert!(
        response.text().contains("current weights are"),
        "{}",
        response.text()
    );
    assert_eq!(weights(&stacks.proxy), before);
}

#[test]
fn a_change_that_makes_no_sense_is_refused_with_400_and_says_why() {
    let stacks = stacks(1, 0, 1);
    let before = weights(&stacks.proxy);
    for (body, why) in [
        (
            r#"{"weights": {"source": 0, "target": 0}}"#,
            "all weights are 0",
        ),
        (
            r#"{"weights": {"source": 1, "target": 1, "other": 1}}"#,
            "unknown upstream `other`",
        ),
        (r#"{"weights": {"source": 1}}"#, "no weight for `target`"),
        (r#"{"weights": {}}"#, "no weight for `source`"),
        (
            r#"{"weights": {"source": 1, "target": -1}}"#,
            "invalid value",
        ),
        (
            r#"{"weights": {"source": 1, "target": 0.5}}"#,
            "invalid type",
        ),
        (
            r#"{"weights": {"source": 1, "target": 18446744073709551615}}"#,
            "expected at most",
        ),
        (
            r#"{"weights": {"source": 1, "target": 1}, "exepct": {}}"#,
            "unknown field `exepct`",
        ),
        ("", "EOF"),
        ("[]", "expected"),
    ] {
        let response = put(&stacks.proxy, body);
        assert_eq!(response.status(), 400, "{body}");
        assert!(response.text().contains(why), "{body}: {}", response.text());
    }
    let large = format!(r#"{{"weights": {{"{}": 1}}}}"#, "a".repeat(100 * 1024));
    assert_eq!(put(&stacks.proxy, &large).status(), 400);
    assert_eq!(weights(&stacks.proxy), before);
}

#[test]
fn errors_of_the_proxy_itself_name_the_stack_that_was_chosen() {
    let source = Upstream::ok();
    let upstreams = [("source", source.address, 1), ("target", nobody(), 1)];
    let proxy = proxy_with(&upstreams, |config| {
        config.stack_header = Some("x-stack".parse().unwrap());
    });
    let mut failures = 0;
    for _ in 0..20 {
        let response = proxy.get("/");
        let failed = response.field(ERROR_HEADER).is_some();
        let stack = response.field("x-stack");
        assert_eq!(stack, Some(if failed { "target" } else { "source" }));
        failures += u8::from(failed);
    }
    assert!((8..=12).contains(&failures), "{failures} of 20");
    let metric = |name| proxy.metric(&format!("cutover_proxy_requests_total{{{name}}}"));
    assert!(metric("upstream=\"source\",class=\"2xx\"") == f64::from(20 - failures));
    assert!(metric("upstream=\"target\",class=\"5xx\"") == f64::from(failures));
}
