//! What a session is started from, and the checks it must pass first.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;

use crate::schedule::Schedule;

/// Everything a session needs to know.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Worker threads; 0 takes as many as the machine has cores.
    pub threads: usize,
    /// How often each thread hands over what it counted; between 1 ms and 10 s.
    pub flush_every: Duration,
    /// Names of what may answer. An *arm* is an index into this list.
    pub arms: Vec<String>,
    /// What is sent; at least one.
    pub streams: Vec<Stream>,
}

impl Config {
    /// How often reports come unless someone asks for something else.
    pub const FLUSH_EVERY: Duration = Duration::from_millis(100);
}

/// One flow of requests with its own schedule.
#[derive(Debug, Clone, PartialEq)]
pub struct Stream {
    /// For people.
    pub name: String,
    /// When requests are due.
    pub schedule: Schedule,
    /// Who gets them: with two endpoints the stream is *paired*, each arrival sends the same
    /// request to both. At least one, and each gets every arrival.
    pub endpoints: Vec<Endpoint>,
    /// What is sent, by share; at least one.
    pub requests: Vec<RequestSpec>,
    /// A request is given up this long after it was picked up; above 0.
    pub timeout: Duration,
    /// Most connections per endpoint and thread. They are opened when needed and then kept.
    pub connections: usize,
    /// Most arrivals per endpoint and thread that wait for a free connection. One that finds the
    /// queue full is dropped, and counted as dropped; so is one that is two seconds late.
    pub queue: usize,
    /// Requests that take longer than a threshold are counted exactly, for each threshold.
    pub slow_over: Vec<Duration>,
    /// How it is known which arm answered.
    pub attribution: Attribution,
}

/// Where a stream's requests go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endpoint {
    /// The arm that answers here, if it is always the same one.
    pub arm: Option<usize>,
    /// The address itself: there is no name look-up on the way.
    pub address: SocketAddr,
}

/// How it is known which arm answered a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attribution {
    /// The endpoint's arm, also for requests that nobody answered.
    Endpoint,
    /// The arm whose name is the value of this response header. A response without it, and a
    /// request without a response, belong to no arm.
    Header(String),
}

/// One kind of request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestSpec {
    /// `GET`, `POST`, …
    pub method: String,
    /// Path and query, begins with `/`.
    pub path: String,
    /// Sent in this order; `Host` must be one of them. `Content-Length` is added where the body
    /// or the method asks for it.
    pub headers: Vec<(String, String)>,
    /// Empty sends none.
    pub body: Bytes,
    /// How often, relative to the stream's other requests.
    pub share: u32,
}

/// Something in a [`Config`] that cannot be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Path of the field, as in `streams[0].requests[2].path`.
    pub field: String,
    /// What was there.
    pub found: String,
    /// What should be.
    pub expected: &'static str,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: expected {}, found {}",
            self.field, self.expected, self.found
        )
    }
}

impl Config {
    /// Everything that is wrong, not only the first; empty if nothing is.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        let mut found = Problems::default();
        let flush = Duration::from_millis(1)..=Duration::from_secs(10);
        found.unless(
            flush.contains(&self.flush_every),
            || "flush_every".into(),
            || format!("{:?}", self.flush_every),
            "between 1 ms and 10 s",
        );
        found.unless(
            !self.streams.is_empty(),
            || "streams".into(),
            || "none".into(),
            "at least one",
        );
        for (index, stream) in self.streams.iter().enumerate() {
            stream.check(&format!("streams[{index}]"), self.arms.len(), &mut found);
        }
        found.0
    }
}

impl Stream {
    fn check(&self, at: &str, arms: usize, found: &mut Problems) {
        check_schedule(&self.schedule, at, found);
        found.unless(
            !self.endpoints.is_empty(),
            || format!("{at}.endpoints"),
            || "none".into(),
            "at least one",
        );
        for (index, endpoint) in self.endpoints.iter().enumerate() {
            if let Some(arm) = endpoint.arm {
                found.unless(
                    arm < arms,
                    || format!("{at}.endpoints[{index}].arm"),
                    || arm.to_string(),
                    "an index into `arms`",
                );
            }
        }
        found.unless(
            !self.timeout.is_zero(),
            || format!("{at}.timeout"),
            || "0".into(),
            "a duration above 0",
        );
        found.unless(
            self.connections > 0,
            || format!("{at}.connections"),
            || "0".into(),
            "at least 1",
        );
        if let Attribution::Header(name) = &self.attribution {
            found.unless(
                is_token(name),
                || format!("{at}.attribution"),
                || format!("{name:?}"),
                "the name of a header",
            );
            found.unless(
                arms > 0,
                || "arms".into(),
                || "none".into(),
                "names that the header may have",
            );
        }
        found.unless(
            self.requests.iter().any(|request| request.share > 0),
            || format!("{at}.requests"),
            || "none with a share above 0".into(),
            "at least one",
        );
        for (index, request) in self.requests.iter().enumerate() {
            request.check(&format!("{at}.requests[{index}]"), found);
        }
    }
}

