//! Stacks on this machine, as real as processes and sockets make them.
//!
//! | module | subject |
//! | --- | --- |
//! | [`local`] | both stacks and the edge as processes: start, adopt, shift, end |
//! | [`service`] | the demo service that both stacks run, and its faults |
//! | [`fault`] | what a fault on the command line means |
//!
//! The simulated AWS comes here too; see `ARCHITECTURE.md`, "Rooms".

mod client;
pub mod fault;
pub mod local;
pub mod service;
