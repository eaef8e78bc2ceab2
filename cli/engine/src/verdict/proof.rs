//! Whether the target was shown to be no worse, within the margins of the plan.

use super::assurance::Shown;
use super::guard::Guard;
use super::judge::Judge;
use super::report::GuardKind;

impl Judge {
    /// Whether the target was shown to keep every objective: for each, the upper end of the absolute
    /// bound's [interval](super::GuardReport::interval) is within the bound, and that of the ratio to
    /// the source within the tolerated ratio, over one of the channels.
    ///
    /// The evidence is that of the whole run, and the requests of the current segment must go half
    /// way by themselves, so that what was seen before a regression does not carry a step past it:
    /// a segment in which the target is at its bound or beyond is called proven with a chance of at
    /// most `√α` of the guard. A guard that is more than half way to a breach proves nothing.
    ///
    /// A clean service fails too seldom to compare. Then the ratio of error rates counts as proven
    /// when the absolute bound of the same objective is.
    #[must_use]
    pub fn proven(&self) -> bool {
        self.missing().next().is_none()
    }

    /// What is missing to [`proven`](Judge::proven), one sentence for each bound:
    /// `errors at most 1 %: upper bound 2.3 % after 140 requests`.
    #[must_use]
    pub fn unproven(&self) -> Vec<String> {
        self.missing().map(Guard::missing).collect()
    }

    /// Whether what a guard watches is proven.
    pub(super) fn is_proven(&self, guard: &Guard) -> bool {
        guard.shown().is_some_and(|shown| {
            shown.proven() || (shown.is_scarce() && self.absolute_is_proven(guard.objective))
        })
    }

    fn absolute_is_proven(&self, objective: usize) -> bool {
        self.guards
            .iter()
            .find(|guard| guard.objective == objective && guard.kind == GuardKind::Absolute)
            .and_then(Guard::shown)
            .is_some_and(Shown::proven)
    }

    /// Guards of claims that are not proven; of the channels of a ratio the first that is known best.
    fn missing(&self) -> impl Iterator<Item = &Guard> {
        self.guards.iter().enumerate().filter_map(|(index, guard)| {
            let same_claim = || self.guards.iter().filter(|other| other.claims_what(guard));
            let first = self.guards[..index]
                .iter()
                .all(|other| !other.claims_what(guard));
            if !first || same_claim().any(|other| self.is_proven(other)) {
                return None;
            }
            same_claim().min_by(|one, other| one.upper_bound().total_cmp(&other.upper_bound()))
        })
    }
}
