//! The outbox against receivers that answer, fail and hang, on a clock that stands still.

use std::collections::VecDeque;
use std::sync::Mutex;

use async_trait::async_trait;
use cutover_scenarios::plan::{Endpoint, EndpointUrl, NotifyFormat, NotifyOn, WebhookGate};
use serde_json::Value;

use super::*;
use crate::phase::Phase;
use crate::ports::{GateAnswer, PortError};

/// What a receiver does with a note.
#[derive(Debug, Clone, Copy)]
enum Does {
    Takes,
    Fails,
    Hangs,
}

/// Receivers by name: what each does next (its last deed for ever), and what arrived when.
#[derive(Default)]
struct World {
    does: Mutex<Vec<(String, VecDeque<Does>)>>,
    tried: Mutex<Vec<(String, u64, Instant)>>,
}

impl World {
    fn with(receivers: &[(&str, &[Does])]) -> Arc<Self> {
        let does = receivers
            .iter()
            .map(|(name, does)| ((*name).to_owned(), does.iter().copied().collect()))
            .collect();
        Arc::new(World {
            does: Mutex::new(does),
            ..World::default()
        })
    }

    fn next(&self, name: &str) -> Does {
        let mut all = self.does.lock().unwrap();
        let (_, does) = all.iter_mut().find(|(known, _)| known == name).unwrap();
        if does.len() > 1 {
            does.pop_front().unwrap()
        } else {
            does[0]
        }
    }

    /// Numbers of the notes that were sent to a receiver, repetitions included.
    fn tried(&self, name: &str) -> Vec<u64> {
        let tried = self.tried.lock().unwrap();
        let to = tried.iter().filter(|(to, _, _)| to == name);
        to.map(|(_, seq, _)| *seq).collect()
    }
}

#[async_trait]
impl Hooks for World {
    async fn ask(&self, _: &WebhookGate, _: &Value) -> Result<GateAnswer, PortError> {
        Ok(GateAnswer::Open)
    }

    async fn deliver(&self, to: &Notify, note: &Note) -> Result<(), PortError> {
        let name = gate::endpoint(&to.endpoint);
        let entry = (name.clone(), note.seq, Instant::now());
        self.tried.lock().unwrap().push(entry);
        match self.next(&name) {
            Does::Takes => Ok(()),
            Does::Fails => Err(PortError::new("tell it", "503 Service Unavailable")),
            Does::Hangs => std::future::pending().await,
        }
    }
}

fn receiver(name: &str, on: &[NotifyOn]) -> Notify {
    Notify {
        endpoint: Endpoint {
            url: EndpointUrl::Env(name.to_owned()),
            secret_env: None,
        },
        format: NotifyFormat::Json,
        on: on.to_vec(),
    }
}

fn note(seq: u64, on: NotifyOn) -> Note {
    Note {
        on,
        run: "20261120-100000-shop-0001".to_owned(),
        plan: "shop".to_owned(),
        seq,
        at: "2026-11-20T10:00:00Z".parse().unwrap(),
        text: "phase shift".to_owned(),
        phase: Phase::Shift,
        weight_percent: None,
        outcome: None,
    }
}

/// An outbox for receivers that want to know of steps.
fn outbox(world: &Arc<World>, names: &[&str]) -> (Outbox, UnboundedReceiver<Delivered>) {
    let receivers: Vec<Notify> = names
        .iter()
        .map(|name| {
            let on = [
                NotifyOn::Start,
                NotifyOn::Step,
                NotifyOn::Breach,
                NotifyOn::Rollback,
            ];
            receiver(name, &on)
        })
        .collect();
    let hooks: Arc<dyn Hooks> = world.clone();
    Outbox::start(&hooks, &receivers)
}

async fn all(mut answers: UnboundedReceiver<Delivered>) -> Vec<Delivered> {
    let mut all = Vec::new();
    while let Some(delivered) = answers.recv().await {
        all.push(delivered);
    }
    all
}

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test(start_paused = true)]
async fn notes_arrive_in_order_at_those_who_want_them() {
    let world = World::with(&[("$A", &[Does::Takes]), ("$B", &[Does::Takes])]);
    let hooks: Arc<dyn Hooks> = world.clone();
    let receivers = [
        receiver("A", &[NotifyOn::Step]),
        receiver("B", &[NotifyOn::Step, NotifyOn::Done]),
    ];
    let (mut outbox, answers) = Outbox::start(&hooks, &receivers);
    outbox.post(&note(1, NotifyOn::Step));
    outbox.post(&note(2, NotifyOn::Step));
    outbox.post(&note(3, NotifyOn::Done));
    let tally = outbox.drain(HOUR).await;
    assert_eq!((tally.delivered, tally.given_up), (5, 0));
    assert_eq!(world.tried("$A"), [1, 2]);
    assert_eq!(world.tried("$B"), [1, 2, 3]);
    let told = all(answers).await;
    assert_eq!(told.len(), 5);
    assert!(
        told.iter()
            .all(|told| told.result.is_ok() && told.attempts == 1)
    );
}

#[tokio::test(start_paused = true)]
async fn old_news_that_fails_gives_way_to_newer() {
    let world = World::with(&[("$A", &[Does::Fails, Does::Takes])]);
    let (mut outbox, mut answers) = outbox(&world, &["A"]);
    outbox.post(&note(1, NotifyOn::Start));
    outbox.post(&note(2, NotifyOn::Rollback));
    let first = answers.recv().await.unwrap();
    assert_eq!((first.seq, first.attempts), (1, 1));
    assert!(first.result.unwrap_err().contains("newer notes wait"));
    let second = answers.recv().await.unwrap();
    assert_eq!((second.seq, second.result), (2, Ok(())));
}

