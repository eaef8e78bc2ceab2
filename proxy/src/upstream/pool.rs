//! Idle upstream connections of one core.

use std::task::{Context, Waker};

use super::connection::Connection;

/// As many as nginx setups commonly keep for one worker.
const MAX_IDLE: usize = 320;

/// Last in, first out: the connection used last is the least likely to be stale, and those that a
/// peak left over grow old together.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    /// By upstream, oldest first, with the tick at which it became idle.
    idle: Vec<Vec<(u64, Connection)>>,
}

impl Pool {
    pub(crate) fn new(upstreams: usize) -> Self {
        Pool {
            idle: (0..upstreams).map(|_| Vec::new()).collect(),
        }
    }

    pub(crate) fn take(&mut self, upstream: usize, cx: &mut Context<'_>) -> Option<Connection> {
        while let Some((_, connection)) = self.idle[upstream].pop() {
            if !connection.is_stale(cx) {
                return Some(connection);
            }
        }
        None
    }

    pub(crate) fn put(&mut self, mut connection: Connection, tick: u64) {
        let idle = &mut self.idle[connection.upstream];
        if idle.len() < MAX_IDLE {
            connection.reused = true;
            idle.push((tick, connection));
        }
    }

    /// Closes what was idle since before `oldest` and what the upstream closed.
    pub(crate) fn sweep(&mut self, oldest: u64) {
        let mut cx = Context::from_waker(Waker::noop());
        for idle in &mut self.idle {
            idle.retain(|(since, connection)| *since >= oldest && !connection.is_stale(&mut cx));
        }
    }
}
