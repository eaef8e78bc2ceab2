//! Driver and clients over a real socket, without a run behind it.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use cutover_engine::phase::{Outcome, Phase};
use cutover_engine::report::{ReportedWeight, RunReport};
use cutover_engine::runner::{Asked, Control};
use cutover_engine::view::{Command, Level, RunView};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use super::client::{Client, ClientError};
use super::protocol::{Answer, Happening, LogsFrom, Request};
use super::server::{Listener, Server};
use super::{SOCKET, SocketAddress};
use crate::output::Document;
use crate::screen::sample;

/// Far longer than anything here takes.
const LIMIT: Duration = Duration::from_secs(20);

/// A driver that answers what a test says.
struct Driver {
    folder: TempDir,
    server: Server,
    controls: mpsc::UnboundedReceiver<Control>,
    views: watch::Sender<RunView>,
}

impl Driver {
    fn serve() -> Self {
        Self::serve_in(tempfile::tempdir().unwrap())
    }

    fn serve_in(folder: TempDir) -> Self {
        let (controls, asked) = mpsc::unbounded_channel();
        let (views, view) = watch::channel(sample::shifting());
        let listener = Listener::bind(folder.path()).unwrap();
        let journal = folder.path().join("journal.jsonl");
        let server = Server::serve(listener, "r1".to_owned(), journal, controls, view);
        Driver {
            folder,
            server,
            controls: asked,
            views,
        }
    }

    async fn client(&self) -> Client {
        Client::connect(self.folder.path()).await.unwrap()
    }

    /// A client that says what it likes, line by line; hello has been read.
    async fn raw(&self) -> (Lines<BufReader<OwnedReadHalf>>, OwnedWriteHalf) {
        let address = SocketAddress::of(self.folder.path()).unwrap();
        let stream = UnixStream::connect(address.path()).await.unwrap();
        let (reader, writer) = stream.into_split();
        let mut lines = BufReader::new(reader).lines();
        let hello = lines.next_line().await.unwrap().unwrap();
        assert!(hello.starts_with("{\"cutover_control\":1,"), "{hello}");
        (lines, writer)
    }

    async fn asked(&mut self) -> Asked {
        match timeout(LIMIT, self.controls.recv()).await {
            Ok(Some(Control::Command(asked))) => asked,
            other => panic!("no command: {other:?}"),
        }
    }
}

fn ended() -> Document {
    Document {
        report: RunReport {
            run: "r1".to_owned(),
            plan: "shop".to_owned(),
            outcome: Outcome::Done,
            message: "over".to_owned(),
            ended_in: Phase::Bake,
            duration_s: 1.5,
            requests: 7,
            failed_requests: 0,
            paired_requests: 0,
            weight: ReportedWeight {
                set: 100.0,
                applied: Some(100.0),
            },
            steps: Vec::new(),
            breach: None,
            guards: Vec::new(),
            alpha: String::new(),
            alpha_total: 0.01,
            assumptions: Vec::new(),
            next: vec!["rest".to_owned()],
        },
        stacks: Vec::new(),
    }
}

#[tokio::test]
async fn a_command_is_answered_by_the_run_and_bears_the_name_of_who_asked() {
    let mut driver = Driver::serve();
    let mut client = driver.client().await;
    let pause = Request::Command {
        command: Command::Pause,
    };
    for (says, expected) in [
        (Ok(()), Answer::Accepted),
        (
            Err("the run is paused already".to_owned()),
            Answer::Refused {
                reason: "the run is paused already".to_owned(),
            },
        ),
    ] {
        let asking = tokio::spawn(async move { (client.ask(pause).await, client) });
        let asked = driver.asked().await;
        assert_eq!(asked.command, Command::Pause);
        let us = format!("(process {})", std::process::id());
        assert!(asked.by.ends_with(&us), "{}", asked.by);
        asked.answer.unwrap().send(says).unwrap();
        let (answer, back) = asking.await.unwrap();
        assert_eq!(answer.unwrap(), expected);
        client = back;
    }
}

#[tokio::test]
async fn a_run_that_has_ended_refuses() {
    let mut driver = Driver::serve();
    driver.controls.close();
    let mut client = driver.client().await;
    for request in [
        Request::StopNow,
        Request::Command {
            command: Command::Abort,
        },
    ] {
        let answer = client.ask(request).await.unwrap();
        assert!(matches!(answer, Answer::Refused { .. }), "{answer:?}");
    }
}

#[tokio::test]
async fn what_is_not_understood_is_answered_and_the_conversation_goes_on() {
    let driver = Driver::serve();
    let (mut lines, mut writer) = driver.raw().await;
    for wrong in [
        "",
        "pause",
        "{}",
        "[1,2",
        "{\"request\":\"dance\"}",
        "{\"request\":\"command\",\"command\":\"explode\"}",
        "\u{0}\u{1}",
    ] {
        writer
            .write_all(format!("{wrong}\n").as_bytes())
            .await
            .unwrap();
        let answer = timeout(LIMIT, lines.next_line()).await.unwrap();
        let answer = answer.unwrap().expect("an answer");
        assert!(answer.contains("not understood"), "{wrong}: {answer}");
    }
    writer.write_all(b"\xff\xfe\n").await.unwrap();
    assert!(lines.next_line().await.unwrap().unwrap().contains("error"));
    writer
        .write_all(b"{\"request\":\"status\"}\n")
        .await
        .unwrap();
    let view = lines.next_line().await.unwrap().unwrap();
    assert!(view.starts_with("{\"answer\":\"view\""), "{view}");
}

