//! When requests are due: arithmetic over a rate that is constant or linear in pieces.
//!
//! A schedule is a promise made before the first request is sent. It never looks at how the
//! target fares, which is what makes the load open-loop: a target that stalls meets the same
//! arrivals as one that does not.
//!
//! # When the n-th arrival is due
//!
//! ```text
//! rate
//!  r1 |            ________
//!     |          /|
//!  r0 |________/  |            the area under the rate up to t is the
//!     |        |  |            number of arrivals that t owes
//!     +--------+--+---------> t
//! ```
//!
//! Arrival `n` (counted from 0) is due when the area begins to exceed `n`: the first one at the
//! very start, if there is any rate at all, and an area of 50 owes exactly 50. Within a piece that starts with area `A` and goes from `r0` to `r1` in `d` seconds, `x` seconds in, and
//! with `a = (r1 - r0) / d`:
//!
//! ```text
//! A + r0·x + a·x²/2 = n      with m = n - A      a·x²/2 + r0·x - m = 0
//!
//! x = (-r0 + √(r0² + 2·a·m)) / a  =  2·m / (r0 + √(r0² + 2·a·m))
//! ```
//!
//! The right-hand form is the same root, made rational: it subtracts nothing from its like, so
//! it loses no digits on a nearly flat ramp, and on a flat one (`a = 0`) it is simply `m / r0`.

use std::time::Duration;

use crate::clock::Nanos;

/// How many requests are due per second, over the life of a stream.
#[derive(Debug, Clone, PartialEq)]
pub enum Schedule {
    /// The same rate until arrivals are stopped.
    Constant {
        /// Arrivals a second, above 0.
        rate: f64,
    },
    /// The rate follows the stages, one after the other; then the last one's target goes on until
    /// arrivals are stopped.
    Ramp {
        /// Arrivals a second at the start, 0 or above.
        start: f64,
        /// At least one.
        stages: Vec<Stage>,
    },
    /// As fast as the target answers: every connection sends its next request when the last one
    /// is answered. A closed loop, for benchmarks only: it slows down with its target, so
    /// intended and actual start are the same by definition.
    Saturate,
}

/// One linear piece of a ramp.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stage {
    /// How long it takes to reach `rate`; zero jumps there.
    pub duration: Duration,
    /// Arrivals a second at the end of the stage, 0 or above.
    pub rate: f64,
}

impl Schedule {
    /// A constant rate that is reached linearly from 0.
    #[must_use]
    pub fn ramp_to(rate: f64, ramp: Duration) -> Self {
        Schedule::Ramp {
            start: 0.0,
            stages: vec![Stage {
                duration: ramp,
                rate,
            }],
        }
    }
}

/// A schedule made ready for questions: the pieces with what they sum up to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Timetable {
    pieces: Vec<Piece>,
    /// The rate after the last piece, for ever.
    last: Tail,
}

/// A linear piece. Times in seconds, rates in arrivals a second.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Piece {
    begins: f64,
    lasts: f64,
    from: f64,
    to: f64,
    /// Area under the rate before this piece.
    before: f64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Tail {
    begins: f64,
    rate: f64,
    before: f64,
}

impl Timetable {
    /// The timetable of a schedule; `None` for one that follows no clock.
    pub(crate) fn new(schedule: &Schedule) -> Option<Self> {
        let (start, stages) = match schedule {
            Schedule::Constant { rate } => (*rate, [].as_slice()),
            Schedule::Ramp { start, stages } => (*start, stages.as_slice()),
            Schedule::Saturate => return None,
        };
        let mut pieces = Vec::with_capacity(stages.len());
        let mut last = Tail {
            begins: 0.0,
            rate: start,
            before: 0.0,
        };
        for stage in stages {
            let lasts = stage.duration.as_secs_f64();
            if lasts > 0.0 {
                pieces.push(Piece {
                    begins: last.begins,
                    lasts,
                    from: last.rate,
                    to: stage.rate,
                    before: last.before,
                });
            }
            last = Tail {
                begins: last.begins + lasts,
                rate: stage.rate,
                before: last.before + f64::midpoint(last.rate, stage.rate) * lasts,
            };
        }
        Some(Timetable { pieces, last })
    }

