//! The runner against a world of its own, on a clock that stands still.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use cutover_scenarios::plan::{Endpoint, EndpointUrl, Gate, WebhookGate};
use cutover_scenarios::units::Weight;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};

use super::*;
use crate::journal;
use crate::ports::{GateAnswer, Health, PortError, StackHealth};
use crate::testing::{plan, weight};
use crate::view::{Command, RunView};

mod world;

use world::{Stage, World, on_stage, stage, stage_for};

#[tokio::test(start_paused = true)]
async fn a_healthy_run_ends_done_with_the_observed_weights() {
    let stage = stage(Arc::default());
    let report = stage.runner.run(Start::Fresh).await;
    assert_eq!(report.outcome, Outcome::Done, "{}", report.message);
    assert_eq!(
        *stage.world.writes.lock().unwrap(),
        [Weight::ZERO, weight(50.0), Weight::FULL],
        "the way back is proven by writing what is there"
    );
    assert_eq!(report.failed_requests, 0);
    let shares: Vec<_> = report
        .steps
        .iter()
        .map(|step| step.observed.unwrap())
        .collect();
    assert!(
        (shares[0] - 50.0).abs() < 1.0 && (shares[1] - 100.0).abs() < 1e-9,
        "{shares:?}"
    );
    assert!(
        report.duration_s >= 1.0 + 5.0 + 20.0 + 20.0,
        "{}",
        report.duration_s
    );
    let replayed = journal::read(&stage.folder.path().join("journal.jsonl")).unwrap();
    assert_eq!(replayed.state.outcome.unwrap().0, Outcome::Done);
}

#[tokio::test(start_paused = true)]
async fn a_target_that_breaks_is_left_within_two_seconds() {
    let world = Arc::new(World::default());
    *world.fails_from.lock().unwrap() = Some(weight(50.0));
    let stage = stage(world);
    let report = stage.runner.run(Start::Fresh).await;
    assert_eq!(report.outcome, Outcome::RolledBack);
    assert_eq!(*stage.world.weight.lock().unwrap(), Weight::ZERO);
    let breach = report.breach.unwrap();
    assert_eq!(
        (breach.objective.as_str(), breach.at_weight),
        ("errors", 50.0)
    );
    assert!(
        breach.bad_requests > 0 && breach.bad_requests <= 30,
        "{breach:?}"
    );
    let back = breach.rolled_back_after_s.unwrap();
    assert!(breach.detected_after_s <= back && back <= 2.0, "{breach:?}");
    let held = report.steps[0].hold_s;
    assert!(
        held > 0.0 && held <= 2.0,
        "the broken step was held {held} s"
    );
}

#[tokio::test(start_paused = true)]
async fn a_write_that_does_not_read_back_is_a_failed_step_and_a_stuck_rollback() {
    let world = Arc::new(World::default());
    let stage = stage(Arc::clone(&world));
    let mut views = stage.views.clone();
    let losing = tokio::spawn(async move {
        views
            .wait_for(|view| view.weight.applied == Some(weight(50.0)))
            .await
            .unwrap();
        world.writes_are_lost.store(true, Ordering::Relaxed);
    });
    let report = stage.runner.run(Start::Fresh).await;
    losing.await.unwrap();
    assert_eq!(report.outcome, Outcome::Stuck);
    assert!(
        report.message.contains("50 % was read back"),
        "{}",
        report.message
    );
    assert!(
        report.next.contains(&"set 0 %".to_owned()),
        "{:?}",
        report.next
    );
}

