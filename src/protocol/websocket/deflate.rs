//! permessage-deflate, RFC 7692: negotiation, compression and decompression.
//!
//! The server always answers with both `no_context_takeover` parameters, as section 7.1.1 allows: no
//! connection keeps a compressor or a window between messages, so an idle session takes no memory for it, one
//! [`Deflater`] and one [`Inflater`] serve a whole thread, and a broadcast is compressed once for all
//! subscribers.

use std::{cell::RefCell, collections::HashMap, fmt, rc::Rc};

use bytes::{Bytes, BytesMut};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::error::ProtocolError;

/// Messages below this size in bytes are not compressed.
pub const MIN_SIZE: usize = 1024;

/// Messages above this size in bytes are not compressed, to bound the time that others wait for the
/// compressor.
pub const MAX_SIZE: usize = 64 * 1024;

/// The default window, in bits (section 7.1.2).
pub const FULL_WINDOW: u8 = 15;

/// The name of the extension.
const NAME: &str = "permessage-deflate";

/// The end of a flushed block, which is not sent (section 7.2.1).
const TAIL: [u8; 4] = [0x00, 0x00, 0xFF, 0xFF];

/// The fastest safe level. At level 1 zlib-rs 0.6.8 panics at the message after one that exceeded its output
/// buffer; higher levels do not. (And every message fits, see [`Deflater::deflate`].)
const LEVEL: Compression = Compression::new(2);

/// Bytes by which the output of the inflater grows at a time.
const INFLATE_STEP: usize = 16 * 1024;

/// The negotiated parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreement {
    /// The maximum window for the server's messages, in bits, if the client set one.
    server_max_window_bits: Option<u8>,
}

impl Agreement {
    /// Accepts the first valid offer of a `Sec-WebSocket-Extensions` header (section 5).
    ///
    /// An offer with an unknown, repeated or malformed parameter is declined; the connection is not.
    pub fn negotiate(header: &str) -> Option<Self> {
        header.split(',').find_map(Self::accept)
    }

    fn accept(offer: &str) -> Option<Self> {
        let mut parts = offer.split(';').map(str::trim);
        if !parts.next()?.eq_ignore_ascii_case(NAME) {
            return None;
        }
        let mut seen = Vec::new();
        let mut server_max_window_bits = None;
        for part in parts {
            let (name, value) = match part.split_once('=') {
                Some((name, value)) => (name.trim(), Some(unquoted(value.trim()))),
                None => (part, None),
            };
            let name = name.to_ascii_lowercase();
            match (name.as_str(), value) {
                ("server_no_context_takeover" | "client_no_context_takeover", None) => {}
                // The inflater uses the full window in any case.
                ("client_max_window_bits", None) => {}
                ("client_max_window_bits", Some(bits)) => {
                    window_bits(bits)?;
                }
                // zlib cannot compress with a window of 8 bits.
                ("server_max_window_bits", Some(bits)) => {
                    server_max_window_bits = Some(window_bits(bits).filter(|bits| *bits > 8)?);
                }
                _ => return None,
            }
            if seen.contains(&name) {
                return None;
            }
            seen.push(name);
        }
        Some(Self { server_max_window_bits })
    }

    /// The window for the server's messages, in bits.
    pub fn window_bits(self) -> u8 {
        self.server_max_window_bits.unwrap_or(FULL_WINDOW)
    }
}

/// The value of `Sec-WebSocket-Extensions` in the answer.
impl fmt::Display for Agreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{NAME}; server_no_context_takeover; client_no_context_takeover")?;
        match self.server_max_window_bits {
            Some(bits) => write!(f, "; server_max_window_bits={bits}"),
            None => Ok(()),
        }
    }
}

fn unquoted(value: &str) -> &str {
    value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value)
}

/// Parses a decimal from 8 to 15 without a leading zero.
fn window_bits(text: &str) -> Option<u8> {
    if text.starts_with('0') || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().filter(|bits| (8..=15).contains(bits))
}

/// Whether a message of this size is compressed.
pub fn is_worth_it(size: usize) -> bool {
    (MIN_SIZE..=MAX_SIZE).contains(&size)
}

/// Compresses messages independently. Takes about 256 KiB, so one serves many sessions.
pub struct Deflater {
    compress: Compress,
    scratch: Vec<u8>,
}

impl Deflater {
    /// A compressor with a window of 9 to 15 bits; other values are clamped.
    pub fn new(window_bits: u8) -> Self {
        Self {
            compress: Compress::new_with_window_bits(LEVEL, false, window_bits.clamp(9, 15)),
            scratch: Vec::new(),
        }
    }

