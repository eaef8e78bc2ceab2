//! Webhooks of a real run: notes that are signed and in order, gates that are asked, keys that stand
//! nowhere, receivers that fail.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use cutover_tests::clock::unique;
use cutover_tests::command::Running;
use cutover_tests::plan::write_quick_with;
use cutover_tests::processes::{alive, assert_none_left, edge_weight, wait_for_weight};
use cutover_tests::receiver::{Received, Receiver, Reply};
use cutover_tests::status::wait_until_it_waits_for;
use cutover_tests::witness::fall_ill;
use cutover_tests::workspace::{SHORT, Workspace};
use cutover_tests::{binary, journal};
use serde_json::Value;

const QUICK_RUN: Duration = Duration::from_secs(35);

/// A value that stands nowhere by chance.
const KEY: &str = "5ignature-key-of-nobody";
/// A path that is a secret, as those of Slack's incoming webhooks are.
const SECRET_PATH: &str = "/services/T0/B0/5ecret-path-of-nobody";

const OK: Reply = Reply::Status(200, "");
const FROZEN: Reply = Reply::Status(403, "change freeze until Monday");

/// Starts `cutover` as who set the variables that the plans name.
fn start(workspace: &Workspace, receiver: &Receiver, arguments: &[&str]) -> Running {
    let mut command = Command::new(binary::cutover());
    command
        .args(arguments)
        .env("HOOK_KEY", KEY)
        .env("SLACK_URL", receiver.url(SECRET_PATH));
    workspace.spawn(command)
}

fn migrate(workspace: &Workspace, receiver: &Receiver) -> Running {
    let arguments = ["migrate", "plan.yaml", "--yes", "--output", "json"];
    start(workspace, receiver, &arguments)
}

/// Everybody is told everything at `/hook`.
fn notify(receiver: &Receiver) -> String {
    let url = receiver.url("/hook");
    format!("notify: [{{ webhook: {{ url: '{url}', secret_env: HOOK_KEY }} }}]")
}

/// Steps whose second waits for a web service.
fn gated(receiver: &Receiver) -> String {
    let url = receiver.url("/gate");
    format!(
        "[50% for 1s, {{ weight: 100%, hold: 1s, gate: {{ webhook: {{ url: '{url}', \
         secret_env: HOOK_KEY, timeout: 1s, every: 1s }} }} }}]"
    )
}

fn to(receiver: &Receiver, path: &str) -> Vec<Received> {
    let line = format!("POST {path} HTTP/1.1");
    let mut received = receiver.received();
    received.retain(|request| request.line == line);
    received
}

/// What the notes are about, in the order in which they came.
fn told(notes: &[Received]) -> Vec<String> {
    let on = |note: &Received| note.json()["on"].as_str().expect("what about").to_owned();
    notes.iter().map(on).collect()
}

#[track_caller]
fn assert_signed_just_now(requests: &[Received]) {
    assert!(!requests.is_empty());
    let now = u64::try_from(unique() / 1_000_000_000).expect("seconds");
    for request in requests {
        let signed = request.signed_at(KEY);
        assert!(
            signed.is_some_and(|at| now.abs_diff(at) < 60),
            "signed at {signed:?}, now {now}: {request:?}"
        );
        assert_eq!(request.signed_at("another key"), None);
    }
}

/// What became of each note, from the journal: the record it was about, and the error.
fn notified(workspace: &Workspace) -> Vec<Value> {
    let mut records = journal::records(workspace).expect("a journal");
    records.retain(|record| record["fact"] == "notified");
    records
}

/// Checks that no file of the runs has any of the words in it.
fn assert_in_no_file(folder: &Path, words: &[&str]) -> usize {
    let mut looked_at = 0;
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            looked_at += assert_in_no_file(&path, words);
        } else if path.is_file() {
            let text = String::from_utf8_lossy(&fs::read(&path).expect("a file")).into_owned();
            for word in words {
                assert!(!text.contains(word), "{word} stands in {}", path.display());
            }
            looked_at += 1;
        }
    }
    looked_at
}

#[test]
fn a_run_tells_its_whole_story_in_order_and_signed() {
    let (workspace, receiver) = (Workspace::new(), Receiver::start(OK));
    write_quick_with(&workspace, &[], &notify(&receiver));
    let finished = migrate(&workspace, &receiver)
        .wait(QUICK_RUN)
        .expect_exit(0);

    let notes = to(&receiver, "/hook");
    assert_eq!(
        told(&notes),
        ["start", "step", "step", "done"],
        "{notes:#?}"
    );
    assert_signed_just_now(&notes);
    let run = finished.json()["run"].clone();
    let bodies: Vec<Value> = notes.iter().map(Received::json).collect();
    for body in &bodies {
        assert_eq!(body["run"], run, "{body:#}");
        assert_eq!(body["plan"], "demo", "{body:#}");
    }
    let weights: Vec<_> = bodies.iter().map(|body| &body["weight_percent"]).collect();
    assert_eq!(weights[1..], [50.0, 100.0, 100.0], "{bodies:#?}");
    assert_eq!(bodies[3]["outcome"], "done", "{bodies:#?}");

    let notified = notified(&workspace);
    let about: Vec<_> = notified.iter().map(|record| &record["about"]).collect();
    let sent: Vec<_> = bodies.iter().map(|body| &body["seq"]).collect();
    assert_eq!(about, sent, "{notified:#?}");
    for record in &notified {
        assert_eq!(record["error"], Value::Null, "{record}");
        assert_eq!(record["attempts"], 1, "{record}");
    }
    assert_none_left(&workspace);
}

