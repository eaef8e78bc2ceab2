//! Looks at the world beside the requests: what stacks say of themselves, and whether someone else
//! changed the weight.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use cutover_scenarios::units::Weight;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use super::Ports;
use crate::ports::{Health, Shifter, StackHealth, Stacks};

/// How often stacks are asked.
const HEALTH_EVERY: Duration = Duration::from_millis(300);

/// A stack that says so often in a row that it takes no requests is down: within a second.
const DOWN_AFTER: u32 = 3;

/// How often the live weight is read between writes.
const WEIGHT_EVERY: Duration = Duration::from_secs(3);

/// What was seen.
#[derive(Debug)]
pub(super) enum Seen {
    Health(Health),
    /// The live weight, unless a write began or ended meanwhile.
    Weight {
        weight: Weight,
        writer: Option<String>,
        /// As [`Probes::writes`] stood before and after the reading.
        writes: u32,
    },
}

/// Tasks that look; they end with this value.
pub(super) struct Probes {
    seen: UnboundedReceiver<Seen>,
    /// Raised when a write begins and when it ends.
    pub(super) writes: Arc<AtomicU32>,
    _tasks: JoinSet<()>,
}

impl Probes {
    pub(super) fn start(ports: &Ports) -> Self {
        let (sender, seen) = unbounded_channel();
        let writes = Arc::new(AtomicU32::new(0));
        let mut tasks = JoinSet::new();
        tasks.spawn(ask_health(Arc::clone(&ports.stacks), sender.clone()));
        let shifter = Arc::clone(&ports.shifter);
        tasks.spawn(read_weight(shifter, Arc::clone(&writes), sender));
        Probes {
            seen,
            writes,
            _tasks: tasks,
        }
    }

    pub(super) async fn next(&mut self) -> Option<Seen> {
        self.seen.recv().await
    }
}

async fn ask_health(stacks: Arc<dyn Stacks>, seen: UnboundedSender<Seen>) {
    let mut tick = interval(HEALTH_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let health = stacks.health().await;
        if seen.send(Seen::Health(health)).is_err() {
            return;
        }
    }
}

async fn read_weight(
    shifter: Arc<dyn Shifter>,
    writes: Arc<AtomicU32>,
    seen: UnboundedSender<Seen>,
) {
    let mut tick = interval(WEIGHT_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let before = writes.load(Ordering::SeqCst);
        // A reading that fails says nothing; the next write finds out.
        let Ok(weight) = shifter.read().await else {
            continue;
        };
        let writer = shifter.last_writer().await;
        if writes.load(Ordering::SeqCst) != before {
            continue;
        }
        let reading = Seen::Weight {
            weight,
            writer,
            writes: before,
        };
        if seen.send(reading).is_err() {
            return;
        }
    }
}

/// What both stacks have said of themselves lately.
#[derive(Debug, Default)]
pub(super) struct HealthLog {
    source: Lately,
    target: Lately,
}

/// One stack's latest word, and how often in a row it was that it is down.
#[derive(Debug, Default)]
struct Lately {
    down: Option<String>,
    times: u32,
}

impl HealthLog {
    pub(super) fn note(&mut self, health: Health) {
        self.source.note(health.source);
        self.target.note(health.target);
    }

    /// Why the source takes no requests.
    pub(super) fn source_down(&self) -> Option<String> {
        self.source.confirmed()
    }

    /// Why the target takes no requests.
    pub(super) fn target_down(&self) -> Option<String> {
        self.target.confirmed()
    }
}

impl Lately {
    fn note(&mut self, health: StackHealth) {
        match health {
            StackHealth::Down(why) => {
                self.times += 1;
                self.down = Some(why);
            }
            // Not to know is no reason to forget what was known.
            StackHealth::Unknown(_) => {}
            StackHealth::Ready(_) => *self = Lately::default(),
        }
    }

    fn confirmed(&self) -> Option<String> {
        self.down.clone().filter(|_| self.times >= DOWN_AFTER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn health(target: StackHealth) -> Health {
        Health {
            source: StackHealth::Ready("1 of 1".to_owned()),
            target,
        }
    }

    #[test]
    fn a_stack_is_down_when_it_says_so_three_times_in_a_row() {
        let mut log = HealthLog::default();
        let down = || health(StackHealth::Down("refused".to_owned()));
        log.note(down());
        log.note(down());
        assert_eq!(log.target_down(), None);
        log.note(health(StackHealth::Unknown("no answer".to_owned())));
        log.note(down());
        assert_eq!(log.target_down().as_deref(), Some("refused"));
        assert_eq!(log.source_down(), None);
        log.note(health(StackHealth::Ready("1 of 1".to_owned())));
        log.note(down());
        assert_eq!(log.target_down(), None, "counted anew");
    }
}
