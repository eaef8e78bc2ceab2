//! The demo service: a small shop that answers at once, unless a fault is put into it.
//!
//! | path | answer |
//! | --- | --- |
//! | `GET /` | the shop's page |
//! | `GET /items/N` | an item as JSON |
//! | `POST /checkout` | the order as JSON; reads the whole body |
//! | `GET /health` | 200 |
//!
//! On its admin port: `GET /ready`, and `PUT /fault` with a [`Fault`](crate::fault::Fault) as JSON
//! or `null`.

use std::convert::Infallible;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::LocalSet;

use crate::local::registration::Registration;

mod behaviour;

use behaviour::{Behaviour, Verdict};

/// The largest body that `/checkout` reads.
const LARGEST_ORDER: usize = 1 << 20;

/// How the service is started; passed as one JSON argument.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceConfig {
    /// Name in its registration.
    pub name: String,
    /// Where requests arrive; port 0 takes any free port.
    pub listen: SocketAddr,
    /// Where faults arrive; port 0 takes any free port.
    pub admin: SocketAddr,
    /// Written once both sockets are bound.
    pub state_file: PathBuf,
    /// The service ends by itself after this long without a request.
    pub idle_exit_s: u64,
}

/// Runs the service until it is told to end, crashes on purpose, or is idle for too long.
///
/// `argument` is a [`ServiceConfig`] as JSON.
#[must_use]
pub fn main_with_argument(argument: &str) -> ExitCode {
    let run = || -> Result<(), String> {
        let config: ServiceConfig =
            serde_json::from_str(argument).map_err(|error| format!("configuration: {error}"))?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| format!("runtime: {error}"))?;
        let set = LocalSet::new();
        set.block_on(&runtime, serve(config))
    };
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            complain(&message);
            ExitCode::FAILURE
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this process's one door to standard error"
)]
fn complain(message: &str) {
    let _ = writeln!(io::stderr(), "cutover-demo-service: {message}");
}

async fn serve(config: ServiceConfig) -> Result<(), String> {
    let bind = |address: SocketAddr| async move {
        TcpListener::bind(address)
            .await
            .map_err(|error| format!("cannot listen on {address}: {error}"))
    };
    let (data, admin) = (bind(config.listen).await?, bind(config.admin).await?);
    let address = |listener: &TcpListener| listener.local_addr().map_err(|error| error.to_string());
    let registration =
        Registration::of_this_process(&config.name, address(&data)?, address(&admin)?)
            .map_err(|error| format!("cannot read this process's start time: {error}"))?;
    registration
        .write(&config.state_file)
        .map_err(|error| format!("{}: {error}", config.state_file.display()))?;

    let behaviour = Rc::new(Behaviour::default());
    // The kernel hangs up on a stopped process whose parent dies. The service outlives its driver,
    // so a hangup is caught (for good, tokio keeps its handlers) and ignored.
    let _ = signal(SignalKind::hangup()).map_err(|error| error.to_string())?;
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
    let idle = Duration::from_secs(config.idle_exit_s);
    let end = tokio::select! {
        end = accept(data, Rc::clone(&behaviour), answer) => end,
        end = accept(admin, Rc::clone(&behaviour), administer) => end,
        _ = terminate.recv() => Ok(()),
        () = behaviour.idle_for(idle) => Ok(()),
    };
    let _ = std::fs::remove_file(&config.state_file);
    end.map_err(|error| format!("accept: {error}"))
}

async fn accept<F, A>(listener: TcpListener, behaviour: Rc<Behaviour>, answer: F) -> io::Result<()>
where
    F: Fn(Rc<Behaviour>, Request<Incoming>) -> A + Copy + 'static,
    A: Future<Output = Result<Response<Full<Bytes>>, Infallible>> + 'static,
{
    loop {
        let (stream, _) = match listener.accept().await {
            Ok(accepted) => accepted,
            // The peer gave up before it was accepted.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
            Err(error) => return Err(error),
        };
        let _ = stream.set_nodelay(true);
        let behaviour = Rc::clone(&behaviour);
        let service = service_fn(move |request| answer(Rc::clone(&behaviour), request));
        tokio::task::spawn_local(async move {
            // A connection that breaks is the other side's business.
            let _ = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(Duration::from_secs(120))
                .half_close(true)
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn answer(
    behaviour: Rc<Behaviour>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    behaviour.saw_a_request();
    let path = request.uri().path().to_owned();
    let method = request.method().clone();
    // The body is read in any case, so that the connection can be used again.
    let body = Limited::new(request.into_body(), LARGEST_ORDER)
        .collect()
        .await;
    if path == "/health" {
        return Ok(text(StatusCode::OK, "ok\n"));
    }
    if behaviour.meet_fault().await == Verdict::Fail {
        return Ok(text(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the fault says 500\n",
        ));
    }
    Ok(match (method, path.as_str()) {
        (Method::GET | Method::HEAD, "/") => text(StatusCode::OK, PAGE),
        (Method::GET | Method::HEAD, path) if path.starts_with("/items/") => {
            match path["/items/".len()..].parse::<u32>() {
                Ok(item) => json(
                    &serde_json::json!({ "item": item, "name": format!("Item {item}"), "price": 4_200 }),
                ),
                Err(_) => text(StatusCode::NOT_FOUND, "no such item\n"),
            }
        }
        (Method::POST, "/checkout") => match body {
            Ok(body) => {
                json(&serde_json::json!({ "order": "taken", "bytes": body.to_bytes().len() }))
            }
            Err(_) => text(StatusCode::PAYLOAD_TOO_LARGE, "the order is too large\n"),
        },
        (_, "/checkout" | "/") => text(StatusCode::METHOD_NOT_ALLOWED, "not here\n"),
        _ => text(StatusCode::NOT_FOUND, "nothing here\n"),
    })
}

async fn administer(
    behaviour: Rc<Behaviour>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    behaviour.saw_a_request();
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let body = Limited::new(request.into_body(), LARGEST_ORDER)
        .collect()
        .await;
    Ok(match (method, path.as_str()) {
        (Method::GET, "/ready" | "/health") => text(StatusCode::OK, "ok\n"),
        (Method::PUT, "/fault") => {
            let body = body.map(|body| body.to_bytes()).unwrap_or_default();
            match serde_json::from_slice(&body) {
                Ok(fault) => {
                    behaviour.set_fault(fault);
                    text(StatusCode::OK, "the fault is in\n")
                }
                Err(error) => text(StatusCode::BAD_REQUEST, &format!("{error}\n")),
            }
        }
        _ => text(StatusCode::NOT_FOUND, "nothing here\n"),
    })
}

const PAGE: &str = "<!doctype html><title>Demo shop</title><h1>Demo shop</h1>\
                    <p>Two items today: <a href=/items/1>1</a>, <a href=/items/42>42</a>.</p>\n";

fn text(status: StatusCode, body: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::copy_from_slice(body.as_bytes())));
    *response.status_mut() = status;
    response
}

fn json(value: &serde_json::Value) -> Response<Full<Bytes>> {
    let mut response = text(StatusCode::OK, &value.to_string());
    let content_type = http::HeaderValue::from_static("application/json");
    response
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, content_type);
    response
}
