//! One plain HTTP/1.1 request, as a user would send it: a connection of its own.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(5);

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// 200, 404, …
    pub status: u16,
    /// Status line and header lines.
    pub head: String,
    /// Everything after the head, not decoded.
    pub body: String,
}

/// `GET`.
///
/// # Errors
/// No connection, no answer within 5 s, or no HTTP.
pub fn get(address: SocketAddr, path: &str) -> Result<Answer, String> {
    call(address, "GET", path, "")
}

/// `PUT` of a JSON body.
///
/// # Errors
/// As [`get`].
pub fn put(address: SocketAddr, path: &str, body: &str) -> Result<Answer, String> {
    call(address, "PUT", path, body)
}

fn call(address: SocketAddr, method: &str, path: &str, body: &str) -> Result<Answer, String> {
    let told = |error: std::io::Error| format!("{method} http://{address}{path}: {error}");
    let mut stream = TcpStream::connect_timeout(&address, LIMIT).map_err(told)?;
    stream.set_read_timeout(Some(LIMIT)).map_err(told)?;
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).map_err(told)?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).map_err(told)?;
    parse(&String::from_utf8_lossy(&bytes))
}

fn parse(text: &str) -> Result<Answer, String> {
    let (head, body) = text
        .split_once("\r\n\r\n")
        .ok_or_else(|| format!("no HTTP answer: {text:?}"))?;
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    Ok(Answer {
        status: status.ok_or_else(|| format!("no status: {head:?}"))?,
        head: head.to_owned(),
        body: body.to_owned(),
    })
}

/// A loopback address that nothing listens on right now.
///
/// # Panics
/// When the machine has no free port.
#[must_use]
pub fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a free port")
}
