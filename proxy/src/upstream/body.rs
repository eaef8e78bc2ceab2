//! Taking a response body out of the received bytes (RFC 9112 §7.1).

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};

use super::response_head::{Framing, Invalid};

/// A chunk-size line or a trailer section above this is refused.
const MAX_LINE: usize = 8 * 1024;

/// Finds the pieces of one body.
#[derive(Debug)]
pub(crate) enum Decoder {
    /// Bytes that are still to come.
    Length(u64),
    Chunked(Chunked),
    Close,
    Done,
}

#[derive(Debug)]
pub(crate) enum Chunked {
    /// → `Data`, or `Trailers` after the size 0.
    Size,
    /// Bytes left of this chunk. → `DataEnd`.
    Data(u64),
    /// The line end after a chunk. → `Size`.
    DataEnd,
    /// → `Done`.
    Trailers,
}

/// What was found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    Data(Bytes),
    Trailers(HeaderMap),
    /// More bytes are needed.
    More,
    End,
}

impl Decoder {
    pub(crate) fn new(framing: Framing) -> Self {
        match framing {
            Framing::Empty => Decoder::Done,
            Framing::Length(length) => Decoder::Length(length),
            Framing::Chunked => Decoder::Chunked(Chunked::Size),
            Framing::Close => Decoder::Close,
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        matches!(self, Decoder::Done)
    }

    /// About how many bytes to read next.
    pub(crate) fn wanted(&self) -> u64 {
        match self {
            Decoder::Length(left) | Decoder::Chunked(Chunked::Data(left)) => *left,
            Decoder::Close => 16 * 1024,
            _ => 0,
        }
    }

    /// The next piece in `received`.
    pub(crate) fn next(&mut self, received: &mut BytesMut) -> Result<Piece, Invalid> {
        match self {
            Decoder::Done => Ok(Piece::End),
            _ if received.is_empty() => Ok(Piece::More),
            Decoder::Close => Ok(Piece::Data(received.split().freeze())),
            Decoder::Length(left) => {
                let data = take(received, left);
                if *left == 0 {
                    *self = Decoder::Done;
                }
                Ok(Piece::Data(data))
            }
            Decoder::Chunked(state) => match state.next(received)? {
                Piece::End => {
                    *self = Decoder::Done;
                    Ok(Piece::End)
                }
                Piece::Trailers(trailers) => {
                    *self = Decoder::Done;
                    Ok(Piece::Trailers(trailers))
                }
                piece => Ok(piece),
            },
        }
    }

    /// The upstream closed: the end of a body that lasts until then, otherwise a broken body.
    pub(crate) fn end_of_stream(&mut self) -> Result<(), Invalid> {
        match self {
            Decoder::Close | Decoder::Done => {
                *self = Decoder::Done;
                Ok(())
            }
            _ => Err(Invalid),
        }
    }
}

impl Chunked {
    fn next(&mut self, received: &mut BytesMut) -> Result<Piece, Invalid> {
        loop {
            match self {
                Chunked::Size => match httparse::parse_chunk_size(received) {
                    Ok(httparse::Status::Complete((line, size))) => {
                        let _ = received.split_to(line);
                        *self = if size == 0 {
                            Chunked::Trailers
                        } else {
                            Chunked::Data(size)
                        };
                    }
                    Ok(httparse::Status::Partial) if received.len() <= MAX_LINE => {
                        return Ok(Piece::More);
                    }
                    _ => return Err(Invalid),
                },
                Chunked::Data(left) => {
                    if received.is_empty() {
                        return Ok(Piece::More);
                    }
                    let data = take(received, left);
                    if *left == 0 {
                        *self = Chunked::DataEnd;
                    }
                    return Ok(Piece::Data(data));
                }
                Chunked::DataEnd => {
                    if received.len() < 2 {
                        return Ok(Piece::More);
                    }
                    if received.split_to(2) != b"\r\n"[..] {
                        return Err(Invalid);
                    }
                    *self = Chunked::Size;
                }
                Chunked::Trailers => return trailers(received),
            }
        }
    }
}

fn take(received: &mut BytesMut, left: &mut u64) -> Bytes {
    let length = usize::try_from(*left)
        .unwrap_or(usize::MAX)
        .min(received.len());
    *left -= length as u64;
    received.split_to(length).freeze()
}

fn trailers(received: &mut BytesMut) -> Result<Piece, Invalid> {
    let mut fields = [httparse::EMPTY_HEADER; 32];
    let (length, fields) = match httparse::parse_headers(received, &mut fields) {
        Ok(httparse::Status::Complete(found)) => found,
        Ok(httparse::Status::Partial) if received.len() <= MAX_LINE => return Ok(Piece::More),
        _ => return Err(Invalid),
    };
    let mut trailers = HeaderMap::new();
    for field in fields {
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| Invalid)?;
        let value = HeaderValue::from_bytes(field.value).map_err(|_| Invalid)?;
        if is_allowed_trailer(name.as_str()) {
            trailers.append(name, value);
        }
    }
    let _ = received.split_to(length);
    Ok(if trailers.is_empty() {
        Piece::End
    } else {
        Piece::Trailers(trailers)
    })
}

