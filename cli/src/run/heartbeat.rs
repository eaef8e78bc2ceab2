//! Signs of life of this driver, for others who want the service.

use std::sync::Arc;

use cutover_engine::clock;
use cutover_engine::lock::{BEAT, Lease};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

/// Beats until it is dropped. A task of its own: the engine waits for effects, a heartbeat does
/// not.
pub(super) struct Heartbeat(JoinHandle<()>);

impl Heartbeat {
    pub(super) fn of(lease: Arc<dyn Lease>) -> Self {
        Heartbeat(tokio::spawn(async move {
            let mut beat = interval(BEAT);
            beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                beat.tick().await;
                // A sign that cannot be given (a full disk) makes us look stale to others; whether
                // the service is still ours is asked elsewhere, before each effect.
                let _ = lease.beat(clock::wall()).await;
            }
        }))
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        self.0.abort();
    }
}
