//! The language of cutover: plans, units, and the library of ready plans.
//!
//! | module | subject |
//! | --- | --- |
//! | [`plan`] | what a plan says, as checked values |
//! | [`address`] | addresses of webhooks, and what of them may be shown |
//! | [`units`] | weights: values that cannot be wrong |
//! | [`quantity`] | how people write durations, percentages, rates and ratios |
//! | [`parse`] | the text of a plan → a [`plan::Plan`], or every mistake in it; pure |
//! | [`diagnostic`] | a mistake: where it is, what was found, what was expected |
//! | [`schema`] | the JSON Schema of a plan as people write it |
//! | [`library`] | the bundled plans, by name |
//! | [`load`] | the one door to the file system |
//!
//! Inside, `yaml` reads text into a tree that remembers where everything stood, `http` knows what
//! may be a host and a request line, and `defaults` and `keys` hold what [`parse`] and [`schema`]
//! must agree on.
//!
//! No async, no network, no clock. Anyone may use it.

pub mod address;
mod defaults;
pub mod diagnostic;
mod http;
mod keys;
pub mod library;
pub mod load;
pub mod parse;
pub mod plan;
pub mod quantity;
pub mod schema;
pub mod units;
mod yaml;