    /// The payload of a compressed message; `None` if it would not be smaller than the message.
    pub fn deflate(&mut self, message: &[u8]) -> Option<&[u8]> {
        self.compress.reset();
        self.scratch.clear();
        // Reserve for the worst case: an expanded message is not sent, but a compressor whose output buffer
        // was too small must not be used again (see [`LEVEL`]).
        self.scratch.reserve(message.len() + message.len() / 5 + 512);
        let status = self.compress.compress_vec(message, &mut self.scratch, FlushCompress::Sync);
        let all_taken = self.compress.total_in() == message.len() as u64;
        match status {
            Ok(Status::Ok) if all_taken && self.scratch.ends_with(&TAIL) => {
                let len = self.scratch.len() - TAIL.len();
                (len < message.len()).then(|| &self.scratch[..len])
            }
            _ => None,
        }
    }
}

impl fmt::Debug for Deflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deflater").field("last_in", &self.compress.total_in()).finish_non_exhaustive()
    }
}

/// The compressors of a thread, one for each negotiated window.
#[derive(Debug, Default)]
pub struct Deflaters(HashMap<u8, Deflater>);

impl Deflaters {
    /// The compressor for a window of `bits`.
    pub fn with_window(&mut self, bits: u8) -> &mut Deflater {
        self.0.entry(bits).or_insert_with(|| Deflater::new(bits))
    }
}

/// Decompresses messages independently. One serves all sessions of a thread.
#[derive(Clone, Debug)]
pub struct Inflater(Rc<RefCell<Decompress>>);

impl Default for Inflater {
    fn default() -> Self {
        Self(Rc::new(RefCell::new(Decompress::new(false))))
    }
}

impl Inflater {
    /// Decompresses a joined message to at most `limit` bytes (section 7.2.2).
    ///
    /// # Errors
    /// The data is invalid, or the message exceeds the limit.
    pub fn inflate(&self, payload: &[u8], limit: usize) -> Result<Bytes, ProtocolError> {
        let decompress = &mut *self.0.borrow_mut();
        decompress.reset(false);
        let mut out = BytesMut::new();
        for input in [payload, &TAIL] {
            if inflate_part(decompress, input, &mut out, limit)? == Status::StreamEnd {
                // A final block (section 7.2.3.4) ends the message.
                break;
            }
        }
        Ok(out.freeze())
    }
}

fn inflate_part(
    decompress: &mut Decompress,
    input: &[u8],
    out: &mut BytesMut,
    limit: usize,
) -> Result<Status, ProtocolError> {
    let mut taken = 0;
    loop {
        let filled = out.len();
        // One byte beyond the limit shows that the message exceeds it.
        let room = (limit.saturating_add(1) - filled).min(INFLATE_STEP);
        out.resize(filled + room, 0);
        let (in_before, out_before) = (decompress.total_in(), decompress.total_out());
        let status = decompress
            .decompress(&input[taken..], &mut out[filled..], FlushDecompress::Sync)
            .map_err(|_| ProtocolError::BadCompression)?;
        taken += (decompress.total_in() - in_before) as usize;
        let written = (decompress.total_out() - out_before) as usize;
        out.truncate(filled + written);
        if out.len() > limit {
            return Err(ProtocolError::MessageTooBig { limit });
        }
        // Unused room means that this input has no more output.
        if status == Status::StreamEnd || written < room {
            return Ok(status);
        }
    }
}

