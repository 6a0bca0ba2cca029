//! Frame headers, RFC 6455 section 5.2, and the client's mask, section 5.3.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

use super::error::ProtocolError;

/// Maximum length of a client's header: 2 bytes, a 64-bit length, the mask.
pub const MAX_CLIENT_HEADER: usize = 14;

/// Maximum length of a server's header, which has no mask.
const MAX_SERVER_HEADER: usize = 10;

/// Maximum payload of a control frame in bytes (section 5.5).
pub const MAX_CONTROL_PAYLOAD: usize = 125;

const FIN: u8 = 0x80;
/// RSV1: set on the first frame of a compressed message (RFC 7692, section 6).
const COMPRESSED: u8 = 0x40;
const RESERVED_BITS: u8 = 0x30;
const MASKED: u8 = 0x80;

/// The type of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpCode {
    /// The next part of a fragmented message.
    Continuation,
    /// A text message, or its first part.
    Text,
    /// A binary message, or its first part.
    Binary,
    /// A close frame, or the reply to one.
    Close,
    /// A ping: the peer must return its payload in a pong.
    Ping,
    /// A pong, the reply to a ping.
    Pong,
}

impl OpCode {
    fn parse(bits: u8) -> Result<Self, ProtocolError> {
        Ok(match bits {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xA => Self::Pong,
            reserved => return Err(ProtocolError::ReservedOpCode(reserved)),
        })
    }

    fn bits(self) -> u8 {
        match self {
            Self::Continuation => 0x0,
            Self::Text => 0x1,
            Self::Binary => 0x2,
            Self::Close => 0x8,
            Self::Ping => 0x9,
            Self::Pong => 0xA,
        }
    }

    /// Whether this is a control frame, which may come between the fragments of a message.
    pub fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// The header of a client's frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientHeader {
    /// Whether this frame ends its message.
    pub fin: bool,
    /// RSV1, the bit of permessage-deflate; the caller knows whether it is allowed.
    pub compressed: bool,
    /// The type of the frame.
    pub opcode: OpCode,
    /// Claimed length of the payload; the bytes may not have arrived.
    pub payload_len: u64,
    /// The key the payload is masked with.
    pub mask: [u8; 4],
}

impl ClientHeader {
    /// Parses a header at the start of `bytes`: the header and its length, or `None` if it is incomplete.
    ///
    /// # Errors
    /// The bytes break a rule, even if the header is incomplete.
    pub fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, ProtocolError> {
        let &[first, ref rest @ ..] = bytes else {
            return Ok(None);
        };
        if first & RESERVED_BITS != 0 {
            return Err(ProtocolError::ReservedBit);
        }
        let (fin, compressed) = (first & FIN != 0, first & COMPRESSED != 0);
        let opcode = OpCode::parse(first & 0x0F)?;
        if compressed && !matches!(opcode, OpCode::Text | OpCode::Binary) {
            return Err(ProtocolError::ReservedBit);
        }
        if opcode.is_control() && !fin {
            return Err(ProtocolError::FragmentedControl);
        }
        let &[second, ref rest @ ..] = rest else {
            return Ok(None);
        };
        if second & MASKED == 0 {
            return Err(ProtocolError::NotMasked);
        }
        let short_len = second & !MASKED;
        if opcode.is_control() && usize::from(short_len) > MAX_CONTROL_PAYLOAD {
            return Err(ProtocolError::LongControl);
        }
        let Some((payload_len, rest)) = parse_length(short_len, rest)? else {
            return Ok(None);
        };
        let Some(&mask) = rest.first_chunk::<4>() else {
            return Ok(None);
        };
        let header_len = bytes.len() - rest.len() + mask.len();
        Ok(Some((Self { fin, compressed, opcode, payload_len, mask }, header_len)))
    }
}

/// The payload length by `short_len`, and the bytes after it.
fn parse_length(short_len: u8, rest: &[u8]) -> Result<Option<(u64, &[u8])>, ProtocolError> {
    match short_len {
        126 => Ok(rest.split_first_chunk().map(|(len, rest)| (u16::from_be_bytes(*len).into(), rest))),
        127 => {
            if rest.first().is_some_and(|top| top & 0x80 != 0) {
                return Err(ProtocolError::LengthTopBit);
            }
            Ok(rest.split_first_chunk().map(|(len, rest)| (u64::from_be_bytes(*len), rest)))
        }
        len => Ok(Some((len.into(), rest))),
    }
}

/// Appends the header of an unmasked frame with FIN set.
pub fn write_header(out: &mut BytesMut, opcode: OpCode, payload_len: usize) {
    write_header_with(out, FIN | opcode.bits(), payload_len);
}

/// Appends an unmasked frame with FIN set and a compressed payload.
pub fn write_compressed(out: &mut BytesMut, opcode: OpCode, payload: &[u8]) {
    out.reserve(MAX_SERVER_HEADER + payload.len());
    write_header_with(out, FIN | COMPRESSED | opcode.bits(), payload.len());
    out.extend_from_slice(payload);
}

fn write_header_with(out: &mut BytesMut, first: u8, payload_len: usize) {
    out.put_u8(first);
    if payload_len <= MAX_CONTROL_PAYLOAD {
        out.put_u8(payload_len as u8);
    } else if let Ok(len) = u16::try_from(payload_len) {
        out.put_u8(126);
        out.put_u16(len);
    } else {
        out.put_u8(127);
        out.put_u64(payload_len as u64);
    }
}

