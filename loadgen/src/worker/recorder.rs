//! What a thread has counted since it last reported.

use std::time::Duration;

use crate::report::Entry;
use crate::stats::{ArmStats, Counters, Finished};

/// Counts by stream, mark and arm.
///
/// There are few of them at a time, so they are found by looking through a short list. Emptied
/// histograms are kept for the next interval: after the first ones, counting allocates nothing.
#[derive(Default)]
pub(super) struct Recorder {
    active: Vec<(Key, ArmStats)>,
    spare: Vec<ArmStats>,
}

/// What requests are told apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) stream: usize,
    pub(super) mark: u32,
    pub(super) arm: Option<usize>,
}

impl Recorder {
    pub(super) fn finished(&mut self, key: Key, request: &Finished, slow_over: &[Duration]) {
        self.stats(key).record(request, slow_over);
    }

    /// For what is not a finished request.
    pub(super) fn counters(&mut self, key: Key) -> &mut Counters {
        &mut self.stats(key).counters
    }

    fn stats(&mut self, key: Key) -> &mut ArmStats {
        let index = match self.active.iter().position(|(active, _)| *active == key) {
            Some(index) => index,
            None => {
                let empty = self.spare.pop().unwrap_or_default();
                self.active.push((key, empty));
                self.active.len() - 1
            }
        };
        &mut self.active[index].1
    }

    /// Everything since the last time.
    pub(super) fn flush(&mut self) -> Vec<Entry> {
        let mut entries = Vec::with_capacity(self.active.len());
        for (key, mut stats) in self.active.drain(..) {
            entries.push(Entry::of(key.stream, key.mark, key.arm, &stats));
            stats.clear();
            self.spare.push(stats);
        }
        entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flush_hands_over_what_is_new_and_only_that() {
        let mut recorder = Recorder::default();
        let key = |mark| Key {
            stream: 0,
            mark,
            arm: None,
        };
        recorder.counters(key(1)).dropped += 1;
        recorder.counters(key(2)).dropped += 1;
        recorder.counters(key(1)).dropped += 1;
        let told: Vec<_> = recorder
            .flush()
            .iter()
            .map(|entry| (entry.mark, entry.counters.dropped))
            .collect();
        assert_eq!(told, [(1, 2), (2, 1)]);
        assert!(recorder.flush().is_empty());
        recorder.counters(key(1)).dropped += 1;
        assert_eq!(recorder.flush()[0].counters.dropped, 1);
    }
}
