//! Header rules as plain functions over header fields: what is dropped, what is added, what is
//! refused.

pub(crate) mod forwarded;
pub(crate) mod hop_by_hop;
pub(crate) mod host;
