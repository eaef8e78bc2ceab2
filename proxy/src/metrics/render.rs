//! The Prometheus text format (version 0.0.4).

use std::fmt::Write;

use super::{BOUNDS_MICROS, CoreMetrics, Counter, UpstreamMetrics};
use crate::error::Cause;
use crate::shared::{Shared, Stage};

/// Everything the cores counted, merged.
pub(crate) fn render(shared: &Shared) -> String {
    let mut out = String::new();
    let cores = &shared.cores;
    let total = |get: &dyn Fn(&CoreMetrics) -> u64| cores.iter().map(|core| get(core)).sum::<u64>();
    let names: Vec<&str> = shared
        .config
        .upstreams
        .iter()
        .map(|u| u.name.as_str())
        .collect();
    let sum = |index: usize, get: &dyn Fn(&UpstreamMetrics) -> &Counter| {
        total(&|core| get(&core.upstreams[index]).get())
    };

    head(
        &mut out,
        "requests_total",
        "counter",
        "Responses by upstream and status class.",
    );
    for (index, name) in names.iter().enumerate() {
        for class in 0..5 {
            let value = sum(index, &|upstream| &upstream.by_class[class]);
            let labels = format!("upstream=\"{name}\",class=\"{}xx\"", class + 1);
            sample(&mut out, "requests_total", &labels, value);
        }
    }
    head(
        &mut out,
        "errors_total",
        "counter",
        "Requests that failed in the proxy, by cause.",
    );
    for cause in Cause::ALL {
        let value = total(&|core| core.errors[cause as usize].get());
        sample(
            &mut out,
            "errors_total",
            &format!("cause=\"{}\"", cause.name()),
            value,
        );
    }
    head(
        &mut out,
        "response_head_seconds",
        "histogram",
        "From request head to response head.",
    );
    for (index, name) in names.iter().enumerate() {
        let mut below = 0;
        for bucket in 0..=BOUNDS_MICROS.len() {
            below += sum(index, &|upstream| &upstream.buckets[bucket]);
            let bound = BOUNDS_MICROS.get(bucket).map_or_else(
                || "+Inf".to_owned(),
                |micros| (*micros as f64 / 1e6).to_string(),
            );
            let labels = format!("upstream=\"{name}\",le=\"{bound}\"");
            sample(&mut out, "response_head_seconds_bucket", &labels, below);
        }
        let seconds = sum(index, &|upstream| &upstream.total_micros) as f64 / 1e6;
        let labels = format!("upstream=\"{name}\"");
        sample(&mut out, "response_head_seconds_sum", &labels, seconds);
        sample(&mut out, "response_head_seconds_count", &labels, below);
    }
    for (metric, help, get) in [
        (
            "upstream_connects_total",
            "Connections opened.",
            (|u| &u.connects) as fn(&UpstreamMetrics) -> &Counter,
        ),
        (
            "upstream_reuses_total",
            "Requests sent on a pooled connection.",
            |u| &u.reuses,
        ),
    ] {
        head(&mut out, metric, "counter", help);
        for (index, name) in names.iter().enumerate() {
            sample(
                &mut out,
                metric,
                &format!("upstream=\"{name}\""),
                sum(index, &get),
            );
        }
    }
    for (metric, kind, help, value) in [
        (
            "active_requests",
            "gauge",
            "Requests and tunnels in flight.",
            total(&|c| c.active.get()),
        ),
        (
            "connections",
            "gauge",
            "Open client connections.",
            total(&|c| c.connections.get()),
        ),
        (
            "accepted_total",
            "counter",
            "Accepted connections.",
            total(&|c| c.accepted.get()),
        ),
        (
            "drain_aborted_total",
            "counter",
            "Connections cut at the drain deadline.",
            total(&|c| c.drain_aborted.get()),
        ),
        (
            "draining",
            "gauge",
            "1 while draining.",
            u64::from(shared.stage() != Stage::Serving),
        ),
    ] {
        head(&mut out, metric, kind, help);
        sample(&mut out, metric, "", value);
    }
    let routing = shared.routing.load();
    head(&mut out, "weight", "gauge", "Weight by upstream.");
    for (name, weight) in &routing.weights {
        sample(&mut out, "weight", &format!("upstream=\"{name}\""), weight);
    }
    head(
        &mut out,
        "weights_generation",
        "gauge",
        "Counts changes of the weights.",
    );
    sample(&mut out, "weights_generation", "", routing.generation);
    out
}

fn head(out: &mut String, name: &str, kind: &str, help: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(
        out,
        "# HELP cutover_proxy_{name} {help}\n# TYPE cutover_proxy_{name} {kind}"
    );
}

fn sample(out: &mut String, name: &str, labels: &str, value: impl std::fmt::Display) {
    let _ = if labels.is_empty() {
        writeln!(out, "cutover_proxy_{name} {value}")
    } else {
        writeln!(out, "cutover_proxy_{name}{{{labels}}} {value}")
    };
}
