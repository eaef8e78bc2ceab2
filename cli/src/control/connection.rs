//! One client of the control socket, from the driver's side.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use cutover_engine::journal;
use cutover_engine::narrate;
use cutover_engine::runner::{Asked, Control};
use cutover_engine::view::{Command, RunView};
use nix::unistd::getuid;
use tokio::io::BufReader;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{broadcast, oneshot, watch};
use tokio::time::{Instant, sleep_until, timeout};

use super::lines;
use super::peer::Peer;
use super::protocol::{Answer, Happening, Hello, LONGEST_REQUEST, LogsFrom, Request, told};
use crate::output::Document;

/// Between two views to the same watcher.
const BETWEEN_VIEWS: Duration = Duration::from_millis(100);

/// The engine makes a view twenty times a second; one that does not is shown as it was last seen.
const FRESH_LIMIT: Duration = Duration::from_millis(500);

/// The engine answers a command within a tick; this only bounds the wait for a machine that
/// crawls.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// What connections are served from.
pub(super) struct Served {
    pub(super) hello: Hello,
    pub(super) controls: UnboundedSender<Control>,
    pub(super) views: watch::Receiver<RunView>,
    pub(super) events: broadcast::Sender<Happening>,
    pub(super) journal: PathBuf,
    pub(super) ended: watch::Receiver<Option<Arc<Document>>>,
}

/// Says why a client is not served.
pub(super) async fn turn_away(mut stream: UnixStream, message: &str) -> io::Result<()> {
    let message = message.to_owned();
    lines::write(&mut stream, &Answer::Error { message }).await
}

/// Serves one client until it has what it wants, leaves, or the run ends.
pub(super) async fn receive(stream: UnixStream, served: &Served) -> io::Result<()> {
    let peer = Peer::of(&stream)?;
    if !peer.may_steer_run_of(getuid()) {
        return turn_away(stream, "this run belongs to another user").await;
    }
    let (reader, writer) = stream.into_split();
    let mut connection = Connection {
        reader: BufReader::new(reader),
        writer,
        line: Vec::new(),
        by: peer.name(),
        served,
    };
    connection.converse().await
}

/// One client.
struct Connection<'a> {
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    /// What came of the request that is being read.
    line: Vec<u8>,
    by: String,
    served: &'a Served,
}

