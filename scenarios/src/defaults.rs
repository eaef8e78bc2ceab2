//! What a plan means where it says nothing. The reader fills these in; the schema shows them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::plan::{Missing, OnBrokenSource, OnMissing};
use crate::units::Weight;

/// Loopback, and any free port.
pub(crate) const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
/// How long the edge waits for a stack's response head.
pub(crate) const RESPONSE_TIMEOUT: Duration = Duration::from_secs(10);

/// `Host` header of the load.
pub(crate) const HOST: &str = "service.local";
/// Pairs a second.
pub(crate) const PAIRED: f64 = 0.0;
/// From no load to all of it.
pub(crate) const RAMP: Duration = Duration::from_secs(1);
/// The load generator's patience with one request.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(5);
/// How often a request is sent, relative to the others.
pub(crate) const SHARE: u32 = 1;

/// The weights of a plan without `steps`, in percent: small first, because a bad target should
/// be met by few users, and coarser as confidence grows.
pub(crate) const WEIGHTS_PERCENT: [u32; 7] = [1, 5, 10, 25, 50, 75, 100];
/// How long a weight is watched.
pub(crate) const HOLD: Duration = Duration::from_mins(5);

/// Paired load before the first step.
pub(crate) const QUALIFY: Duration = Duration::from_mins(1);
/// Watching the target at 100 %.
pub(crate) const BAKE: Duration = Duration::from_mins(10);
/// The chance of a false rollback.
pub(crate) const ALPHA: f64 = 0.01;
/// Answers that a step needs before it advances.
pub(crate) const MIN_REQUESTS: u64 = 50;

/// Missing measurements hold; in the end a person decides.
pub(crate) const ON_MISSING: OnMissing = OnMissing {
    after: Duration::from_mins(10),
    then: Missing::Hold,
};

/// What a source that is worse than the target leads to: going back to it would help nobody.
pub(crate) const ON_BROKEN_SOURCE: OnBrokenSource = OnBrokenSource::Hold;

/// How long the answer of a webhook gate may take.
pub(crate) const GATE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long to wait before a webhook gate is asked again.
pub(crate) const GATE_EVERY: Duration = Duration::from_secs(30);

/// The default weights as values.
pub(crate) fn weights() -> impl Iterator<Item = Weight> {
    WEIGHTS_PERCENT
        .into_iter()
        .filter_map(|percent| Weight::from_parts(percent * (Weight::SCALE / 100)).ok())
}
