//! A connection that carries one exchange after the other.

use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll, ready};

use nix::errno::Errno;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::ProtocolError;
use super::body::Body;
use super::request::Request;
use super::response::{self, ArmHeader, HEAD_LIMIT, Parsed};
use crate::stats::FailureKind;

/// An open connection between exchanges.
pub(crate) struct Connection {
    stream: TcpStream,
}

/// A complete response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) arm: Option<usize>,
    /// The connection takes another request.
    pub(crate) keep_alive: bool,
}

/// Why an exchange came to nothing. The connection is of no more use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    /// Closed or reset before the first byte of a response.
    Unanswered,
    /// Closed or reset within the response.
    Truncated,
    /// The response cannot be understood.
    Malformed,
}

impl From<ProtocolError> for Broken {
    fn from(ProtocolError: ProtocolError) -> Self {
        Broken::Malformed
    }
}

/// Memory for responses, kept from one exchange to the next.
pub(crate) struct Buffer(Vec<u8>);

impl Buffer {
    pub(crate) fn new() -> Self {
        /// Most responses fit, so that one read brings them whole.
        const USUAL: usize = 16 * 1024;
        Buffer(vec![0; USUAL])
    }

    /// Makes room behind `filled` bytes of an unfinished head.
    fn make_room(&mut self, filled: usize) {
        if filled == self.0.len() {
            self.0.resize((filled * 2).min(HEAD_LIMIT), 0);
        }
    }
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// As the operating system says; [`connect_failure`] sorts them.
    pub(crate) async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        // A request is written whole; waiting for more to send would only delay it.
        stream.set_nodelay(true)?;
        Ok(Connection { stream })
    }

    /// Ready once an idle connection is of no more use: the peer closed it, or sent something
    /// that nobody asked for.
    pub(crate) fn poll_unusable(&self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if ready!(self.stream.poll_read_ready(cx)).is_err() {
                return Poll::Ready(());
            }
            match self.stream.try_read(&mut [0]) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Ok(_) | Err(_) => return Poll::Ready(()),
            }
        }
    }

    /// Sends a request and reads its response to the end.
    ///
    /// # Errors
    /// After one, or when dropped halfway, the connection must not be used again.
    pub(crate) async fn exchange(
        &mut self,
        request: &Request,
        arm_header: Option<&ArmHeader>,
        buffer: &mut Buffer,
    ) -> Result<Answer, Broken> {
        let sent = self.stream.write_all(&request.bytes).await;
        sent.map_err(|_| Broken::Unanswered)?;

        let mut filled = 0;
        let mut broken = Broken::Unanswered;
        let (length, head) = loop {
            buffer.make_room(filled);
            match self.stream.read(&mut buffer.0[filled..]).await {
                Ok(0) | Err(_) => return Err(broken),
                Ok(read) => filled += read,
            }
            broken = Broken::Truncated;
            let found = parse(&mut buffer.0, &mut filled, request.is_head, arm_header)?;
            if let Some(found) = found {
                break found;
            }
        };

        let mut body = head.body;
        let mut rest = length..filled;
        let mut keep_alive = head.keep_alive && !request.closes;
        loop {
            let taken = body.feed(&buffer.0[rest.clone()])?;
            if body.is_done() {
                // Bytes behind the response answer nothing that was asked.
                keep_alive &= taken == rest.len();
                break;
            }
            match self.stream.read(&mut buffer.0).await {
                Ok(0) if body == Body::UntilClose => break,
                Ok(0) | Err(_) => return Err(Broken::Truncated),
                Ok(read) => rest = 0..read,
            }
        }
        Ok(Answer {
            status: head.status,
            arm: head.arm,
            keep_alive,
        })
    }
}

/// Finds the final head in what was read, dropping interim ones before it.
fn parse(
    buffer: &mut [u8],
    filled: &mut usize,
    to_head: bool,
    arm_header: Option<&ArmHeader>,
) -> Result<Option<(usize, response::Head)>, ProtocolError> {
    loop {
        match response::parse(&buffer[..*filled], to_head, arm_header)? {
            Parsed::Partial => return Ok(None),
            Parsed::Final(length, head) => return Ok(Some((length, head))),
            Parsed::Interim(length) => {
                buffer.copy_within(length..*filled, 0);
                *filled -= length;
            }
        }
    }
}

/// Sorts the errors of connecting.
pub(crate) fn connect_failure(error: &io::Error) -> FailureKind {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => FailureKind::ConnectRefused,
        io::ErrorKind::TimedOut => FailureKind::ConnectTimeout,
        // No free local port, for the other address is fixed.
        io::ErrorKind::AddrNotAvailable | io::ErrorKind::OutOfMemory => FailureKind::Local,
        _ => match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS) => FailureKind::Local,
            _ => FailureKind::Connect,
        },
    }
}
