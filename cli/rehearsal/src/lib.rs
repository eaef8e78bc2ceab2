//! cli/rehearsal
