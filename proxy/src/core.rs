//! One core: its listener, pool, counters and client connections. Nothing here crosses threads
//! but the shared snapshot and the counters.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use arc_swap::{ArcSwap, Cache};
use http::StatusCode;
use http::header::HeaderValue;
use tokio::time::Instant;

use crate::error::Cause;
use crate::metrics::CoreMetrics;
use crate::routing::Routing;
use crate::shared::Shared;
use crate::split::Weyl;
use crate::upstream::connection::Connection;
use crate::upstream::pool::Pool;
use crate::upstream::request_head::Client;
use crate::watch::{Waiting, Watch};

/// Head buffers that are kept for the next requests.
const SPARE_BUFFERS: usize = 64;

pub(crate) struct Core {
    pub(crate) shared: Arc<Shared>,
    pub(crate) metrics: Arc<CoreMetrics>,
    pub(crate) pool: RefCell<Pool>,
    /// Values of the stack header, by upstream.
    pub(crate) stack_values: Vec<HeaderValue>,
    /// `Host` for HTTP/1.0 requests without one, by upstream.
    pub(crate) default_hosts: Vec<HeaderValue>,
    routing: RefCell<Cache<Arc<ArcSwap<Routing>>, Arc<Routing>>>,
    weyl: RefCell<Weyl>,
    request_ids: RefCell<Weyl>,
    buffers: RefCell<Vec<Vec<u8>>>,
    draining: Cell<bool>,
    closing_idle: Cell<bool>,
    /// Milliseconds since start, as of the last tick.
    now: Cell<u64>,
}

impl Core {
    pub(crate) fn new(shared: Arc<Shared>, metrics: Arc<CoreMetrics>) -> Self {
        let upstreams = &shared.config.upstreams;
        let value = |text: &str| {
            // Names are checked and addresses are plain.
            HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("invalid"))
        };
        Core {
            metrics,
            pool: RefCell::new(Pool::new(upstreams.len())),
            stack_values: upstreams.iter().map(|u| value(&u.name)).collect(),
            default_hosts: upstreams
                .iter()
                .map(|u| value(&u.address.to_string()))
                .collect(),
            routing: RefCell::new(Cache::new(Arc::clone(&shared.routing))),
            weyl: RefCell::new(Weyl::new(crate::clock::random_seed())),
            request_ids: RefCell::new(Weyl::new(crate::clock::random_seed())),
            buffers: RefCell::default(),
            draining: Cell::new(false),
            closing_idle: Cell::new(false),
            now: Cell::new(shared.millis()),
            shared,
        }
    }

    /// The upstream of the next request, by the weights as they are at this moment.
    pub(crate) fn choose(&self) -> usize {
        let point = self.weyl.borrow_mut().next_point();
        self.routing.borrow_mut().load().split.pick(point)
    }

    pub(crate) fn request_id(&self) -> u64 {
        self.request_ids.borrow_mut().next_point()
    }

    pub(crate) fn now(&self) -> u64 {
        self.now.get()
    }

    pub(crate) fn tick(&self) {
        self.now.set(self.shared.millis());
    }

    /// Whether responses ask to close. Idle connections stay until their next one.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.get()
    }

    pub(crate) fn start_draining(&self) {
        self.draining.set(true);
    }

    /// Whether connections without a request are closed.
    pub(crate) fn closes_idle(&self) -> bool {
        self.closing_idle.get()
    }

    pub(crate) fn close_idle(&self) {
        self.closing_idle.set(true);
    }

    pub(crate) fn recycle(&self, connection: Connection) {
        self.pool.borrow_mut().put(connection, self.now());
    }

    pub(crate) fn take_buffer(&self) -> Vec<u8> {
        self.buffers.borrow_mut().pop().unwrap_or_default()
    }

    pub(crate) fn give_buffer(&self, mut buffer: Vec<u8>) {
        let mut buffers = self.buffers.borrow_mut();
        if buffers.len() < SPARE_BUFFERS {
            buffer.clear();
            buffers.push(buffer);
        }
    }
}

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Core").finish_non_exhaustive()
    }
}

/// One client connection, as its requests see it.
#[derive(Debug)]
pub(crate) struct ConnectionContext {
    pub(crate) core: Rc<Core>,
    pub(crate) client: Client,
    pub(crate) watch: Rc<Watch>,
    /// The upstream's side after a 101 response.
    pub(crate) tunnel: RefCell<Option<Connection>>,
}

impl ConnectionContext {
    pub(crate) fn guard(&self, upstream: usize) -> RequestGuard {
        self.core.metrics.active.add(1);
        RequestGuard {
            core: Rc::clone(&self.core),
            watch: Rc::clone(&self.watch),
            upstream,
            began: Instant::now(),
            complete: false,
        }
    }
}

/// Counts a request as active until it is dropped, and as 499 if that happens too early.
#[derive(Debug)]
pub(crate) struct RequestGuard {
    pub(crate) core: Rc<Core>,
    watch: Rc<Watch>,
    pub(crate) upstream: usize,
    began: Instant,
    complete: bool,
}

impl RequestGuard {
    pub(crate) fn answered(&mut self, status: StatusCode) {
        self.core.metrics.upstreams[self.upstream].response(status, self.began.elapsed());
        self.watch.enter(Waiting::Transfer, self.core.now());
    }

    pub(crate) fn touch(&self) {
        self.watch.touch(self.core.now());
    }

    pub(crate) fn complete(&mut self) {
        self.complete = true;
    }

    pub(crate) fn fail(&mut self, cause: Cause) {
        self.complete = true;
        self.core.metrics.error(cause);
    }
}

impl Drop for RequestGuard {
    fn drop(&mut self) {
        self.core.metrics.active.subtract(1);
        self.core.metrics.last_request.set(self.core.now());
        if !self.complete {
            self.core.metrics.error(Cause::ClientGone);
        }
        self.watch.enter(Waiting::Idle, self.core.now());
    }
}
