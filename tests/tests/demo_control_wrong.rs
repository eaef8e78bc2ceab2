//! What goes wrong around a run in the background: wishes that do not fit, nonsense on its socket, a
//! driver that is killed while it is watched, one that falls silent.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use cutover_tests::clock::{let_pass, wait_for};
use cutover_tests::journal;
use cutover_tests::plan::write_quick;
use cutover_tests::processes::{assert_none_left, edge_weight, has_ended, wait_for_weight};
use cutover_tests::terminal::{SOON, Terminal};
use cutover_tests::workspace::{SHORT, Workspace};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

const QUICK_RUN: Duration = Duration::from_secs(60);

/// A run in the background that is at 50 % for longer than any test takes; yields its driver.
fn in_background(workspace: &Workspace, steps: &str) -> Pid {
    write_quick(workspace, &[("steps", steps)]);
    let arguments = [
        "migrate",
        "plan.yaml",
        "--detach",
        "--yes",
        "--output",
        "json",
    ];
    let started = workspace.cutover(arguments).expect_exit(0).json();
    wait_for_weight(workspace, 50.0, QUICK_RUN);
    let pid = started["pid"].as_i64().expect("a process id");
    Pid::from_raw(i32::try_from(pid).expect("a process id"))
}

const LONG: &str = "[50% for 60s, 100% for 1s]";
const GATED: &str = "[50% for 1s, { weight: 100%, hold: 1s, gate: manual }]";

fn status(workspace: &Workspace) -> Value {
    let arguments = ["status", "--output", "json"];
    workspace.cutover(arguments).expect_exit(0).json()
}

fn wait_for_end_of(driver: Pid) {
    wait_for("the driver to end", SOON, || match has_ended(driver) {
        true => Ok(()),
        false => Err(format!("process {driver} lives")),
    });
}

/// A driver that is stopped must not outlive the test that stopped it.
struct Stopped(Pid);

impl Stopped {
    fn new(driver: Pid) -> Self {
        kill(driver, Signal::SIGSTOP).expect("a driver to stop");
        Stopped(driver)
    }

    fn wake(&self) {
        let _ = kill(self.0, Signal::SIGCONT);
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        self.wake();
    }
}

#[test]
fn commands_reach_the_driver_and_what_does_not_fit_is_refused_with_the_reason() {
    let workspace = Workspace::new();
    in_background(&workspace, LONG);
    let refused = |command: &str, why: &str| {
        let finished = workspace.cutover([command]).expect_exit(1);
        finished.expect_told(&["refuses", why])
    };
    let granted = |command: &str| workspace.cutover([command]).expect_exit(0);
    granted("pause");
    assert_eq!(status(&workspace)["paused"], true);
    refused("pause", "paused already");
    granted("resume");
    assert_eq!(status(&workspace)["paused"], false);
    refused("resume", "neither paused nor held");
    refused("approve", "does not wait at a manual gate");
    granted("hold");
    refused("hold", "holds already");
    let rollback = workspace
        .cutover(["rollback", "--output", "json"])
        .expect_exit(0);
    assert_eq!(rollback.json()["outcome"], "rolled_back", "{rollback}");
    for command in [&["pause"][..], &["advance"], &["abort", "--yes"]] {
        let late = workspace.cutover(command).expect_exit(1);
        late.expect_told(&["has ended: rolled_back"]);
    }
    let records = journal::records(&workspace).expect("a journal");
    let asked: Vec<_> = records
        .iter()
        .filter(|record| record["fact"] == "commanded")
        .map(|record| record["by"].as_str().expect("who asked"))
        .collect();
    assert_eq!(asked.len(), 4, "refusals are not recorded: {records:#?}");
    let host = nix::unistd::gethostname().expect("a name").into_string();
    let here = format!("@{} (process ", host.expect("UTF-8"));
    assert!(asked.iter().all(|by| by.contains(&here)), "{asked:?}");
    assert_none_left(&workspace);
}

#[test]
fn a_gate_without_a_screen_says_what_to_type() {
    let workspace = Workspace::new();
    write_quick(&workspace, &[("steps", GATED)]);
    let running = workspace.start(["migrate", "plan.yaml", "--yes"]);
    let told = wait_for("the line about the gate", QUICK_RUN, || {
        let told = running.stderr();
        match told.lines().find(|line| line.contains("cutover approve")) {
            Some(line) => Ok(line.to_owned()),
            None => Err(told),
        }
    });
    let command = told.rsplit_once("cutover ").expect("a command").1;
    workspace.cutover(command.split(' ')).expect_exit(0);
    running.wait(QUICK_RUN).expect_exit(0);
    assert_none_left(&workspace);
}

