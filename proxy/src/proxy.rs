//! Starting and ending a proxy: sockets, threads, and the order of the drain.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use arc_swap::ArcSwap;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::sync::{mpsc, watch};
use tokio::task::LocalSet;

use crate::admin;
use crate::config::Config;
use crate::error::StartError;
use crate::metrics::{CoreMetrics, Counter};
use crate::routing::Routing;
use crate::server;
use crate::shared::{Shared, Stage};
use crate::state_file::State;

const BACKLOG: i32 = 4096;
/// How often the control thread looks whether the proxy has been idle for too long.
const IDLE_CHECK: Duration = Duration::from_millis(250);

/// A running proxy. Dropping it does not end it; see [`Proxy::drain`] and [`Proxy::stop`].
#[derive(Debug)]
pub struct Proxy {
    shared: Arc<Shared>,
    listen: SocketAddr,
    admin: SocketAddr,
    control: JoinHandle<()>,
}

/// Asks a running proxy to end; may outlive it.
#[derive(Debug, Clone)]
pub struct Remote {
    shared: Arc<Shared>,
}

impl Remote {
    /// As on SIGTERM: lame duck, then finish what is in flight, then end.
    pub fn drain(&self) {
        self.shared.advance(Stage::LameDuck);
    }

    /// Ends now, cutting what is in flight.
    pub fn stop(&self) {
        self.shared.advance(Stage::Aborting);
    }

    /// Whether a drain or stop has begun.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.shared.stage() != Stage::Serving
    }
}

impl Proxy {
    /// Binds both ports, writes the state file and starts the threads.
    ///
    /// # Errors
    /// A port is taken, the state file cannot be written, or a thread cannot be started.
    pub fn start(config: Config) -> Result<Self, StartError> {
        let routing = Routing::new(&config.upstreams).ok_or(StartError::NoWeights)?;
        let admin_listener = listen_once("admin", config.admin, false)?;
        let listeners = listen_on_each_core(&config)?;
        let bind = |field, address| {
            move |source| StartError::Bind {
                field,
                address,
                source,
            }
        };
        let admin = admin_listener
            .local_addr()
            .map_err(bind("admin", config.admin))?;
        let listen = listeners[0]
            .local_addr()
            .map_err(bind("listen", config.listen))?;

        let cores = (0..config.threads)
            .map(|_| Arc::new(CoreMetrics::new(config.upstreams.len())))
            .collect();
        let shared = Arc::new(Shared {
            routing: Arc::new(ArcSwap::from_pointee(routing)),
            cores,
            started: tokio::time::Instant::now(),
            last_admin: Counter::default(),
            stage: watch::Sender::new(Stage::Serving),
            config,
        });
        let (ended, all_ended) = mpsc::unbounded_channel();
        for (index, listener) in listeners.into_iter().enumerate() {
            let (shared, ended) = (Arc::clone(&shared), ended.clone());
            thread::Builder::new()
                .name(format!("proxy-{index}"))
                .spawn(move || {
                    let metrics = Arc::clone(&shared.cores[index]);
                    let outcome = on_this_thread(server::serve(listener, shared, metrics));
                    // The control thread may have given up waiting.
                    let _ = ended.send(outcome);
                })
                .map_err(StartError::Thread)?;
        }
        drop(ended);
        if let Some(path) = &shared.config.state_file {
            State::of_this_process(&shared.config.name, listen, admin)
                .and_then(|state| state.write(path))
                .map_err(|source| {
                    shared.advance(Stage::Aborting);
                    StartError::StateFile {
                        path: path.clone(),
                        source,
                    }
                })?;
        }
        let control = thread::Builder::new()
            .name("control".to_owned())
            .spawn({
                let shared = Arc::clone(&shared);
                move || {
                    // Without a runtime nothing can be served or drained; the proxy ends.
                    let _ = on_this_thread(control(Arc::clone(&shared), admin_listener, all_ended));
                    shared.advance(Stage::Aborting);
                }
            })
            .map_err(StartError::Thread)?;
        Ok(Proxy {
            shared,
            listen,
            admin,
            control,
        })
    }

    /// Where requests arrive, with the real port.
    #[must_use]
    pub fn listen(&self) -> SocketAddr {
        self.listen
    }

    /// The admin port.
    #[must_use]
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// A handle for ending the proxy from elsewhere.
    #[must_use]
    pub fn remote(&self) -> Remote {
        Remote {
            shared: Arc::clone(&self.shared),
        }
    }

    /// As on SIGTERM: lame duck, then finish what is in flight, then end.
    pub fn drain(&self) {
        self.remote().drain();
    }

    /// Ends now, cutting what is in flight.
    pub fn stop(&self) {
        self.remote().stop();
    }

