//! The load generator as the engine's port: a plan's load becomes streams, reports become samples.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use cutover_engine::measure::Sample;
use cutover_engine::ports::{Load, PortError};
use cutover_engine::verdict::{ArmCounts, Batch, Channel, LatencyCounts};
use cutover_loadgen::config::{Attribution, Config, Endpoint, RequestSpec, Stream};
use cutover_loadgen::schedule::Schedule;
use cutover_loadgen::stats::ArmStats;
use cutover_loadgen::{Entry, Report, Session};
use cutover_rehearsal::local::STACK_HEADER;
use cutover_scenarios::plan::{self, Bound, Objective, Plan, Signal};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::Instant;

/// Arms of every stream, by index.
const ARMS: [&str; 2] = ["source", "target"];
const SOURCE: usize = 0;
const TARGET: usize = 1;

/// Streams, by index.
const EDGE: usize = 0;
const PAIRED: usize = 1;

/// One thread sends this many requests a second with ease.
const RATE_PER_THREAD: f64 = 10_000.0;

/// Sends a plan's load.
pub(super) struct GeneratedLoad {
    load: plan::Load,
    objectives: Vec<Objective>,
    latencies: LatencyReport,
    session: Option<Session>,
}

impl GeneratedLoad {
    /// The load of `plan`; exact latencies are added up in `latencies`.
    pub(super) fn new(plan: &Plan, latencies: LatencyReport) -> Self {
        GeneratedLoad {
            load: plan.load.clone(),
            objectives: plan.objectives.clone(),
            latencies,
            session: None,
        }
    }

    fn config(&self, edge: SocketAddr, source: SocketAddr, target: SocketAddr) -> Config {
        let mut streams = vec![self.stream(
            "edge",
            self.load.rate,
            vec![Endpoint {
                arm: None,
                address: edge,
            }],
            Attribution::Header(STACK_HEADER.to_owned()),
        )];
        if self.load.paired > 0.0 {
            streams.push(self.stream(
                "paired",
                self.load.paired,
                vec![
                    Endpoint {
                        arm: Some(SOURCE),
                        address: source,
                    },
                    Endpoint {
                        arm: Some(TARGET),
                        address: target,
                    },
                ],
                Attribution::Endpoint,
            ));
        }
        let rate = self.load.rate + 2.0 * self.load.paired;
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "clamped"
        )]
        let threads = ((rate / RATE_PER_THREAD).ceil() as usize).clamp(1, cores);
        Config {
            threads,
            flush_every: Config::FLUSH_EVERY,
            arms: ARMS.map(ToOwned::to_owned).to_vec(),
            streams,
        }
    }

    fn stream(
        &self,
        name: &str,
        rate: f64,
        endpoints: Vec<Endpoint>,
        attribution: Attribution,
    ) -> Stream {
        let load = &self.load;
        let requests = load.requests.iter().map(|request| RequestSpec {
            method: request.method.clone(),
            path: request.path.clone(),
            headers: vec![
                ("Host".to_owned(), load.host.clone()),
                (
                    "User-Agent".to_owned(),
                    concat!("cutover/", env!("CARGO_PKG_VERSION")).to_owned(),
                ),
            ],
            body: request.body.clone().unwrap_or_default().into(),
            share: request.share,
        });
        // Enough for every request to take as long as it may, within reason.
        let in_flight = (rate * load.timeout.as_secs_f64())
            .ceil()
            .clamp(16.0, 4096.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "clamped"
        )]
        let connections = in_flight as usize;
        Stream {
            name: name.to_owned(),
            schedule: Schedule::ramp_to(rate, load.ramp),
            endpoints,
            requests: requests.collect(),
            timeout: load.timeout,
            connections,
            queue: connections,
            slow_over: bounds(&self.objectives).map(|(_, bound)| bound).collect(),
            attribution,
        }
    }
}

