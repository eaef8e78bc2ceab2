//! How much a series tried, and how closely its runs were watched.

use crate::witness::Seen;

/// Adds up the runs of a series.
#[derive(Debug, Default)]
pub(super) struct Tally {
    runs: u64,
    /// Ended by themselves first: an ill target is found out sooner or later.
    not_killed: u64,
    served: u64,
    changes: u64,
    /// Changes that were over before the next look.
    missed: u64,
}

impl Tally {
    pub(super) fn add(&mut self, killed: bool, seen: &Seen) {
        self.runs += 1;
        self.not_killed += u64::from(!killed);
        self.served += seen.served;
        for pair in seen.weights.windows(2) {
            // An edge that was started anew counts from 1 again.
            let changes = pair[1].generation.saturating_sub(pair[0].generation);
            self.changes += changes;
            self.missed += changes.saturating_sub(1);
        }
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Tally {
            runs,
            not_killed,
            served,
            changes,
            missed,
        } = self;
        write!(
            f,
            "{runs} runs, {not_killed} of them ended before they were killed; {served} users \
             served, none failed; {changes} changes of weights watched, {missed} of them missed"
        )
    }
}