    /// Whether the proxy has ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.control.is_finished()
    }

    /// Blocks until the proxy has ended and removes the state file.
    pub fn wait(self) {
        // A panic has been reported by its thread.
        let _ = self.control.join();
        if let Some(path) = &self.shared.config.state_file {
            // Somebody else may have removed it; that is what we want.
            let _ = std::fs::remove_file(path);
        }
    }
}

fn on_this_thread<F: Future<Output = io::Result<()>>>(work: F) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    LocalSet::new().block_on(&runtime, work)
}

/// Serves the admin port and leads through the stages of a drain.
async fn control(
    shared: Arc<Shared>,
    listener: TcpListener,
    mut ended: mpsc::UnboundedReceiver<io::Result<()>>,
) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    tokio::task::spawn_local({
        let shared = Arc::clone(&shared);
        async move {
            loop {
                match listener.accept().await {
                    Ok((stream, _)) => {
                        tokio::task::spawn_local(admin::connection(stream, Arc::clone(&shared)));
                    }
                    Err(_) => tokio::time::sleep(IDLE_CHECK).await,
                }
            }
        }
    });
    let mut stage = shared.stage.subscribe();
    let mut left = shared.config.threads;
    let mut deadline = None;
    loop {
        let current = *stage.borrow_and_update();
        if current == Stage::LameDuck && deadline.is_none() {
            deadline = Some(tokio::time::Instant::now() + shared.config.lame_duck);
        }
        let pause = deadline.unwrap_or_else(|| tokio::time::Instant::now() + IDLE_CHECK);
        tokio::select! {
            ending = ended.recv() => {
                left = left.saturating_sub(1);
                if left == 0 || ending.is_none() {
                    return Ok(());
                }
                // A core that cannot serve takes the whole proxy down rather than a share of it.
                if matches!(ending, Some(Err(_))) {
                    shared.advance(Stage::LameDuck);
                }
            }
            _ = stage.changed() => {}
            () = tokio::time::sleep_until(pause) => match current {
                Stage::Serving if is_idle(&shared) => shared.advance(Stage::Closing),
                Stage::Serving => {}
                Stage::LameDuck => {
                    shared.advance(Stage::Closing);
                    deadline = Some(tokio::time::Instant::now() + shared.config.drain_timeout);
                }
                Stage::Closing if deadline.is_none() => {
                    deadline = Some(tokio::time::Instant::now() + shared.config.drain_timeout);
                }
                Stage::Closing => {
                    shared.advance(Stage::Aborting);
                    deadline = None;
                }
                Stage::Aborting => {}
            },
        }
    }
}

fn is_idle(shared: &Shared) -> bool {
    let Some(limit) = shared.config.idle_exit else {
        return false;
    };
    let last = shared.cores.iter().map(|core| core.last_request.get());
    let last = last.chain([shared.last_admin.get()]).max().unwrap_or(0);
    let idle = u128::from(shared.millis().saturating_sub(last)) >= limit.as_millis();
    idle && shared.cores.iter().all(|core| core.active.get() == 0)
}

/// One listener for each thread; the kernel spreads connections among them.
fn listen_on_each_core(config: &Config) -> Result<Vec<TcpListener>, StartError> {
    let shared_port = config.threads > 1;
    let first = listen_once("listen", config.listen, shared_port)?;
    let bind = |source| StartError::Bind {
        field: "listen",
        address: config.listen,
        source,
    };
    let address = first.local_addr().map_err(bind)?;
    let mut listeners = vec![first];
    for _ in 1..config.threads {
        listeners.push(listener(address, Reuse::BeforeBind).map_err(bind)?);
    }
    Ok(listeners)
}

fn listen_once(
    field: &'static str,
    address: SocketAddr,
    shared_port: bool,
) -> Result<TcpListener, StartError> {
    let reuse = if shared_port {
        Reuse::AfterBind
    } else {
        Reuse::Never
    };
    listener(address, reuse).map_err(|source| StartError::Bind {
        field,
        address,
        source,
    })
}

/// When a socket agrees to share its port.
enum Reuse {
    Never,
    /// Bound alone, so that a port that another process serves is refused instead of shared;
    /// only then open to our other threads.
    AfterBind,
    /// Joins a port that our first listener holds.
    BeforeBind,
}

fn listener(address: SocketAddr, reuse: Reuse) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    // A restart need not wait for old connections in TIME_WAIT.
    socket.set_reuse_address(true)?;
    if matches!(reuse, Reuse::BeforeBind) {
        socket.set_reuse_port(true)?;
    }
    socket.bind(&address.into())?;
    if matches!(reuse, Reuse::AfterBind) {
        socket.set_reuse_port(true)?;
    }
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}