#[async_trait]
impl Load for GeneratedLoad {
    async fn start(
        &mut self,
        addresses: &[(String, String)],
        epoch: Instant,
    ) -> Result<UnboundedReceiver<Sample>, PortError> {
        let doing = "start the load";
        let address = |name: &str| {
            addresses
                .iter()
                .find(|(known, _)| known == name)
                .and_then(|(_, url)| url.strip_prefix("http://")?.parse::<SocketAddr>().ok())
                .ok_or_else(|| PortError::new(doing, format!("no address of the {name}")))
        };
        let config = self.config(address("edge")?, address("source")?, address("target")?);
        let (session, reports) =
            Session::start(config).map_err(|error| PortError::new(doing, error))?;
        let offset = epoch.elapsed().saturating_sub(session.elapsed());
        self.session = Some(session);
        let (samples, receiver) = unbounded_channel();
        let reader = Reader {
            objectives: self.objectives.clone(),
            latencies: self.latencies.clone(),
            offset,
        };
        tokio::spawn(reader.read(reports, samples));
        Ok(receiver)
    }

    fn set_mark(&self, mark: u32) {
        if let Some(session) = &self.session {
            session.set_mark(mark);
        }
    }

    fn stop(&mut self) {
        if let Some(session) = self.session.take() {
            let grace = self.load.timeout;
            // The reports' channel closes with the last thread, and the samples' with it.
            tokio::spawn(session.stop(grace));
        }
    }
}

/// Latency objectives with a bound of their own: index of the objective, and the bound.
fn bounds(objectives: &[Objective]) -> impl Iterator<Item = (usize, Duration)> {
    objectives
        .iter()
        .enumerate()
        .filter_map(|(index, objective)| match objective.at_most {
            Some(Bound::Latency(bound)) => Some((index, bound)),
            _ => None,
        })
}

/// Turns reports into samples.
struct Reader {
    objectives: Vec<Objective>,
    latencies: LatencyReport,
    /// When the session's clock began, on the driver's clock.
    offset: Duration,
}

impl Reader {
    async fn read(self, mut reports: UnboundedReceiver<Report>, samples: UnboundedSender<Sample>) {
        while let Some(report) = reports.recv().await {
            for sample in self.samples(&report) {
                let _ = samples.send(sample);
            }
            self.latencies.add(&report);
        }
    }

    /// One sample for each stream and mark.
    fn samples(&self, report: &Report) -> Vec<Sample> {
        let at = self.offset + report.at;
        let mut samples: Vec<(usize, Sample)> = Vec::new();
        for entry in &report.entries {
            let known = samples
                .iter()
                .position(|(stream, sample)| (*stream, sample.mark) == (entry.stream, entry.mark));
            let index = known.unwrap_or_else(|| {
                samples.push((entry.stream, self.empty(entry.stream, entry.mark, at)));
                samples.len() - 1
            });
            self.add(&mut samples[index].1, entry);
        }
        samples.into_iter().map(|(_, sample)| sample).collect()
    }

    fn empty(&self, stream: usize, mark: u32, at: Duration) -> Sample {
        let channel = if stream == PAIRED {
            Channel::Paired
        } else {
            Channel::Edge
        };
        let none = ArmCounts {
            bad: vec![0; self.objectives.len()],
            first_bad_at: vec![None; self.objectives.len()],
            ..ArmCounts::default()
        };
        Sample {
            mark,
            batch: Batch {
                channel,
                at,
                source: none.clone(),
                target: none,
            },
            source_failed: 0,
            target_failed: 0,
            unattributed: 0,
        }
    }

    fn add(&self, sample: &mut Sample, entry: &Entry) {
        let failed = entry.counters.failed.total();
        match entry.arm {
            Some(SOURCE) => {
                sample.source_failed += failed;
                sample.batch.source.merge(&self.counts(entry));
            }
            Some(TARGET) => {
                sample.target_failed += failed;
                sample.batch.target.merge(&self.counts(entry));
            }
            // Nobody said who they were: for a user that is a failure, whatever came back.
            _ => sample.unattributed += entry.counters.requests,
        }
    }

