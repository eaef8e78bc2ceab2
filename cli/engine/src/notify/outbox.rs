//! Delivers notes without ever making the run wait: a queue and a task for each receiver.
//!
//! # Guarantees
//! - [`Outbox::post`] never blocks.
//! - Each receiver gets its notes in order, and one that does not answer delays no other. Old news
//!   (a start, a step) that fails to arrive gives way to newer.
//! - Every note that was posted is answered for by one [`Delivered`] for each receiver that wants
//!   it, also when it was given up: the queue was full, the attempts were used up, or the run's
//!   end did not leave the time.
//!
//! A note that arrived may be sent again when its answer was lost; receivers tell repetitions by
//! run and seq.

use std::sync::Arc;
use std::time::Duration;

use cutover_scenarios::plan::{Notify, NotifyOn};
use tokio::sync::mpsc::{self, Receiver, Sender, UnboundedReceiver, UnboundedSender};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::wait_before_retry;
use crate::gate;
use crate::ports::{Hooks, Note};

/// Notes that may wait for one receiver; a run has a few dozen.
const LONGEST_QUEUE: usize = 1000;
/// One attempt takes no longer, whatever the port promises.
const ATTEMPT_LIMIT: Duration = Duration::from_secs(30);

/// What became of one note at one receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    /// Number of the journal's record that the note is about.
    pub seq: u64,
    /// The receiver, without anything secret: `$SLACK_URL`, `https://hooks.example.com/…`.
    pub to: String,
    /// How often it was sent; 0 when it never left.
    pub attempts: u32,
    /// Why it was given up, if it was.
    pub result: Result<(), String>,
}

/// What became of all notes of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Notes that arrived, counted once for each receiver.
    pub delivered: u64,
    /// Notes that were given up, counted once for each receiver.
    pub given_up: u64,
}

/// The receivers of a run and what waits for them.
///
/// Dropping it ends every delivery at once; [`Outbox::drain`] gives them time first.
pub struct Outbox {
    receivers: Vec<Queue>,
    tasks: JoinSet<Tally>,
    /// Set once, at the end: nothing is tried after it.
    deadline: watch::Sender<Option<Instant>>,
    answers: UnboundedSender<Delivered>,
    tally: Tally,
}

struct Queue {
    to: Notify,
    name: String,
    notes: Sender<Note>,
}

impl Outbox {
    /// Starts a task for each receiver; needs a tokio runtime. What becomes of each note comes
    /// out of the channel, which ends after [`Outbox::drain`].
    #[must_use]
    pub fn start(
        hooks: &Arc<dyn Hooks>,
        receivers: &[Notify],
    ) -> (Self, UnboundedReceiver<Delivered>) {
        let (answers, answered) = mpsc::unbounded_channel();
        let (deadline, _) = watch::channel(None);
        let mut outbox = Outbox {
            receivers: Vec::new(),
            tasks: JoinSet::new(),
            deadline,
            answers,
            tally: Tally::default(),
        };
        for to in receivers {
            let (notes, queue) = mpsc::channel(LONGEST_QUEUE);
            let name = gate::endpoint(&to.endpoint);
            let courier = Courier {
                hooks: Arc::clone(hooks),
                to: to.clone(),
                name: name.clone(),
                deadline: outbox.deadline.subscribe(),
                answers: outbox.answers.clone(),
            };
            outbox.tasks.spawn(courier.deliver_all(queue));
            outbox.receivers.push(Queue {
                to: to.clone(),
                name,
                notes,
            });
        }
        (outbox, answered)
    }

    /// Queues a note for everyone who wants it. Never blocks: a note that finds its queue full is
    /// given up, and said to be.
    pub fn post(&mut self, note: &Note) {
        for queue in &self.receivers {
            if !queue.to.on.contains(&note.on) {
                continue;
            }
            if queue.notes.try_send(note.clone()).is_err() {
                self.tally.given_up += 1;
                // Nobody listens any more when the run itself is gone.
                let _ = self.answers.send(Delivered {
                    seq: note.seq,
                    to: queue.name.clone(),
                    attempts: 0,
                    result: Err(format!("{LONGEST_QUEUE} notes wait for it already")),
                });
            }
        }
    }

    /// Gives what still waits up to `limit`, then gives it up. Waits that were under way between
    /// attempts are cut short, so that each receiver gets at least one more try.
    pub async fn drain(mut self, limit: Duration) -> Tally {
        self.deadline.send_replace(Some(Instant::now() + limit));
        self.receivers.clear();
        let mut tally = self.tally;
        while let Some(ended) = self.tasks.join_next().await {
            let ended = ended.unwrap_or_default();
            tally.delivered += ended.delivered;
            tally.given_up += ended.given_up;
        }
        tally
    }
}

/// Carries the notes of one receiver.
struct Courier {
    hooks: Arc<dyn Hooks>,
    to: Notify,
    name: String,
    deadline: watch::Receiver<Option<Instant>>,
    answers: UnboundedSender<Delivered>,
}

impl Courier {
    async fn deliver_all(mut self, mut queue: Receiver<Note>) -> Tally {
        let mut tally = Tally::default();
        while let Some(note) = queue.recv().await {
            let (attempts, result) = self.deliver(&note, &queue).await;
            match result {
                Ok(()) => tally.delivered += 1,
                Err(_) => tally.given_up += 1,
            }
            let _ = self.answers.send(Delivered {
                seq: note.seq,
                to: self.name.clone(),
                attempts,
                result,
            });
        }
        tally
    }

    /// Sends one note until it arrives or is given up. That the run began, or that a step did, is
    /// no news any more once something newer waits behind it.
    async fn deliver(&mut self, note: &Note, behind: &Receiver<Note>) -> (u32, Result<(), String>) {
        let can_wait = !matches!(note.on, NotifyOn::Start | NotifyOn::Step);
        let began = Instant::now();
        let mut attempts = 0;
        let mut last_error = None;
        loop {
            let attempt = timeout(ATTEMPT_LIMIT, self.hooks.deliver(&self.to, note));
            let answer = tokio::select! {
                biased;
                () = passed(self.deadline.clone()) => {
                    return (attempts, Err(end_came_first(last_error)));
                }
                answer = attempt => answer,
            };
            attempts += 1;
            let error = match answer {
                Ok(Ok(())) => return (attempts, Ok(())),
                Ok(Err(error)) => error.to_string(),
                Err(_) => format!("no end after {} s", ATTEMPT_LIMIT.as_secs()),
            };
            let Some(wait) = wait_before_retry(attempts, began.elapsed()) else {
                return (attempts, Err(error));
            };
            if !can_wait && !behind.is_empty() {
                return (attempts, Err(format!("{error}; newer notes wait")));
            }
            last_error = Some(error);
            let over = passed(self.deadline.clone());
            tokio::select! {
                () = sleep(wait) => {}
                // The end of the run: now or never.
                _ = self.deadline.changed() => {}
                () = over => {}
            }
        }
    }
}

/// Waits until the run's end has come and its deadline has passed.
async fn passed(mut deadline: watch::Receiver<Option<Instant>>) {
    // Without an outbox there is no deadline, and this task ends with it.
    let set = deadline.wait_for(Option::is_some).await.map(|at| *at);
    if let Ok(Some(at)) = set {
        sleep_until(at).await;
    }
}

fn end_came_first(last_error: Option<String>) -> String {
    let end = "the run ended before it arrived";
    match last_error {
        Some(error) => format!("{end}: {error}"),
        None => end.to_owned(),
    }
}

#[cfg(test)]
mod tests;
