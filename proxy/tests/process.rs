//! The binary: signals, exit codes, the state file, what it says.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod support;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};

use cutover_proxy::{State, start_ticks};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use support::upstream::{OK, Upstream, gate};
use support::wire::Wire;
use support::{any_port, eventually, get, nobody};

const GET: &str = "GET / HTTP/1.1\r\nhost: shop.test\r\n\r\n";

/// A process that does not outlive its test.
struct Owned(Child);

impl Owned {
    fn ended(&mut self) -> ExitStatus {
        eventually("the process ends", || {
            self.0.try_wait().unwrap().ok_or("still running")
        })
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A serving `cutover-proxy` with its state file.
struct Process {
    process: Owned,
    state_file: PathBuf,
}

/// Where a test of this name may leave its file.
fn state_file(test: &str) -> PathBuf {
    let name = format!("{test}-{}.json", std::process::id());
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

fn command(upstream: SocketAddr) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cutover-proxy"));
    command
        .args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
        .arg(format!("--upstream=source={upstream}"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Starts a proxy and waits until its state file is there.
fn start(test: &str, upstream: SocketAddr, more: &[&str]) -> (Process, State) {
    let state_file = state_file(test);
    let child = command(upstream)
        .arg("--state-file")
        .arg(&state_file)
        .args(more)
        .spawn()
        .unwrap();
    let mut process = Process {
        process: Owned(child),
        state_file,
    };
    let state = eventually("the state file is written", || {
        let ended = process.process.0.try_wait().unwrap();
        assert!(ended.is_none(), "the proxy ended: {ended:?}");
        // Whoever reads it sees all of it or nothing, so no error but `not found` is waited for.
        match fs::read(&process.state_file) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).unwrap()),
            Err(error) => Err(error),
        }
    });
    (process, state)
}

impl Process {
    fn id(&self) -> u32 {
        self.process.0.id()
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.id()).unwrap()), signal).unwrap();
    }

    fn ended(&mut self) -> ExitStatus {
        self.process.ended()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A proxy that ended well has removed it.
        let _ = fs::remove_file(&self.state_file);
    }
}

/// Runs a command that is to end by itself.
fn output(mut command: Command) -> Output {
    let mut process = Owned(command.spawn().unwrap());
    let status = process.ended();
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let child = &mut process.0;
    child
        .stdout
        .take()
        .unwrap()
        .read_to_end(&mut stdout)
        .unwrap();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_end(&mut stderr)
        .unwrap();
    Output {
        status,
        stdout,
        stderr,
    }
}

#[test]
fn the_state_file_tells_where_the_proxy_is_and_goes_with_it() {
    let upstream = Upstream::ok();
    let (mut process, state) = start("state", upstream.address, &["--name", "edge"]);
    assert_eq!(state.pid, process.id());
    assert_eq!(state.name, "edge");
    let stat = fs::read_to_string(format!("/proc/{}/stat", state.pid)).unwrap();
    assert_eq!(Some(state.start_ticks), start_ticks(&stat));
    // 2020-01-01, so that seconds or ticks in its place would show.
    assert!(state.started_at > 1_577_836_800_000);
    assert_eq!(get(state.listen, "/").text(), "ok");
    assert_eq!(get(state.admin, "/health").status(), 200);
    let mut told = String::new();
    BufReader::new(process.process.0.stderr.as_mut().unwrap())
        .read_line(&mut told)
        .unwrap();
    let expected = format!("serving on {}, admin on {}\n", state.listen, state.admin);
    assert_eq!(told, expected);

    process.signal(Signal::SIGTERM);
    assert_eq!(process.ended().code(), Some(0));
    assert!(!process.state_file.exists());
}