    /// When arrival `n` is due; `None` if the rate falls to 0 for good before it.
    #[expect(
        clippy::cast_precision_loss,
        reason = "exact up to 2^53 arrivals, which is 285 years at a million a second"
    )]
    pub(crate) fn due(&self, n: u64) -> Option<Nanos> {
        let n = n as f64;
        // The first piece that ends beyond n; pieces without arrivals are stepped over.
        let next = self.pieces.partition_point(|piece| piece.after() <= n);
        let seconds = match self.pieces.get(next) {
            Some(piece) => piece.begins + piece.offset_of(n - piece.before),
            None if self.last.rate > 0.0 => {
                self.last.begins + (n - self.last.before) / self.last.rate
            }
            None => return None,
        };
        Some(nanos_of(seconds))
    }
}

impl Piece {
    /// Area under the rate up to the end of this piece.
    fn after(&self) -> f64 {
        self.before + f64::midpoint(self.from, self.to) * self.lasts
    }

    /// Seconds into the piece at which its own area reaches `m` (see the module's derivation).
    fn offset_of(&self, m: f64) -> f64 {
        if m <= 0.0 {
            return 0.0;
        }
        let slope = (self.to - self.from) / self.lasts;
        // Rounding can push the last arrival of a falling ramp to a hair below the root's domain.
        let root = (self.from * self.from + 2.0 * slope * m).max(0.0).sqrt();
        (2.0 * m / (self.from + root)).min(self.lasts)
    }
}

/// Seconds as whole nanoseconds, rounded to the nearest.
fn nanos_of(seconds: f64) -> Nanos {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "seconds are never negative, and the cast saturates at 584 years"
    )]
    let nanos = (seconds * 1e9).round() as u64;
    nanos
}

/// Every `of`-th arrival from `first`: the share of one thread.
///
/// Striping keeps the union over threads exactly the schedule, whatever the number of threads,
/// and spreads the arrivals of a slow stream over all of them.
#[derive(Debug, Clone)]
pub(crate) struct Stripe {
    table: Timetable,
    of: u64,
    /// The arrival that comes next.
    n: u64,
    due: Option<Nanos>,
}

impl Stripe {
    /// Thread `first` of `of` threads.
    pub(crate) fn new(table: Timetable, first: usize, of: usize) -> Self {
        let n = first as u64;
        Stripe {
            due: table.due(n),
            table,
            of: of as u64,
            n,
        }
    }

    /// Number and due instant of the arrival that comes next, without taking it; `None` if there
    /// is none any more.
    pub(crate) fn peek(&self) -> Option<(u64, Nanos)> {
        Some((self.n, self.due?))
    }