#[tokio::test(start_paused = true)]
async fn the_first_signal_rolls_back_and_the_second_leaves_things_as_they_are() {
    for (stop_at_once, left) in [(false, Weight::ZERO), (true, weight(50.0))] {
        let stage = stage(Arc::default());
        let (mut views, controls) = (stage.views.clone(), stage.controls.clone());
        tokio::spawn(async move {
            views
                .wait_for(|view| view.weight.applied == Some(weight(50.0)))
                .await
                .unwrap();
            if stop_at_once {
                controls.send(Control::StopNow).unwrap();
            } else {
                let asked = Asked::new(Command::Interrupt, "signal");
                controls.send(Control::Command(asked)).unwrap();
            }
        });
        let report = stage.runner.run(Start::Fresh).await;
        assert_eq!(report.outcome, Outcome::Interrupted);
        assert_eq!(*stage.world.weight.lock().unwrap(), left);
        assert_eq!(
            report
                .next
                .iter()
                .any(|next| next.contains("cutover resume r")),
            stop_at_once
        );
    }
}

#[tokio::test(start_paused = true)]
async fn when_the_journal_cannot_be_written_the_weight_goes_back_without_it() {
    let mut stage = stage(Arc::default());
    // The record after the first step's weight was applied.
    stage.runner.journal.disk_is_full_from(17);
    let report = stage.runner.run(Start::Fresh).await;
    assert_eq!(report.outcome, Outcome::RolledBack, "{}", report.message);
    assert!(
        report.message.contains("could not write the journal"),
        "{}",
        report.message
    );
    assert_eq!(
        *stage.world.writes.lock().unwrap(),
        [Weight::ZERO, weight(50.0), Weight::ZERO]
    );
}

/// The journal of a run from its beginning to its end.
async fn journal_of(world: World) -> Vec<String> {
    let stage = stage(Arc::new(world));
    stage.runner.run(Start::Fresh).await;
    let text = std::fs::read_to_string(stage.folder.path().join("journal.jsonl")).unwrap();
    text.lines().map(ToOwned::to_owned).collect()
}

/// Takes over a run whose driver was killed after the first `kept` records. The effect behind the
/// last intent may have `happened` or not.
async fn after_a_kill(records: &[String], rollback: bool, happened: bool) -> (RunReport, Weight) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.jsonl");
    std::fs::write(&path, records.join("\n") + "\n").unwrap();
    let replayed = journal::read(&path).unwrap();
    let mut state = replayed.state.clone();
    let live = if happened {
        state.set
    } else {
        state.applied.or(state.before).unwrap_or_default()
    };
    let world = Arc::new(World::default());
    *world.weight.lock().unwrap() = live;
    let clock = Clock::start();
    let mut journal = Journal::reopen(&path, &replayed);
    let taken = Fact::DriverStarted {
        pid: 1,
        host: "h".to_owned(),
        version: "0".to_owned(),
    };
    state
        .apply(&journal.append(clock.now(), taken).unwrap().fact)
        .unwrap();
    let stage = on_stage(state, journal, folder, Arc::clone(&world), clock);
    let start = if rollback {
        Start::Rollback {
            live: Some(live),
            by: "test".to_owned(),
            force: false,
        }
    } else {
        Start::Resume(live)
    };
    let day = Duration::from_secs(86_400);
    let report = timeout(day, stage.runner.run(start))
        .await
        .expect("the run comes to an end");
    let weight = *world.weight.lock().unwrap();
    (report, weight)
}

