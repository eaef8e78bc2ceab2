//! The verdict: is the target as good as it must be?
//!
//! # Three outcomes
//!
//! | outcome | when | what the run does |
//! | --- | --- | --- |
//! | **breach** | the evidence of a guard reached its threshold | goes back (or holds, as planned) |
//! | **pass** | enough was seen and no guard is more than half way | may advance |
//! | **inconclusive** | neither: too little data, or a guard is [`Near`](crate::view::GuardState::Near) | holds |
//!
//! The [`Judge`] says *breach* and reports how near the others are; whether enough was seen to pass
//! is for the run to say, which knows the plan's minimum and how old the data is. "No breach" is not
//! a proof of health, it is the absence of evidence against it. The proof is [`Judge::proven`]: the
//! upper end of every [`Interval`] within its bound.
//!
//! # How to read the evidence
//!
//! A latency objective "p99 at most 300 ms" says that at most 1 % of requests are slower than 300 ms,
//! so every objective is a bound on a rate of bad requests. Each [guard](GuardReport) bets against
//! one bound, starting with 1, at odds that are fair if the bound holds. `log_e` is the natural
//! logarithm of what it owns now. A healthy target makes it lose; a broken one makes it rich: at a
//! bound of 1 %, each bad request more than doubles its money. If the bound holds, the chance of
//! *ever* owning `1/α` is at most `α`, so one may look after every request, unlike a threshold on a
//! window or a classical test, whose false alarms add up with each look.
//!
//! With seven guards and α = 1 % the first driver of a run, which spends half of α, has the threshold
//! `ln 1400 = 7.2`: fourteen hundred times the stake.
//!
//! # Map
//!
//! | module | subject |
//! | --- | --- |
//! | [`judge`](Judge) | all guards of a plan: batches in, evidence out |
//! | `guard`, `settings` | one of them; what a judge is told |
//! | `absolute` | a stack against a bound of its own |
//! | `known_split` | errors of the target against the source's |
//! | `unknown_split` | the same where nobody knows how requests are split |
//! | `two_by_two` | its bet |
//! | `quantile` | a latency quantile of the target against the source's |
//! | `rate_bounds`, `known_ratio`, `unknown_ratio`, `quantile_ratio` | confidence sequences of the same four |
//! | `interval`, `assurance`, `proof` | how they are said; what they prove; what is missing |
//! | `share` | do requests go where the weight says? |
//! | `shadow` | the source against the same bounds: would going back help? |
//! | `eprocess` | the bet itself |
//! | `statements` | what is promised and assumed, in sentences |
//! | `start_points` | regressions may begin at any moment |
//! | `capital` | bettors who divide a stake |
//! | `burst` | one cause is not forty failures |
//! | `counts`, `latency`, `report` | what goes in, what comes out |
//! | `special` | the beta function in logarithms |
//!
//! Pure: no clock, no I/O, no randomness. Journals replay to the same verdict.

mod absolute;
mod assurance;
mod burst;
mod capital;
mod counts;
mod eprocess;
mod guard;
mod interval;
mod judge;
mod known_ratio;
mod known_split;
mod latency;
mod proof;
mod quantile;
mod quantile_ratio;
mod rate_bounds;
mod report;
mod settings;
mod shadow;
mod share;
#[cfg(test)]
mod simulations;
mod special;
mod start_points;
mod statements;
mod two_by_two;
mod unknown_ratio;
mod unknown_split;

pub use counts::{ArmCounts, Batch, Channel};
pub use interval::{Interval, Unit};
pub use judge::Judge;
pub use latency::LatencyCounts;
pub use report::{Breach, GuardKind, GuardReport};
pub use settings::{JudgeSettings, SplitKnowledge};
pub use share::ShareMismatch;
