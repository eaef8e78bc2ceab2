//! Gates and notifications against a real server on this machine.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod http;
mod server;
mod tls;
