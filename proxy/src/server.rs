//! The data plane of one core: accept, serve, sweep, drain.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use crate::client_stream::ClientStream;
use crate::core::{ConnectionContext, Core};
use crate::error::Cause;
use crate::exchange::Exchange;
use crate::metrics::CoreMetrics;
use crate::shared::{Shared, Stage};
use crate::upload::Upload;
use crate::upstream::request_head::{self, Client};
use crate::watch::{Waiting, Watch};

/// Largest request head: more is answered with 431. hyper looks at it after each read, so that a
/// head of up to twice the size passes when it arrives at once.
const MAX_HEAD: usize = 32 * 1024;
/// Pause after a failed accept, such as when file descriptors ran out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Between the last accept and closing idle connections. A timer fires only after the runtime has
/// asked the kernel for news, so that requests which have arrived are read and served first.
const LAST_REQUESTS: Duration = Duration::from_millis(20);

/// The client connections of a core, for sweeping and for the drain.
#[derive(Default)]
struct Open {
    watches: RefCell<Vec<Rc<Watch>>>,
    emptied: Notify,
}

/// Serves until the drain is over.
pub(crate) async fn serve(
    listener: std::net::TcpListener,
    shared: Arc<Shared>,
    metrics: Arc<CoreMetrics>,
) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let core = Rc::new(Core::new(Arc::clone(&shared), metrics));
    let open = Rc::new(Open::default());
    let mut stage = shared.stage.subscribe();
    let mut tick = tokio::time::interval(shared.config.timeouts.tick());
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);

    while *stage.borrow() < Stage::Closing {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => start(stream, &core, &open),
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
            _ = tick.tick() => sweep(&core, &open),
            changed = stage.changed() => {
                if changed.is_err() { break; }
                core.start_draining();
            }
        }
    }
    core.start_draining();
    accept_queued(listener, &core, &open)?;
    tokio::time::sleep(LAST_REQUESTS).await;
    core.close_idle();
    for watch in open.watches.borrow().iter() {
        watch.wake();
    }
    while !open.watches.borrow().is_empty() && *stage.borrow() < Stage::Aborting {
        tokio::select! {
            () = open.emptied.notified() => {}
            _ = tick.tick() => sweep(&core, &open),
            changed = stage.changed() => if changed.is_err() { break },
        }
    }
    core.metrics
        .drain_aborted
        .add(open.watches.borrow().len() as u64);
    Ok(())
}

/// Connections that the kernel has completed already would be reset by closing the listener.
fn accept_queued(listener: TcpListener, core: &Rc<Core>, open: &Rc<Open>) -> io::Result<()> {
    let listener = listener.into_std()?;
    while let Ok((stream, _)) = listener.accept() {
        stream.set_nonblocking(true)?;
        start(TcpStream::from_std(stream)?, core, open);
    }
    Ok(())
}

fn sweep(core: &Core, open: &Open) {
    core.tick();
    let timeouts = &core.shared.config.timeouts;
    for watch in open.watches.borrow().iter() {
        watch.sweep(core.now(), timeouts);
    }
    let age = u64::try_from(timeouts.upstream_idle.as_millis()).unwrap_or(u64::MAX);
    core.pool.borrow_mut().sweep(core.now().saturating_sub(age));
}

fn start(stream: TcpStream, core: &Rc<Core>, open: &Rc<Open>) {
    let (Ok(peer), Ok(local)) = (stream.peer_addr(), stream.local_addr()) else {
        return; // Gone already.
    };
    // Without it the end of a response may wait for an acknowledgement; slower, but not wrong.
    let _ = stream.set_nodelay(true);
    let config = &core.shared.config;
    let watch = Rc::new(Watch::new(core.now()));
    let context = Rc::new(ConnectionContext {
        core: Rc::clone(core),
        client: Client::new(
            peer,
            local.port(),
            &config.forwarding,
            &config.trusted_proxies,
        ),
        watch: Rc::clone(&watch),
        tunnel: RefCell::new(None),
    });
    open.watches.borrow_mut().push(Rc::clone(&watch));
    core.metrics.accepted.add(1);
    core.metrics.connections.add(1);
    let (core, open) = (Rc::clone(core), Rc::clone(open));
    tokio::task::spawn_local(async move {
        connection(stream, context).await;
        core.metrics.connections.subtract(1);
        let mut watches = open.watches.borrow_mut();
        watches.retain(|other| !Rc::ptr_eq(other, &watch));
        if watches.is_empty() {
            open.emptied.notify_one();
        }
    });
}

