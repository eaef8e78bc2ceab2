//! The language of cutover: plans, units, and the library of ready plans.
//!
//! | module | subject |
//! | --- | --- |
//! | [`plan`] | what a plan says, as checked values |
//! | [`units`] | weights, rates, ratios: values that cannot be wrong |
//!
//! No async, no network, no clock. Anyone may use it.

pub mod plan;
pub mod units;