/// Appends an unmasked frame with FIN set.
pub fn write(out: &mut BytesMut, opcode: OpCode, payload: &[u8]) {
    out.reserve(MAX_SERVER_HEADER + payload.len());
    write_header(out, opcode, payload.len());
    out.extend_from_slice(payload);
}

/// Removes (or applies) the mask. `offset` is the position of `payload` in the frame's payload.
pub fn unmask(payload: &mut [u8], mask: [u8; 4], offset: usize) {
    let mut key = mask;
    key.rotate_left(offset % 4);
    // Eight bytes at a time: the compiler makes vector code of this loop.
    let wide = u64::from_ne_bytes([key[0], key[1], key[2], key[3], key[0], key[1], key[2], key[3]]);
    let (chunks, tail) = payload.as_chunks_mut::<8>();
    for chunk in chunks {
        *chunk = (u64::from_ne_bytes(*chunk) ^ wide).to_ne_bytes();
    }
    for (byte, key) in tail.iter_mut().zip(key.iter().cycle()) {
        *byte ^= key;
    }
}

/// The header of a server's frame, which is not masked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerHeader {
    /// The type of the frame.
    pub opcode: OpCode,
    /// Length of the header.
    pub len: usize,
    /// Length of the payload.
    pub payload_len: usize,
}

impl ServerHeader {
    /// Parses a header that this server has written; `None` if bytes of it are missing.
    pub fn parse(frame: &[u8]) -> Option<Self> {
        let &[first, len] = frame.first_chunk()?;
        let number = |bytes: &[u8]| bytes.iter().fold(0, |number, byte| number << 8 | usize::from(*byte));
        let (len, payload_len) = match len {
            126 => (4, number(frame.get(2..4)?)),
            127 => (10, number(frame.get(2..10)?)),
            len => (2, usize::from(len)),
        };
        Some(Self { opcode: OpCode::parse(first & 0x0F).ok()?, len, payload_len })
    }
}

/// The payloads of consecutive server frames, as written by [`write()`].
pub fn payloads(mut frames: Bytes) -> impl Iterator<Item = (OpCode, Bytes)> {
    std::iter::from_fn(move || {
        let ServerHeader { opcode, len, payload_len } = ServerHeader::parse(&frames)?;
        let payload = (frames.len() >= len + payload_len).then(|| frames.slice(len..len + payload_len))?;
        frames.advance(len + payload_len);
        Some((opcode, payload))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_needs_all_its_bytes() {
        let header = b"\x81\xfe\x01\x00abcd";
        for cut in 0..header.len() {
            assert_eq!(ClientHeader::parse(&header[..cut]), Ok(None), "{cut} bytes");
        }
        let (parsed, len) = ClientHeader::parse(header).expect("legal").expect("complete");
        assert_eq!((parsed.payload_len, len, parsed.mask), (256, 8, *b"abcd"));
        assert_eq!((parsed.fin, parsed.opcode), (true, OpCode::Text));
    }

    #[test]
    fn a_broken_rule_is_found_at_its_first_byte() {
        let error = |bytes: &[u8]| ClientHeader::parse(bytes).expect_err("must be refused");
        assert_eq!(error(b"\xa1"), ProtocolError::ReservedBit);
        assert_eq!(error(b"\xc0"), ProtocolError::ReservedBit);
        assert_eq!(error(b"\xc9"), ProtocolError::ReservedBit);
        assert_eq!(error(b"\x83"), ProtocolError::ReservedOpCode(3));
        assert_eq!(error(b"\x8f"), ProtocolError::ReservedOpCode(15));
        assert_eq!(error(b"\x09"), ProtocolError::FragmentedControl);
        assert_eq!(error(b"\x81\x05"), ProtocolError::NotMasked);
        assert_eq!(error(b"\x89\xfe"), ProtocolError::LongControl);
        assert_eq!(error(b"\x82\xff\x80"), ProtocolError::LengthTopBit);
    }

    #[test]
    fn lengths_are_written_in_the_shortest_form() {
        for (len, head) in [(125, &b"\x82\x7d"[..]), (126, b"\x82\x7e\x00\x7e"), (65535, b"\x82\x7e\xff\xff")]
        {
            let mut out = BytesMut::new();
            write_header(&mut out, OpCode::Binary, len);
            assert_eq!(&out[..], head);
        }
        let mut out = BytesMut::new();
        write_header(&mut out, OpCode::Binary, 65536);
        assert_eq!(&out[..], b"\x82\x7f\0\0\0\0\0\x01\0\0");
    }

    #[test]
    fn unmasking_in_parts_equals_unmasking_the_whole() {
        let mask = [0x12, 0x34, 0x56, 0x78];
        let plain: Vec<u8> = (0..=255).collect();
        let masked: Vec<u8> = plain.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
        for cut in 0..=plain.len() {
            let mut parts = masked.clone();
            let (head, tail) = parts.split_at_mut(cut);
            unmask(head, mask, 0);
            unmask(tail, mask, cut);
            assert_eq!(parts, plain, "cut at {cut}");
        }
    }

    #[test]
    fn finished_frames_give_their_payloads_back() {
        let mut out = BytesMut::new();
        for len in [0, 5, 125, 126, 65_535, 65_536] {
            write(&mut out, OpCode::Text, &vec![b'x'; len]);
        }
        write(&mut out, OpCode::Binary, b"end");
        let lens: Vec<_> = payloads(out.freeze()).map(|(opcode, payload)| (opcode, payload.len())).collect();
        let texts = [0, 5, 125, 126, 65_535, 65_536].map(|len| (OpCode::Text, len));
        assert_eq!(lens, [&texts[..], &[(OpCode::Binary, 3)]].concat());
    }
}
