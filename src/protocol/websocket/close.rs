//! The payload of a close frame, RFC 6455 section 5.5.1.

use bytes::{BufMut as _, Bytes, BytesMut};
use bytestring::ByteString;

use super::{
    error::ProtocolError,
    frame::{self, OpCode},
};
use crate::protocol::close::{CloseReason, may_be_sent};

/// The code and reason of a close frame with a payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseFrame {
    /// A code that may be sent, see [`may_be_sent`].
    pub code: u16,
    /// At most 123 bytes.
    pub reason: ByteString,
}

impl CloseFrame {
    /// Parses a close frame's payload; an empty one has no code.
    ///
    /// # Errors
    /// The payload is one byte, has a code that must not be sent, or a reason that is not UTF-8.
    pub fn parse(mut payload: Bytes) -> Result<Option<Self>, ProtocolError> {
        let code = match payload[..] {
            [] => return Ok(None),
            [_] => return Err(ProtocolError::HalfCloseCode),
            [high, low, ..] => u16::from_be_bytes([high, low]),
        };
        if !may_be_sent(code) {
            return Err(ProtocolError::BadCloseCode(code));
        }
        let reason = ByteString::try_from(payload.split_off(2)).map_err(|_| ProtocolError::BadCloseReason)?;
        Ok(Some(Self { code, reason }))
    }
}

/// A finished close frame for a row of the close table.
pub fn encode(row: CloseReason) -> Bytes {
    encode_parts(Some(row.code), row.reason)
}

/// The finished frame that answers a peer's close frame: with its code, or empty if it had none.
pub fn encode_reply(received: Option<&CloseFrame>) -> Bytes {
    encode_parts(received.map(|frame| frame.code), "")
}

/// The finished close frame with this code and reason; without a code the payload is empty.
pub fn encode_parts(code: Option<u16>, reason: &str) -> Bytes {
    let mut out = BytesMut::with_capacity(4 + reason.len());
    let payload = if code.is_some() { 2 + reason.len() } else { 0 };
    frame::write_header(&mut out, OpCode::Close, payload);
    if let Some(code) = code {
        out.put_u16(code);
        out.extend_from_slice(reason.as_bytes());
    }
    out.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::close;

    #[test]
    fn a_close_payload_is_empty_or_a_code_and_utf8() {
        let parse = |bytes: &'static [u8]| CloseFrame::parse(Bytes::from_static(bytes));
        assert_eq!(parse(b""), Ok(None));
        assert_eq!(parse(b"\x03"), Err(ProtocolError::HalfCloseCode));
        assert_eq!(parse(b"\x03\xe8bye"), Ok(Some(CloseFrame { code: 1000, reason: "bye".into() })));
        assert_eq!(parse(b"\x03\xed"), Err(ProtocolError::BadCloseCode(1005)));
        assert_eq!(parse(b"\x03\xe8\xff"), Err(ProtocolError::BadCloseReason));
    }

    #[test]
    fn a_reply_carries_the_code_it_answers() {
        assert_eq!(&encode_reply(None)[..], b"\x88\x00");
        let frame = CloseFrame { code: 4001, reason: "x".into() };
        assert_eq!(&encode_reply(Some(&frame))[..], b"\x88\x02\x0f\xa1");
        assert_eq!(&encode(close::TOO_BIG)[..], b"\x88\x11\x03\xf1message too big");
    }
}
