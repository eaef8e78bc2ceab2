//! The driver's end of the control socket: its life, and who gets in.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use cutover_engine::runner::Control;
use cutover_engine::view::RunView;
use tokio::net::UnixListener;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{Semaphore, broadcast, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::connection::{Served, receive, turn_away};
use super::protocol::{Happening, Hello, PROTOCOL};
use super::{SOCKET, SocketAddress};
use crate::output::Document;

/// More connections at once are refused.
const MOST_CONNECTIONS: u32 = 64;

/// Events that a slow reader may lag behind before it misses some.
const KEPT_EVENTS: usize = 1024;

/// The wait before the next attempt when no connection can be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

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
            sleep(ACCEPT_PAUSE).await;
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
