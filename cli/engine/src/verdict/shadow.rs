//! The source, measured as the target is, to tell whether going back would help.
//!
//! A machine that stalls, a database that both stacks use: what hurts both breaks the absolute bound
//! on the target as it should, and yet the target is not to blame. So the same test runs on the
//! source in the shadow. It never causes a breach.
//!
//! It is looked at in two ways, and either will do. *In full*, which is quick where bad requests are
//! spread out, since the source has most of the traffic. And *thinned* to as many requests as the
//! target had: where the target gets 1 % of the traffic, a stall makes three of its three answers
//! slow and three hundred of the source's; [`burst`](super::burst) lets three of each count, which is
//! all of the one and next to nothing of the other. Thinned, the source sees what the target would
//! see if it were as bad.

use super::absolute::AbsoluteTest;
use super::counts::Batch;
use super::eprocess::float;

/// Evidence that the source breaks the absolute bound of an objective.
#[derive(Debug, Clone)]
pub(super) struct SourceShadow {
    /// Index of the objective.
    pub(super) objective: usize,
    in_full: AbsoluteTest,
    thinned: AbsoluteTest,
    /// The part of a bad request that was left over by taking a share of whole ones.
    left_over: f64,
}

impl SourceShadow {
    /// Runs the test of an objective's target on the source; `test` has seen nothing yet.
    pub(super) fn new(objective: usize, test: AbsoluteTest) -> Self {
        let in_full = test.clone();
        SourceShadow {
            objective,
            in_full,
            thinned: test,
            left_over: 0.0,
        }
    }

    /// Opens a start point, as the target's test does.
    pub(super) fn open_start_point(&mut self) {
        self.in_full.open_start_point();
        self.thinned.open_start_point();
    }

    /// Counts the source's half of a batch.
    pub(super) fn observe(&mut self, batch: &Batch) {
        let (all, all_bad) = (batch.source.requests, batch.source.bad(self.objective));
        self.in_full
            .observe(batch.channel, batch.at, all, all_bad, None);
        let taken = all.min(batch.target.requests);
        if taken == 0 {
            return;
        }
        let bad = float(all_bad) * float(taken) / float(all) + self.left_over;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "at least 0"
        )]
        let whole = (bad as u64).min(taken);
        // Less than one: what does not fit into this batch must not come up as a burst later.
        self.left_over = (bad - float(whole)).min(1.0);
        self.thinned
            .observe(batch.channel, batch.at, taken, whole, None);
    }

    /// `ln E`, the larger of the two.
    pub(super) fn log_e(&self) -> f64 {
        self.in_full
            .finding()
            .log_e
            .max(self.thinned.finding().log_e)
    }
}