    /// Takes the arrival that `peek` showed.
    pub(crate) fn advance(&mut self) {
        self.n += self.of;
        self.due = self.table.due(self.n);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: u64 = 1_000_000;

    fn table(schedule: &Schedule) -> Timetable {
        Timetable::new(schedule).unwrap()
    }

    fn ramp(start: f64, stages: &[(u64, f64)]) -> Schedule {
        Schedule::Ramp {
            start,
            stages: stages
                .iter()
                .map(|&(ms, rate)| Stage {
                    duration: Duration::from_millis(ms),
                    rate,
                })
                .collect(),
        }
    }

    #[test]
    fn arrivals_are_due_at_the_expected_instants() {
        type Expected = Vec<(u64, Option<u64>)>;
        let cases: Vec<(&str, Schedule, Expected)> = vec![
            (
                "constant",
                Schedule::Constant { rate: 250.0 },
                vec![
                    (0, Some(0)),
                    (1, Some(4 * MS)),
                    (250, Some(1_000 * MS)),
                    (900_000_000, Some(3_600_000_000 * MS)),
                ],
            ),
            (
                "less than one a second",
                Schedule::Constant { rate: 0.1 },
                vec![(1, Some(10_000 * MS))],
            ),
            (
                "rising from nothing: t = √(2n/a), a = 10/s²",
                ramp(0.0, &[(10_000, 100.0)]),
                vec![
                    (0, Some(0)),
                    (5, Some(1_000 * MS)),
                    (20, Some(2_000 * MS)),
                    (500, Some(10_000 * MS)),
                    (600, Some(11_000 * MS)),
                ],
            ),
            (
                "falling to nothing: 50 arrivals, then none",
                ramp(100.0, &[(1_000, 0.0)]),
                vec![(0, Some(0)), (32, Some(400 * MS)), (50, None)],
            ),
            (
                "a jump",
                ramp(10.0, &[(1_000, 10.0), (0, 1_000.0), (1_000, 1_000.0)]),
                vec![
                    (10, Some(1_000 * MS)),
                    (11, Some(1_001 * MS)),
                    (1_010, Some(2_000 * MS)),
                    (1_011, Some(2_001 * MS)),
                ],
            ),
            (
                "silence in the middle",
                ramp(10.0, &[(1_000, 10.0), (0, 0.0), (5_000, 0.0), (0, 10.0)]),
                vec![
                    (9, Some(900 * MS)),
                    (10, Some(6_000 * MS)),
                    (11, Some(6_100 * MS)),
                ],
            ),
            (
                "no rate at all",
                ramp(0.0, &[(1_000, 0.0)]),
                vec![(0, None), (1, None)],
            ),
            (
                "a jump from the first moment",
                ramp(0.0, &[(0, 100.0)]),
                vec![(0, Some(0)), (1, Some(10 * MS))],
            ),
        ];
        for (name, schedule, expected) in cases {
            let table = table(&schedule);
            for (n, due) in expected {
                assert_eq!(table.due(n), due, "{name}: arrival {n}");
            }
        }
    }

    #[test]
    fn saturation_follows_no_clock() {
        assert_eq!(Timetable::new(&Schedule::Saturate), None);
    }

    fn any_schedule() -> impl Strategy<Value = Schedule> {
        let rate = prop_oneof![Just(0.0), 0.1..2_000.0];
        (
            rate.clone(),
            proptest::collection::vec((0_u64..3_000, rate), 1..6),
        )
            .prop_map(|(start, stages)| ramp(start, &stages))
    }

    /// Area under the rate up to `t` seconds, summed in small trapezoids: an independent way.
    fn area(schedule: &Schedule, t: f64) -> f64 {
        let Schedule::Ramp { start, stages } = schedule else {
            unreachable!("only ramps are generated")
        };
        let (mut sum, mut begins, mut rate) = (0.0, 0.0, *start);
        for stage in stages {
            let lasts = stage.duration.as_secs_f64();
            let within = (t - begins).clamp(0.0, lasts);
            if lasts > 0.0 {
                let reached = rate + (stage.rate - rate) * within / lasts;
                sum += (rate + reached) / 2.0 * within;
            }
            begins += lasts;
            rate = stage.rate;
        }
        sum + rate * (t - begins).max(0.0)
    }

    proptest! {
        #[test]
        fn due_times_never_go_back(schedule in any_schedule(), n in 0_u64..20_000) {
            let table = table(&schedule);
            if let Some(later) = table.due(n + 1) {
                prop_assert!(table.due(n).is_some_and(|due| due <= later));
            }
        }

        #[test]
        fn as_many_arrivals_as_the_area_says(schedule in any_schedule(), ms in 0_u64..20_000) {
            let table = table(&schedule);
            let t = ms * MS;
            let mut count = 0_u64;
            while table.due(count).is_some_and(|due| due < t) {
                count += 1;
            }
            #[expect(clippy::cast_precision_loss, reason = "small numbers")]
            let difference = (count as f64 - area(&schedule, t as f64 / 1e9)).abs();
            prop_assert!(difference <= 1.0 + 1e-3, "{count} arrivals, off by {difference}");
        }

        #[test]
        fn the_union_of_stripes_is_the_schedule(
            schedule in any_schedule(),
            threads in 1_usize..9,
        ) {
            let table = table(&schedule);
            let expected: Vec<_> =
                (0..200).map_while(|n| Some((n, table.due(n)?))).collect();
            let mut union = Vec::new();
            for thread in 0..threads {
                let mut stripe = Stripe::new(table.clone(), thread, threads);
                while let Some((n, due)) = stripe.peek().filter(|&(n, _)| n < 200) {
                    union.push((n, due));
                    stripe.advance();
                }
            }
            union.sort_unstable();
            prop_assert_eq!(union, expected);
        }
    }
}
