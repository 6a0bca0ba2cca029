//! Sessions: one client as an actor, on the worker thread that accepted it.
//!
//! A session takes no message from its client while its [`Intake`](crate::connection::Intake) is full, writes through the
//! [outlet](crate::connection::outlet) of its connection, sends [`Join`](crate::chat::Join) when it starts and
//! [`Leave`](crate::chat::Leave) once, and ends through one idempotent function.
//!
//! `routes` opens sessions. The chat reaches them through the `Recipient` in their seat, and fan-outs through the outlet
//! that each session leaves in [`Worker::outlets`]. A client of the chat that speaks Socket.IO is a
//! [`chat_socket`], a guest of [`socketio`](crate::socketio).

use std::{
    cell::RefCell,
    fmt,
    sync::{Arc, OnceLock},
};

use actix::Addr;

use self::lesson::Lessons;
use crate::{
    broadcast::{Dismissal, FanOut, Outlets},
    chat::{AvatarStore, ChatServer},
    config::Settings,
    connection::{Budget, admission::Admission},
    domain::{RoomName, WorkerId},
    journal::Journal,
    metrics::Metrics,
    parts::Parts,
    protocol::{
        close::{self, CloseReason},
        websocket::{
            CloseFrame, ProtocolError,
            deflate::{Deflaters, Inflater},
        },
    },
    socketio::Engine,
};

pub(crate) mod chat_socket;
pub(crate) mod conversation;
pub(crate) mod lesson;
pub(crate) mod voice;
pub(crate) mod watch;
pub(crate) mod websocket;

/// What all sessions of one worker thread share.
#[derive(Debug)]
pub struct Worker {
    /// The worker.
    pub id: WorkerId,
    /// The process's chat server.
    pub chat: Addr<ChatServer>,
    /// Delivers to this worker's sessions.
    pub fanout: Addr<FanOut>,
    /// The outlets of sessions that have just begun, for this worker's fan-out.
    pub outlets: Outlets,
    /// What was said, for those who missed it.
    pub journal: Arc<dyn Journal>,
    /// The pictures that users wear.
    pub avatars: Arc<AvatarStore>,
    /// The Socket.IO sessions of the process.
    pub engine: Arc<Engine>,
    /// The bound on what the clients of the process make it hold.
    pub budget: Arc<Budget>,
    /// The bounds on sessions of the process.
    pub admission: Arc<Admission>,
    /// The lessons under way in the process.
    pub lessons: Arc<Lessons>,
    /// The process's settings.
    pub settings: Arc<Settings>,
    /// The process's counters.
    pub metrics: Arc<Metrics>,
    /// The process's shared parts.
    pub parts: Arc<Parts>,
    /// What the owner's commands say to be known, once the server listens and if it has a data folder.
    pub owner_key: Arc<OnceLock<String>>,
    /// Inflates what this thread's sessions receive.
    pub inflater: Inflater,
    /// Compresses what this thread's sessions answer.
    pub deflaters: RefCell<Deflaters>,
}

/// The door a session came in by: what it hears and says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    /// Answers in upper case, and relays to the others in its room.
    Plain(RoomName),
    /// Answers what it was sent; nobody else hears it.
    Echo,
    /// Speaks the events of [`protocol::chat`](crate::protocol::chat), and is nobody until it logs in.
    Chat,
}

impl Door {
    /// The name of the protocol in logs and metrics.
    pub(crate) fn protocol(&self) -> &'static str {
        match self {
            Self::Plain(_) => "plain",
            Self::Echo => "echo",
            Self::Chat => "chat",
        }
    }
}

impl fmt::Display for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(room) => write!(f, "plain session in room {:?}", room.as_str()),
            Self::Echo => f.write_str("echo session"),
            Self::Chat => f.write_str("chat session"),
        }
    }
}

/// Why a session ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The peer sent a close frame.
    ClosedByPeer(Option<CloseFrame>),
    /// The connection ended without one.
    Lost,
    /// The peer broke a rule or a limit.
    Broken(ProtocolError),
    /// It sent too much for too long.
    Flood,
    /// A message that it had begun came too slowly.
    TooSlow,
    /// It was silent for too long.
    Silent,
    /// It did not log in.
    Nobody,
    /// What it was being given is gone, or cannot be read: it must come back to learn what it missed.
    Behind,
    /// The server wants no more of it, for no fault in what it sent.
    Dismissed(Dismissal),
}

impl Ending {
    /// The row of the close table sent to the peer, if it is for us to choose one.
    pub fn close_reason(&self) -> Option<CloseReason> {
        match self {
            Self::ClosedByPeer(_) | Self::Lost => None,
            Self::Broken(error) => Some(error.close_reason()),
            Self::Flood => Some(close::FLOOD),
            Self::TooSlow => Some(close::TOO_SLOW),
            Self::Silent => Some(close::AWAY),
            Self::Nobody => Some(close::NOBODY),
            Self::Behind => Some(close::BEHIND),
            Self::Dismissed(Dismissal::SlowConsumer) => Some(close::SLOW_CONSUMER),
            Self::Dismissed(Dismissal::OutOfMemory) => Some(close::OUT_OF_MEMORY),
            Self::Dismissed(Dismissal::TooManyRooms) => Some(close::TOO_MANY_ROOMS),
            Self::Dismissed(Dismissal::Restart) => Some(close::RESTART),
        }
    }

    /// Whether the client was lost, neither leaving nor sent away for what it did.
    pub fn is_loss(&self) -> bool {
        match self {
            Self::Lost | Self::Silent | Self::TooSlow | Self::Behind => true,
            Self::Dismissed(why) => !matches!(why, Dismissal::TooManyRooms),
            Self::ClosedByPeer(_) | Self::Broken(_) | Self::Flood | Self::Nobody => false,
        }
    }

    /// The code it is counted under.
    pub fn code(&self) -> u16 {
        match (self, self.close_reason()) {
            (_, Some(row)) => row.code,
            (Self::ClosedByPeer(Some(frame)), None) => frame.code,
            (Self::ClosedByPeer(None), None) => close::NO_CODE,
            _ => close::LOST,
        }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ClosedByPeer(None) => f.write_str("closed by the peer without a code"),
            Self::ClosedByPeer(Some(frame)) => {
                write!(f, "closed by the peer with {}", frame.code)?;
                if frame.reason.is_empty() { Ok(()) } else { write!(f, " ({:?})", &*frame.reason) }
            }
            Self::Lost => f.write_str("connection lost"),
            Self::Broken(error) => write!(f, "{error} ({})", self.code()),
            Self::Flood | Self::TooSlow | Self::Silent | Self::Nobody | Self::Behind | Self::Dismissed(_) => {
                write!(f, "{} ({})", self.close_reason().map_or("", |row| row.reason), self.code())
            }
        }
    }
}