#[test]
fn keys_and_secret_addresses_stand_nowhere() {
    let (workspace, receiver) = (Workspace::new(), Receiver::start(Reply::Repeat(500)));
    let url = receiver.url("/hook");
    let more = format!(
        "notify:\n  - {{ webhook: {{ url: '{url}', secret_env: HOOK_KEY }} }}\n  \
         - {{ slack: {{ url_env: SLACK_URL }} }}"
    );
    let steps = "[50% for 2s, 100% for 1s]";
    write_quick_with(&workspace, &[("steps", steps)], &more);
    let shown = start(&workspace, &receiver, &["migrate", "--plan", "plan.yaml"]);
    let shown = shown.wait(SHORT).expect_exit(0);
    let running = migrate(&workspace, &receiver);
    wait_for_weight(&workspace, 50.0, QUICK_RUN);
    let text = workspace.cutover(["status"]).expect_exit(0);
    let json = workspace.cutover(["status", "--output", "json"]);
    let finished = running.wait(QUICK_RUN).expect_exit(0);
    let logs = workspace.cutover(["logs"]).expect_exit(0);

    let slack = to(&receiver, SECRET_PATH);
    assert!(!slack.is_empty() && !to(&receiver, "/hook").is_empty());
    assert!(slack[0].json()["text"].is_string(), "{slack:#?}");
    let words = [KEY, SECRET_PATH, "5ecret-path"];
    let looked_at = assert_in_no_file(&workspace.folder().join(".cutover"), &words);
    assert!(looked_at > 10, "{looked_at} files");
    for printed in [shown, text, json, finished, logs] {
        let all = printed.stdout.clone() + &printed.stderr;
        for word in words {
            assert!(!all.contains(word), "{word} was printed: {printed}");
        }
    }
    // What the receiver said is told, without what it repeated.
    let given_up = notified(&workspace);
    let hidden = |record: &Value| {
        let error = record["error"].as_str().unwrap_or_default();
        error.contains("$SLACK_URL: 500 Internal Server Error: not found: POST ***")
    };
    assert!(given_up.iter().any(hidden), "{given_up:#?}");
    assert_none_left(&workspace);
}

#[test]
fn a_receiver_that_never_answers_slows_no_step_and_is_said_to_be_given_up() {
    let (workspace, receiver) = (Workspace::new(), Receiver::start(Reply::Never));
    write_quick_with(&workspace, &[], &notify(&receiver));
    let finished = migrate(&workspace, &receiver)
        .wait(QUICK_RUN)
        .expect_exit(0)
        .expect_told(&[
            "could not be told, given up",
            "the run ended before it arrived",
        ]);
    assert_eq!(finished.json()["outcome"], "done", "{finished}");

    let records = journal::records(&workspace).expect("a journal");
    assert_eq!(journal::outcome(&records), Some("done"), "{records:#?}");
    let ended = records.iter().find(|record| record["fact"] == "run_ended");
    // One delivery may take ten seconds: who waited for the first would not be here before that.
    let after = ended.and_then(|record| record["elapsed_ms"].as_u64());
    assert!(
        after.is_some_and(|ms| ms < 10_000),
        "ended after {after:?} ms"
    );
    let given_up = notified(&workspace);
    assert_eq!(given_up.len(), 4, "{given_up:#?}");
    for record in &given_up {
        assert!(record["error"].is_string(), "{record}");
    }
    assert_none_left(&workspace);
}

#[test]
fn a_breach_is_told_before_the_way_back_and_the_end() {
    let (workspace, receiver) = (Workspace::new(), Receiver::start(OK));
    let steps = "[50% for 60s, 100% for 1s]";
    write_quick_with(&workspace, &[("steps", steps)], &notify(&receiver));
    let running = migrate(&workspace, &receiver);
    wait_for_weight(&workspace, 50.0, QUICK_RUN);
    fall_ill(&workspace).expect("a target");
    running.wait(QUICK_RUN).expect_exit(3);

    let notes = to(&receiver, "/hook");
    let story = ["start", "step", "breach", "rollback", "done"];
    assert_eq!(told(&notes), story, "{notes:#?}");
    assert_signed_just_now(&notes);
    let breach = notes[2].json();
    let text = breach["text"].as_str().expect("a sentence");
    assert!(text.contains("errors"), "{breach:#}");
    let done = notes[4].json();
    assert_eq!(done["outcome"], "rolled_back", "{done:#}");
    assert_eq!(done["weight_percent"], 0.0, "{done:#}");
    assert_none_left(&workspace);
}