#[test]
fn sigterm_finishes_what_is_in_flight_and_exits_with_0() {
    let (key, opened) = gate();
    let upstream = Upstream::answering(move |_| {
        opened.pass();
        OK.into()
    });
    let (mut process, state) = start("sigterm", upstream.address, &[]);
    let mut client = Wire::connect(state.listen);
    client.send(GET);
    upstream.wait_for_connections(1);
    process.signal(Signal::SIGTERM);
    eventually("the drain begins", || {
        let ready = get(state.admin, "/ready").status();
        (ready == 503).then_some(()).ok_or(ready)
    });
    key.open();
    assert_eq!(client.response("GET").text(), "ok");
    assert_eq!(process.ended().code(), Some(0));
}

#[test]
fn a_second_sigterm_and_any_sigint_end_it_now() {
    for signals in [&[Signal::SIGTERM, Signal::SIGTERM][..], &[Signal::SIGINT]] {
        let (key, end) = gate();
        let upstream = Upstream::scripted(move |wire, _| {
            wire.request();
            end.pass();
        });
        let (mut process, state) = start("now", upstream.address, &["--lame-duck", "60s"]);
        let mut client = Wire::connect(state.listen);
        client.send(GET);
        upstream.wait_for_connections(1);
        if let [first, _] = signals {
            process.signal(*first);
            eventually("the drain begins", || {
                let ready = get(state.admin, "/ready").status();
                (ready == 503).then_some(()).ok_or(ready)
            });
        }
        process.signal(*signals.last().unwrap());
        assert_eq!(process.ended().code(), Some(0), "{signals:?}");
        client.assert_closed();
        assert!(!process.state_file.exists());
        key.open();
    }
}

#[test]
fn an_idle_process_ends_by_itself_with_0() {
    let upstream = Upstream::ok();
    let (mut process, _) = start("idle", upstream.address, &["--idle-exit", "200ms"]);
    assert_eq!(process.ended().code(), Some(0));
    assert!(!process.state_file.exists());
}

#[test]
fn a_port_in_use_is_named_and_exits_with_1() {
    let taken = TcpListener::bind(any_port()).unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (flag, field) in [("--listen", "listen"), ("--admin", "admin")] {
        for threads in ["1", "2"] {
            let mut command = command(nobody());
            let file = state_file(&format!("taken-{field}-{threads}"));
            command.args([flag, &address, "--threads", threads, "--state-file"]);
            command.arg(&file);
            let output = output(command);
            let told = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(1), "{told}");
            assert!(told.contains(&address), "{told}");
            assert!(told.contains(&format!("`{field}`")), "{told}");
            assert!(told.contains("in use"), "{told}");
            assert!(!file.exists(), "nothing is left behind");
        }
    }
}

#[test]
fn a_port_that_another_proxy_serves_is_not_shared() {
    let upstream = Upstream::ok();
    let (_process, state) = start("shared", upstream.address, &["--threads", "2"]);
    let mut second = command(upstream.address);
    second.args(["--threads", "2", "--listen", &state.listen.to_string()]);
    assert_eq!(output(second).status.code(), Some(1));
}

#[test]
fn a_state_file_that_cannot_be_written_exits_with_1_and_names_it() {
    let mut command = command(nobody());
    command.args(["--state-file", "/proc/nowhere/state.json"]);
    let output = output(command);
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("/proc/nowhere/state.json"), "{told}");
}

#[test]
fn wrong_arguments_exit_with_2_and_are_all_named() {
    let mut command = command(nobody());
    command.args([
        "--lame-duck",
        "soon",
        "--threads",
        "0",
        "--stack-header",
        "x y",
    ]);
    let output = output(command);
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{told}");
    for mistake in ["lame_duck", "threads", "stack_header"] {
        assert!(told.contains(mistake), "`{mistake}` is not named: {told}");
    }
    assert!(output.stdout.is_empty());
}

#[test]
fn help_and_version_are_answers() {
    for (flag, expected) in [
        ("--help", "Usage:"),
        ("--version", env!("CARGO_PKG_VERSION")),
    ] {
        let mut command = command(nobody());
        command.arg(flag);
        let output = output(command);
        assert_eq!(output.status.code(), Some(0));
        let told = String::from_utf8(output.stdout).unwrap();
        assert!(told.contains(expected), "{told}");
    }
}