#[test]
fn a_start_that_fails_in_the_background_fails_in_front() {
    let workspace = Workspace::new();
    in_background(&workspace, LONG);
    workspace
        .cutover(["migrate", "plan.yaml", "--detach", "--yes"])
        .expect_exit(6)
        .expect_told(&["is under way", "last heartbeat"]);
    workspace.cutover(["rollback"]).expect_exit(0);
    assert_none_left(&workspace);
}

#[test]
fn two_screens_show_one_run_and_both_hear_when_its_driver_is_killed() {
    let workspace = Workspace::new();
    let driver = in_background(&workspace, LONG);
    let (one, other) = (
        Terminal::open(&workspace, &[]),
        Terminal::open(&workspace, &[]),
    );
    for terminal in [&one, &other] {
        terminal.run_cutover("attach");
        terminal.wait_to_show("holding 50 %");
    }
    one.press("p");
    for terminal in [&one, &other] {
        terminal.wait_to_show("PAUSED");
    }
    other.press("p");
    one.wait_to_lose("PAUSED");
    // What the run refuses is shown.
    one.press("h");
    one.wait_to_show("asked the run to stay");
    other.press("h");
    other.wait_to_show("refused: the run holds already");

    kill(driver, Signal::SIGKILL).expect("a driver to kill");
    for terminal in [&one, &other] {
        let told = terminal.wait_to_show("exit=4");
        assert!(told.contains("is gone"), "{told}");
        assert!(told.contains("cutover resume"), "{told}");
        terminal.assert_given_back();
    }
    assert_eq!(edge_weight(&workspace), Ok(50.0));
    workspace.cutover(["rollback"]).expect_exit(0);
    workspace.cutover(["cleanup"]).expect_exit(0);
    assert_none_left(&workspace);
}

#[test]
fn nonsense_on_the_socket_is_answered_and_the_run_goes_on() {
    let workspace = Workspace::new();
    in_background(&workspace, LONG);
    let socket = workspace.latest_run().expect("a run").join("control.sock");
    let mut stream = UnixStream::connect(&socket).expect("a driver");
    stream.set_read_timeout(Some(SHORT)).expect("a limit");
    let mut lines = BufReader::new(stream.try_clone().expect("a stream")).lines();
    let mut next = || lines.next().expect("an answer").expect("a line");
    assert!(next().contains("\"cutover_control\":1"));
    stream.write_all(b"make me a sandwich\n").expect("to write");
    assert!(next().contains("not understood"));
    stream
        .write_all(b"{\"request\":\"status\"}\n")
        .expect("to write");
    assert!(next().contains("\"answer\":\"view\""));

    workspace.cutover(["rollback"]).expect_exit(0);
    assert!(!socket.exists());
    assert_none_left(&workspace);
}

/// Its driver is stopped for longer than a heartbeat may be silent, as by a machine that hangs.
#[test]
fn a_lock_is_taken_away_from_a_silent_driver_which_then_changes_nothing() {
    let workspace = Workspace::new();
    let driver = in_background(&workspace, LONG);
    let reason = ["unlock", "demo", "--reason", "it hangs", "--yes"];
    workspace
        .cutover(reason)
        .expect_exit(6)
        .expect_told(&["its lock stays", "--force"]);

    let stopped = Stopped::new(driver);
    let_pass(Duration::from_secs(31));
    workspace
        .cutover(["migrate", "plan.yaml", "--yes"])
        .expect_exit(6)
        .expect_told(&["is stale", "cutover unlock demo"]);
    workspace.cutover(reason).expect_exit(0);
    let log = workspace.folder().join(".cutover/locks/unlocks.jsonl");
    let log: Value = serde_json::from_str(&fs::read_to_string(log).expect("a log")).expect("JSON");
    assert_eq!(log["reason"], "it hangs", "{log}");
    assert_eq!(log["holder"]["pid"], driver.as_raw(), "{log}");

    workspace.cutover(["rollback"]).expect_exit(0);
    let before = journal::records(&workspace).expect("a journal");
    stopped.wake();
    wait_for_end_of(driver);
    assert_eq!(edge_weight(&workspace), Ok(0.0));
    assert_eq!(journal::records(&workspace).expect("a journal"), before);
    workspace.cutover(["cleanup"]).expect_exit(0);
    assert_none_left(&workspace);
}
