//! Counters: one set for each core, written by that core alone, merged when somebody looks.

mod render;

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

pub(crate) use render::render;

use crate::error::Cause;

/// Upper bounds of the latency buckets in microseconds; the last bucket is open.
pub(crate) const BOUNDS_MICROS: [u64; 15] = [
    250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 5_000_000, 10_000_000,
];

/// A counter with a single writer, so that counting needs no locked instruction.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, amount: u64) {
        self.0
            .store(self.0.load(Relaxed).wrapping_add(amount), Relaxed);
    }

    pub(crate) fn subtract(&self, amount: u64) {
        self.0
            .store(self.0.load(Relaxed).wrapping_sub(amount), Relaxed);
    }

    pub(crate) fn set(&self, value: u64) {
        self.0.store(value, Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// What one core counts about one upstream.
#[derive(Debug, Default)]
pub(crate) struct UpstreamMetrics {
    /// Responses by first digit of the status, 1–5.
    pub(crate) by_class: [Counter; 5],
    pub(crate) buckets: [Counter; BOUNDS_MICROS.len() + 1],
    pub(crate) total_micros: Counter,
    pub(crate) connects: Counter,
    pub(crate) reuses: Counter,
}

impl UpstreamMetrics {
    /// Counts a response head, `latency` after its request arrived.
    pub(crate) fn response(&self, status: http::StatusCode, latency: Duration) {
        let class = usize::from(status.as_u16() / 100).clamp(1, 5) - 1;
        self.by_class[class].add(1);
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        self.buckets[BOUNDS_MICROS
            .iter()
            .take_while(|bound| micros > **bound)
            .count()]
        .add(1);
        self.total_micros.add(micros);
    }
}

/// What one core counts.
#[derive(Debug)]
pub(crate) struct CoreMetrics {
    pub(crate) upstreams: Vec<UpstreamMetrics>,
    pub(crate) errors: [Counter; Cause::ALL.len()],
    /// Requests and tunnels in flight.
    pub(crate) active: Counter,
    pub(crate) connections: Counter,
    pub(crate) accepted: Counter,
    pub(crate) drain_aborted: Counter,
    /// Milliseconds after start when a request or tunnel last ended.
    pub(crate) last_request: Counter,
}

impl CoreMetrics {
    pub(crate) fn new(upstreams: usize) -> Self {
        CoreMetrics {
            upstreams: (0..upstreams).map(|_| UpstreamMetrics::default()).collect(),
            errors: std::array::from_fn(|_| Counter::default()),
            active: Counter::default(),
            connections: Counter::default(),
            accepted: Counter::default(),
            drain_aborted: Counter::default(),
            last_request: Counter::default(),
        }
    }

    pub(crate) fn error(&self, cause: Cause) {
        self.errors[cause as usize].add(1);
    }
}
