//! Responses compressed with gzip (RFC 1952), for clients that accept it: polls, and JSON.
//!
//! A stream consists of independent pieces, each compressed by the one compressor of the thread. So a slow
//! client's response holds no compressor, and other tasks run between two pieces.

use std::{cell::RefCell, mem};

use actix_web::{
    HttpRequest, HttpResponse, HttpResponseBuilder,
    http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderMap, VARY},
};
use bytes::Bytes;
use flate2::Crc;

use crate::{
    config::Switch,
    protocol::websocket::deflate::{Deflater, FULL_WINDOW},
};

/// Bodies below this size in bytes are not compressed: headers dominate the response.
const MIN_SIZE: usize = 1024;

/// Maximum bytes of a piece: some hundreds of microseconds, and it fits one stored block.
pub(crate) const PIECE: usize = 60 * 1024;

/// The gzip header: deflate, no name, no time, unknown system.
const HEAD: [u8; 10] = [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 255];

/// An empty stored block without its header: ends a piece at a byte boundary.
const FLUSHED: [u8; 4] = [0x00, 0x00, 0xFF, 0xFF];

/// An empty final block.
const LAST: [u8; 2] = [0x03, 0x00];

thread_local! {
    static DEFLATER: RefCell<Option<Deflater>> = const { RefCell::new(None) };
}

/// Whether a client accepts gzip (RFC 9110, section 12.5.3).
pub(crate) fn is_accepted(headers: &HeaderMap) -> bool {
    let (mut gzip, mut any) = (None, None);
    let lists = headers.get_all(ACCEPT_ENCODING).filter_map(|list| list.to_str().ok());
    for entry in lists.flat_map(|list| list.split(',')) {
        let mut parts = entry.split(';').map(str::trim);
        let coding = parts.next().unwrap_or_default();
        let is_taken = parts.all(|part| !is_zero_weight(part));
        if coding.eq_ignore_ascii_case("gzip") || coding.eq_ignore_ascii_case("x-gzip") {
            gzip = Some(is_taken);
        } else if coding == "*" {
            any = Some(is_taken);
        }
    }
    gzip.or(any).unwrap_or(false)
}

/// Whether a parameter is `q=0`, with any number of decimals.
fn is_zero_weight(parameter: &str) -> bool {
    let Some((name, value)) = parameter.split_once('=') else { return false };
    name.trim().eq_ignore_ascii_case("q") && value.trim().parse::<f32>().is_ok_and(|weight| weight <= 0.0)
}

/// Whether a response of `len` bytes is compressed for this request, if those of `least` bytes are; none are if
/// that is `None`.
pub(crate) fn is_due(req: &HttpRequest, least: Option<usize>, len: usize) -> bool {
    least.is_some_and(|least| len >= least) && is_accepted(req.headers())
}

/// Adds `Vary` to a response of `len` bytes that may be compressed for other clients.
pub(crate) fn vary(response: &mut HttpResponseBuilder, least: Option<usize>, len: usize) {
    if least.is_some_and(|least| len >= least) {
        response.append_header((VARY, "Accept-Encoding"));
    }
}

/// A response with a body, compressed if it is large and the client accepts that.
pub(crate) fn answer(
    req: &HttpRequest,
    switch: Switch,
    mut response: HttpResponseBuilder,
    body: impl Into<Bytes>,
) -> HttpResponse {
    let body = body.into();
    let least = (switch == Switch::On).then_some(MIN_SIZE);
    vary(&mut response, least, body.len());
    let packed = if is_due(req, least, body.len()) { pack(&body) } else { None };
    match packed {
        Some(packed) => response.insert_header((CONTENT_ENCODING, "gzip")).body(packed),
        None => response.body(body),
    }
}

/// Compresses a whole body; `None` if the result is not smaller.
pub(crate) fn pack(body: &[u8]) -> Option<Bytes> {
    let (mut stream, mut out) = (Gzip::default(), Vec::new());
    let mut pieces = body.chunks(PIECE).peekable();
    while let Some(piece) = pieces.next() {
        stream.pack(piece, pieces.peek().is_none(), &mut out);
    }
    (out.len() < body.len()).then(|| out.into())
}

