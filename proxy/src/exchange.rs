//! One request's way: chosen upstream, connection, request out, response head in.
//!
//! A future without a task of its own. hyper polls it within the client connection's task, so
//! nothing is sent between tasks. Allocation is left to opening connections and streaming bodies.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use http::header::{self, HeaderValue};
use http::{Method, Response, StatusCode};

use crate::core::{ConnectionContext, RequestGuard};
use crate::error::{Cause, ERROR_HEADER};
use crate::response_body::{ResponseBody, Transfer};
use crate::upload::{Upload, UploadError};
use crate::upstream::body::{Decoder, Piece};
use crate::upstream::connection::Connection;
use crate::upstream::response_head::{self, ResponseHead};
use crate::watch::Waiting;

type Opening = Pin<Box<dyn Future<Output = Result<Connection, Cause>>>>;

enum State {
    /// → `Talking`, or answered with an error.
    Opening(Opening),
    /// → answered; or `Opening` once more, when a pooled connection turns out to be stale.
    Talking(Connection),
    Refused(Cause),
    Answered,
}

/// The future of one response.
pub(crate) struct Exchange {
    state: State,
    context: Rc<ConnectionContext>,
    /// `None` once the response took it over.
    guard: Option<RequestGuard>,
    upload: Option<Upload>,
    method: Method,
    wants_upgrade: bool,
}

impl Exchange {
    pub(crate) fn refused(
        context: Rc<ConnectionContext>,
        guard: RequestGuard,
        cause: Cause,
    ) -> Self {
        Exchange {
            state: State::Refused(cause),
            context,
            guard: Some(guard),
            upload: None,
            method: Method::GET,
            wants_upgrade: false,
        }
    }

