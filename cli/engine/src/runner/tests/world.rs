//! Stacks, a shifter, a load, a lease and webhooks that do as they are told, and a run among them.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use cutover_scenarios::plan::{Notify, Plan, WebhookGate};
use cutover_scenarios::units::Weight;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::clock::Clock;
use crate::fact::{FORMAT, Fact};
use crate::journal::Journal;
use crate::lock::{Holder, Lease, LeaseLost};
use crate::measure::Sample;
use crate::ports::{
    GateAnswer, Health, Hooks, Load, Note, PortError, Shifter, StackHealth, Stacks,
};
use crate::runner::{Audience, Control, Ports, Runner, first_view};
use crate::state::State;
use crate::testing::plan;
use crate::verdict::{ArmCounts, Batch, Channel};
use crate::view::RunView;

/// A world in which everything works, until it is told otherwise.
#[derive(Default)]
pub(super) struct World {
    pub(super) weight: Mutex<Weight>,
    pub(super) writes: Mutex<Vec<Weight>>,
    /// Writes are lost from now on: the call succeeds and changes nothing.
    pub(super) writes_are_lost: AtomicBool,
    /// The target fails every request from this weight on.
    pub(super) fails_from: Mutex<Option<Weight>>,
    pub(super) mark: AtomicU32,
    pub(super) health: Mutex<Option<Health>>,
    /// Someone took the service away.
    pub(super) lease_is_lost: AtomicBool,
    /// What the webhook behind a gate answers, one after the other; open when there are no more.
    pub(super) gate_answers: Mutex<VecDeque<Result<GateAnswer, PortError>>>,
    pub(super) gate_was_asked: Mutex<Vec<Duration>>,
    pub(super) began: Mutex<Option<Instant>>,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("World")
    }
}

#[async_trait]
impl Lease for World {
    fn holder(&self) -> &Holder {
        unreachable!("the runner does not ask")
    }
    fn still_ours(&self) -> Result<(), LeaseLost> {
        if self.lease_is_lost.load(Ordering::Relaxed) {
            return Err(LeaseLost {
                service: "shop".to_owned(),
                taken_by: None,
            });
        }
        Ok(())
    }
    async fn beat(&self, _: jiff::Timestamp) -> std::io::Result<()> {
        Ok(())
    }
    async fn release(&self) {}
}

#[async_trait]
impl Hooks for World {
    async fn ask(
        &self,
        _: &WebhookGate,
        question: &serde_json::Value,
    ) -> Result<GateAnswer, PortError> {
        assert_eq!(question["weight_percent"], 100.0);
        let epoch = *self.began.lock().unwrap();
        let mut asked = self.gate_was_asked.lock().unwrap();
        asked.push(epoch.map_or(Duration::ZERO, |epoch| epoch.elapsed()));
        let next = self.gate_answers.lock().unwrap().pop_front();
        next.unwrap_or(Ok(GateAnswer::Open))
    }
    async fn deliver(&self, _: &Notify, _: &Note) -> Result<(), PortError> {
        Ok(())
    }
}

#[async_trait]
impl Stacks for World {
    async fn inspect(&self) -> Result<Vec<String>, PortError> {
        Ok(vec![])
    }
    async fn preflight(&self) -> Result<Vec<String>, PortError> {
        Ok(vec![])
    }
    async fn deploy(&self) -> Result<Vec<(String, String)>, PortError> {
        sleep(Duration::from_secs(1)).await;
        Ok(vec![("edge".to_owned(), "http://127.0.0.1:1".to_owned())])
    }
    async fn health(&self) -> Health {
        let ready = || StackHealth::Ready("all of it".to_owned());
        self.health
            .lock()
            .unwrap()
            .clone()
            .unwrap_or_else(|| Health {
                source: ready(),
                target: ready(),
            })
    }
    fn describe_deploy(&self) -> Vec<String> {
        vec![]
    }
}

