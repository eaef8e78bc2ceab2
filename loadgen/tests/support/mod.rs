//! A small server that answers as a test wants, and a reader that adds reports up.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "part of each test that uses it, which is some of it each time"
)]

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use cutover_loadgen::stats::ArmStats;
use cutover_loadgen::{
    Attribution, Config, End, Endpoint, Entry, Report, RequestSpec, Schedule, Session, Stage,
    Stream,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::Instant;

/// What a server does with one request.
#[derive(Debug, Clone)]
pub struct Reply {
    /// Waits this long first.
    pub after: Duration,
    /// Sends these bytes.
    pub bytes: Vec<u8>,
    /// Then closes.
    pub close: bool,
}

impl Reply {
    pub fn ok() -> Self {
        Self::head("200 OK\r\nContent-Length: 2", "ok")
    }

    /// Status and headers without the version, then the body.
    pub fn head(head: &str, body: &str) -> Self {
        Reply {
            after: Duration::ZERO,
            bytes: format!("HTTP/1.1 {head}\r\n\r\n{body}").into_bytes(),
            close: false,
        }
    }

    pub fn closing(mut self) -> Self {
        self.close = true;
        self
    }

    pub fn after(mut self, wait: Duration) -> Self {
        self.after = wait;
        self
    }
}

/// A request as a server saw it.
#[derive(Debug, Clone)]
pub struct Seen {
    /// `GET /path`.
    pub line: String,
    pub body: Vec<u8>,
    pub at: Instant,
    /// Which connection, and the how manyth request on it.
    pub connection: usize,
    pub nth: usize,
}

pub struct Server {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    connections: Arc<AtomicUsize>,
    accepting: tokio::task::JoinHandle<()>,
}

impl Server {
    pub async fn start(reply: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let connections = Arc::new(AtomicUsize::new(0));
        let reply = Arc::new(reply);
        let (log, count) = (Arc::clone(&seen), Arc::clone(&connections));
        let accepting = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let connection = count.fetch_add(1, Ordering::SeqCst);
                let (reply, log) = (Arc::clone(&reply), Arc::clone(&log));
                tokio::spawn(async move { serve(stream, connection, &*reply, &log).await });
            }
        });
        Server {
            address,
            seen,
            connections,
            accepting,
        }
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn serve(
    mut stream: TcpStream,
    connection: usize,
    reply: &(impl Fn(&Seen) -> Reply + Send + Sync),
    log: &Mutex<Vec<Seen>>,
) {
    let mut buffer = Vec::new();
    for nth in 0.. {
        let Some((line, body)) = read_request(&mut stream, &mut buffer).await else {
            return;
        };
        let seen = Seen {
            line,
            body,
            at: Instant::now(),
            connection,
            nth,
        };
        log.lock().unwrap().push(seen.clone());
        let reply = reply(&seen);
        if !reply.after.is_zero() {
            tokio::time::sleep(reply.after).await;
        }
        if stream.write_all(&reply.bytes).await.is_err() || reply.close {
            return;
        }
    }
}

async fn read_request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<(String, Vec<u8>)> {
    loop {
        if let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8(buffer[..end].to_vec()).unwrap();
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("Content-Length: "))
                .map_or(0, |length| length.parse().unwrap());
            if buffer.len() >= end + 4 + length {
                let body = buffer[end + 4..end + 4 + length].to_vec();
                buffer.drain(..end + 4 + length);
                let line = head.lines().next().unwrap();
                return Some((line.trim_end_matches(" HTTP/1.1").to_owned(), body));
            }
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
}

/// An address where nobody listens.
pub fn nobody() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

pub fn request(method: &str, path: &str) -> RequestSpec {
    RequestSpec {
        method: method.into(),
        path: path.into(),
        headers: vec![("Host".into(), "shop.test".into())],
        body: Bytes::new(),
        share: 1,
    }
}

/// A rate that ends: however late a busy machine picks them up, the arrivals are exactly
/// `rate * length`.
pub fn for_a_while(rate: f64, length: Duration) -> Schedule {
    let stage = |duration, rate| Stage { duration, rate };
    Schedule::Ramp {
        start: rate,
        stages: vec![stage(length, rate), stage(Duration::ZERO, 0.0)],
    }
}

/// A stream of `GET /` to one endpoint without an arm.
pub fn stream(rate: f64, length: Duration, address: SocketAddr) -> Stream {
    Stream {
        name: "test".into(),
        schedule: for_a_while(rate, length),
        endpoints: vec![Endpoint { arm: None, address }],
        requests: vec![request("GET", "/")],
        timeout: Duration::from_secs(5),
        connections: 32,
        queue: 10_000,
        slow_over: vec![],
        attribution: Attribution::Endpoint,
    }
}

pub fn config(threads: usize, streams: Vec<Stream>) -> Config {
    Config {
        threads,
        flush_every: Duration::from_millis(50),
        arms: vec!["source".into(), "target".into()],
        streams,
    }
}

/// Everything that was reported.
#[derive(Default)]
pub struct Total {
    pub entries: Vec<Entry>,
    pub ends: Vec<(usize, End)>,
    pub reports: usize,
}

impl Total {
    fn take(&mut self, report: Report) {
        self.reports += 1;
        self.entries.extend(report.entries);
        self.ends.extend(report.end.map(|end| (report.thread, end)));
    }

    pub fn of(&self, wanted: impl Fn(&Entry) -> bool) -> ArmStats {
        let mut sum = ArmStats::default();
        for entry in self.entries.iter().filter(|entry| wanted(entry)) {
            sum.add(entry);
        }
        sum
    }

    pub fn all(&self) -> ArmStats {
        self.of(|_| true)
    }
}

/// Runs a load to the end of its schedules, and lets it drain.
pub async fn run(config: Config) -> Total {
    /// For a busy machine to pick up the last arrivals.
    const SPARE: Duration = Duration::from_millis(300);
    let threads = config.threads;
    let lengths = config.streams.iter().map(|stream| match &stream.schedule {
        Schedule::Ramp { stages, .. } => stages.iter().map(|stage| stage.duration).sum(),
        endless => panic!("{endless:?} has no end to wait for"),
    });
    let length: Duration = lengths.max().unwrap();
    let (session, reports) = Session::start(config).unwrap();
    tokio::time::sleep(length + SPARE).await;
    let total = finish(session, reports, Duration::from_secs(10)).await;
    let expected: Vec<_> = (0..threads).map(|thread| (thread, End::Stopped)).collect();
    let mut ends = total.ends.clone();
    ends.sort_by_key(|(thread, _)| *thread);
    assert_eq!(ends, expected, "every thread says its last words");
    total
}

pub async fn finish(
    session: Session,
    mut reports: UnboundedReceiver<Report>,
    grace: Duration,
) -> Total {
    session.stop(grace).await.unwrap();
    let mut total = Total::default();
    while let Some(report) = reports.recv().await {
        total.take(report);
    }
    total
}
