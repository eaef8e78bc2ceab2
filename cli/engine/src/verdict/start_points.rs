//! A regression may begin at any moment, so the test begins at many.
//!
//! Evidence counted from the beginning is diluted: after 3,000 good requests under a bound of 1 %,
//! thirty bad ones merely bring the rate up to the bound. So capital is split over bettors. Bettor
//! `j` gets the share `w_j = 1/(j(j+1))` (they sum to 1), keeps it in its pocket until its start
//! point, and bets from there on as if nothing had been before. What all of them own together,
//!
//! ```text
//! E = Σ_j w_j E_j      with E_j = 1 before the start point of j
//! ```
//!
//! is a mixture of fair bets and so itself fair: nonnegative, of mean at most 1 while the claim
//! holds, and by Ville's inequality `P(ever E ≥ 1/α) ≤ α`. That asks of a start point only that it
//! is chosen without looking ahead. The price of being the j-th is `ln j(j+1)` nats, two or three
//! bad requests for the tenth.
//!
//! A run of days opens thousands of start points. Bettors with little to show are sent home with
//! what they own, which only lowers `E`.

use std::time::Duration;

/// The latest start points are kept whatever they own: they had no time to earn.
const KEPT_NEWEST: usize = 4;
/// Of the earlier ones, those that own most are kept.
const KEPT_BEST: usize = 12;

/// Bettors that were opened at different moments; `B` is what was counted up to a start point.
#[derive(Debug, Clone)]
pub(super) struct StartPoints<B> {
    opened: u32,
    components: Vec<Component<B>>,
}

/// One bettor.
#[derive(Debug, Clone)]
struct Component<B> {
    log_weight: f64,
    base: B,
    first_bad_at: Option<Duration>,
}

/// What all bettors own together, and who owns most.
#[derive(Debug, Clone)]
pub(super) struct Weighed<B> {
    /// `ln E`.
    pub(super) log_e: f64,
    /// What was counted up to the start point of the bettor that owns most, if there is one.
    pub(super) since: Option<B>,
    /// The first bad request that this bettor saw.
    pub(super) first_bad_at: Option<Duration>,
}

impl<B: Clone> StartPoints<B> {
    /// No start point yet; `E` is 1.
    pub(super) fn new() -> Self {
        StartPoints {
            opened: 0,
            components: Vec::new(),
        }
    }

    /// Opens a start point here; `log_e` values those that are there, to decide which are kept.
    pub(super) fn open(&mut self, base: B, log_e: impl Fn(&B) -> f64) {
        self.prune(log_e);
        self.opened = self.opened.saturating_add(1);
        let j = f64::from(self.opened);
        let log_weight = -(j * (j + 1.0)).ln();
        self.components.push(Component {
            log_weight,
            base,
            first_bad_at: None,
        });
    }

    /// Sends all bettors home: what comes now cannot be compared with what they saw.
    pub(super) fn close_all(&mut self) {
        self.components.clear();
    }

    /// A bad request ended then.
    pub(super) fn saw_bad(&mut self, at: Duration) {
        for component in &mut self.components {
            let first = component.first_bad_at.get_or_insert(at);
            *first = at.min(*first);
        }
    }

    /// What was counted up to the latest start point.
    pub(super) fn newest(&self) -> Option<&B> {
        self.components.last().map(|component| &component.base)
    }

    /// Adds up what the bettors own; `log_e` is the logarithm of the evidence since a start point.
    pub(super) fn weigh(&self, log_e: impl Fn(&B) -> f64) -> Weighed<B> {
        // Start points to come: Σ_{j>J} 1/(j(j+1)) = 1/(J+1).
        let mut total = -f64::from(self.opened.saturating_add(1)).ln();
        let mut richest: Option<(f64, &Component<B>)> = None;
        for component in &self.components {
            let owned = component.log_weight + log_e(&component.base);
            total = ln_add_exp(total, owned);
            if richest.is_none_or(|(most, _)| owned > most) {
                richest = Some((owned, component));
            }
        }
        let richest = richest.map(|(_, component)| component);
        Weighed {
            log_e: total,
            since: richest.map(|component| component.base.clone()),
            first_bad_at: richest.and_then(|component| component.first_bad_at),
        }
    }

    fn prune(&mut self, log_e: impl Fn(&B) -> f64) {
        let Some(early) = self.components.len().checked_sub(KEPT_NEWEST) else {
            return;
        };
        if early < KEPT_BEST {
            return;
        }
        let poorest = self.components[..early]
            .iter()
            .map(|component| component.log_weight + log_e(&component.base))
            .enumerate()
            .min_by(|(_, one), (_, other)| one.total_cmp(other));
        if let Some((index, _)) = poorest {
            self.components.remove(index);
        }
    }
}

/// `ln(eˣ + eʸ)`.
fn ln_add_exp(x: f64, y: f64) -> f64 {
    let (low, high) = if x < y { (x, y) } else { (y, x) };
    if low == f64::NEG_INFINITY {
        high
    } else {
        high + (low - high).exp().ln_1p()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bettors_that_have_neither_won_nor_lost_own_one_together() {
        let mut points = StartPoints::new();
        assert!(points.weigh(|_: &u64| 0.0).log_e.abs() < 1e-12);
        for base in 0..10_u64 {
            points.open(base, |_| 0.0);
            assert!(points.weigh(|_| 0.0).log_e.abs() < 1e-12);
        }
    }

    #[test]
    fn bettors_that_are_sent_home_only_lower_the_evidence() {
        let mut points = StartPoints::new();
        for base in 0..1_000_u64 {
            points.open(base, |base| if *base == 3 { 9.0 } else { 0.0 });
        }
        assert!(points.components.len() <= KEPT_BEST + KEPT_NEWEST + 1);
        let weighed = points.weigh(|base| if *base == 3 { 9.0 } else { 0.0 });
        let all = (9.0_f64.exp() / 20.0 + (1.0 - 1.0 / 20.0)).ln();
        assert!(weighed.log_e <= all, "{} > {all}", weighed.log_e);
        assert_eq!(weighed.since, Some(3), "the rich stay");
    }

    #[test]
    fn a_start_point_only_knows_the_bad_requests_after_it() {
        let mut points = StartPoints::new();
        points.open(0_u64, |_| 0.0);
        points.saw_bad(Duration::from_secs(5));
        points.open(1, |_| 0.0);
        points.saw_bad(Duration::from_secs(9));
        let first = points.weigh(|_| 0.0);
        assert_eq!(first.first_bad_at, Some(Duration::from_secs(5)));
        let second = points.weigh(|base| if *base == 1 { 5.0 } else { 0.0 });
        assert_eq!(second.first_bad_at, Some(Duration::from_secs(9)));
    }
}
