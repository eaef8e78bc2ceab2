//! One HTTP call to an admin endpoint: a connection of its own, a limit, no retries.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// An admin endpoint on this machine answers within this, or does not answer.
const LIMIT: Duration = Duration::from_secs(5);

/// Calls and answers with the status and the body.
///
/// # Errors
/// The whole chain of causes as one line.
pub(crate) async fn call(
    address: SocketAddr,
    method: Method,
    path: &str,
    body: String,
) -> Result<(StatusCode, String), String> {
    match timeout(LIMIT, exchange(address, method, path, body)).await {
        Ok(result) => result,
        Err(_) => Err(format!(
            "{address} did not answer within {} s",
            LIMIT.as_secs()
        )),
    }
}

async fn exchange(
    address: SocketAddr,
    method: Method,
    path: &str,
    body: String,
) -> Result<(StatusCode, String), String> {
    let chain = |error: hyper::Error| {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
        format!("{address}: {error}{}", cause.unwrap_or_default())
    };
    let stream = TcpStream::connect(address)
        .await
        .map_err(|error| format!("{address}: {error}"))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(chain)?;
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(http::header::HOST, address.to_string())
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body)))
        .map_err(|error| error.to_string())?;
    let answer = async {
        let response = sender.send_request(request).await.map_err(chain)?;
        let status = response.status();
        let body = response
            .into_body()
            .collect()
            .await
            .map_err(chain)?
            .to_bytes();
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    };
    tokio::pin!(answer);
    tokio::select! {
        result = &mut answer => result,
        end = connection => {
            end.map_err(chain)?;
            // The connection may end together with the answer's last byte.
            answer.await
        }
    }
}