/// The state of a gzip stream.
#[derive(Debug, Default)]
pub(crate) struct Gzip {
    crc: Crc,
    has_begun: bool,
}

impl Gzip {
    /// Compresses the next piece of at most [`PIECE`] bytes, and ends the stream if it is the last.
    pub(crate) fn pack(&mut self, piece: &[u8], is_last: bool, out: &mut Vec<u8>) {
        if !mem::replace(&mut self.has_begun, true) {
            out.extend_from_slice(&HEAD);
        }
        self.crc.update(piece);
        DEFLATER.with_borrow_mut(|deflater| {
            let deflater = deflater.get_or_insert_with(|| Deflater::new(FULL_WINDOW));
            match deflater.deflate(piece) {
                Some(packed) => {
                    out.extend_from_slice(packed);
                    out.extend_from_slice(&FLUSHED);
                }
                None => store(piece, out),
            }
        });
        if is_last {
            out.extend_from_slice(&LAST);
            out.extend_from_slice(&self.crc.sum().to_le_bytes());
            out.extend_from_slice(&self.crc.amount().to_le_bytes());
        }
    }
}

/// Writes stored blocks (RFC 1951, section 3.2.4).
fn store(piece: &[u8], out: &mut Vec<u8>) {
    for block in piece.chunks(usize::from(u16::MAX)) {
        let len = block.len() as u16;
        out.push(0);
        out.extend_from_slice(&len.to_le_bytes());
        out.extend_from_slice(&(!len).to_le_bytes());
        out.extend_from_slice(block);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use actix_web::http::header::HeaderValue;
    use flate2::read::GzDecoder;

    use super::*;
    use crate::protocol::websocket::deflate::noise;

    fn unpacked(bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        GzDecoder::new(bytes).read_to_end(&mut out).expect("gzip");
        out
    }

    #[test]
    fn what_is_packed_unpacks_to_the_same_bytes() {
        for len in [1024, 3000, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE, 1_000_000] {
            let body: Vec<u8> =
                b"the same words again and again, ".iter().copied().cycle().take(len).collect();
            let packed = pack(&body).expect("smaller");
            assert!(packed.len() * 5 < len, "{len}: {}", packed.len());
            assert!(unpacked(&packed) == body, "{len}");
        }
        assert!(pack(&noise(3000)).is_none() && pack(b"").is_none(), "never larger than it was");
    }

    #[test]
    fn a_stream_of_pieces_is_one_stream_whatever_is_in_them() {
        let pieces = [noise(PIECE), vec![b'a'; PIECE], noise(17), Vec::new()];
        let (mut stream, mut out) = (Gzip::default(), Vec::new());
        for (at, piece) in pieces.iter().enumerate() {
            stream.pack(piece, at + 1 == pieces.len(), &mut out);
        }
        assert!(unpacked(&out) == pieces.concat());
    }

    #[test]
    fn gzip_is_taken_by_those_who_name_it_or_all_and_do_not_rule_it_out() {
        let accepts = |lists: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for list in lists {
                headers.append(ACCEPT_ENCODING, HeaderValue::from_static(list));
            }
            is_accepted(&headers)
        };
        for yes in [
            "gzip",
            "GZIP",
            "x-gzip",
            "br, gzip",
            "gzip;q=0.5, identity",
            "*",
            "deflate, *;q=0.1",
            "gzip; q=1.000",
        ] {
            assert!(accepts(&[yes]), "{yes}");
        }
        for no in ["", "br", "identity", "gzip;q=0", "gzip; Q=0.000", "*, gzip;q=0", "*;q=0", "gzipped"] {
            assert!(!accepts(&[no]), "{no}");
        }
        assert!(accepts(&["br", "gzip"]) && !accepts(&[]));
    }
}
