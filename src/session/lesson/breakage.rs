//! Connections that break on request, so that a page can show how a browser reacts; no page can do that by
//! itself.

use std::{str::FromStr, time::Duration};

use actix_web::rt;
use bytes::{BufMut as _, Bytes, BytesMut};

use super::Line;
use crate::{
    logging::Shown,
    protocol::{
        close,
        websocket::{
            close as close_frame,
            frame::{self, OpCode},
        },
    },
};

/// How long the page may take to react.
const AFTERWARDS: Duration = Duration::from_secs(5);

/// FIN and the reserved opcode 3, RFC 6455 section 5.2.
const RESERVED_FRAME: [u8; 2] = [0x83, 0x00];

/// How a connection breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Breakage {
    /// A text that is not UTF-8, RFC 6455 section 8.1.
    BadUtf8,
    /// A frame with a mask, which a server must not send, section 5.1.
    Masked,
    /// A frame with a reserved opcode, section 5.2.
    Reserved,
    /// The server resets the TCP connection.
    Reset,
    /// The server closes with this code, section 7.4.
    Close(u16),
}

/// The name of a breakage is unknown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{:?} is none of bad-utf8, masked, reserved, reset, close-CODE with a code that may be sent", Shown(.0))]
pub(crate) struct UnknownBreakage(String);

impl FromStr for Breakage {
    type Err = UnknownBreakage;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Ok(match name {
            "bad-utf8" => Self::BadUtf8,
            "masked" => Self::Masked,
            "reserved" => Self::Reserved,
            "reset" => Self::Reset,
            _ => {
                let code = name.strip_prefix("close-").and_then(|code| code.parse().ok());
                let code = code.filter(|code| close::may_be_sent(*code));
                Self::Close(code.ok_or_else(|| UnknownBreakage(name.to_owned()))?)
            }
        })
    }
}

/// Waits until the page sends something, breaks the connection, and waits for its end.
pub(crate) async fn break_it(breakage: Breakage, mut line: Line) {
    if line.next().await.is_none() {
        return;
    }
    match breakage {
        Breakage::BadUtf8 => {
            line.outbound.answer_frame(OpCode::Text, Bytes::from_static(&[b'c', b'a', b'f', 0xC3, b'!']))
        }
        Breakage::Masked => line.outbound.answer(|out| out.extend_from_slice(&masked(b"masked"))),
        Breakage::Reserved => line.outbound.answer(|out| out.extend_from_slice(&RESERVED_FRAME)),
        Breakage::Reset => {
            line.connection.end_by_reset();
            return line.outbound.fail();
        }
        Breakage::Close(code) => {
            return line.outbound.end_with(&close_frame::encode_parts(Some(code), "as you asked"));
        }
    }
    // The server closes the connection if the page does not.
    let leave = async { while line.next().await.is_some() {} };
    let _ = rt::time::timeout(AFTERWARDS, leave).await;
}

/// A masked text frame, as a client would send it.
fn masked(text: &[u8]) -> Bytes {
    const MASK: [u8; 4] = [1, 2, 3, 4];
    let mut out = BytesMut::new();
    frame::write(&mut out, OpCode::Text, text);
    out[1] |= 0x80;
    let mut payload = out.split_off(2);
    frame::unmask(&mut payload, MASK, 0);
    out.put_slice(&MASK);
    out.unsplit(payload);
    out.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn breakages_have_names() {
        assert_eq!("reset".parse(), Ok(Breakage::Reset));
        assert_eq!("close-4001".parse(), Ok(Breakage::Close(4001)));
        for bad in ["", "close-", "close-1006", "close-99999", "Reset"] {
            assert!(bad.parse::<Breakage>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_masked_frame_is_one() {
        assert_eq!(masked(b"ab").as_ref(), [0x81, 0x82, 1, 2, 3, 4, b'a' ^ 1, b'b' ^ 2]);
    }
}