#[async_trait]
impl Shifter for World {
    async fn read(&self) -> Result<Weight, PortError> {
        Ok(*self.weight.lock().unwrap())
    }
    async fn set(&self, weight: Weight) -> Result<(), PortError> {
        self.writes.lock().unwrap().push(weight);
        if !self.writes_are_lost.load(Ordering::Relaxed) {
            *self.weight.lock().unwrap() = weight;
        }
        Ok(())
    }
    async fn snapshot(&self) -> Result<serde_json::Value, PortError> {
        Ok(serde_json::json!({ "weight": self.weight.lock().unwrap().parts() }))
    }
    fn describe_set(&self, weight: Weight) -> Vec<String> {
        vec![format!("set {weight}")]
    }
}

/// 100 requests a second through the edge and 20 pairs, told ten times a second.
pub(super) struct WorldLoad(Arc<World>, Option<tokio::task::JoinHandle<()>>);

#[async_trait]
impl Load for WorldLoad {
    async fn start(
        &mut self,
        _: &[(String, String)],
        epoch: Instant,
    ) -> Result<UnboundedReceiver<Sample>, PortError> {
        let (sender, receiver) = unbounded_channel();
        let world = Arc::clone(&self.0);
        self.1 = Some(tokio::spawn(async move {
            let mut sent = 0.0;
            loop {
                sleep(Duration::from_millis(100)).await;
                let now = *world.weight.lock().unwrap();
                let broken = world
                    .fails_from
                    .lock()
                    .unwrap()
                    .is_some_and(|from| now >= from);
                sent += now.fraction() * 10.0;
                let target = sent as u64;
                sent -= target as f64;
                for (channel, source, target) in [
                    (Channel::Edge, 10 - target, target),
                    (Channel::Paired, 2, 2),
                ] {
                    let failed = if broken { target } else { 0 };
                    let at = epoch.elapsed();
                    let counts = |requests: u64, bad: u64| ArmCounts {
                        requests,
                        bad: vec![bad],
                        first_bad_at: vec![(bad > 0).then_some(at)],
                        ..ArmCounts::default()
                    };
                    let batch = Batch {
                        channel,
                        at,
                        source: counts(source, 0),
                        target: counts(target, failed),
                    };
                    let mark = world.mark.load(Ordering::Relaxed);
                    let _ = sender.send(Sample {
                        mark,
                        batch,
                        source_failed: 0,
                        target_failed: failed,
                        unattributed: 0,
                    });
                }
            }
        }));
        Ok(receiver)
    }
    fn set_mark(&self, mark: u32) {
        self.0.mark.store(mark, Ordering::Relaxed);
    }
    fn stop(&mut self) {
        if let Some(task) = self.1.take() {
            task.abort();
        }
    }
}

/// A run in a folder of its own, and the ends of its channels.
pub(super) struct Stage {
    pub(super) folder: tempfile::TempDir,
    pub(super) world: Arc<World>,
    pub(super) controls: UnboundedSender<Control>,
    pub(super) views: watch::Receiver<RunView>,
    pub(super) runner: Runner,
}

pub(super) fn stage(world: Arc<World>) -> Stage {
    stage_for(plan(), world)
}

pub(super) fn stage_for(plan: Plan, world: Arc<World>) -> Stage {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::start();
    let mut journal = Journal::create(&folder.path().join("journal.jsonl")).unwrap();
    let created = Fact::RunCreated {
        format: FORMAT,
        run: "r".to_owned(),
        plan: Box::new(plan),
        fault: None,
    };
    let first = journal.append(clock.now(), created).unwrap();
    on_stage(State::begin(&first).unwrap(), journal, folder, world, clock)
}

pub(super) fn on_stage(
    state: State,
    journal: Journal,
    folder: tempfile::TempDir,
    world: Arc<World>,
    clock: Clock,
) -> Stage {
    let (controls, asked) = unbounded_channel();
    let (events, _) = unbounded_channel();
    let (views, view) = watch::channel(first_view(&state));
    let ports = Ports {
        stacks: world.clone(),
        shifter: world.clone(),
        load: Some(Box::new(WorldLoad(world.clone(), None))),
        lease: world.clone(),
        hooks: Some(world.clone()),
        folder: folder.path().to_owned(),
    };
    let audience = Audience {
        controls: asked,
        events,
        views,
    };
    let runner = Runner::new(state, journal, clock, ports, audience, true);
    Stage {
        folder,
        world,
        controls,
        views: view,
        runner,
    }
}
