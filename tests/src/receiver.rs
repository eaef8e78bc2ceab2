//! The other end of webhooks: an HTTP server on loopback that keeps every request and answers as it
//! is told to.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::Sha256;

use crate::clock::wait_for;

/// How requests are answered.
#[derive(Debug, Clone, Copy)]
pub enum Reply {
    /// With this status and this text.
    Status(u16, &'static str),
    /// With this status and the request's own address, as servers that know no better do.
    Repeat(u16),
    /// Not at all: the connection stays open until the other side gives up.
    Never,
}

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Received {
    /// `POST /hook HTTP/1.1`.
    pub line: String,
    /// Names in lower case, values as they stood.
    headers: Vec<(String, String)>,
    /// Byte for byte.
    pub body: Vec<u8>,
}

impl Received {
    /// The value of a header, by its name in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers
            .find(|(other, _)| other == name)
            .map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[track_caller]
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("no JSON: {error}: {self:?}"))
    }

    /// The seconds since 1970 at which it was signed, if it was signed with this key: HMAC-SHA-256
    /// (RFC 2104) over the timestamp as it stands in its header, a point, and the body. Computed
    /// here anew, as a receiver would, from what the documentation promises.
    #[must_use]
    pub fn signed_at(&self, key: &str) -> Option<u64> {
        let timestamp = self.header("x-cutover-timestamp")?;
        let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).ok()?;
        mac.update(timestamp.as_bytes());
        mac.update(b".");
        mac.update(&self.body);
        let digits: String = mac
            .finalize()
            .into_bytes()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let genuine = self.header("x-cutover-signature-256")? == format!("sha256={digits}");
        genuine.then(|| timestamp.parse().ok())?
    }
}

/// The server; it ends when it is dropped.
#[derive(Debug)]
pub struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    reply: Mutex<Reply>,
    received: Mutex<Vec<Received>>,
    over: AtomicBool,
}

impl Receiver {
    /// Listens on a free port of loopback.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn start(reply: Reply) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        let shared = Arc::new(Shared {
            reply: Mutex::new(reply),
            received: Mutex::new(Vec::new()),
            over: AtomicBool::new(false),
        });
        let of_server = Arc::clone(&shared);
        thread::spawn(move || serve(&listener, &of_server));
        Receiver { address, shared }
    }

    /// The address of a path here.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Answers like this from now on.
    pub fn answer(&self, reply: Reply) {
        *lock(&self.shared.reply) = reply;
    }

    /// Everything that came so far, in its order.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        lock(&self.shared.received).clone()
    }

    /// Waits until this many requests came.
    ///
    /// # Panics
    /// When they do not come within the limit.
    pub fn wait_for_requests(&self, count: usize, limit: Duration) {
        wait_for(&format!("{count} requests"), limit, || {
            let received = self.received();
            if received.len() < count {
                return Err(format!("{received:#?}"));
            }
            Ok(())
        });
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        // Wakes the server, which waits for a connection.
        let _ = TcpStream::connect(self.address);
    }
}

/// A test that failed elsewhere while it held the lock does not matter here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming().flatten() {
        if shared.over.load(Ordering::Relaxed) {
            return;
        }
        let shared = Arc::clone(shared);
        // A request that is cut off is not received.
        thread::spawn(move || drop(answer(stream, &shared)));
    }
}

fn answer(mut stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    let received = read(&stream)?;
    let repeated = format!("not found: {}", received.line);
    lock(&shared.received).push(received);
    let reply = *lock(&shared.reply);
    let (status, text) = match reply {
        Reply::Status(status, text) => (status, text),
        Reply::Repeat(status) => (status, repeated.as_str()),
        // The next byte is the end that the other side makes of it.
        Reply::Never => return stream.read(&mut [0]).map(drop),
    };
    write!(
        stream,
        "HTTP/1.1 {status} -\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{text}",
        text.len()
    )
}

fn read(stream: &TcpStream) -> std::io::Result<Received> {
    let mut reader = BufReader::new(stream);
    let mut next_line = || -> std::io::Result<String> {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    };
    let line = next_line()?;
    let mut headers = Vec::new();
    loop {
        let header = next_line()?;
        let Some((name, value)) = header.split_once(':') else {
            break;
        };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length.and_then(|(_, length)| length.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body)?;
    Ok(Received {
        line,
        headers,
        body,
    })
}
