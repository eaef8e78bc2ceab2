//! One end of a TCP connection that speaks just enough HTTP/1.1 to be exact about it.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use super::LIMIT;

/// A connection with what was received and not yet looked at.
pub(crate) struct Wire {
    stream: TcpStream,
    received: Vec<u8>,
}

/// The first line and the fields of a message.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub(crate) start: String,
    /// In order; names in lower case.
    pub(crate) fields: Vec<(String, String)>,
}

impl Head {
    /// Every value of a field, in order.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        self.fields
            .iter()
            .filter(|(field, _)| field == name)
            .map(|(_, value)| value.as_str())
            .collect()
    }

    /// The value of a field that must not be repeated.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() <= 1, "`{name}` is repeated: {self:?}");
        all.first().copied()
    }

    /// The status code of a response.
    pub(crate) fn status(&self) -> u16 {
        let status = self.start.split(' ').nth(1);
        status
            .and_then(|status| status.parse().ok())
            .unwrap_or_else(|| panic!("no status in {self:?}"))
    }
}

/// A request as the upstream received it.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) head: Head,
    pub(crate) body: Vec<u8>,
}

/// A response as the client received it.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) head: Head,
    pub(crate) body: Vec<u8>,
    /// The body ended where its framing says, not where the connection broke off.
    pub(crate) is_whole: bool,
}

impl Response {
    pub(crate) fn status(&self) -> u16 {
        self.head.status()
    }

    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.head.field(name)
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }
}

enum Framing {
    Length(usize),
    Chunked,
    Close,
}

impl Wire {
    pub(crate) fn new(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.set_write_timeout(Some(LIMIT)).unwrap();
        stream.set_nodelay(true).unwrap();
        Wire {
            stream,
            received: Vec::new(),
        }
    }

    pub(crate) fn connect(address: SocketAddr) -> Self {
        Wire::new(TcpStream::connect_timeout(&address, LIMIT).unwrap())
    }

    /// A second handle on the same connection that shares nothing but the socket.
    pub(crate) fn sender(&self) -> Wire {
        Wire::new(self.stream.try_clone().unwrap())
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).unwrap();
    }

    /// [`Wire::send`] where the other side may have closed already.
    pub(crate) fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        self.stream.write_all(bytes.as_ref())
    }

    /// Says that nothing more will be sent.
    pub(crate) fn finish_sending(&mut self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// Breaks the connection off with a reset instead of an orderly end.
    pub(crate) fn reset(&mut self) {
        socket2::SockRef::from(&self.stream)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
        // The socket closes, and so resets, when the connection is dropped.
    }

    /// One more read; `false` at the end of the stream, however it ended.
    fn fill(&mut self, what: &str) -> bool {
        let mut buffer = [0; 64 * 1024];
        match self.stream.read(&mut buffer) {
            Ok(0) => false,
            Ok(count) => {
                self.received.extend_from_slice(&buffer[..count]);
                true
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => panic!(
                "waited {LIMIT:?} for {what}; received so far: {:?}",
                String::from_utf8_lossy(&self.received[..self.received.len().min(400)])
            ),
            Err(_) => false,
        }
    }

    /// Up to and without `end`; `None` when the stream ends first.
    fn until(&mut self, end: &[u8], what: &str) -> Option<Vec<u8>> {
        loop {
            let found = self.received.windows(end.len()).position(|w| w == end);
            if let Some(length) = found {
                let mut taken: Vec<u8> = self.received.drain(..length + end.len()).collect();
                taken.truncate(length);
                return Some(taken);
            }
            if !self.fill(what) {
                return None;
            }
        }
    }

    /// Exactly this many bytes, or fewer when the stream ends first.
    pub(crate) fn take(&mut self, count: usize) -> Vec<u8> {
        while self.received.len() < count && self.fill("a body") {}
        let count = count.min(self.received.len());
        self.received.drain(..count).collect()
    }

    /// Whatever comes until the other side closes.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        while self.fill("the end of the connection") {}
        std::mem::take(&mut self.received)
    }

    /// Asserts that the other side closes without another byte.
    pub(crate) fn assert_closed(&mut self) {
        let rest = self.rest();
        assert!(
            rest.is_empty(),
            "expected the end of the connection, found {:?}",
            String::from_utf8_lossy(&rest)
        );
    }

    /// The next head; `None` when the connection ends before it does.
    pub(crate) fn head(&mut self) -> Option<Head> {
        let text = String::from_utf8(self.until(b"\r\n\r\n", "a head")?).unwrap();
        let mut lines = text.split("\r\n");
        let start = lines.next().unwrap().to_owned();
        let fields = lines
            .map(|line| {
                let (name, value) = line.split_once(':').unwrap();
                (name.to_ascii_lowercase(), value.trim().to_owned())
            })
            .collect();
        Some(Head { start, fields })
    }

    /// The next chunk's data, empty for the last one; `None` when the connection ends first.
    pub(crate) fn chunk(&mut self) -> Option<Vec<u8>> {
        let size = String::from_utf8(self.until(b"\r\n", "a chunk size")?).unwrap();
        let size = usize::from_str_radix(&size, 16).unwrap();
        let data = self.take(size);
        if data.len() < size {
            return None;
        }
        self.until(b"\r\n", "the end of a chunk")?;
        Some(data)
    }

    fn body(&mut self, framing: &Framing) -> (Vec<u8>, bool) {
        match framing {
            Framing::Length(length) => {
                let body = self.take(*length);
                let is_whole = body.len() == *length;
                (body, is_whole)
            }
            Framing::Chunked => {
                let mut body = Vec::new();
                loop {
                    match self.chunk() {
                        None => return (body, false),
                        Some(chunk) if chunk.is_empty() => return (body, true),
                        Some(chunk) => body.extend_from_slice(&chunk),
                    }
                }
            }
            Framing::Close => (self.rest(), true),
        }
    }

    /// The next request; `None` when the connection ends before it does.
    pub(crate) fn request(&mut self) -> Option<Request> {
        let head = self.head()?;
        let framing = framing(&head).unwrap_or(Framing::Length(0));
        let (body, is_whole) = self.body(&framing);
        is_whole.then_some(Request { head, body })
    }

    /// The next response, to a request with `method`.
    pub(crate) fn response(&mut self, method: &str) -> Response {
        let Some(head) = self.head() else {
            panic!(
                "expected a response, found the end of the connection after {:?}",
                String::from_utf8_lossy(&self.received)
            );
        };
        let bodiless = method == "HEAD" || matches!(head.status(), 100..200 | 204 | 304);
        let framing = if bodiless {
            Framing::Length(0)
        } else {
            framing(&head).unwrap_or(Framing::Close)
        };
        let (body, is_whole) = self.body(&framing);
        Response {
            head,
            body,
            is_whole,
        }
    }
}

/// `None` when no field says it. Asserts that not both do.
fn framing(head: &Head) -> Option<Framing> {
    let length = head.field("content-length");
    match head.field("transfer-encoding") {
        Some(coding) => {
            assert_eq!(
                (coding, length),
                ("chunked", None),
                "ambiguous framing: {head:?}"
            );
            Some(Framing::Chunked)
        }
        None => length.map(|length| Framing::Length(length.parse().unwrap())),
    }
}
