//! A Socket.IO server on Engine.IO 4. It knows nothing of the chat, which is a guest in one of its namespaces.
//!
//! One [`SocketIoSession`] actor is one client, whichever transport carries it: HTTP long-polling, a WebSocket, or first
//! the one and then the other. Requests find it by its id in the [`Engine`]. What its packets mean is up to what it
//! [carries](Carried): the clients of [`namespaces`], but in tests. The rooms of all namespaces are the [`hub`]'s.

use std::{any::Any, fmt, time::Duration};

use bytes::Bytes;
use bytestring::ByteString;

use self::downlink::Downlink;
use crate::{
    domain::SessionId,
    protocol::close::{self, CloseReason},
};

pub use self::{
    engine::{Engine, EngineSettings, Entry, PollAnswer, Sid, Visitor},
    session::SocketIoSession,
};
pub use crate::protocol::socketio::{Args, Limits};

pub mod carrier;
pub mod downlink;
pub mod engine;
pub mod gate;
pub mod hub;
pub mod namespaces;
mod outlet;
pub mod relay;
pub mod session;

/// What a session carries. One for each session, on the session's thread.
pub trait Carried {
    /// The session has begun.
    fn opened(&mut self, _: &Downlink) {}

    /// The client sent a text.
    fn text(&mut self, text: ByteString, down: &Downlink);

    /// The client sent bytes.
    fn binary(&mut self, bytes: Bytes, down: &Downlink);

    /// News for one of the sockets that are carried.
    fn notified(&mut self, _socket: SessionId, _: Box<dyn Any>, _: &Downlink) {}

    /// Whether the client has joined; one that has not by the connect timeout is sent away.
    fn is_joined(&self) -> bool {
        true
    }

    /// Whether the client may send messages of any size. One that has only just come may not.
    fn is_known(&self) -> bool {
        self.is_joined()
    }

    /// Bytes of what the client has begun and not finished.
    fn unfinished(&self) -> usize {
        0
    }

    /// Whether the client has begun something and not finished it for so long. Asked with each ping.
    fn is_stuck(&self, _patience: Duration) -> bool {
        false
    }

    /// The session is over. Called once.
    fn closed(&mut self, why: EndReason);
}

/// Why a session is over, in the words of the reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// The connection of the client ended.
    TransportClose,
    /// The client closed it.
    ClientClose,
    /// The client broke the protocol of its transport.
    TransportError,
    /// The client did not answer a ping.
    PingTimeout,
    /// The client sent what cannot be read.
    ParseError,
    /// The server did.
    ForcedClose,
    /// The client joined nothing in time.
    NotJoined,
    /// Too much was waiting for it.
    SlowConsumer,
    /// What it was being given is gone, or cannot be read: it must come back to learn what it missed.
    Behind,
    /// The process holds as much as it may, and the client needed more.
    OutOfMemory,
    /// It sent too much for too long.
    Flood,
    /// Something that it had begun came too slowly.
    TooSlow,
    /// Something that it had begun was larger than a client may send that is not known yet.
    TooBig,
    /// The server stops.
    ServerShuttingDown,
}

impl EndReason {
    /// The row of the close table that a WebSocket is told, as at the other doors. `None` where the reason is one of
    /// Socket.IO's own: the close frame has no code then, as the reference's.
    pub(crate) fn close_reason(self) -> Option<CloseReason> {
        Some(match self {
            Self::SlowConsumer => close::SLOW_CONSUMER,
            Self::Behind => close::BEHIND,
            Self::ServerShuttingDown => close::RESTART,
            Self::OutOfMemory => close::OUT_OF_MEMORY,
            Self::Flood => close::FLOOD,
            Self::TooSlow => close::TOO_SLOW,
            Self::TooBig => close::TOO_BIG,
            Self::PingTimeout => close::AWAY,
            Self::NotJoined => close::NOBODY,
            Self::TransportClose
            | Self::ClientClose
            | Self::TransportError
            | Self::ParseError
            | Self::ForcedClose => return None,
        })
    }

    /// Whether the session ends because of what waits for its client, which is dropped.
    pub(crate) fn is_for_what_waits(self) -> bool {
        matches!(self, Self::SlowConsumer | Self::OutOfMemory)
    }

    /// Whether the client itself has ended the session, and knows of that.
    pub(crate) fn is_by_client(self) -> bool {
        matches!(self, Self::TransportClose | Self::ClientClose)
    }

    /// Whether a client that is lost so may come back as what it was.
    pub fn is_recoverable(self) -> bool {
        match self {
            Self::ParseError | Self::Flood | Self::TooBig => false,
            Self::TransportClose
            | Self::ClientClose
            | Self::TransportError
            | Self::PingTimeout
            | Self::ForcedClose
            | Self::NotJoined
            | Self::SlowConsumer
            | Self::Behind
            | Self::OutOfMemory
            | Self::TooSlow
            | Self::ServerShuttingDown => true,
        }
    }

    /// Whether the client was lost, neither leaving nor sent away for what it did.
    pub fn is_loss(self) -> bool {
        match self {
            Self::TransportClose
            | Self::PingTimeout
            | Self::SlowConsumer
            | Self::Behind
            | Self::OutOfMemory
            | Self::TooSlow
            | Self::ServerShuttingDown => true,
            Self::ClientClose
            | Self::TransportError
            | Self::ParseError
            | Self::ForcedClose
            | Self::NotJoined
            | Self::TooBig
            | Self::Flood => false,
        }
    }
}

impl fmt::Display for EndReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TransportClose | Self::ClientClose => "transport close",
            Self::TransportError => "transport error",
            Self::PingTimeout => "ping timeout",
            Self::ParseError => "parse error",
            Self::ForcedClose => "forced close",
            Self::NotJoined => "connect timeout",
            Self::SlowConsumer => "slow consumer",
            Self::Behind => "what follows is missing",
            Self::OutOfMemory => "out of memory",
            Self::Flood => "flood",
            Self::TooSlow => "message too slow",
            Self::TooBig => "message too big",
            Self::ServerShuttingDown => "server shutting down",
        })
    }
}
