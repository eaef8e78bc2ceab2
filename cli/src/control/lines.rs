//! Lines of bounded length on a socket, each a JSON value.

use std::io;
use std::time::Duration;

use serde::Serialize;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;

/// Whoever takes nothing for so long is given up: stopped, or on a machine that hangs.
pub(super) const WRITE_LIMIT: Duration = Duration::from_secs(10);

/// Writes one value as a line.
pub(super) async fn write(
    to: &mut (impl AsyncWrite + Unpin),
    value: &impl Serialize,
) -> io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    timeout(WRITE_LIMIT, to.write_all(&line))
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// Reads one line, without its end; `None` when the other end has closed, also in mid-line.
/// Whatever was read stays in `line` when the future is dropped, so that reading can go on.
///
/// # Errors
/// [`io::ErrorKind::FileTooLarge`] when the line is longer than `longest` bytes; or what the
/// system says.
pub(super) async fn read(
    from: &mut (impl AsyncBufRead + Unpin),
    line: &mut Vec<u8>,
    longest: usize,
) -> io::Result<Option<Vec<u8>>> {
    loop {
        let available = from.fill_buf().await?;
        if available.is_empty() {
            return Ok(None);
        }
        let end = available.iter().position(|byte| *byte == b'\n');
        let taken = end.unwrap_or(available.len());
        if line.len() + taken > longest {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        line.extend_from_slice(&available[..taken]);
        from.consume(taken + usize::from(end.is_some()));
        if end.is_some() {
            return Ok(Some(std::mem::take(line)));
        }
    }
}
