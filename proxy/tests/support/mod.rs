//! What the tests of the whole proxy share: a running proxy, a scriptable upstream, a raw client.
//!
//! Everything is plain blocking TCP, so that a test decides about every byte and a bug in an HTTP
//! library cannot hide one in the proxy. Nothing waits without a limit.
#![allow(dead_code, reason = "every test file uses its own part of this module")]

pub(crate) mod upstream;
pub(crate) mod wire;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::ops::Deref;
use std::thread;
use std::time::Duration;

use cutover_proxy::{Config, Proxy, config::Upstream as Target};

use self::wire::{Response, Wire};

/// The longest that anything is waited for.
pub(crate) const LIMIT: Duration = Duration::from_secs(10);
/// Between two looks at a state.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// A free port of this machine.
pub(crate) fn any_port() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

/// An address where nobody listens.
pub(crate) fn nobody() -> SocketAddr {
    TcpListener::bind(any_port()).unwrap().local_addr().unwrap()
}

/// A proxy that ends with its test.
pub(crate) struct Running(Option<Proxy>);

/// Starts a proxy before upstreams with name, address and weight, on one thread so that what
/// happens on one connection cannot overtake what happened on another.
pub(crate) fn proxy(upstreams: &[(&str, SocketAddr, u64)]) -> Running {
    proxy_with(upstreams, |_| {})
}

/// [`proxy`] with changes to its configuration.
pub(crate) fn proxy_with(
    upstreams: &[(&str, SocketAddr, u64)],
    change: impl FnOnce(&mut Config),
) -> Running {
    let upstreams = upstreams
        .iter()
        .map(|&(name, address, weight)| Target {
            name: name.to_owned(),
            address,
            weight,
        })
        .collect();
    let mut config = Config::new(any_port(), any_port(), upstreams);
    config.threads = 1;
    change(&mut config);
    Running(Some(Proxy::start(config).unwrap()))
}

impl Deref for Running {
    type Target = Proxy;

    fn deref(&self) -> &Proxy {
        self.0.as_ref().unwrap()
    }
}

impl Running {
    /// A new client connection.
    pub(crate) fn connect(&self) -> Wire {
        Wire::connect(self.listen())
    }

    /// One GET on a connection of its own.
    pub(crate) fn get(&self, target: &str) -> Response {
        get(self.listen(), target)
    }

    /// One request to the admin port.
    pub(crate) fn admin_request(&self, method: &str, target: &str, body: &str) -> Response {
        request(self.admin(), method, target, body)
    }

    /// The value of one sample, named with its labels, of `/metrics`.
    pub(crate) fn metric(&self, sample: &str) -> f64 {
        let text = self.admin_request("GET", "/metrics", "").text();
        text.lines()
            .find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '))
            .unwrap_or_else(|| panic!("no sample `{sample}` in\n{text}"))
            .parse()
            .unwrap()
    }

    /// Waits until a sample of `/metrics` has a value.
    pub(crate) fn wait_for_metric(&self, sample: &str, expected: f64) {
        eventually(&format!("`{sample}` is {expected}"), || {
            let found = self.metric(sample);
            ((found - expected).abs() < f64::EPSILON)
                .then_some(())
                .ok_or(found)
        });
    }

    /// Waits until the proxy has ended by itself.
    pub(crate) fn ended(&mut self) {
        eventually("the proxy ends", || {
            self.is_finished().then_some(()).ok_or("still running")
        });
        self.0.take().unwrap().wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(proxy) = self.0.take() {
            proxy.stop();
            proxy.wait();
        }
    }
}

/// One GET on a connection of its own.
pub(crate) fn get(address: SocketAddr, target: &str) -> Response {
    request(address, "GET", target, "")
}

/// One request on a connection of its own.
pub(crate) fn request(address: SocketAddr, method: &str, target: &str, body: &str) -> Response {
    let mut wire = Wire::connect(address);
    wire.send(format!(
        "{method} {target} HTTP/1.1\r\nhost: shop.test\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    ));
    wire.response(method)
}

/// Looks at a state until it is there, and says the last thing seen when it never is.
#[expect(
    clippy::disallowed_methods,
    reason = "a test's own thread may block; the pause only spares the processor"
)]
pub(crate) fn eventually<T, E: std::fmt::Display>(
    what: &str,
    mut look: impl FnMut() -> Result<T, E>,
) -> T {
    let began = std::time::Instant::now();
    loop {
        match look() {
            Ok(value) => return value,
            Err(seen) if began.elapsed() >= LIMIT => {
                panic!("waited {LIMIT:?} until {what}; last seen: {seen}")
            }
            Err(_) => thread::sleep(LOOK_AGAIN),
        }
    }
}
