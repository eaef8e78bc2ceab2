//! Sending a request to the upstream: the encoded head, then the body as it arrives.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use hyper::body::{Body, Incoming};

use crate::upstream::body::is_allowed_trailer;
use crate::upstream::connection::Connection;
use crate::upstream::request_head::Framing;

/// What went wrong while sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UploadError {
    /// The client's body broke off or is malformed.
    Client,
    /// The upstream no longer takes it; it may have answered already.
    Upstream,
}

#[derive(Debug)]
pub(crate) struct Upload {
    head: Vec<u8>,
    head_sent: usize,
    body: Incoming,
    framing: Framing,
    /// Taken from the body and not yet sent.
    pending: Bytes,
    /// A byte of the body was asked for, so the request cannot be sent again.
    body_polled: bool,
    body_done: bool,
}

impl Upload {
    pub(crate) fn new(head: Vec<u8>, body: Incoming, framing: Framing) -> Self {
        let body_done = framing == Framing::Empty || body.is_end_stream();
        let pending = if body_done && framing == Framing::Chunked {
            Bytes::from_static(b"0\r\n\r\n")
        } else {
            Bytes::new()
        };
        Upload {
            head,
            head_sent: 0,
            body,
            framing,
            pending,
            body_polled: false,
            body_done,
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.body_done && self.pending.is_empty() && self.head_sent == self.head.len()
    }

    /// Everything that came is sent, and the client has not sent all of its body.
    pub(crate) fn awaits_client(&self) -> bool {
        !self.body_done && self.pending.is_empty() && self.head_sent == self.head.len()
    }

    /// Begins anew on a fresh connection, if nothing of the body was consumed.
    pub(crate) fn rewind(&mut self) -> bool {
        if !self.body_polled {
            self.head_sent = 0;
        }
        !self.body_polled
    }

    /// The head's buffer, to be used again.
    pub(crate) fn into_buffer(self) -> Vec<u8> {
        self.head
    }

    /// Sends as much as possible; `progress` is called whenever bytes went out.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        connection: &mut Connection,
        progress: impl Fn(),
    ) -> Poll<Result<(), UploadError>> {
        let mut written = |cx: &mut Context<'_>, bytes: &[u8]| {
            let result = connection.poll_write(cx, bytes);
            if let Poll::Ready(Ok(1..)) = result {
                progress();
            }
            result.map(|result| match result {
                Ok(0) | Err(_) => Err(UploadError::Upstream),
                Ok(count) => Ok(count),
            })
        };
        loop {
            while self.head_sent < self.head.len() {
                self.head_sent += ready!(written(cx, &self.head[self.head_sent..]))?;
            }
            while !self.pending.is_empty() {
                let count = ready!(written(cx, &self.pending))?;
                self.pending.advance(count);
            }
            if self.body_done {
                return Poll::Ready(Ok(()));
            }
            self.body_polled = true;
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) if self.framing == Framing::Chunked => self.pending = chunk(&data),
                    Ok(data) => self.pending = data,
                    Err(frame) => {
                        if let (Ok(trailers), Framing::Chunked) =
                            (frame.into_trailers(), self.framing)
                        {
                            self.pending = last_chunk(&trailers);
                            self.body_done = true;
                        }
                    }
                },
                Some(Err(_)) => return Poll::Ready(Err(UploadError::Client)),
                None => {
                    self.body_done = true;
                    if self.framing == Framing::Chunked {
                        self.pending = Bytes::from_static(b"0\r\n\r\n");
                    }
                }
            }
        }
    }
}

/// One chunk of RFC 9112 §7.1. An empty one would end the body, so it becomes nothing.
fn chunk(data: &[u8]) -> Bytes {
    if data.is_empty() {
        return Bytes::new();
    }
    let mut chunk = BytesMut::with_capacity(data.len() + 20);
    chunk.extend_from_slice(format!("{:x}\r\n", data.len()).as_bytes());
    chunk.extend_from_slice(data);
    chunk.extend_from_slice(b"\r\n");
    chunk.freeze()
}

fn last_chunk(trailers: &http::HeaderMap) -> Bytes {
    let mut last = BytesMut::from(&b"0\r\n"[..]);
    for (name, value) in trailers
        .iter()
        .filter(|(name, _)| is_allowed_trailer(name.as_str()))
    {
        last.extend_from_slice(name.as_str().as_bytes());
        last.extend_from_slice(b": ");
        last.extend_from_slice(value.as_bytes());
        last.extend_from_slice(b"\r\n");
    }
    last.extend_from_slice(b"\r\n");
    last.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_carry_their_size_and_an_empty_one_does_not_end_the_body() {
        assert_eq!(chunk(b"hello world, hello"), "12\r\nhello world, hello\r\n");
        assert_eq!(chunk(b""), "");
    }

    #[test]
    fn trailers_follow_the_last_chunk_without_framing_fields() {
        let mut trailers = http::HeaderMap::new();
        trailers.insert("x-sum", "7".parse().unwrap());
        trailers.insert("content-length", "7".parse().unwrap());
        assert_eq!(last_chunk(&trailers), "0\r\nx-sum: 7\r\n\r\n");
    }
}
