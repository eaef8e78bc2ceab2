//! Where a response body ends (RFC 9112 §6 and §7.1). The content itself is not kept.

use super::ProtocolError;

/// What is still to come of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Body {
    /// Nothing.
    None,
    /// This many bytes, above 0.
    Length(u64),
    /// Chunks, up to the empty one and its trailers.
    Chunked(Chunks),
    /// Everything until the peer closes.
    UntilClose,
}

/// Where in a chunked body we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Chunks {
    at: At,
    /// Bytes of the line being read, or of all trailers together.
    line: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// In the digits of a chunk's size; how much they say so far.
    Size(u64),
    /// Behind them, before the end of the line.
    Extension(u64),
    /// In a chunk; bytes left.
    Data(u64),
    /// At the line end behind a chunk.
    DataEnd,
    /// At the beginning of a trailer line.
    TrailerStart,
    /// Within a trailer line.
    Trailer,
    /// Behind the last line end.
    Done,
}

/// Longest chunk size line, and most bytes of trailers.
const LINE_LIMIT: usize = 8 * 1024;

impl Body {
    /// A body of a known length.
    pub(crate) fn length(length: u64) -> Self {
        if length == 0 {
            Body::None
        } else {
            Body::Length(length)
        }
    }

    /// A chunked body from its beginning.
    pub(crate) fn chunked() -> Self {
        Body::Chunked(Chunks {
            at: At::Size(0),
            line: 0,
        })
    }

    /// Nothing is left to read.
    pub(crate) fn is_done(&self) -> bool {
        match self {
            Body::None => true,
            Body::Chunked(chunks) => chunks.at == At::Done,
            Body::Length(_) | Body::UntilClose => false,
        }
    }

    /// Takes what belongs to the body from the front of `bytes`; returns how many that were.
    ///
    /// # Errors
    /// A chunk's size is no number, a line is too long, or a chunk does not end where it said.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Result<usize, ProtocolError> {
        match self {
            Body::None => Ok(0),
            Body::UntilClose => Ok(bytes.len()),
            Body::Length(left) => {
                let taken = at_most(bytes.len(), *left);
                *self = Body::length(*left - taken as u64);
                Ok(taken)
            }
            Body::Chunked(chunks) => chunks.feed(bytes),
        }
    }
}

impl Chunks {
    fn feed(&mut self, bytes: &[u8]) -> Result<usize, ProtocolError> {
        let mut taken = 0;
        while taken < bytes.len() && self.at != At::Done {
            if let At::Data(left) = self.at {
                let data = at_most(bytes.len() - taken, left);
                taken += data;
                let left = left - data as u64;
                self.at = if left == 0 {
                    At::DataEnd
                } else {
                    At::Data(left)
                };
            } else {
                self.step(bytes[taken])?;
                taken += 1;
            }
        }
        Ok(taken)
    }

    /// One byte outside of a chunk's data. A line ends with LF; the CR before it is expected but,
    /// as RFC 9112 §2.2 allows, not insisted on.
    fn step(&mut self, byte: u8) -> Result<(), ProtocolError> {
        self.line += 1;
        if self.line > LINE_LIMIT {
            return Err(ProtocolError);
        }
        self.at = match (self.at, byte) {
            // A size needs a first digit.
            (At::Size(_) | At::Extension(_), b'\n') if self.line == 1 => return Err(ProtocolError),
            (At::Size(0) | At::Extension(0), b'\n') => {
                self.line = 0;
                At::TrailerStart
            }
            (At::Size(size) | At::Extension(size), b'\n') => {
                self.line = 0;
                At::Data(size)
            }
            (At::Size(size), byte) => match (byte as char).to_digit(16) {
                // Sixteen times more must fit, too.
                Some(digit) if size <= u64::MAX >> 4 => At::Size(size << 4 | u64::from(digit)),
                None if self.line > 1 && matches!(byte, b'\r' | b';' | b' ' | b'\t') => {
                    At::Extension(size)
                }
                _ => return Err(ProtocolError),
            },
            (At::Extension(size), _) => At::Extension(size),
            (At::DataEnd, b'\r') => At::DataEnd,
            (At::DataEnd, b'\n') => {
                self.line = 0;
                At::Size(0)
            }
            (At::DataEnd, _) => return Err(ProtocolError),
            (At::TrailerStart, b'\n') => At::Done,
            (At::TrailerStart, b'\r') => At::TrailerStart,
            (At::Trailer, b'\n') => At::TrailerStart,
            (At::TrailerStart | At::Trailer, _) => At::Trailer,
            (at @ (At::Data(_) | At::Done), _) => at,
        };
        Ok(())
    }
}

