//! The admin port: health, readiness, metrics, weights, drain.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;

use crate::metrics;
use crate::routing::{WeightChange, WeightError};
use crate::shared::{Shared, Stage};

/// Largest body of `PUT /weights`.
const MAX_BODY: usize = 64 * 1024;

/// Serves one admin connection.
pub(crate) async fn connection(stream: TcpStream, shared: Arc<Shared>) {
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(answer(request, &shared).await) }
    });
    // Broken admin connections concern only their client.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn answer(request: Request<Incoming>, shared: &Shared) -> Response<Full<Bytes>> {
    shared.last_admin.set(shared.millis());
    match (request.method(), request.uri().path()) {
        (&Method::GET, "/health") => text(StatusCode::OK, "ok"),
        (&Method::GET, "/ready") if shared.stage() == Stage::Serving => {
            text(StatusCode::OK, "ready")
        }
        (&Method::GET, "/ready") => text(StatusCode::SERVICE_UNAVAILABLE, "draining"),
        (&Method::GET, "/metrics") => text(StatusCode::OK, &metrics::render(shared)),
        (&Method::GET, "/weights") => json(StatusCode::OK, &shared.routing.load().status()),
        (&Method::PUT, "/weights") => put_weights(request, shared).await,
        (&Method::POST, "/drain") => {
            shared.advance(Stage::LameDuck);
            text(StatusCode::ACCEPTED, "draining")
        }
        (_, "/health" | "/ready" | "/metrics" | "/weights" | "/drain") => text(
            StatusCode::METHOD_NOT_ALLOWED,
            "GET, except PUT /weights and POST /drain",
        ),
        _ => text(
            StatusCode::NOT_FOUND,
            "expected /health /ready /metrics /weights /drain",
        ),
    }
}

async fn put_weights(request: Request<Incoming>, shared: &Shared) -> Response<Full<Bytes>> {
    let agent = user_agent(&request);
    let body = match Limited::new(request.into_body(), MAX_BODY).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => {
            return text(
                StatusCode::BAD_REQUEST,
                &format!("cannot read body: {error}"),
            );
        }
    };
    let mut change: WeightChange = match serde_json::from_slice(&body) {
        Ok(change) => change,
        Err(error) => {
            let expected = r#"{"weights": {"NAME": WEIGHT, ...}, "expect": {...}, "by": "..."}"#;
            return text(
                StatusCode::BAD_REQUEST,
                &format!("{error}; expected {expected}"),
            );
        }
    };
    // Whoever does not say who it is, is known by its program: `curl/8.5.0`.
    change.by = change.by.or(agent);
    match shared.change_weights(&change) {
        Ok(status) => json(StatusCode::OK, &status),
        Err(error @ WeightError::Conflict { .. }) => text(StatusCode::CONFLICT, &error.to_string()),
        Err(error) => text(StatusCode::BAD_REQUEST, &error.to_string()),
    }
}

fn user_agent(request: &Request<Incoming>) -> Option<String> {
    let agent = request.headers().get(header::USER_AGENT)?.to_str().ok()?;
    Some(agent.chars().take(100).collect())
}

fn text(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    respond(
        status,
        "text/plain; version=0.0.4",
        format!("{}\n", text.trim_end()),
    )
}

fn json(status: StatusCode, value: &impl serde::Serialize) -> Response<Full<Bytes>> {
    match serde_json::to_string(value) {
        Ok(json) => respond(status, "application/json", json),
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

fn respond(status: StatusCode, kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, http::HeaderValue::from_static(kind));
    response
}