    fn counts(&self, entry: &Entry) -> ArmCounts {
        let counters = &entry.counters;
        let mut bad = vec![0; self.objectives.len()];
        let mut first_bad_at = vec![None; self.objectives.len()];
        for (index, objective) in self.objectives.iter().enumerate() {
            if objective.signal == Signal::Errors {
                bad[index] = counters.failed.total();
                first_bad_at[index] = counters.first_failed_at.map(|at| self.offset + at);
            }
        }
        for (threshold, (index, _)) in bounds(&self.objectives).enumerate() {
            bad[index] = counters.slow.get(threshold).copied().unwrap_or(0);
            let first = counters.first_slow_at.get(threshold).copied().flatten();
            first_bad_at[index] = first.map(|at| self.offset + at);
        }
        let mut latency = LatencyCounts::default();
        for sample in &entry.from_sent {
            latency.record_n(Duration::from_nanos(sample.nanos), sample.count);
        }
        ArmCounts {
            requests: counters.requests,
            bad,
            first_bad_at,
            latency,
        }
    }
}

/// Exact latencies of a whole run, by stream and arm; shared with whoever prints them at the end.
#[derive(Clone, Default)]
pub(crate) struct LatencyReport(Arc<Mutex<[[ArmStats; 2]; 2]>>);

/// Latencies in milliseconds. `from_sent` says how fast the stack answers; `from_intended` adds
/// what a user waits when the load falls behind its schedule (free of coordinated omission).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ArmLatency {
    pub(crate) through: String,
    pub(crate) stack: String,
    pub(crate) requests: u64,
    pub(crate) failed: u64,
    /// Failures by kind.
    pub(crate) failures: BTreeMap<String, u64>,
    pub(crate) from_sent_ms: Option<Quantiles>,
    pub(crate) from_intended_ms: Option<Quantiles>,
    /// How late the generator itself was.
    pub(crate) lateness_ms: Option<Quantiles>,
    /// Arrivals that the generator could not send at all.
    pub(crate) dropped: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Quantiles {
    pub(crate) p50: f64,
    pub(crate) p95: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
}

impl LatencyReport {
    fn add(&self, report: &Report) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for entry in &report.entries {
            if let (Some(arms), Some(arm)) = (all.get_mut(entry.stream), entry.arm)
                && let Some(stats) = arms.get_mut(arm)
            {
                stats.add(entry);
            }
        }
    }

    /// What was measured, one entry for each way and stack that answered anything.
    pub(crate) fn take(&self) -> Vec<ArmLatency> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let ways = [(EDGE, "edge"), (PAIRED, "paired")];
        ways.into_iter()
            .flat_map(|(stream, through)| {
                [SOURCE, TARGET].map(|arm| arm_latency(through, ARMS[arm], &all[stream][arm]))
            })
            .filter(|arm| arm.requests > 0)
            .collect()
    }
}

fn arm_latency(through: &str, stack: &str, stats: &ArmStats) -> ArmLatency {
    let quantiles = |latencies: &cutover_loadgen::stats::Latencies| {
        let ms = |duration: Duration| (duration.as_secs_f64() * 1e6).round() / 1e3;
        Some(Quantiles {
            p50: ms(latencies.quantile(0.5)?),
            p95: ms(latencies.quantile(0.95)?),
            p99: ms(latencies.quantile(0.99)?),
            max: ms(latencies.max()?),
        })
    };
    let counters = &stats.counters;
    ArmLatency {
        through: through.to_owned(),
        stack: stack.to_owned(),
        requests: counters.requests,
        failed: counters.failed.total(),
        failures: counters
            .failed
            .iter()
            .filter(|(_, count)| *count > 0)
            .map(|(kind, count)| (kind.label().to_owned(), count))
            .collect(),
        from_sent_ms: quantiles(&stats.from_sent),
        from_intended_ms: quantiles(&stats.from_intended),
        lateness_ms: quantiles(&stats.lateness),
        dropped: counters.dropped,
    }
}
