//! What every thread of one proxy sees.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::config::Config;
use crate::metrics::{CoreMetrics, Counter};
use crate::routing::{Routing, WeightChange, WeightError, WeightStatus};

/// How far the proxy's life has come; it only moves down the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// → `LameDuck` on SIGTERM or `POST /drain`.
    Serving,
    /// Still accepting, not ready, responses ask to close. → `Closing` when the window ends.
    LameDuck,
    /// Not accepting; requests in flight are finished. → `Aborting` at the deadline.
    Closing,
    /// Whatever is left is cut.
    Aborting,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) routing: Arc<ArcSwap<Routing>>,
    pub(crate) cores: Vec<Arc<CoreMetrics>>,
    pub(crate) started: Instant,
    /// Milliseconds after start of the last admin request.
    pub(crate) last_admin: Counter,
    pub(crate) stage: watch::Sender<Stage>,
}

impl Shared {
    pub(crate) fn stage(&self) -> Stage {
        *self.stage.borrow()
    }

    /// Moves on to `stage`; never back.
    pub(crate) fn advance(&self, stage: Stage) {
        self.stage.send_if_modified(|current| {
            let later = stage > *current;
            if later {
                *current = stage;
            }
            later
        });
    }

    /// Milliseconds since start.
    pub(crate) fn millis(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Changes the weights. Only the control thread calls this, so look-then-swap cannot race.
    pub(crate) fn change_weights(
        &self,
        change: &WeightChange,
    ) -> Result<WeightStatus, WeightError> {
        let next = self.routing.load().after(&self.config.upstreams, change)?;
        let status = next.status();
        self.routing.store(Arc::new(next));
        Ok(status)
    }
}
