//! One connection to an upstream, with its buffers.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWrite};
use tokio::net::TcpStream;

use crate::error::Cause;

/// Enough for a response head with a small body.
const READ_CHUNK: usize = 8 * 1024;
/// Large bodies are read in larger pieces.
const MAX_READ_CHUNK: usize = 64 * 1024;

#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    /// Received and not yet consumed.
    pub(crate) received: BytesMut,
    /// Which upstream it leads to.
    pub(crate) upstream: usize,
    /// It served a request before, so it may have gone stale.
    pub(crate) reused: bool,
}

impl Connection {
    pub(crate) async fn open(
        upstream: usize,
        address: SocketAddr,
        limit: Duration,
    ) -> Result<Self, Cause> {
        let stream = match tokio::time::timeout(limit, TcpStream::connect(address)).await {
            Err(_) => return Err(Cause::UpstreamConnectTimeout),
            Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
                return Err(Cause::UpstreamConnectRefused);
            }
            Ok(Err(_)) => return Err(Cause::UpstreamConnectFailed),
            Ok(Ok(stream)) => stream,
        };
        // Without it small writes may wait for an acknowledgement; slower, but not wrong.
        let _ = stream.set_nodelay(true);
        Ok(Connection {
            stream,
            received: BytesMut::new(),
            upstream,
            reused: false,
        })
    }

    /// Reads some bytes, about as many as `expected`; 0 at the end of the stream.
    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        expected: u64,
    ) -> Poll<io::Result<usize>> {
        let chunk = usize::try_from(expected).unwrap_or(MAX_READ_CHUNK);
        if self.received.capacity() - self.received.len() < READ_CHUNK / 4
            || chunk > self.received.capacity()
        {
            self.received
                .reserve(chunk.clamp(READ_CHUNK, MAX_READ_CHUNK));
        }
        pin!(self.stream.read_buf(&mut self.received)).poll(cx)
    }

    pub(crate) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    /// Whether an idle connection was closed, or sent something that nobody asked for.
    pub(crate) fn is_stale(&self, cx: &mut Context<'_>) -> bool {
        if self.stream.poll_read_ready(cx).is_pending() {
            return false;
        }
        let answer = self.stream.try_read(&mut [0]);
        !matches!(answer, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }
}
