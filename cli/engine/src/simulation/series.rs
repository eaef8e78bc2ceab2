//! Many runs at once, and what they add up to.

use std::num::NonZeroUsize;
use std::time::Duration;

use super::float;
use super::latency::normal_quantile;

/// At most so many threads: a machine that simulates is also used for other things.
const THREADS: usize = 2;

/// Does `run` for every number below `runs`, on up to two threads. The order of results is that of the
/// numbers, whichever thread did them.
pub fn series<T: Send>(runs: u64, run: impl Fn(u64) -> T + Sync) -> Vec<T> {
    let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let threads = threads.min(THREADS) as u64;
    let run = &run;
    let part = |first: u64| (first..runs).step_by(THREADS).map(run).collect::<Vec<T>>();
    if threads < 2 {
        return (0..runs).map(run).collect();
    }
    let (even, odd) = std::thread::scope(|scope| {
        let odd = scope.spawn(|| part(1));
        let even = part(0);
        (even, odd.join())
    });
    let odd = odd.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    let mut results = Vec::with_capacity(even.len() + odd.len());
    let mut odd = odd.into_iter();
    for result in even {
        results.push(result);
        results.extend(odd.next());
    }
    results
}

/// A share of runs, with its 95 % confidence interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share {
    /// Runs in which it happened.
    pub hits: u64,
    /// All runs; above 0.
    pub runs: u64,
    /// Lower end, 0 to 1.
    pub low: f64,
    /// Upper end, 0 to 1.
    pub high: f64,
}

impl Share {
    /// Wilson's score interval (E. B. Wilson, JASA 22:158, 1927), which keeps its level for shares near
    /// 0, where the textbook's does not.
    #[must_use]
    pub fn of(hits: u64, runs: u64) -> Self {
        let (n, z) = (float(runs.max(1)), normal_quantile(0.975));
        let share = float(hits) / n;
        let middle = share + z * z / (2.0 * n);
        let reach = z * (share * (1.0 - share) / n + z * z / (4.0 * n * n)).sqrt();
        let scale = 1.0 + z * z / n;
        Share {
            hits,
            runs,
            low: if hits == 0 {
                0.0
            } else {
                (middle - reach) / scale
            },
            high: if hits == runs {
                1.0
            } else {
                (middle + reach) / scale
            },
        }
    }

    /// The share itself, 0 to 1.
    #[must_use]
    pub fn rate(&self) -> f64 {
        float(self.hits) / float(self.runs.max(1))
    }
}

/// How long something took, over many runs; in some of them it did not happen at all.
#[derive(Debug, Clone, PartialEq)]
pub struct Delays {
    sorted: Vec<Duration>,
    runs: usize,
}

impl Delays {
    /// One entry for each run; `None` where it did not happen in time.
    #[must_use]
    pub fn of(delays: impl IntoIterator<Item = Option<Duration>>) -> Self {
        let all: Vec<_> = delays.into_iter().collect();
        let runs = all.len();
        let mut sorted: Vec<_> = all.into_iter().flatten().collect();
        sorted.sort_unstable();
        Delays { sorted, runs }
    }

    /// By when it had happened in a share `q` of *all* runs; `None` if it happened in fewer.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<Duration> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 0 and the number of runs"
        )]
        let rank = (q * float(self.runs as u64)).ceil() as usize;
        self.sorted.get(rank.max(1) - 1).copied()
    }

    /// The share of runs in which it happened within `limit`.
    #[must_use]
    pub fn within(&self, limit: Duration) -> f64 {
        let hits = self.sorted.partition_point(|delay| *delay <= limit);
        float(hits as u64) / float(self.runs.max(1) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_their_numbers() {
        for runs in [0, 1, 2, 7, 100] {
            assert_eq!(series(runs, |run| run), (0..runs).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_share_agrees_with_the_published_interval() {
        // Newcombe, Statistics in Medicine 17:857 (1998), table I: 81 of 263, and 0 of 20.
        let share = Share::of(81, 263);
        assert!((share.low - 0.2553).abs() < 1e-4 && (share.high - 0.3662).abs() < 1e-4);
        let none = Share::of(0, 20);
        assert!(none.low.abs() < 1e-12 && (none.high - 0.1611).abs() < 1e-4);
    }

    #[test]
    fn what_never_happened_counts_as_later_than_everything_else() {
        let second = |s| Some(Duration::from_secs(s));
        let delays = Delays::of([second(4), None, second(1), second(2)]);
        assert_eq!(delays.quantile(0.5), second(2));
        assert_eq!(delays.quantile(0.75), second(4));
        assert_eq!(delays.quantile(0.95), None);
        assert!((delays.within(Duration::from_secs(2)) - 0.5).abs() < 1e-12);
        assert_eq!(Delays::of([]).quantile(0.5), None);
    }
}