async fn connection(stream: TcpStream, context: Rc<ConnectionContext>) {
    let core = Rc::clone(&context.core);
    let watch = Rc::clone(&context.watch);
    let io = TokioIo::new(ClientStream::new(
        stream,
        Rc::clone(&watch),
        Rc::clone(&core),
    ));
    let service = {
        let context = Rc::clone(&context);
        service_fn(move |request| exchange(&context, request))
    };
    let mut http = http1::Builder::new();
    // Two limits of ours replace hyper's one, which would also cut idle connections (see `watch`).
    http.header_read_timeout(None)
        .half_close(true)
        .max_buf_size(MAX_HEAD);
    let mut served = http.serve_connection(io, service);
    let mut closing = false;
    let outcome = poll_fn(|cx| {
        watch.register(cx);
        if let Poll::Ready(result) = Pin::new(&mut served).poll(cx) {
            return Poll::Ready(result.is_ok());
        }
        // Only after that poll has read what was there: hyper would close over an unread request.
        if !closing && core.closes_idle() {
            closing = true;
            Pin::new(&mut served).graceful_shutdown();
            if let Poll::Ready(result) = Pin::new(&mut served).poll(cx) {
                return Poll::Ready(result.is_ok());
            }
        }
        if watch.is_expired() {
            match watch.waiting() {
                Waiting::Head => core.metrics.error(Cause::ClientHeadTimeout),
                Waiting::Transfer => core.metrics.error(Cause::TransferTimeout),
                Waiting::Idle => {}
                Waiting::Upstream | Waiting::Tunnel => return Poll::Pending,
            }
            return Poll::Ready(false);
        }
        Poll::Pending
    })
    .await;
    let upstream = context.tunnel.borrow_mut().take();
    if let (true, Some(upstream)) = (outcome, upstream) {
        watch.enter(Waiting::Tunnel, core.now());
        // A tunnel is a request that has not ended: the proxy is not idle.
        core.metrics.active.add(1);
        let parts = served.into_parts();
        // Either side may break off; there is nobody left to tell.
        let _ = tunnel(
            parts.io.into_inner().into_stream(),
            &parts.read_buf,
            upstream,
        )
        .await;
        core.metrics.active.subtract(1);
        core.metrics.last_request.set(core.now());
    }
}

fn exchange(context: &Rc<ConnectionContext>, request: Request<Incoming>) -> Exchange {
    let core = &context.core;
    let upstream = core.choose();
    context.watch.enter(Waiting::Upstream, core.now());
    let guard = context.guard(upstream);
    let (parts, body) = request.into_parts();
    let mut head = core.take_buffer();
    let encoded = request_head::encode(
        &parts,
        &context.client,
        &core.default_hosts[upstream],
        core.request_id(),
        &mut head,
    );
    match encoded {
        Err(cause) => Exchange::refused(Rc::clone(context), guard, cause),
        Ok(encoded) => {
            let upload = Upload::new(head, body, encoded.framing);
            Exchange::new(
                Rc::clone(context),
                guard,
                upload,
                parts.method,
                encoded.wants_upgrade,
            )
        }
    }
}

/// Copies bytes both ways; an end of stream on one side is passed on to the other.
async fn tunnel(
    mut client: TcpStream,
    early: &[u8],
    upstream: crate::upstream::connection::Connection,
) -> io::Result<()> {
    let mut server = upstream.stream;
    client.write_all(&upstream.received).await?;
    server.write_all(early).await?;
    tokio::io::copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}
