//! The driver's end of the control socket.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use cutover_engine::journal;
use cutover_engine::narrate;
use cutover_engine::runner::{Asked, Control};
use cutover_engine::state::State;
use cutover_engine::view::{Command, RunView};
use nix::unistd::getuid;
use tokio::io::BufReader;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{Semaphore, broadcast, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

use super::peer::Peer;
use super::protocol::{Answer, Happening, Hello, LONGEST_REQUEST, LogsFrom, PROTOCOL, Request};
use super::{SOCKET, SocketAddress, lines};
use crate::output::Document;

/// More connections at once are refused.
const MOST_CONNECTIONS: u32 = 64;

/// Events that a slow reader may lag behind before it misses some.
const KEPT_EVENTS: usize = 1024;

/// Between two views to the same watcher.
const BETWEEN_VIEWS: Duration = Duration::from_millis(100);

/// The engine answers a command within a tick; this only bounds the wait for a machine that
/// crawls.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// What watchers get to take in the end of the run.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The socket before anybody is served.
pub(crate) struct Listener {
    listener: UnixListener,
    socket: PathBuf,
}

impl Listener {
    /// Makes the socket in the run's folder, for its owner alone. To be called by whoever holds
    /// the service's lock: a socket that is there was left behind by a driver that was killed.
    ///
    /// # Errors
    /// What the system says; the folder may lie on a file system without sockets.
    pub(crate) fn bind(folder: &Path) -> io::Result<Self> {
        fs::set_permissions(folder, Permissions::from_mode(0o700))?;
        let socket = folder.join(SOCKET);
        if let Err(error) = fs::remove_file(&socket)
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(error);
        }
        let address = SocketAddress::of(folder)?;
        let listener = UnixListener::bind(address.path())?;
        fs::set_permissions(&socket, Permissions::from_mode(0o600))?;
        Ok(Listener { listener, socket })
    }
}

/// What connections are served from.
struct Served {
    hello: Hello,
    controls: UnboundedSender<Control>,
    views: watch::Receiver<RunView>,
    events: broadcast::Sender<Happening>,
    journal: PathBuf,
    ended: watch::Receiver<Option<Arc<Document>>>,
}

/// Serves a run's socket until it is dropped.
pub(crate) struct Server {
    accepting: JoinHandle<()>,
    socket: PathBuf,
    events: broadcast::Sender<Happening>,
    ended: watch::Sender<Option<Arc<Document>>>,
    places: Arc<Semaphore>,
}

impl Server {
    /// Serves the run `run`, whose journal is at `journal`.
    pub(crate) fn serve(
        listener: Listener,
        run: String,
        journal: PathBuf,
        controls: UnboundedSender<Control>,
        views: watch::Receiver<RunView>,
    ) -> Self {
        let (events, _) = broadcast::channel(KEPT_EVENTS);
        let (ended, end) = watch::channel(None);
        let places = Arc::new(Semaphore::new(MOST_CONNECTIONS as usize));
        let served = Arc::new(Served {
            hello: Hello {
                cutover_control: PROTOCOL,
                version: env!("CARGO_PKG_VERSION").to_owned(),
                run,
                pid: std::process::id(),
            },
            controls,
            views,
            events: events.clone(),
            journal,
            ended: end,
        });
        let Listener { listener, socket } = listener;
        Server {
            accepting: tokio::spawn(accept(listener, served, Arc::clone(&places))),
            socket,
            events,
            ended,
            places,
        }
    }

    /// Where events go to reach those who follow; never waits for them.
    pub(crate) fn events(&self) -> broadcast::Sender<Happening> {
        self.events.clone()
    }

    /// Nobody new may come: the socket goes away. For the driver that still holds the lock; the
    /// socket is somebody else's otherwise.
    pub(crate) fn remove_socket(&self) {
        self.accepting.abort();
        let _ = fs::remove_file(&self.socket);
    }

    /// Tells everybody how the run ended, and gives them a moment to take it in.
    pub(crate) async fn say_farewell(self, report: Document) {
        self.accepting.abort();
        self.ended.send_replace(Some(Arc::new(report)));
        let _ = timeout(LAST_WORDS, self.places.acquire_many(MOST_CONNECTIONS)).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: UnixListener, served: Arc<Served>, places: Arc<Semaphore>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors, most likely: others must end first.
            tokio::time::sleep(BETWEEN_VIEWS).await;
            continue;
        };
        let served = Arc::clone(&served);
        let place = Arc::clone(&places).try_acquire_owned();
        tokio::spawn(async move {
            // Clients that go away are no trouble of ours.
            let _ = match place {
                Ok(_place) => receive(stream, &served).await,
                Err(_) => turn_away(stream, "too many connections to this run; close some").await,
            };
        });
    }
}

async fn turn_away(mut stream: UnixStream, message: &str) -> io::Result<()> {
    let message = message.to_owned();
    lines::write(&mut stream, &Answer::Error { message }).await
}

async fn receive(stream: UnixStream, served: &Served) -> io::Result<()> {
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
                    let view = Box::new(self.served.views.borrow().clone());
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

/// Records with the sentences that were told of them.
pub(crate) fn told(records: Vec<cutover_engine::fact::Record>) -> Vec<Happening> {
    let mut state: Option<State> = None;
    let mut past = Vec::with_capacity(records.len());
    for record in records {
        match &mut state {
            // A journal that was read has been replayed before.
            Some(state) => drop(state.apply(&record.fact)),
            None => state = State::begin(&record).ok(),
        }
        let told = state
            .as_ref()
            .and_then(|state| narrate::sentence(state, &record.fact));
        let record = Box::new(record);
        past.push(Happening::Recorded { record, told });
    }
    past
}
