//! Sends one request over and over and says how it went.
//!
//! ```text
//! blast 127.0.0.1:8080 /index.html --rate 20000 --seconds 5 --threads 1 --connections 32
//! ```
//!
//! Without `--rate` it sends as fast as the target answers, as a closed loop does. The figures
//! come as `name value` lines, times in microseconds.

#![expect(clippy::print_stdout, reason = "its figures are its output")]

use std::net::SocketAddr;
use std::time::Duration;

use cutover_loadgen::stats::{ArmStats, Latencies};
use cutover_loadgen::{Attribution, Config, Endpoint, RequestSpec, Schedule, Session, Stream};

#[derive(Debug)]
struct Options {
    address: SocketAddr,
    path: String,
    rate: Option<f64>,
    seconds: f64,
    threads: usize,
    connections: usize,
}

impl Options {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut next = |what: &str| words.next().ok_or(format!("{what} is missing"));
        let address = next("ADDRESS")?;
        let mut options = Options {
            address: number("ADDRESS", &address)?,
            path: next("PATH")?,
            rate: None,
            seconds: 5.0,
            threads: 1,
            connections: 32,
        };
        while let Ok(name) = next("another option") {
            let value = next(&name)?;
            match name.as_str() {
                "--rate" => options.rate = Some(number(&name, &value)?),
                "--seconds" => options.seconds = number(&name, &value)?,
                "--threads" => options.threads = number(&name, &value)?,
                "--connections" => options.connections = number(&name, &value)?,
                _ => return Err(format!("{name} is none of the options")),
            }
        }
        Ok(options)
    }

    fn config(&self) -> Config {
        Config {
            threads: self.threads,
            flush_every: Config::FLUSH_EVERY,
            arms: vec![],
            streams: vec![Stream {
                name: "blast".into(),
                schedule: match self.rate {
                    Some(rate) => Schedule::Constant { rate },
                    None => Schedule::Saturate,
                },
                endpoints: vec![Endpoint {
                    arm: None,
                    address: self.address,
                }],
                requests: vec![RequestSpec {
                    method: "GET".into(),
                    path: self.path.clone(),
                    headers: vec![("Host".into(), self.address.to_string())],
                    body: "".into(),
                    share: 1,
                }],
                timeout: Duration::from_secs(2),
                connections: self.connections,
                queue: 100_000,
                slow_over: vec![Duration::from_millis(100)],
                attribution: Attribution::Endpoint,
            }],
        }
    }
}

fn number<T: std::str::FromStr>(name: &str, text: &str) -> Result<T, String> {
    text.parse()
        .map_err(|_| format!("{name}: {text:?} cannot be understood"))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = Options::parse(std::env::args().skip(1))?;
    let length = Duration::try_from_secs_f64(options.seconds)?;
    let (session, mut reports) = Session::start(options.config())?;
    tokio::time::sleep(length).await;
    session.stop(Duration::from_secs(2)).await?;
    let mut sum = ArmStats::default();
    while let Some(report) = reports.recv().await {
        report.entries.iter().for_each(|entry| sum.add(entry));
    }

    println!("requests {}", sum.counters.requests);
    println!("failed {}", sum.counters.failed.total());
    for (kind, count) in sum.counters.failed.iter() {
        println!("  {} {count}", kind.label());
    }
    println!("dropped {}", sum.counters.dropped);
    print_quantiles("from_sent", &sum.from_sent);
    print_quantiles("from_intended", &sum.from_intended);
    print_quantiles("lateness", &sum.lateness);
    Ok(())
}

fn print_quantiles(name: &str, latencies: &Latencies) {
    for (label, q) in [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)] {
        if let Some(value) = latencies.quantile(q) {
            println!("{name}_{label} {}", value.as_micros());
        }
    }
}