impl Connection<'_> {
    async fn converse(&mut self) -> io::Result<()> {
        lines::write(&mut self.writer, &self.served.hello).await?;
        let mut ended = self.served.ended.clone();
        loop {
            let line = tokio::select! {
                biased;
                line = lines::read(&mut self.reader, &mut self.line, LONGEST_REQUEST) => line,
                _ = end_of_run(&mut ended) => return Ok(()),
            };
            let line = match line {
                Ok(Some(line)) => line,
                Ok(None) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
                    let message = format!("a request has at most {LONGEST_REQUEST} bytes");
                    return self.say(&Answer::Error { message }).await;
                }
                Err(error) => return Err(error),
            };
            match serde_json::from_slice(&line) {
                Ok(Request::Watch) => return self.watch().await,
                Ok(Request::Logs { from }) => return self.logs(from).await,
                Ok(Request::Status) => {
                    let view = self.fresh_view().await;
                    self.say(&Answer::View { view }).await?;
                }
                Ok(Request::Command { command }) => {
                    let answer = self.ask_run(command).await;
                    self.say(&answer).await?;
                }
                Ok(Request::StopNow) => {
                    let sent = self.served.controls.send(Control::StopNow);
                    self.say(&sent.map_or_else(|_| has_ended(), |()| Answer::Accepted))
                        .await?;
                }
                Err(error) => {
                    let message = format!(
                        "not understood: {error}; expected one JSON object a line, like \
                         {{\"request\":\"status\"}}"
                    );
                    self.say(&Answer::Error { message }).await?;
                }
            }
        }
    }

    async fn say(&mut self, answer: &Answer) -> io::Result<()> {
        lines::write(&mut self.writer, answer).await
    }

    /// A view that was made after it was asked for, so that it shows what was granted before.
    async fn fresh_view(&self) -> Box<RunView> {
        let mut views = self.served.views.clone();
        views.mark_unchanged();
        // A run that has ended makes no more views.
        let _ = timeout(FRESH_LIMIT, views.changed()).await;
        Box::new(views.borrow().clone())
    }

    /// Passes a command on to the engine and waits for its word.
    async fn ask_run(&self, command: Command) -> Answer {
        let (answer, answered) = oneshot::channel();
        let asked = Asked {
            command,
            by: self.by.clone(),
            answer: Some(answer),
        };
        if self.served.controls.send(Control::Command(asked)).is_err() {
            return has_ended();
        }
        match timeout(ANSWER_LIMIT, answered).await {
            Ok(Ok(Ok(()))) => Answer::Accepted,
            Ok(Ok(Err(reason))) => Answer::Refused { reason },
            Ok(Err(_)) => has_ended(),
            Err(_) => Answer::Error {
                message: "the driver is busy; it may still do what was asked: cutover status"
                    .to_owned(),
            },
        }
    }

    /// The latest view whenever there is a new one and the client has taken the last.
    async fn watch(&mut self) -> io::Result<()> {
        let mut views = self.served.views.clone();
        let mut ended = self.served.ended.clone();
        loop {
            let end = ended.borrow_and_update().clone();
            let view = Box::new(views.borrow_and_update().clone());
            self.say(&Answer::View { view }).await?;
            if let Some(report) = end {
                return self.say_end(&report).await;
            }
            let next = Instant::now() + BETWEEN_VIEWS;
            tokio::select! {
                Ok(()) = views.changed() => {}
                changed = ended.changed() => if changed.is_err() {
                    return Ok(());
                }
            }
            sleep_until(next).await;
        }
    }

    /// Events, first those that stand in the journal when that is asked for.
    async fn logs(&mut self, from: LogsFrom) -> io::Result<()> {
        // Listening comes first, so that nothing falls between.
        let mut events = self.served.events.subscribe();
        let mut ended = self.served.ended.clone();
        let mut told_up_to = None;
        if from == LogsFrom::Beginning {
            for event in past(&self.served.journal)? {
                if let Happening::Recorded { record, .. } = &event {
                    told_up_to = Some(record.seq);
                }
                self.say(&Answer::Event { event }).await?;
            }
        }
        loop {
            let event = tokio::select! {
                biased;
                event = events.recv() => event,
                report = end_of_run(&mut ended) => return match report {
                    Some(report) => self.say_end(&report).await,
                    None => Ok(()),
                },
            };
            let answer = match event {
                Ok(Happening::Recorded { record, .. }) if Some(record.seq) <= told_up_to => {
                    continue;
                }
                Ok(event) => Answer::Event { event },
                Err(RecvError::Lagged(events)) => Answer::Skipped { events },
                // The server keeps a sender for as long as there are connections.
                Err(RecvError::Closed) => return Ok(()),
            };
            self.say(&answer).await?;
        }
    }

    async fn say_end(&mut self, report: &Document) -> io::Result<()> {
        let report = Box::new(report.clone());
        self.say(&Answer::Ended { report }).await
    }
}

/// Waits for the end of the run; `None` when the driver breaks off before it.
async fn end_of_run(ended: &mut watch::Receiver<Option<Arc<Document>>>) -> Option<Arc<Document>> {
    let ended = ended.wait_for(Option::is_some).await.ok()?;
    ended.clone()
}

fn has_ended() -> Answer {
    Answer::Refused {
        reason: "the run has ended".to_owned(),
    }
}

/// What the journal tells so far.
fn past(journal: &Path) -> io::Result<Vec<Happening>> {
    let records = journal::read(journal)
        .map_err(|error| io::Error::other(narrate::chain(&error)))?
        .records;
    Ok(told(records))
}
