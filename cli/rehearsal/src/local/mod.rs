//! Both stacks and the edge as processes on this machine.
//!
//! ```text
//!                       ┌─▶ source-proxy ─▶ source-service
//! requests ─▶ edge ─────┤
//!                       └─▶ target-proxy ─▶ target-service
//! ```
//!
//! Each process is one of its own, started from this program's file, and writes a
//! [`registration`] into the run's folder once its sockets are bound. That file, not the driver's
//! memory, says what runs where: whoever takes a run over after the driver was killed finds the
//! processes there, and a process whose driver died between its start and the next record is
//! still found.

mod health;
mod process;
pub mod registration;
mod shifter;
mod stacks;

pub use shifter::LocalShifter;
pub use stacks::STACK_HEADER;
pub use stacks::{LocalStacks, Part, clean_up, health_of, parts_alive};

/// What the processes call themselves. The program is one file with several callings; it decides
/// by the name it is called by.
pub mod process_names {
    /// The demo service.
    pub const SERVICE: &str = "cutover-demo-service";
    /// The bundled proxy.
    pub const PROXY: &str = "cutover-proxy";
}