/// Incompressible bytes.
#[cfg(test)]
pub(crate) fn noise(len: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let xorshift = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    std::iter::repeat_with(xorshift).take(len).collect()
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn answer(header: &str) -> Option<String> {
        Agreement::negotiate(header).map(|agreement| agreement.to_string())
    }

    const PLAIN: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

    #[test]
    fn the_first_acceptable_offer_is_taken() {
        assert_eq!(answer("permessage-deflate"), Some(PLAIN.to_owned()));
        assert_eq!(answer("permessage-deflate; client_max_window_bits"), Some(PLAIN.to_owned()));
        assert_eq!(answer("x-other, Permessage-Deflate;client_max_window_bits=10"), Some(PLAIN.to_owned()));
        assert_eq!(
            answer(
                "permessage-deflate; server_max_window_bits=8, permessage-deflate; server_max_window_bits=\"10\""
            ),
            Some(format!("{PLAIN}; server_max_window_bits=10"))
        );
    }

    #[test]
    fn an_offer_we_do_not_understand_is_declined() {
        for offer in [
            "",
            "x-webkit-deflate-frame",
            "permessage-deflate; unknown",
            "permessage-deflate; server_no_context_takeover=1",
            "permessage-deflate; server_max_window_bits",
            "permessage-deflate; server_max_window_bits=8",
            "permessage-deflate; server_max_window_bits=16",
            "permessage-deflate; server_max_window_bits=010",
            "permessage-deflate; client_max_window_bits=7",
            "permessage-deflate; client_max_window_bits=+9",
            "permessage-deflate; client_max_window_bits; client_max_window_bits",
        ] {
            assert_eq!(answer(offer), None, "{offer:?}");
        }
    }

    #[test]
    fn what_is_deflated_inflates_to_the_same() {
        let text = "the same words again and again, ".repeat(100);
        for bits in 9..=15 {
            let mut deflater = Deflater::new(bits);
            for _ in 0..2 {
                let small = deflater.deflate(text.as_bytes()).expect("smaller").to_vec();
                assert!(small.len() < text.len() / 4, "{} bytes with {bits} bits", small.len());
                assert_eq!(Inflater::default().inflate(&small, text.len()), Ok(Bytes::from(text.clone())));
            }
        }
    }

    #[test]
    fn what_would_not_shrink_is_left_alone() {
        let mut deflater = Deflater::new(15);
        assert!(deflater.deflate(&noise(4000)).is_none());
        assert!(deflater.deflate(b"").is_none());
        assert!(deflater.deflate(&[b'a'; 2000]).is_some(), "and the next one is not harmed");
    }

    /// At level 1, and with an output buffer that is too small, zlib-rs panicked here and at every later
    /// message: one client with random bytes would have stopped all replies of its worker, or the chat
    /// server.
    #[test]
    fn large_noise_ends_nothing() {
        for bits in 9..=15 {
            let mut deflater = Deflater::new(bits);
            for len in (MIN_SIZE..=MAX_SIZE).step_by(991) {
                assert!(deflater.deflate(&noise(len)).is_none(), "{len} bytes, {bits} bits");
            }
        }
    }

    #[test]
    fn the_example_of_rfc_7692_inflates() {
        let inflater = Inflater::default();
        assert_eq!(inflater.inflate(b"\xf2\x48\xcd\xc9\xc9\x07\x00", 5), Ok(Bytes::from_static(b"Hello")));
        // Without compression, two blocks, a final block, and the empty message.
        assert_eq!(
            inflater.inflate(b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00", 5),
            Ok(Bytes::from_static(b"Hello"))
        );
        assert_eq!(
            inflater.inflate(b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", 5),
            Ok(Bytes::from_static(b"Hello"))
        );
        assert_eq!(
            inflater.inflate(b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00", 5),
            Ok(Bytes::from_static(b"Hello"))
        );
        assert_eq!(inflater.inflate(b"\x00", 0), Ok(Bytes::new()));
    }

    #[test]
    fn a_bomb_is_stopped_at_the_limit() {
        let mut compress = Compress::new(Compression::best(), false);
        let mut bomb = Vec::with_capacity(1 << 20);
        let zeros = vec![0; 64 << 20];
        compress.compress_vec(&zeros, &mut bomb, FlushCompress::Sync).expect("compresses");
        assert!(bomb.len() < 100_000);
        let inflater = Inflater::default();
        let stopped = inflater.inflate(&bomb, 1_000_000);
        assert_eq!(stopped, Err(ProtocolError::MessageTooBig { limit: 1_000_000 }));
        assert!(inflater.inflate(b"\x00", 0).is_ok(), "and the next one is not harmed");
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic_nor_pass_the_limit(bytes in vec(any::<u8>(), 0..500), limit in 0..2000_usize) {
            if let Ok(out) = Inflater::default().inflate(&bytes, limit) {
                prop_assert!(out.len() <= limit);
            }
        }

        #[test]
        fn a_damaged_stream_never_panics_nor_passes_the_limit(
            message in vec(0..9_u8, 1100..4000),
            damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
            limit in 0..5000_usize,
        ) {
            let mut stream = Deflater::new(15).deflate(&message).expect("it shrinks").to_vec();
            for (at, byte) in damage {
                let at = at.index(stream.len());
                stream[at] ^= byte;
            }
            if let Ok(out) = Inflater::default().inflate(&stream, limit) {
                prop_assert!(out.len() <= limit);
            }
        }

        #[test]
        fn every_message_survives_the_way(bytes in vec(0..4_u8, 0..5000), bits in 9..=15_u8) {
            if let Some(small) = Deflater::new(bits).deflate(&bytes) {
                prop_assert_eq!(Inflater::default().inflate(small, bytes.len()), Ok(Bytes::from(bytes)));
            }
        }
    }
}