#[tokio::test(start_paused = true)]
async fn what_fails_is_sent_again_after_waits_that_double() {
    let world = World::with(&[("$A", &[Does::Fails, Does::Fails, Does::Fails, Does::Takes])]);
    let began = Instant::now();
    let (mut outbox, mut answers) = outbox(&world, &["A"]);
    outbox.post(&note(1, NotifyOn::Breach));
    outbox.post(&note(2, NotifyOn::Step));
    let first = answers.recv().await.unwrap();
    assert_eq!((first.seq, first.attempts), (1, 4));
    assert_eq!(first.result, Ok(()));
    assert_eq!(answers.recv().await.unwrap().attempts, 1);
    let tried = world.tried.lock().unwrap();
    let after: Vec<(u64, u64)> = tried
        .iter()
        .map(|(_, seq, at)| (*seq, at.duration_since(began).as_secs()))
        .collect();
    assert_eq!(after, [(1, 0), (1, 1), (1, 3), (1, 7), (2, 7)], "in order");
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_hangs_delays_no_other_and_is_given_up() {
    let world = World::with(&[("$A", &[Does::Hangs]), ("$B", &[Does::Takes])]);
    let (mut outbox, mut answers) = outbox(&world, &["A", "B"]);
    let began = Instant::now();
    outbox.post(&note(1, NotifyOn::Step));
    assert_eq!(answers.recv().await.unwrap().to, "$B");
    assert_eq!(began.elapsed(), Duration::ZERO);
    let given_up = answers.recv().await.unwrap();
    assert_eq!((given_up.to.as_str(), given_up.attempts), ("$A", 10));
    assert_eq!(given_up.result, Err("no end after 30 s".to_owned()));
    assert_eq!(began.elapsed().as_secs(), 10 * 30 + 243);
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_never_blocks_and_is_said() {
    let world = World::with(&[("$A", &[Does::Hangs])]);
    let (mut outbox, mut answers) = outbox(&world, &["A"]);
    let began = Instant::now();
    let too_many = LONGEST_QUEUE as u64 + 5;
    for seq in 0..too_many {
        outbox.post(&note(seq, NotifyOn::Step));
    }
    assert_eq!(began.elapsed(), Duration::ZERO);
    let refused = answers.recv().await.unwrap();
    assert_eq!((refused.seq, refused.attempts), (LONGEST_QUEUE as u64, 0));
    assert_eq!(
        refused.result,
        Err("1000 notes wait for it already".to_owned())
    );
    let tally = outbox.drain(Duration::from_secs(5)).await;
    assert_eq!((tally.delivered, tally.given_up), (0, too_many));
    let rest = all(answers).await;
    assert_eq!(rest.len() as u64 + 1, too_many, "each is answered for");
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_run_waits_no_longer_than_its_limit() {
    let world = World::with(&[("$A", &[Does::Hangs]), ("$B", &[Does::Takes])]);
    let (mut outbox, answers) = outbox(&world, &["A", "B"]);
    outbox.post(&note(1, NotifyOn::Step));
    outbox.post(&note(2, NotifyOn::Step));
    let began = Instant::now();
    let tally = outbox.drain(Duration::from_secs(3)).await;
    assert_eq!(began.elapsed(), Duration::from_secs(3));
    assert_eq!((tally.delivered, tally.given_up), (2, 2));
    let told = all(answers).await;
    let late: Vec<&Delivered> = told.iter().filter(|told| told.to == "$A").collect();
    assert_eq!(late.len(), 2);
    assert!(
        late.iter()
            .all(|told| told.result == Err("the run ended before it arrived".to_owned()))
    );
}

#[tokio::test(start_paused = true)]
async fn at_the_end_a_receiver_that_is_being_waited_for_gets_one_more_try_at_once() {
    let world = World::with(&[(
        "$A",
        &[
            Does::Fails,
            Does::Fails,
            Does::Fails,
            Does::Fails,
            Does::Takes,
        ],
    )]);
    let (mut outbox, answers) = outbox(&world, &["A"]);
    outbox.post(&note(1, NotifyOn::Step));
    // Tried after 0, 1, 3 and 7 s; the fifth attempt would come after 15.
    sleep(Duration::from_secs(10)).await;
    assert_eq!(world.tried("$A").len(), 4);
    let began = Instant::now();
    let tally = outbox.drain(Duration::from_secs(3)).await;
    assert_eq!(began.elapsed(), Duration::ZERO);
    assert_eq!((tally.delivered, tally.given_up), (1, 0));
    assert_eq!(all(answers).await[0].attempts, 5);
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_fails_to_the_end_is_given_up_with_its_last_error() {
    let world = World::with(&[("$A", &[Does::Fails])]);
    let (mut outbox, answers) = outbox(&world, &["A"]);
    outbox.post(&note(1, NotifyOn::Step));
    let began = Instant::now();
    let tally = outbox.drain(Duration::from_secs(3)).await;
    assert_eq!(tally.given_up, 1);
    assert_eq!(began.elapsed(), Duration::from_secs(3));
    let told = all(answers).await;
    assert_eq!(
        told[0].result,
        Err(
            "the run ended before it arrived: could not tell it: 503 Service Unavailable"
                .to_owned()
        )
    );
}
