//! The body that the client gets: generated, already there, or streamed from the upstream.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

use crate::core::RequestGuard;
use crate::error::Cause;
use crate::upload::Upload;
use crate::upstream::body::{Decoder, Piece};
use crate::upstream::connection::Connection;

/// The body of a response.
#[derive(Debug)]
pub(crate) enum ResponseBody {
    /// All of it; the upstream connection is back in its pool.
    Whole(Option<Bytes>, RequestGuard),
    /// Pieces as they arrive, without buffering.
    Streamed(Box<Transfer>),
}

/// A body on its way through.
#[derive(Debug)]
pub(crate) struct Transfer {
    /// `None` once it went back to the pool.
    pub(crate) connection: Option<Connection>,
    pub(crate) decoder: Decoder,
    pub(crate) keep_alive: bool,
    /// The rest of the request, when the upstream answered before it had all of it.
    pub(crate) upload: Option<Upload>,
    pub(crate) guard: RequestGuard,
    pub(crate) size: Option<u64>,
    /// It broke off; the client is told at the next look.
    pub(crate) is_broken: bool,
}

impl Transfer {
    /// Gives the connection back if both messages ended and the upstream keeps it open.
    pub(crate) fn finish(&mut self) {
        self.guard.complete();
        let uploaded = self.upload.as_ref().is_none_or(Upload::is_done);
        if let Some(connection) = self.connection.take()
            && self.keep_alive
            && uploaded
            && connection.received.is_empty()
        {
            self.guard.core.recycle(connection);
        }
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cause>>> {
        if self.is_broken {
            return Poll::Ready(Some(Err(Cause::UpstreamBodyInvalid)));
        }
        let Some(connection) = &mut self.connection else {
            return Poll::Ready(None);
        };
        let guard = &self.guard;
        if let Some(upload) = &mut self.upload {
            match upload.poll(cx, connection, || guard.touch()) {
                Poll::Pending => {}
                // The response stands for itself; only the connection cannot be used again.
                Poll::Ready(Err(_)) => {
                    self.keep_alive = false;
                    self.upload = None;
                }
                Poll::Ready(Ok(())) => self.upload = None,
            }
        }
        loop {
            match self.decoder.next(&mut connection.received) {
                Ok(Piece::Data(data)) => {
                    if self.decoder.is_done() {
                        self.finish();
                    }
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Ok(Piece::Trailers(trailers)) => {
                    self.finish();
                    return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
                }
                Ok(Piece::End) => {
                    self.finish();
                    return Poll::Ready(None);
                }
                Ok(Piece::More) => {}
                Err(_) => return self.broken(cx),
            }
            match ready!(connection.poll_read(cx, self.decoder.wanted())) {
                Ok(0) if self.decoder.end_of_stream().is_ok() => {
                    self.keep_alive = false;
                }
                Ok(1..) => guard.touch(),
                Ok(0) | Err(_) => return self.broken(cx),
            }
        }
    }

    /// The client must see that the response is not whole, so its connection is cut.
    ///
    /// Not at once: on an error hyper drops what it has not yet written, be it the head. Whenever
    /// a body has nothing to give hyper writes first, so the error waits for the next look.
    fn broken(&mut self, cx: &Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cause>>> {
        self.connection = None;
        self.is_broken = true;
        self.guard.fail(Cause::UpstreamBodyInvalid);
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl ResponseBody {
    /// The upstream that the request was given to.
    pub(crate) fn upstream(&self) -> usize {
        match self {
            ResponseBody::Whole(_, guard) => guard.upstream,
            ResponseBody::Streamed(transfer) => transfer.guard.upstream,
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.get_mut() {
            ResponseBody::Whole(bytes, _) => Poll::Ready(bytes.take().map(|b| Ok(Frame::data(b)))),
            ResponseBody::Streamed(transfer) => transfer
                .poll_frame(cx)
                .map(|frame| frame.map(|f| f.map_err(BodyError))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            ResponseBody::Whole(bytes, _) => bytes.is_none(),
            ResponseBody::Streamed(transfer) => {
                transfer.connection.is_none() && !transfer.is_broken
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            ResponseBody::Whole(bytes, _) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            ResponseBody::Streamed(transfer) => transfer
                .size
                .map_or_else(SizeHint::default, SizeHint::with_exact),
        }
    }
}

/// A response that cannot be completed.
#[derive(Debug, thiserror::Error)]
#[error("the upstream's response broke off: {}", .0.name())]
pub(crate) struct BodyError(Cause);