    pub(crate) fn new(
        context: Rc<ConnectionContext>,
        guard: RequestGuard,
        upload: Upload,
        method: Method,
        wants_upgrade: bool,
    ) -> Self {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let pooled = context.core.pool.borrow_mut().take(guard.upstream, &mut cx);
        let metrics = &context.core.metrics.upstreams[guard.upstream];
        let state = match pooled {
            Some(connection) => {
                metrics.reuses.add(1);
                State::Talking(connection)
            }
            None => State::Opening(open(&context, guard.upstream)),
        };
        Exchange {
            state,
            context,
            guard: Some(guard),
            upload: Some(upload),
            method,
            wants_upgrade,
        }
    }

    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<ResponseHead, Failure>> {
        let (State::Talking(connection), Some(upload)) = (&mut self.state, &mut self.upload) else {
            return Poll::Pending;
        };
        let watch = &self.context.watch;
        let core = &self.context.core;
        let mut upload_failed = false;
        if !upload.is_done()
            && let Poll::Ready(Err(error)) = upload.poll(cx, connection, || watch.touch(core.now()))
        {
            match error {
                UploadError::Client => {
                    return Poll::Ready(Err(Failure::Answer(Cause::ClientBodyInvalid)));
                }
                // The upstream may have answered before it closed: look at what it sent.
                UploadError::Upstream => upload_failed = true,
            }
        }
        loop {
            match response_head::parse(&mut connection.received, &self.method) {
                Ok(Some(head)) => return Poll::Ready(Ok(head)),
                Ok(None) => {}
                Err(_) => {
                    return Poll::Ready(Err(Failure::Answer(Cause::UpstreamResponseInvalid)));
                }
            }
            match connection.poll_read(cx, 0) {
                Poll::Ready(Ok(1..)) => {}
                Poll::Ready(outcome) => {
                    let cause = match outcome {
                        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                            Cause::UpstreamReset
                        }
                        _ => Cause::UpstreamClosed,
                    };
                    // Closed before the first byte of a response, on a connection that served
                    // before: the upstream gave up idling just as the request went out.
                    let stale = connection.reused && connection.received.is_empty();
                    return Poll::Ready(Err(if stale && is_replayable(&self.method, upload) {
                        Failure::Stale
                    } else {
                        Failure::Answer(cause)
                    }));
                }
                Poll::Pending if upload_failed => {
                    return Poll::Ready(Err(Failure::Answer(Cause::UpstreamClosed)));
                }
                Poll::Pending if watch.is_expired() => {
                    // An upstream cannot answer before it has the request.
                    let cause = if upload.awaits_client() {
                        Cause::ClientBodyTimeout
                    } else {
                        Cause::UpstreamTimeout
                    };
                    return Poll::Ready(Err(Failure::Answer(cause)));
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    fn answer(&mut self, head: ResponseHead) -> Response<ResponseBody> {
        let state = std::mem::replace(&mut self.state, State::Answered);
        let (State::Talking(connection), Some(mut guard), Some(upload)) =
            (state, self.guard.take(), self.upload.take())
        else {
            return self.error(Cause::UpstreamClosed);
        };
        if let Some(protocol) = head.upgrade {
            return if self.wants_upgrade {
                self.switch(connection, guard, head.status, head.headers, &protocol)
            } else {
                self.guard = Some(guard);
                self.error(Cause::UpstreamResponseInvalid)
            };
        }
        guard.answered(head.status);
        let decoder = Decoder::new(head.framing);
        let size = match decoder {
            Decoder::Length(length) => Some(length),
            _ => None,
        };
        let mut transfer = Transfer {
            connection: Some(connection),
            decoder,
            keep_alive: head.keep_alive,
            upload: None,
            guard,
            size,
            is_broken: false,
        };
        if upload.is_done() {
            self.context.core.give_buffer(upload.into_buffer());
        } else {
            transfer.upload = Some(upload);
        }
        let body = whole_or_streamed(transfer);
        let mut response = Response::new(body);
        *response.status_mut() = head.status;
        *response.headers_mut() = head.headers;
        self.finish_headers(&mut response, true);
        response
    }

    /// Both sides agreed on another protocol: the connection's task copies bytes from now on.
    fn switch(
        &self,
        connection: Connection,
        mut guard: RequestGuard,
        status: StatusCode,
        headers: http::HeaderMap,
        protocol: &HeaderValue,
    ) -> Response<ResponseBody> {
        guard.answered(status);
        guard.complete();
        *self.context.tunnel.borrow_mut() = Some(connection);
        let mut response = Response::new(ResponseBody::Whole(None, guard));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response
            .headers_mut()
            .insert(header::UPGRADE, protocol.clone());
        response
            .headers_mut()
            .insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        response
    }

    fn error(&mut self, cause: Cause) -> Response<ResponseBody> {
        self.state = State::Answered;
        let upstream_chosen = self.upload.is_some();
        let mut guard = self.guard.take().unwrap_or_else(|| self.context.guard(0));
        guard.fail(cause);
        if upstream_chosen {
            guard.answered(cause.status());
        }
        let text = format!("{}\n", cause.name());
        let mut response = Response::new(ResponseBody::Whole(Some(text.into()), guard));
        *response.status_mut() = cause.status();
        let headers = response.headers_mut();
        headers.insert(ERROR_HEADER, HeaderValue::from_static(cause.name()));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        if cause.closes() {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        self.finish_headers(&mut response, upstream_chosen);
        response
    }

    fn finish_headers(&self, response: &mut Response<ResponseBody>, upstream_chosen: bool) {
        let core = &self.context.core;
        if upstream_chosen && let Some(name) = &core.shared.config.stack_header {
            let value = core.stack_values[response.body().upstream()].clone();
            response.headers_mut().insert(name.clone(), value);
        }
        if core.is_draining() {
            response
                .headers_mut()
                .insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
    }
}

enum Failure {
    /// Try once more on a fresh connection.
    Stale,
    Answer(Cause),
}

/// Whether the request may be sent a second time: nothing of its body is gone, and doing it twice
/// is harmless (RFC 9110 §9.2.2), since an upstream that closed may still have acted on it.
fn is_replayable(method: &Method, upload: &mut Upload) -> bool {
    method.is_idempotent() && upload.rewind()
}

fn open(context: &Rc<ConnectionContext>, upstream: usize) -> Opening {
    let config = &context.core.shared.config;
    context.core.metrics.upstreams[upstream].connects.add(1);
    let address = config.upstreams[upstream].address;
    Box::pin(Connection::open(upstream, address, config.timeouts.connect))
}

/// A body that is there already needs no streaming, and its connection is free at once.
fn whole_or_streamed(mut transfer: Transfer) -> ResponseBody {
    let Some(connection) = &mut transfer.connection else {
        return ResponseBody::Streamed(Box::new(transfer));
    };
    let whole = match transfer.decoder {
        Decoder::Done => None,
        Decoder::Length(length) if connection.received.len() as u64 >= length => {
            match transfer.decoder.next(&mut connection.received) {
                Ok(Piece::Data(data)) => Some(data),
                _ => None,
            }
        }
        _ => return ResponseBody::Streamed(Box::new(transfer)),
    };
    transfer.finish();
    ResponseBody::Whole(whole, transfer.guard)
}

impl Future for Exchange {
    type Output = Result<Response<ResponseBody>, std::convert::Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        loop {
            match &mut this.state {
                State::Refused(cause) => {
                    let cause = *cause;
                    return Poll::Ready(Ok(this.error(cause)));
                }
                State::Opening(opening) => match opening.as_mut().poll(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Ok(connection)) => {
                        this.context
                            .watch
                            .enter(Waiting::Upstream, this.context.core.now());
                        this.state = State::Talking(connection);
                    }
                    Poll::Ready(Err(cause)) => return Poll::Ready(Ok(this.error(cause))),
                },
                State::Talking(_) => match this.poll_head(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Ok(head)) => return Poll::Ready(Ok(this.answer(head))),
                    Poll::Ready(Err(Failure::Stale)) => {
                        let upstream = this.guard.as_ref().map_or(0, |guard| guard.upstream);
                        this.state = State::Opening(open(&this.context, upstream));
                    }
                    Poll::Ready(Err(Failure::Answer(cause))) => {
                        return Poll::Ready(Ok(this.error(cause)));
                    }
                },
                State::Answered => return Poll::Pending,
            }
        }
    }
}
