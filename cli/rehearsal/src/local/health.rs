//! What a local stack says of itself, apart from the requests that are measured.

use std::net::SocketAddr;
use std::time::Duration;

use cutover_engine::ports::StackHealth;
use http::{Method, StatusCode};
use tokio::time::timeout;

use crate::client;

/// A stack on this machine that takes longer says nothing about itself.
const LIMIT: Duration = Duration::from_secs(1);

/// Asks the stack behind the proxy at `listen`; `None` when that proxy does not run any more.
pub(super) async fn health(listen: Option<SocketAddr>) -> StackHealth {
    let Some(listen) = listen else {
        return StackHealth::Down("its proxy does not run".to_owned());
    };
    let asked = client::call(listen, Method::GET, "/health", String::new());
    match timeout(LIMIT, asked).await {
        Ok(Ok((StatusCode::OK, _))) => StackHealth::Ready("1 of 1 process answers".to_owned()),
        // The proxy lives and cannot reach the service behind it.
        Ok(Ok((StatusCode::BAD_GATEWAY, _))) => {
            StackHealth::Down("its service cannot be reached".to_owned())
        }
        Ok(Ok((status, _))) => StackHealth::Unknown(format!("/health answered {status}")),
        Ok(Err(error)) if error.contains("refused") => StackHealth::Down(error),
        Ok(Err(error)) => StackHealth::Unknown(error),
        Err(_) => StackHealth::Unknown(format!("no answer within {} s", LIMIT.as_secs())),
    }
}