#[tokio::test]
async fn a_line_without_an_end_is_cut_off() {
    let driver = Driver::serve();
    let (mut lines, mut writer) = driver.raw().await;
    let flood = tokio::spawn(async move { writer.write_all(&vec![b'x'; 1 << 20]).await });
    let answer = timeout(LIMIT, lines.next_line()).await.unwrap();
    let answer = answer.unwrap().expect("an answer");
    assert!(answer.contains("at most 65536 bytes"), "{answer}");
    // The rest of the flood meets a closed door, at once or after what was under way.
    let _ = timeout(LIMIT, flood).await.unwrap();
}

#[tokio::test]
async fn every_watcher_sees_the_latest_view_and_the_end() {
    let driver = Driver::serve();
    let mut watchers = Vec::new();
    for _ in 0..3 {
        let mut client = driver.client().await;
        client.send(Request::Watch).await.unwrap();
        watchers.push(client);
    }
    driver.views.send_replace(sample::rolling_back());
    for client in &mut watchers {
        loop {
            match timeout(LIMIT, client.next()).await.unwrap().unwrap() {
                Some(Answer::View { view }) if view.phase == Phase::Rollback => break,
                Some(Answer::View { .. }) => {}
                other => panic!("{other:?}"),
            }
        }
    }
    let Driver { server, .. } = driver;
    let farewell = tokio::spawn(server.say_farewell(ended()));
    for mut client in watchers {
        let report = loop {
            match timeout(LIMIT, client.next()).await.unwrap().unwrap() {
                Some(Answer::Ended { report }) => break report,
                Some(Answer::View { .. }) => {}
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(*report, ended());
    }
    farewell.await.unwrap();
}

#[tokio::test]
async fn a_watcher_that_reads_nothing_holds_nobody_up() {
    let driver = Driver::serve();
    let mut dead = driver.client().await;
    dead.send(Request::Watch).await.unwrap();
    let mut lively = driver.client().await;
    lively.send(Request::Watch).await.unwrap();
    // More than any socket buffers for the one that does not read.
    for second in 0..20 {
        let view = RunView {
            plan: "x".repeat(200_000),
            elapsed: Duration::from_secs(second),
            ..sample::shifting()
        };
        driver.views.send_replace(view);
        loop {
            match timeout(LIMIT, lively.next()).await.unwrap().unwrap() {
                Some(Answer::View { view }) if view.elapsed.as_secs() == second => break,
                Some(Answer::View { .. }) => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn events_reach_those_who_follow_in_order() {
    let driver = Driver::serve();
    let mut client = driver.client().await;
    let from = LogsFrom::Now;
    client.send(Request::Logs { from }).await.unwrap();
    let events = driver.server.events();
    // Nobody hears what is said before they listen.
    timeout(LIMIT, async {
        while events.receiver_count() == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    let said: Vec<_> = (0..5)
        .map(|second| Happening::Told {
            at: Duration::from_secs(second),
            level: Level::Info,
            text: "tick".to_owned(),
        })
        .collect();
    for event in &said {
        events.send(event.clone()).unwrap();
    }
    for event in said {
        let heard = timeout(LIMIT, client.next()).await.unwrap().unwrap();
        assert_eq!(heard, Some(Answer::Event { event }));
    }
}

#[tokio::test]
async fn folder_and_socket_are_for_their_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let driver = Driver::serve_in(folder);
    let mode =
        |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(driver.folder.path()), 0o700);
    assert_eq!(mode(&driver.folder.path().join(SOCKET)), 0o600);
}

#[tokio::test]
async fn a_socket_deep_in_the_tree_is_reached() {
    let folder = tempfile::tempdir().unwrap();
    let deep = folder.path().join("d".repeat(120)).join("e".repeat(120));
    std::fs::create_dir_all(&deep).unwrap();
    let _listener = Listener::bind(&deep).unwrap();
    let address = SocketAddress::of(&deep).unwrap();
    UnixStream::connect(address.path()).await.unwrap();
}

#[tokio::test]
async fn a_socket_that_a_killed_driver_left_is_nobody_and_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(
        Client::connect(folder.path()).await,
        Err(ClientError::Nobody)
    ));
    // The file stays when its process is gone.
    drop(Listener::bind(folder.path()).unwrap());
    assert!(folder.path().join(SOCKET).exists());
    assert!(matches!(
        Client::connect(folder.path()).await,
        Err(ClientError::Nobody)
    ));
    let driver = Driver::serve_in(folder);
    driver.client().await;
    driver.server.remove_socket();
    assert!(!driver.folder.path().join(SOCKET).exists());
}

#[tokio::test(start_paused = true)]
async fn a_driver_that_says_nothing_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    // It listens and never accepts, as a stopped process does.
    let listener = Listener::bind(folder.path()).unwrap();
    assert!(matches!(
        Client::connect(folder.path()).await,
        Err(ClientError::Silent)
    ));
    drop(listener);
}

#[tokio::test]
async fn more_connections_than_there_are_places_are_turned_away() {
    let driver = Driver::serve();
    let mut clients = Vec::new();
    for _ in 0..64 {
        clients.push(driver.client().await);
    }
    let refused = Client::connect(driver.folder.path()).await;
    assert!(
        matches!(&refused, Err(ClientError::TurnedAway(why)) if why.contains("too many")),
        "{:?}",
        refused.err()
    );
}