/// Fields that would reframe, reroute or authorise a message after the fact (RFC 9110 §6.5.1).
pub(crate) fn is_allowed_trailer(name: &str) -> bool {
    !matches!(
        name,
        "transfer-encoding" | "host" | "authorization" | "cookie" | "set-cookie" | "connection"
    ) && !name.starts_with("content-")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Feeds `wire` in pieces of `step` bytes and joins what comes out.
    fn decoded(wire: &[u8], step: usize) -> Result<(Vec<u8>, HeaderMap, bool), Invalid> {
        let mut decoder = Decoder::new(Framing::Chunked);
        let mut received = BytesMut::new();
        let (mut data, mut found) = (Vec::new(), HeaderMap::new());
        for part in wire.chunks(step) {
            received.extend_from_slice(part);
            loop {
                match decoder.next(&mut received)? {
                    Piece::Data(piece) => data.extend_from_slice(&piece),
                    Piece::Trailers(trailers) => found = trailers,
                    Piece::More | Piece::End => break,
                }
            }
        }
        Ok((data, found, decoder.is_done()))
    }

    proptest! {
        #[test]
        fn chunks_are_joined_however_they_arrive(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..50), 0..8),
            step in 1_usize..40,
        ) {
            let mut wire = Vec::new();
            for chunk in &chunks {
                wire.extend_from_slice(format!("{:x};ext=1\r\n", chunk.len()).as_bytes());
                wire.extend_from_slice(chunk);
                wire.extend_from_slice(b"\r\n");
            }
            wire.extend_from_slice(b"0\r\nx-sum: 7\r\nContent-Length: 1\r\n\r\n");
            let (data, trailers, done) = decoded(&wire, step).unwrap();
            prop_assert_eq!(data, chunks.concat());
            prop_assert_eq!(trailers.get("x-sum").unwrap(), "7");
            prop_assert_eq!(trailers.len(), 1);
            prop_assert!(done);
        }
    }

    #[test]
    fn broken_chunks_are_refused() {
        for wire in [
            "zz\r\n",
            "-1\r\n",
            "3\r\nabcd\r\n",
            "fffffffffffffffff\r\n",
            "1\r\na\n\n0",
        ] {
            assert!(decoded(wire.as_bytes(), 100).is_err(), "{wire:?}");
        }
    }

    #[test]
    fn only_a_body_without_framing_may_end_with_the_stream() {
        assert!(Decoder::new(Framing::Close).end_of_stream().is_ok());
        assert!(Decoder::new(Framing::Length(1)).end_of_stream().is_err());
        assert!(Decoder::new(Framing::Chunked).end_of_stream().is_err());
    }
}
