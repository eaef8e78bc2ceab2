//! HTTP/1.1 towards the upstream.
//!
//! Written by hand on `httparse` instead of hyper's client: the exchange is driven by the task of
//! the client's connection, so a request costs no second task, channel or wake-up, and the encoded
//! request head stays at hand for the one retry on a stale pooled connection.

pub(crate) mod body;
pub(crate) mod connection;
pub(crate) mod pool;
pub(crate) mod request_head;
pub(crate) mod response_head;
