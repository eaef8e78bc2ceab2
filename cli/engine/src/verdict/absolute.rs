//! One stack against a bound of its own: "at most 1 % of requests fail", "at most 1 % are slower
//! than 300 ms".
//!
//! A request is a request, however it came: both channels count together. The claim is that each
//! request is bad with probability at most `p0`, whatever happened before it.

use std::time::Duration;

use super::burst::BurstCap;
use super::counts::Channel;
use super::eprocess::{BetaBinomial, concentration, float};
use super::report::{ByChannel, Finding};
use super::start_points::{StartPoints, Weighed};

/// The bet is tuned to a decision within this many requests of the moment things went wrong. So
/// small because gross failures should be called at once; small ones then take a little longer.
const HORIZON: f64 = 50.0;

/// A start point is opened whenever the bound would have allowed about this many bad requests: that
/// many more are needed at worst before a regression between two start points stands out.
const BAD_PER_START_POINT: f64 = 4.0;

/// Evidence that more than a share `p0` of one stack's requests is bad.
#[derive(Debug, Clone)]
pub(super) struct AbsoluteTest {
    p0: f64,
    bet: BetaBinomial,
    /// Requests between two start points of one segment.
    spacing: u64,
    seen: Seen,
    /// What was seen when the evidence was last weighed.
    weighed: Seen,
    burst: BurstCap,
    points: StartPoints<Seen>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Seen {
    requests: u64,
    /// All bad requests.
    bad: ByChannel,
    /// Those that count as evidence.
    counted: u64,
}

impl AbsoluteTest {
    /// `alpha` only tunes the bet; it is not a guarantee by itself.
    pub(super) fn new(p0: f64, alpha: f64) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "saturates"
        )]
        let spacing = (BAD_PER_START_POINT / p0).ceil() as u64;
        AbsoluteTest {
            p0,
            bet: BetaBinomial::new(p0, concentration(HORIZON, alpha)),
            spacing,
            seen: Seen::default(),
            weighed: Seen::default(),
            burst: BurstCap::default(),
            points: StartPoints::new(),
        }
    }

    /// Opens a start point, unless one was opened here already.
    pub(super) fn open_start_point(&mut self) {
        let AbsoluteTest {
            bet, seen, points, ..
        } = self;
        if points
            .newest()
            .is_none_or(|base| base.requests < seen.requests)
        {
            points.open(*seen, |base| log_e(bet, seen, base));
        }
    }

    /// Counts `requests` that ended by `at`, `bad` of them bad, the first of those at
    /// `first_bad_at`; says whether the evidence may have grown since it was last [weighed](Self::weigh).
    ///
    /// It has not, for any bettor, if since then at most a share `p0` was bad: `m` requests with `c`
    /// bad ones multiply a bet on the rate `p` by `(p/p0)ᶜ((1−p)/(1−p0))ᵐ⁻ᶜ`, which falls as `p` rises
    /// above `c/m`, from 1 at `p = p0`. A new bettor did not see all of that, so it is a reason too.
    pub(super) fn observe(
        &mut self,
        channel: Channel,
        at: Duration,
        requests: u64,
        bad: u64,
        first_bad_at: Option<Duration>,
    ) -> bool {
        let bad = bad.min(requests);
        let counted = self.burst.admit(at, float(requests) * self.p0, bad);
        self.seen.requests += requests;
        self.seen.bad.add(channel, bad);
        self.seen.counted += counted;
        if bad > 0 {
            self.points.saw_bad(first_bad_at.unwrap_or(at));
        }
        let due = self
            .points
            .newest()
            .map_or(0, |base| base.requests.saturating_add(self.spacing));
        let opens = self.seen.requests >= due;
        if opens {
            self.open_start_point();
        }
        let (bad, requests) = (
            self.seen.counted - self.weighed.counted,
            self.seen.requests - self.weighed.requests,
        );
        opens || float(bad) > self.p0 * float(requests)
    }

    /// Weighs what was counted so far, and remembers that it did.
    pub(super) fn weigh(&mut self) -> Finding {
        self.weighed = self.seen;
        self.finding()
    }

    /// Weighs what was counted so far.
    pub(super) fn finding(&self) -> Finding {
        let Weighed {
            log_e,
            since,
            first_bad_at,
        } = self.points.weigh(|base| log_e(&self.bet, &self.seen, base));
        let bad = self.seen.bad.since(since.unwrap_or_default().bad);
        Finding {
            log_e,
            first_bad_at,
            bad,
        }
    }

    /// Requests and bad ones since the run began.
    pub(super) fn totals(&self) -> (u64, u64) {
        (self.seen.requests, self.seen.bad.total())
    }
}

fn log_e(bet: &BetaBinomial, seen: &Seen, base: &Seen) -> f64 {
    bet.log_e(seen.counted - base.counted, seen.requests - base.requests)
}