fn check_schedule(schedule: &Schedule, at: &str, found: &mut Problems) {
    let possible = |rate: f64| rate.is_finite() && rate >= 0.0;
    match schedule {
        Schedule::Constant { rate } => found.unless(
            possible(*rate) && *rate > 0.0,
            || format!("{at}.schedule.rate"),
            || rate.to_string(),
            "a rate above 0",
        ),
        Schedule::Ramp { start, stages } => {
            found.unless(
                possible(*start),
                || format!("{at}.schedule.start"),
                || start.to_string(),
                "a rate of 0 or above",
            );
            found.unless(
                !stages.is_empty(),
                || format!("{at}.schedule.stages"),
                || "none".into(),
                "at least one",
            );
            for (index, stage) in stages.iter().enumerate() {
                found.unless(
                    possible(stage.rate),
                    || format!("{at}.schedule.stages[{index}].rate"),
                    || stage.rate.to_string(),
                    "a rate of 0 or above",
                );
            }
        }
        Schedule::Saturate => {}
    }
}

impl RequestSpec {
    /// Nothing that is checked here can change how the rest of the request is read by its
    /// receiver: RFC 9110 §5.1, §5.5 and §9.1, RFC 9112 §3.2.
    fn check(&self, at: &str, found: &mut Problems) {
        found.unless(
            is_token(&self.method),
            || format!("{at}.method"),
            || format!("{:?}", self.method),
            "a method such as `GET`",
        );
        found.unless(
            self.path.starts_with('/') && self.path.bytes().all(|byte| byte.is_ascii_graphic()),
            || format!("{at}.path"),
            || format!("{:?}", self.path),
            "a path that begins with `/`, percent-encoded, without blanks",
        );
        let hosts = self.count("host");
        found.unless(
            hosts == 1,
            || format!("{at}.headers"),
            || format!("{hosts} `Host` headers"),
            "exactly one `Host`",
        );
        for (name, value) in &self.headers {
            found.unless(
                is_token(name)
                    && value
                        .bytes()
                        .all(|b| b == b'\t' || (b >= b' ' && b != 0x7f)),
                || format!("{at}.headers"),
                || format!("{name:?}: {value:?}"),
                "a header without line breaks or control characters",
            );
        }
        for framing in ["content-length", "transfer-encoding"] {
            found.unless(
                self.count(framing) == 0,
                || format!("{at}.headers"),
                || format!("`{framing}`"),
                "no framing headers: they are added to fit the body",
            );
        }
    }

    fn count(&self, name: &str) -> usize {
        self.headers
            .iter()
            .filter(|(header, _)| header.eq_ignore_ascii_case(name))
            .count()
    }
}

/// RFC 9110 §5.6.2.
fn is_token(text: &str) -> bool {
    let tchar = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !text.is_empty() && text.bytes().all(tchar)
}

#[derive(Default)]
struct Problems(Vec<Problem>);

impl Problems {
    fn unless(
        &mut self,
        fine: bool,
        field: impl FnOnce() -> String,
        found: impl FnOnce() -> String,
        expected: &'static str,
    ) {
        if !fine {
            self.0.push(Problem {
                field: field(),
                found: found(),
                expected,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn valid() -> Config {
        Config {
            threads: 1,
            flush_every: Config::FLUSH_EVERY,
            arms: vec!["source".into()],
            streams: vec![Stream {
                name: "edge".into(),
                schedule: Schedule::Constant { rate: 1.0 },
                endpoints: vec![Endpoint {
                    arm: Some(0),
                    address: ([127, 0, 0, 1], 80).into(),
                }],
                requests: vec![RequestSpec {
                    method: "GET".into(),
                    path: "/".into(),
                    headers: vec![("Host".into(), "shop".into())],
                    body: Bytes::new(),
                    share: 1,
                }],
                timeout: Duration::from_secs(1),
                connections: 1,
                queue: 1,
                slow_over: vec![],
                attribution: Attribution::Endpoint,
            }],
        }
    }

    #[test]
    fn a_sensible_config_has_no_problems() {
        assert_eq!(valid().problems(), []);
    }

    #[test]
    fn all_problems_are_named_at_once() {
        let mut config = valid();
        config.flush_every = Duration::ZERO;
        let stream = &mut config.streams[0];
        stream.schedule = Schedule::Constant { rate: f64::NAN };
        stream.endpoints[0].arm = Some(1);
        stream.timeout = Duration::ZERO;
        stream.connections = 0;
        stream.attribution = Attribution::Header("x stack".into());
        let request = &mut stream.requests[0];
        request.share = 0;
        request.method = "GET /".into();
        request.path = "no slash".into();
        request.headers = vec![
            ("X".into(), "a\r\nEvil: b".into()),
            ("content-Length".into(), "5".into()),
        ];
        let problems: Vec<_> = config.problems().iter().map(Problem::to_string).collect();
        assert_eq!(
            problems,
            [
                "flush_every: expected between 1 ms and 10 s, found 0ns",
                "streams[0].schedule.rate: expected a rate above 0, found NaN",
                "streams[0].endpoints[0].arm: expected an index into `arms`, found 1",
                "streams[0].timeout: expected a duration above 0, found 0",
                "streams[0].connections: expected at least 1, found 0",
                "streams[0].attribution: expected the name of a header, found \"x stack\"",
                "streams[0].requests: expected at least one, found none with a share above 0",
                "streams[0].requests[0].method: expected a method such as `GET`, found \"GET /\"",
                "streams[0].requests[0].path: expected a path that begins with `/`, \
                 percent-encoded, without blanks, found \"no slash\"",
                "streams[0].requests[0].headers: expected exactly one `Host`, found 0 `Host` headers",
                "streams[0].requests[0].headers: expected a header without line breaks or control \
                 characters, found \"X\": \"a\\r\\nEvil: b\"",
                "streams[0].requests[0].headers: expected no framing headers: they are added to \
                 fit the body, found `content-length`",
            ]
        );
    }
}
