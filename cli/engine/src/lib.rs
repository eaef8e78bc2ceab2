//! Decides a cutover: plan, run state machine, journal, verdict.
//!
//! | module | subject | touches the world |
//! | --- | --- | --- |
//! | [`phase`] | phases and outcomes of a run | no |
//! | [`fact`] | what a journal records | no |
//! | [`state`] | facts folded into a state: the one transition function | no |
//! | [`machine`] | what follows from an event: the decisions | no |
//! | [`assess`] | pass, breach or inconclusive: the look at the measurements | no |
//! | [`verdict`] | the statistics behind it | no |
//! | [`power`] | what a plan can find out at its traffic | no |
//! | [`simulation`] | runs that never happened, watched by the real judge | no |
//! | [`measure`] | samples added up for decisions and screens | no |
//! | [`gate`] | whether a gate stands open | no |
//! | [`preview`] | what a run would do | no |
//! | [`report`] | what a run did | no |
//! | [`narrate`] | facts told to people | no |
//! | [`notify`] | facts told to webhooks, again until they arrive | through the ports |
//! | [`secret`] | values that must not be shown | no |
//! | [`view`] | the run as screens see it, and what may be asked of it | no |
//! | [`journal`] | facts on disk | files |
//! | [`snapshot`] | how to put everything back without the run | files |
//! | [`folder`] | where runs live | files |
//! | [`lock`] | one run of a plan at a time | files |
//! | [`ports`] | what the engine needs of the world | by its implementors |
//! | [`runner`] | performs what the machine decides | through the ports |
//! | [`clock`] | the only door to the clock | the clock |

pub mod assess;
pub mod clock;
pub mod fact;
pub mod folder;
pub mod gate;
pub mod journal;
pub mod lock;
pub mod machine;
pub mod measure;
pub mod narrate;
pub mod notify;
pub mod phase;
pub mod ports;
pub mod power;
pub mod preview;
pub mod report;
pub mod runner;
pub mod secret;
pub mod simulation;
pub mod snapshot;
pub mod state;
pub mod verdict;
pub mod view;

#[cfg(test)]
mod testing;
