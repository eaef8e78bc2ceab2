//! `/metrics` after known traffic.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod support;

use support::upstream::{OK, Upstream, gate};
use support::{Running, nobody, proxy, proxy_with};

fn assert_metric(proxy: &Running, sample: &str, expected: f64) {
    let found = proxy.metric(&format!("cutover_proxy_{sample}"));
    assert!(
        (found - expected).abs() < f64::EPSILON,
        "`{sample}` is {found}, expected {expected}"
    );
}

#[test]
fn responses_are_counted_by_upstream_and_class_over_all_threads() {
    let upstream = Upstream::answering(|request| {
        let status = request.head.start.split(['/', ' ']).nth(2).unwrap();
        format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n").into_bytes()
    });
    let upstreams = [("source", upstream.address, 1), ("target", nobody(), 0)];
    let proxy = proxy_with(&upstreams, |config| config.threads = 2);
    for (status, times) in [(200, 5), (201, 2), (302, 3), (404, 4), (500, 1), (503, 1)] {
        for _ in 0..times {
            assert_eq!(proxy.get(&format!("/{status}")).status(), status);
        }
    }
    for (name, counts) in [
        ("source", [0.0, 7.0, 3.0, 4.0, 2.0]),
        ("target", [0.0, 0.0, 0.0, 0.0, 0.0]),
    ] {
        for (class, count) in ["1xx", "2xx", "3xx", "4xx", "5xx"].iter().zip(counts) {
            let sample = format!("requests_total{{upstream=\"{name}\",class=\"{class}\"}}");
            assert_metric(&proxy, &sample, count);
        }
    }
    assert_metric(&proxy, "accepted_total", 16.0);
    let count = "response_head_seconds_count{upstream=\"source\"}";
    let bucket = "response_head_seconds_bucket{upstream=\"source\",le=\"+Inf\"}";
    assert_metric(&proxy, count, 16.0);
    assert_metric(&proxy, bucket, 16.0);
    assert!(proxy.metric("cutover_proxy_response_head_seconds_sum{upstream=\"source\"}") > 0.0);
    let connects = proxy.metric("cutover_proxy_upstream_connects_total{upstream=\"source\"}");
    let reuses = proxy.metric("cutover_proxy_upstream_reuses_total{upstream=\"source\"}");
    assert!((connects - upstream.connections() as f64).abs() < f64::EPSILON);
    assert!((connects + reuses - 16.0).abs() < f64::EPSILON);
}

#[test]
fn requests_in_flight_and_open_connections_are_gauged() {
    let (key, slow) = gate();
    let upstream = Upstream::answering(move |_| {
        slow.pass();
        OK.into()
    });
    let proxy = proxy(&[("source", upstream.address, 1)]);
    let mut client = proxy.connect();
    client.send("GET / HTTP/1.1\r\nhost: shop.test\r\n\r\n");
    upstream.wait_for_connections(1);
    assert_metric(&proxy, "active_requests", 1.0);
    assert_metric(&proxy, "connections", 1.0);
    key.open();
    assert_eq!(client.response("GET").status(), 200);
    // Gauges go down after the last byte went out.
    proxy.wait_for_metric("cutover_proxy_active_requests", 0.0);
    assert_metric(&proxy, "connections", 1.0);
    drop(client);
    proxy.wait_for_metric("cutover_proxy_connections", 0.0);
}

#[test]
fn errors_of_the_proxy_are_counted_by_cause() {
    let proxy = proxy(&[("target", nobody(), 1)]);
    for _ in 0..3 {
        assert_eq!(proxy.get("/").status(), 502);
    }
    let mut client = proxy.connect();
    client.send("GET / HTTP/1.1\r\n\r\n");
    assert_eq!(client.response("GET").status(), 400);
    for (cause, count) in [
        ("upstream_connect_refused", 3.0),
        ("host_invalid", 1.0),
        ("client_gone", 0.0),
    ] {
        assert_metric(&proxy, &format!("errors_total{{cause=\"{cause}\"}}"), count);
    }
    // What was refused at the door was nobody's response.
    let sample = "requests_total{upstream=\"target\",class=\"4xx\"}";
    assert_metric(&proxy, sample, 0.0);
    let sample = "requests_total{upstream=\"target\",class=\"5xx\"}";
    assert_metric(&proxy, sample, 3.0);
}

#[test]
fn weights_and_drain_are_told() {
    let upstream = Upstream::ok();
    let upstreams = [("source", upstream.address, 90), ("target", nobody(), 10)];
    let proxy = proxy_with(&upstreams, |config| config.lame_duck = support::LIMIT * 6);
    assert_metric(&proxy, "weight{upstream=\"source\"}", 90.0);
    assert_metric(&proxy, "weight{upstream=\"target\"}", 10.0);
    assert_metric(&proxy, "weights_generation", 1.0);
    assert_metric(&proxy, "draining", 0.0);
    let change = r#"{"weights": {"source": 0, "target": 1}}"#;
    assert_eq!(proxy.admin_request("PUT", "/weights", change).status(), 200);
    assert_metric(&proxy, "weight{upstream=\"target\"}", 1.0);
    assert_metric(&proxy, "weights_generation", 2.0);
    proxy.drain();
    assert_metric(&proxy, "draining", 1.0);
}

/// The rules of the text format that a scraper rejects the whole page by.
#[test]
fn every_sample_belongs_to_a_declared_family_and_occurs_once() {
    let upstream = Upstream::ok();
    let proxy = proxy(&[("source", upstream.address, 1)]);
    let response = proxy.admin_request("GET", "/metrics", "");
    let kind = response.field("content-type");
    assert_eq!(kind, Some("text/plain; version=0.0.4"));
    let text = response.text();
    let (mut declared, mut samples) = (Vec::new(), Vec::new());
    for line in text.lines() {
        if let Some(declaration) = line.strip_prefix("# TYPE ") {
            declared.push(declaration.split(' ').next().unwrap());
        } else if !line.starts_with('#') {
            let (sample, value) = line.rsplit_once(' ').unwrap();
            assert!(value.parse::<f64>().is_ok(), "{line}");
            let family = sample.split('{').next().unwrap();
            let is_declared = ["", "_bucket", "_sum", "_count"]
                .iter()
                .any(|part| declared.last() == family.strip_suffix(part).as_ref());
            assert!(is_declared, "{line}");
            assert!(!samples.contains(&sample), "{line}");
            samples.push(sample);
        }
    }
    assert!(samples.len() > 40, "{text}");
}
