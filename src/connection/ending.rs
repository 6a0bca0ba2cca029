//! Why a session ends, at every door: one reason, which has its close code, its word in Socket.IO, and whether its client
//! was lost.

use std::fmt;

use bytes::Bytes;

use crate::protocol::{
    close::{self, CloseReason},
    websocket::{CloseFrame, ProtocolError, close as close_frame},
};

/// The reason why a session ends. The first one counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The connection ended without a close frame, or the client gave a request up.
    Lost,
    /// The client closed the session; over a WebSocket with this close frame.
    ClosedByClient(Option<CloseFrame>),
    /// The client's WebSocket frames broke the protocol or a limit.
    Broken(ProtocolError),
    /// The client broke the rules of polling.
    TransportError,
    /// The client sent a packet that cannot be decoded.
    ParseError,
    /// The client did not answer a ping in time.
    Silent,
    /// The client did not log in, or join a namespace, in time.
    NotJoined,
    /// The client exceeded its rate for too long.
    Flood,
    /// An unfinished message arrived too slowly.
    TooSlow,
    /// An unfinished message exceeded the limit for a client that is not known yet.
    TooBig,
    /// The client's backlog exceeded its bound.
    SlowConsumer,
    /// The messages that the client was reading are lost or cannot be read; it must reconnect to learn what it missed.
    Behind,
    /// The memory budget of the process is used up, and the client needed more.
    OutOfMemory,
    /// A room for the client would exceed the bound on rooms.
    TooManyRooms,
    /// The client came back on another connection, which takes the place of this one.
    Replaced,
    /// The program that embeds the server closed the session.
    ClosedByServer,
    /// The server stops, or the client must come back to a part of it that has begun again.
    Restart,
}

impl Ending {
    /// The row of the table of close codes; `None` if the client is gone, or the reason has no code of its own.
    pub(crate) fn close_reason(&self) -> Option<CloseReason> {
        Some(match self {
            Self::Broken(error) => error.close_reason(),
            Self::Silent => close::AWAY,
            Self::NotJoined => close::NOT_LOGGED_IN,
            Self::Flood => close::FLOOD,
            Self::TooSlow => close::TOO_SLOW,
            Self::TooBig => close::TOO_BIG,
            Self::SlowConsumer => close::SLOW_CONSUMER,
            Self::Behind => close::BEHIND,
            Self::OutOfMemory => close::OUT_OF_MEMORY,
            Self::TooManyRooms => close::TOO_MANY_ROOMS,
            Self::Restart => close::RESTART,
            Self::Lost
            | Self::ClosedByClient(_)
            | Self::TransportError
            | Self::ParseError
            | Self::Replaced
            | Self::ClosedByServer => return None,
        })
    }

    /// The last frame on a WebSocket: the answer to the client's close frame, or one with the code of this reason, or
    /// without a code. Empty if the connection is gone.
    pub(crate) fn close_frame(&self) -> Bytes {
        match (self, self.close_reason()) {
            (Self::Lost, _) => Bytes::new(),
            (Self::ClosedByClient(frame), _) => close_frame::encode_reply(frame.as_ref()),
            (_, Some(row)) => close_frame::encode(row),
            (_, None) => close_frame::encode_reply(None),
        }
    }

    /// The close code in logs and metrics.
    pub(crate) fn code(&self) -> u16 {
        match (self, self.close_reason()) {
            (_, Some(row)) => row.code,
            (Self::ClosedByClient(Some(frame)), None) => frame.code,
            (Self::Lost, None) => close::LOST,
            (_, None) => close::NO_CODE,
        }
    }

