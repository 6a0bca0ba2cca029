//! A Socket.IO server on Engine.IO 4. It does not depend on the chat, which is one of its namespaces.
//!
//! One [`SocketIoSession`] actor serves one client over any transport: HTTP long-polling, a WebSocket, or
//! first polling and then a WebSocket. HTTP requests look up the session by its id in the [`Engine`]. The
//! session passes messages to a [`Carried`], which interprets them: in production a client of [`namespaces`].
//! The actor in [`rooms`] keeps the rooms of all namespaces.

use std::{any::Any, fmt, time::Duration};

use bytes::Bytes;
use bytestring::ByteString;

use self::handle::SessionHandle;
use crate::{
    domain::SessionId,
    protocol::close::{self, CloseReason},
};

pub use self::{
    engine::{Engine, EngineSettings, Entry, Sid, Visitor},
    session::SocketIoSession,
};
pub use crate::{
    connection::outbound::PollAnswer,
    protocol::socketio::{Args, Limits},
};

pub mod accept;
mod carrier;
pub mod engine;
pub mod gate;
pub mod handle;
mod link;
pub mod namespaces;
pub mod relay;
pub mod rooms;
pub mod session;

/// Interprets the messages of one session. Each session has its own value, on the session's thread.
pub trait Carried {
    /// Called once, when the session starts.
    fn opened(&mut self, _: &SessionHandle) {}

    /// The client sent a text message.
    fn text(&mut self, text: ByteString, handle: &SessionHandle);

    /// The client sent a binary message.
    fn binary(&mut self, bytes: Bytes, handle: &SessionHandle);

    /// News from outside for a socket of the session, or the result of a task that the socket spawned.
    fn notified(&mut self, _socket: SessionId, _: Box<dyn Any>, _: &SessionHandle) {}

    /// Whether the client has joined something. A client that has not joined before the connect timeout is
    /// disconnected.
    fn is_joined(&self) -> bool {
        true
    }

    /// Whether the client may send messages of up to `max_payload` bytes. The limit before that is
    /// `max_unknown`.
    fn is_known(&self) -> bool {
        self.is_joined()
    }

    /// Bytes of a message that the client has begun and not finished.
    fn unfinished(&self) -> usize {
        0
    }

    /// Whether an unfinished message is older than `patience`. Called before each ping.
    fn is_stuck(&self, _patience: Duration) -> bool {
        false
    }

    /// The session has ended. Called once.
    fn closed(&mut self, why: EndReason);
}

/// Why a session ends. `Display` gives the disconnect reason: that of the Socket.IO reference server, where
/// it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// The client's connection ended.
    TransportClose,
    /// The client closed the session.
    ClientClose,
    /// The client broke the protocol of its transport (WebSocket or polling).
    TransportError,
    /// The client did not answer a ping in time.
    PingTimeout,
    /// The client sent data that cannot be decoded.
    ParseError,
    /// The server closed the session.
    ForcedClose,
    /// The client did not join a namespace before the connect timeout.
    NotJoined,
    /// The client's backlog exceeded its limit.
    SlowConsumer,
    /// The messages that the client was reading are lost or cannot be read; it must reconnect to learn what
    /// it missed.
    Behind,
    /// The memory budget of the process is used up, and the client needed more.
    OutOfMemory,
    /// The client exceeded its rate for too long.
    Flood,
    /// A message that the client had begun arrived too slowly.
    TooSlow,
    /// An unfinished message exceeded the limit for a client that is not known yet.
    TooBig,
    /// The server stops.
    ServerShuttingDown,
}

impl EndReason {
    /// The close reason for a WebSocket's close frame, as at the other doors. `None` for reasons that only
    /// Socket.IO has: then the close frame has no code, as with the reference server.
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

    /// Whether the backlog itself ends the session. The backlog is then dropped, not sent.
    pub(crate) fn is_for_what_waits(self) -> bool {
        matches!(self, Self::SlowConsumer | Self::OutOfMemory)
    }

    /// Whether the client ended the session, and so needs no notice.
    pub(crate) fn is_by_client(self) -> bool {
        matches!(self, Self::TransportClose | Self::ClientClose)
    }

    /// Whether the client may recover its sockets after this end.
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

    /// Whether the client was lost: it did not leave, and was not disconnected for its behavior.
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
            Self::ServerShuttingDown => "server shutting handle",
        })
    }
}