fn at_most(available: usize, wanted: u64) -> usize {
    usize::try_from(wanted).map_or(available, |wanted| wanted.min(available))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Feeds pieces of `step` bytes; how many were taken, and whether the body was then done.
    fn read(mut body: Body, bytes: &[u8], step: usize) -> Result<(usize, bool), ProtocolError> {
        let mut taken = 0;
        for piece in bytes.chunks(step) {
            let n = body.feed(piece)?;
            taken += n;
            if n < piece.len() {
                break;
            }
        }
        Ok((taken, body.is_done()))
    }

    #[test]
    fn a_length_takes_no_byte_more() {
        assert_eq!(read(Body::length(3), b"abcHTTP", 7), Ok((3, true)));
        assert_eq!(read(Body::length(3), b"ab", 1), Ok((2, false)));
        assert_eq!(read(Body::length(0), b"abc", 1), Ok((0, true)));
    }

    #[test]
    fn until_close_takes_everything_and_is_never_done_by_itself() {
        assert_eq!(read(Body::UntilClose, b"abc", 2), Ok((3, false)));
    }

    #[test]
    fn chunks_end_at_the_empty_one_however_they_are_cut() {
        let cases: [&[u8]; 4] = [
            b"0\r\n\r\n",
            b"3\r\nabc\r\n0\r\n\r\n",
            b"A;name=value\r\n0123456789\r\n000\r\nTrailer: x\r\nOther: y\r\n\r\n",
            b"3\nabc\n0\n\n",
        ];
        for bytes in cases {
            for step in 1..=bytes.len() {
                let mut followed = bytes.to_vec();
                followed.extend_from_slice(b"HTTP/1.1");
                let text = String::from_utf8_lossy(bytes);
                assert_eq!(
                    read(Body::chunked(), &followed, step),
                    Ok((bytes.len(), true)),
                    "{text:?} in steps of {step}"
                );
            }
        }
    }

    #[test]
    fn malformed_chunks_are_refused() {
        let cases: [&[u8]; 6] = [
            b"\r\n",
            b"\n",
            b"-1\r\n",
            b"xyz\r\n",
            b"3\r\nabcd\r\n",
            b"11111111111111111\r\n",
        ];
        for bytes in cases {
            let text = String::from_utf8_lossy(bytes);
            assert_eq!(
                read(Body::chunked(), bytes, bytes.len()),
                Err(ProtocolError),
                "{text:?}"
            );
        }
        let long = [b"1;".as_slice(), &[b'x'; LINE_LIMIT]].concat();
        assert_eq!(read(Body::chunked(), &long, 100), Err(ProtocolError));
    }

    proptest! {
        #[test]
        fn any_chunking_of_any_content_is_read_to_its_end(
            chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..300), 0..6),
            step in 1_usize..64,
        ) {
            let mut bytes = Vec::new();
            for chunk in &chunks {
                bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                bytes.extend_from_slice(chunk);
                bytes.extend_from_slice(b"\r\n");
            }
            bytes.extend_from_slice(b"0\r\n\r\n");
            prop_assert_eq!(read(Body::chunked(), &bytes, step), Ok((bytes.len(), true)));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(Body::chunked(), &bytes, 7);
        }
    }
}
