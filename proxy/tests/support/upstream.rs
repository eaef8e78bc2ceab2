//! An upstream that does to each connection what its test says.

use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread;

use super::wire::{Request, Wire};
use super::{LIMIT, any_port, eventually};

/// A response without surprises.
pub(crate) const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// A listening upstream. Its threads end with the test's process.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    connections: Arc<AtomicUsize>,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Upstream {
    /// Runs `script` on a thread of its own for each connection, with the connection's number
    /// (from 0); the connection closes when it returns.
    pub(crate) fn scripted(script: impl Fn(&mut Wire, usize) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(any_port()).unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let script = Arc::new(script);
        thread::spawn({
            let connections = Arc::clone(&connections);
            move || {
                for stream in listener.incoming() {
                    let number = connections.fetch_add(1, SeqCst);
                    let (script, mut wire) = (Arc::clone(&script), Wire::new(stream.unwrap()));
                    thread::spawn(move || script(&mut wire, number));
                }
            }
        });
        Upstream {
            address,
            connections,
            requests: Arc::default(),
        }
    }

    /// Remembers every request and answers it with what `answer` makes of it; keeps connections
    /// open.
    pub(crate) fn answering(answer: impl Fn(&Request) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let requests: Arc<Mutex<Vec<Request>>> = Arc::default();
        let seen = Arc::clone(&requests);
        let upstream = Upstream::scripted(move |wire, _| {
            while let Some(request) = wire.request() {
                let response = answer(&request);
                seen.lock().unwrap().push(request);
                if wire.try_send(response).is_err() {
                    return;
                }
            }
        });
        Upstream {
            requests,
            ..upstream
        }
    }

    /// Answers 200 to everything.
    pub(crate) fn ok() -> Self {
        Upstream::answering(|_| OK.into())
    }

    /// Connections accepted so far.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(SeqCst)
    }

    /// What [`Upstream::answering`] has seen.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// The only request so far.
    pub(crate) fn only_request(&self) -> Request {
        let mut requests = self.requests();
        assert_eq!(requests.len(), 1, "{requests:?}");
        requests.remove(0)
    }

    /// Waits until so many connections were accepted.
    pub(crate) fn wait_for_connections(&self, count: usize) {
        eventually("the upstream is connected", || {
            let connections = self.connections();
            (connections >= count)
                .then_some(())
                .ok_or(format!("{connections} connections"))
        });
    }
}

/// A turnstile between a script and its test: who waits goes on when the other lets it.
pub(crate) struct Gate(Mutex<Receiver<()>>);

/// What opens a [`Gate`], once for each call.
#[derive(Clone)]
pub(crate) struct Key(Sender<()>);

/// A gate and its key.
pub(crate) fn gate() -> (Key, Gate) {
    let (sender, receiver) = mpsc::channel();
    (Key(sender), Gate(Mutex::new(receiver)))
}

impl Key {
    pub(crate) fn open(&self) {
        // Whoever waited may have given up.
        let _ = self.0.send(());
    }
}

impl Gate {
    /// Waits until the gate was opened.
    pub(crate) fn pass(&self) {
        let opened = self.0.lock().unwrap().recv_timeout(LIMIT);
        assert!(opened.is_ok(), "waited {LIMIT:?} at a gate");
    }
}
