//! cli/engine