#[tokio::test(start_paused = true)]
async fn a_run_that_was_killed_after_any_record_can_be_resumed_and_rolled_back() {
    let records = journal_of(World::default()).await;
    assert!(records.len() > 15, "{} records", records.len());
    for kept in 1..records.len() {
        for happened in [false, true] {
            let (report, weight) = after_a_kill(&records[..kept], false, happened).await;
            let at = format!("{kept} records, happened: {happened}: {}", report.message);
            assert_eq!(
                (report.outcome, weight),
                (Outcome::Done, Weight::FULL),
                "{at}"
            );
            let (report, weight) = after_a_kill(&records[..kept], true, happened).await;
            let at = format!("{kept} records, happened: {happened}: {}", report.message);
            assert_eq!(
                (report.outcome, weight),
                (Outcome::RolledBack, Weight::ZERO),
                "{at}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_breach_is_not_forgotten_when_the_driver_is_killed_on_the_way_back() {
    let fails_from = Mutex::new(Some(weight(50.0)));
    let records = journal_of(World {
        fails_from,
        ..World::default()
    })
    .await;
    let breached = records
        .iter()
        .position(|record| record.contains("\"breached\""))
        .unwrap();
    for kept in breached + 1..records.len() {
        let (report, weight) = after_a_kill(&records[..kept], false, true).await;
        let at = format!("{kept} records: {}", report.message);
        assert_eq!(
            (report.outcome, weight),
            (Outcome::RolledBack, Weight::ZERO),
            "{at}"
        );
    }
}

/// Waits until the first step's weight is applied, then does something to the world.
fn when_half_is_shifted(stage: &Stage, act: impl FnOnce() + Send + 'static) {
    let mut views = stage.views.clone();
    tokio::spawn(async move {
        let half = |view: &RunView| view.weight.applied == Some(weight(50.0));
        views.wait_for(half).await.unwrap();
        act();
    });
}

#[tokio::test(start_paused = true)]
async fn a_driver_whose_service_was_taken_away_changes_nothing_more_not_even_its_journal() {
    let stage = stage(Arc::default());
    let path = stage.folder.path().join("journal.jsonl");
    let (world, journal) = (Arc::clone(&stage.world), path.clone());
    let (sender, at_loss) = oneshot::channel();
    let (clock, lost_at) = oneshot::channel();
    when_half_is_shifted(&stage, move || {
        world.lease_is_lost.store(true, Ordering::Relaxed);
        sender.send(std::fs::read(journal).unwrap()).unwrap();
        clock.send(tokio::time::Instant::now()).unwrap();
    });
    let report = stage.runner.run(Start::Fresh).await;
    let went_on = lost_at.await.unwrap().elapsed();
    // The load takes a moment to end; the hold would have lasted far longer.
    assert!(went_on < Duration::from_secs(5), "{went_on:?}");
    assert_eq!(report.outcome, Outcome::Held);
    assert!(
        report.message.contains("was taken away"),
        "{}",
        report.message
    );
    assert_eq!(*stage.world.weight.lock().unwrap(), weight(50.0));
    assert_eq!(std::fs::read(path).unwrap(), at_loss.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_foreign_change_is_seen_within_seconds_and_the_run_waits() {
    let stage = stage(Arc::default());
    let world = Arc::clone(&stage.world);
    when_half_is_shifted(&stage, move || {
        *world.weight.lock().unwrap() = weight(20.0);
    });
    let (mut views, controls) = (stage.views.clone(), stage.controls.clone());
    tokio::spawn(async move {
        let waits = |view: &RunView| {
            let reason = view.waiting_for.as_deref().unwrap_or("");
            reason.contains("set the target's weight to 50 %, now it is 20 %")
        };
        let view = timeout(Duration::from_secs(20), views.wait_for(waits)).await;
        assert_eq!(view.unwrap().unwrap().weight.applied, Some(weight(20.0)));
        let asked = Asked::new(Command::Continue, "test");
        controls.send(Control::Command(asked)).unwrap();
    });
    let report = stage.runner.run(Start::Fresh).await;
    assert_eq!(report.outcome, Outcome::Done, "{}", report.message);
    let writes = stage.world.writes.lock().unwrap().clone();
    assert_eq!(
        writes,
        [Weight::ZERO, weight(50.0), weight(50.0), Weight::FULL]
    );
}

#[tokio::test(start_paused = true)]
async fn a_target_that_is_down_is_left_within_a_second_also_without_a_single_request() {
    let stage = stage(Arc::default());
    let world = Arc::clone(&stage.world);
    let down_since = Arc::new(Mutex::new(None));
    let since = Arc::clone(&down_since);
    when_half_is_shifted(&stage, move || {
        *since.lock().unwrap() = Some(Instant::now());
        *world.health.lock().unwrap() = Some(Health {
            source: StackHealth::Ready("1 of 1".to_owned()),
            target: StackHealth::Down("refused".to_owned()),
        });
    });
    let mut views = stage.views.clone();
    let back = tokio::spawn(async move {
        let back = |view: &RunView| {
            view.phase >= Phase::Rollback && view.weight.applied == Some(Weight::ZERO)
        };
        views.wait_for(back).await.unwrap();
        Instant::now()
    });
    let report = stage.runner.run(Start::Fresh).await;
    assert_eq!(report.outcome, Outcome::RolledBack);
    assert!(
        report.message.contains("the target is down: refused"),
        "{}",
        report.message
    );
    let took = back.await.unwrap() - down_since.lock().unwrap().unwrap();
    assert!(took <= Duration::from_secs(1), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_driver_that_slept_says_so_and_holds_its_step_anew() {
    let stage = stage(Arc::default());
    let slept = Duration::from_secs(30);
    let mut views = stage.views.clone();
    tokio::spawn(async move {
        let half = |view: &RunView| view.weight.applied == Some(weight(50.0));
        views.wait_for(half).await.unwrap();
        sleep(Duration::from_secs(8)).await;
        tokio::time::advance(slept).await;
    });
    let report = stage.runner.run(Start::Fresh).await;
    assert_eq!(report.outcome, Outcome::Done, "{}", report.message);
    assert!(
        report.duration_s >= 46.0 + 8.0 + 30.0,
        "{}",
        report.duration_s
    );
    let journal = std::fs::read_to_string(stage.folder.path().join("journal.jsonl")).unwrap();
    assert_eq!(journal.matches("driver_stalled").count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_webhook_gate_is_asked_until_it_opens_with_longer_waits_after_failures() {
    let mut gated = plan();
    gated.steps[1].gate = Some(Gate::Webhook(WebhookGate {
        endpoint: Endpoint {
            url: EndpointUrl::Plain("https://change.example.com/".to_owned()),
            secret_env: None,
        },
        timeout: Duration::from_secs(5),
        every: Duration::from_secs(10),
    }));
    let world = Arc::new(World::default());
    let no_answer = || Err(PortError::new("ask the webhook", "no route"));
    *world.gate_answers.lock().unwrap() = VecDeque::from([
        Ok(GateAnswer::Closed("403 Forbidden: freeze".to_owned())),
        no_answer(),
        no_answer(),
    ]);
    *world.began.lock().unwrap() = Some(Instant::now());
    let stage = stage_for(gated, world);
    let mut views = stage.views.clone();
    let told = tokio::spawn(async move {
        let freeze = |view: &RunView| {
            let reason = view.waiting_for.as_deref().unwrap_or("");
            reason.contains("webhook https://change.example.com/")
                && reason.contains("403 Forbidden: freeze")
        };
        views.wait_for(freeze).await.map(|_| ()).unwrap();
    });
    let report = stage.runner.run(Start::Fresh).await;
    assert_eq!(report.outcome, Outcome::Done, "{}", report.message);
    told.await.unwrap();
    let asked = stage.world.gate_was_asked.lock().unwrap().clone();
    let waits: Vec<_> = asked
        .windows(2)
        .map(|pair| (pair[1] - pair[0]).as_secs())
        .collect();
    assert_eq!(waits, [10, 20, 40]);
}

#[tokio::test(start_paused = true)]
async fn a_run_whose_source_is_down_does_not_begin() {
    let world = Arc::new(World::default());
    *world.health.lock().unwrap() = Some(Health {
        source: StackHealth::Down("refused".to_owned()),
        target: StackHealth::Ready("1 of 1".to_owned()),
    });
    let report = stage(world).runner.run(Start::Fresh).await;
    assert_eq!(report.outcome, Outcome::Failed);
    assert!(
        report.message.contains("the source is down: refused"),
        "{}",
        report.message
    );
    assert!(
        report.message.contains("nowhere to go back to"),
        "{}",
        report.message
    );
}
