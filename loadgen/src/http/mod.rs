//! As much of an HTTP/1.1 client as load needs (RFC 9112).
//!
//! [`request`], [`response`] and [`body`] are functions over bytes; [`connection`] is the socket.
//! A request is rendered once and sent many times; of a response only what decides is looked at:
//! the status, where it ends, whether the connection may be used again, and which arm it names.

pub(crate) mod body;
pub(crate) mod connection;
pub(crate) mod request;
pub(crate) mod response;

/// The peer broke the rules of HTTP/1.1, or a limit of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProtocolError;