    /// The disconnect reason of Socket.IO: that of the reference server, where it has one.
    pub fn socketio_reason(&self) -> &'static str {
        match self {
            Self::Lost | Self::ClosedByClient(_) | Self::Replaced => "transport close",
            Self::Broken(_) | Self::TransportError => "transport error",
            Self::ParseError => "parse error",
            Self::Silent => "ping timeout",
            Self::NotJoined => "connect timeout",
            Self::Flood => "flood",
            Self::TooSlow => "message too slow",
            Self::TooBig => "message too big",
            Self::SlowConsumer => "slow consumer",
            Self::Behind => "what follows is missing",
            Self::OutOfMemory => "out of memory",
            Self::TooManyRooms | Self::ClosedByServer => "forced close",
            Self::Restart => "server shutting down",
        }
    }

    /// Whether the backlog itself ends the session. The backlog is then dropped, not sent.
    pub(crate) fn is_for_backlog(&self) -> bool {
        matches!(self, Self::SlowConsumer | Self::OutOfMemory)
    }

    /// Whether the client ended the session, and so needs no notice.
    pub(crate) fn is_by_client(&self) -> bool {
        matches!(self, Self::Lost | Self::ClosedByClient(_) | Self::Replaced)
    }

    /// Whether the client may recover its sockets after this end.
    pub fn is_recoverable(&self) -> bool {
        !matches!(self, Self::ParseError | Self::Flood | Self::TooBig)
    }

    /// Whether the client was lost: it did not leave, and was not disconnected for its behavior. A lost client keeps its
    /// nickname for a while.
    pub fn is_loss(&self) -> bool {
        match self {
            Self::Lost
            | Self::Replaced
            | Self::Silent
            | Self::TooSlow
            | Self::SlowConsumer
            | Self::Behind
            | Self::OutOfMemory
            | Self::Restart => true,
            Self::ClosedByClient(_)
            | Self::Broken(_)
            | Self::TransportError
            | Self::ParseError
            | Self::NotJoined
            | Self::Flood
            | Self::TooBig
            | Self::TooManyRooms
            | Self::ClosedByServer => false,
        }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost => f.write_str("connection lost"),
            Self::ClosedByClient(None) => f.write_str("closed by the peer without a code"),
            Self::ClosedByClient(Some(frame)) => {
                write!(f, "closed by the peer with {}", frame.code)?;
                if frame.reason.is_empty() { Ok(()) } else { write!(f, " ({:?})", &*frame.reason) }
            }
            Self::Broken(error) => write!(f, "{error} ({})", self.code()),
            ending => match ending.close_reason() {
                Some(row) => write!(f, "{} ({})", row.reason, row.code),
                None => f.write_str(ending.socketio_reason()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENDINGS: [Ending; 18] = [
        Ending::Lost,
        Ending::ClosedByClient(None),
        Ending::Broken(ProtocolError::ReservedBit),
        Ending::Broken(ProtocolError::LongControl),
        Ending::TransportError,
        Ending::ParseError,
        Ending::Silent,
        Ending::NotJoined,
        Ending::Flood,
        Ending::TooSlow,
        Ending::TooBig,
        Ending::SlowConsumer,
        Ending::Behind,
        Ending::OutOfMemory,
        Ending::TooManyRooms,
        Ending::Replaced,
        Ending::ClosedByServer,
        Ending::Restart,
    ];

    #[test]
    fn every_ending_but_a_lost_connection_has_a_close_frame_with_its_code() {
        for ending in ENDINGS {
            let frame = ending.close_frame();
            match (&ending, ending.close_reason()) {
                (Ending::Lost, _) => assert!(frame.is_empty()),
                (_, Some(row)) => {
                    assert_eq!(frame[2..4], row.code.to_be_bytes(), "{ending:?}");
                    assert_eq!((&frame[4..], ending.code()), (row.reason.as_bytes(), row.code), "{ending:?}");
                }
                (_, None) => assert_eq!((&frame[..], ending.code()), (&b"\x88\x00"[..], close::NO_CODE)),
            }
        }
        let closed = CloseFrame { code: 4001, reason: "bye".into() };
        let ending = Ending::ClosedByClient(Some(closed));
        assert_eq!((&ending.close_frame()[2..4], ending.code()), (&4001_u16.to_be_bytes()[..], 4001));
    }

    #[test]
    fn a_client_that_misbehaved_is_not_lost_and_one_that_may_not_come_back_has_no_loss() {
        for ending in ENDINGS {
            assert!(ending.is_recoverable() || !ending.is_loss(), "{ending:?}");
            assert!(!ending.to_string().is_empty() && !ending.socketio_reason().is_empty());
        }
    }
}