#[test]
fn a_web_service_is_asked_until_it_opens_the_gate_and_its_answers_are_shown() {
    let (workspace, receiver) = (Workspace::new(), Receiver::start(Reply::Never));
    write_quick_with(&workspace, &[("steps", &gated(&receiver))], "");
    let running = migrate(&workspace, &receiver);
    wait_until_it_waits_for(&workspace, "no answer within 1 s");
    receiver.answer(FROZEN);
    let reason = wait_until_it_waits_for(&workspace, "403 Forbidden: change freeze until Monday");
    assert!(reason.contains("asked again in"), "{reason}");
    assert!(!reason.contains("/gate"), "the whole address: {reason}");
    assert_eq!(edge_weight(&workspace), Ok(50.0));
    for by_hand in ["approve", "advance"] {
        workspace.cutover([by_hand]).expect_exit(1);
    }
    assert_eq!(edge_weight(&workspace), Ok(50.0));
    receiver.answer(OK);
    let finished = running.wait(QUICK_RUN).expect_exit(0);
    assert_eq!(finished.json()["outcome"], "done", "{finished}");

    let asked = to(&receiver, "/gate");
    assert_signed_just_now(&asked);
    let question = asked[0].json();
    assert_eq!(question["step"], 2, "{question:#}");
    assert_eq!(question["weight_percent"], 100.0, "{question:#}");
    let opened = journal::records(&workspace).expect("a journal");
    let opened = opened
        .iter()
        .filter(|record| record["fact"] == "gate_opened");
    assert_eq!(opened.count(), 1);
    assert_none_left(&workspace);
}

#[test]
fn guards_stay_armed_while_a_web_service_keeps_the_gate_shut() {
    let (workspace, receiver) = (Workspace::new(), Receiver::start(FROZEN));
    write_quick_with(&workspace, &[("steps", &gated(&receiver))], "");
    let running = migrate(&workspace, &receiver);
    wait_until_it_waits_for(&workspace, "change freeze");
    fall_ill(&workspace).expect("a target");
    let report = running.wait(QUICK_RUN).expect_exit(3).json();
    assert_eq!(report["outcome"], "rolled_back", "{report:#}");
    assert_eq!(report["breach"]["at_weight"], 50.0, "{report:#}");
    assert_none_left(&workspace);
}

/// Starts `cutover` where nobody set a variable.
fn start_unprepared(workspace: &Workspace, arguments: &[&str]) -> Running {
    let mut command = Command::new(binary::cutover());
    command.args(arguments).env_remove("HOOK_KEY");
    workspace.spawn(command)
}

#[test]
fn a_key_that_is_missing_is_found_before_anything_is_touched() {
    let (workspace, receiver) = (Workspace::new(), Receiver::start(OK));
    for detach in ["--no-tui", "--detach"] {
        let steps = gated(&receiver);
        write_quick_with(&workspace, &[("steps", &steps)], &notify(&receiver));
        start_unprepared(&workspace, &["migrate", "plan.yaml", "--yes", detach])
            .wait(SHORT)
            .expect_exit(5)
            .expect_told(&[
                "`steps[1].gate.webhook.secret_env`",
                "`notify[0].webhook.secret_env`",
                "HOOK_KEY is not set",
                "nothing was touched",
            ]);
        assert!(!workspace.has_runs());
        assert!(alive(workspace.folder()).is_empty());
    }
    assert!(receiver.received().is_empty());
}

#[test]
fn going_back_does_not_hang_on_a_key_that_is_missing() {
    let (workspace, receiver) = (Workspace::new(), Receiver::start(OK));
    let steps = "[50% for 60s, 100% for 1s]";
    write_quick_with(&workspace, &[("steps", steps)], &notify(&receiver));
    let running = migrate(&workspace, &receiver);
    wait_for_weight(&workspace, 50.0, QUICK_RUN);
    running.kill_9();
    start_unprepared(&workspace, &["resume", "--yes"])
        .wait(SHORT)
        .expect_exit(5)
        .expect_told(&["HOOK_KEY is not set"]);
    assert_eq!(edge_weight(&workspace), Ok(50.0));
    start_unprepared(&workspace, &["rollback"])
        .wait(SHORT)
        .expect_exit(0)
        .expect_told(&["not everybody will be told", "HOOK_KEY is not set"]);
    assert_eq!(edge_weight(&workspace), Ok(0.0));
    workspace.cutover(["cleanup"]).expect_exit(0);
    assert_none_left(&workspace);
}
