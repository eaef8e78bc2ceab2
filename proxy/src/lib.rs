//! The bundled reverse proxy: splits HTTP/1.1 traffic by weight and drains without dropping.
//!
//! # A request's way
//!
//! `server` accepts on one of the per-core listeners and lets hyper read the request;
//! `upstream::request_head` decides whether it may pass and writes the head for the upstream;
//! `core` chooses the upstream (`split`, `routing`) and a pooled connection; `exchange` sends the
//! request (`upload`) and reads the response head; `response_body` streams the rest.
//! Around it: `watch` (timeouts), `metrics`, `admin`, `proxy` (start and drain), `command`.
//!
//! # What hyper decides before we see a request
//!
//! * With both `Content-Length` and `Transfer-Encoding`, hyper drops the length, frames by chunks
//!   and closes the connection after the response (RFC 9112 §6.3 allows it). The upstream gets
//!   exactly one framing field, so the message cannot be read in two ways.
//! * Repeated equal `Content-Length` fields are merged. Other framing mistakes get 400 from hyper.
//! * Interim responses other than 101 cannot be passed on and are dropped; `Expect: 100-continue`
//!   is answered by the proxy once the upstream connection is there.
//! * A client that closes both directions while its response is pending cannot be told from one
//!   that closed its sending side only (which is served); it counts as 499 when writing fails.
//! * The beginning of a pipelined request that came along with the one before is in hyper's buffer,
//!   where we cannot tell it from nothing: until its next byte the connection counts as idle.
//! * `CONNECT` and cleartext HTTP/2 are not offered.

mod admin;
mod client_stream;
mod clock;
mod command;
pub mod config;
mod console;
mod core;
mod error;
mod exchange;
mod headers;
mod metrics;
mod proxy;
mod response_body;
mod routing;
mod server;
mod shared;
mod split;
mod state_file;
mod upload;
mod upstream;
mod watch;

pub use command::main_with_args;
pub use config::Config;
pub use error::{Cause, ERROR_HEADER, StartError};
pub use proxy::{Proxy, Remote};
pub use routing::{Routing, WeightChange, WeightError, WeightStatus, Weights};
pub use split::{Split, Weyl};
pub use state_file::{State, start_ticks};
