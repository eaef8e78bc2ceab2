//! Notes that leave the run, and what became of them.

use std::sync::Arc;
use std::time::Duration;

use cutover_scenarios::plan::Notify;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::fact::{Fact, Record};
use crate::notify;
use crate::notify::outbox::{Delivered, Outbox};
use crate::ports::Hooks;
use crate::state::State;

/// At its end a run waits so long for notes that are on their way.
pub(super) const LAST_CALL: Duration = Duration::from_secs(5);

/// The outbox of a run; nothing when nobody wants to be told.
pub(super) struct Mail(Option<(Outbox, UnboundedReceiver<Delivered>)>);

impl Mail {
    pub(super) fn start(hooks: Option<&Arc<dyn Hooks>>, receivers: &[Notify]) -> Self {
        Mail(
            hooks
                .filter(|_| !receivers.is_empty())
                .map(|hooks| Outbox::start(hooks, receivers)),
        )
    }

    pub(super) fn post(&mut self, state: &State, record: &Record) {
        if let Some((outbox, _)) = &mut self.0
            && let Some(note) = notify::note(state, record)
        {
            outbox.post(&note);
        }
    }

    /// What became of the next note.
    pub(super) async fn next(&mut self) -> Option<Fact> {
        match &mut self.0 {
            Some((_, delivered)) => delivered.recv().await.map(fact),
            None => std::future::pending().await,
        }
    }

    /// Gives what is on its way a moment more, and tells what became of it.
    pub(super) async fn close(&mut self) -> Vec<Fact> {
        let Some((outbox, mut delivered)) = self.0.take() else {
            return Vec::new();
        };
        outbox.drain(LAST_CALL).await;
        let mut facts = Vec::new();
        while let Some(last) = delivered.recv().await {
            facts.push(fact(last));
        }
        facts
    }
}

fn fact(delivered: Delivered) -> Fact {
    Fact::Notified {
        about: delivered.seq,
        to: delivered.to,
        attempts: delivered.attempts,
        error: delivered.result.err(),
    }
}
