//! Sessions: one actor per client, on the worker thread that accepted the connection.
//!
//! A session of the plain, chat or echo door reads nothing from its client while its
//! [`Intake`](crate::connection::Intake) is full, writes through the [outgoing queue](crate::connection::outbound) of
//! its connection, sends [`Register`](crate::chat::Register) when it starts and
//! [`Unregister`](crate::chat::Unregister) once, and ends through one idempotent function.
//!
//! `routes` starts sessions. The chat server reaches them through the `Recipient` in their seat, fan-outs
//! through the outlet that each session stores in [`Worker::outlets`]. A chat client over Socket.IO is a
//! [`chat_socket`] on a session of [`socketio`](crate::socketio).

use std::{
    cell::RefCell,
    fmt,
    sync::{Arc, OnceLock},
};

use self::lesson::Lessons;
use crate::{
    broadcast::{FanOut, Outlets},
    chat::{AvatarStore, Shards},
    config::Settings,
    connection::{Budget, admission::Admission},
    domain::{RoomName, WorkerId},
    journal::Records,
    metrics::Metrics,
    nodes::redis::link_thread::RedisLink,
    parts::{Mailbox, Parts},
    protocol::websocket::deflate::{Deflaters, Inflater},
    socketio::Server,
};

pub(crate) mod chat_socket;
pub(crate) mod conversation;
pub(crate) mod lesson;
mod of_settings;
pub(crate) mod relay;
pub(crate) mod voice;
pub(crate) mod watch;
pub(crate) mod websocket;

/// The state that all sessions of one worker thread share.
#[derive(Debug)]
pub struct Worker {
    /// The worker's id.
    pub id: WorkerId,
    /// The chat of the process.
    pub(crate) chat: Shards,
    /// The fan-out that delivers to this worker's sessions.
    pub fanout: Mailbox<FanOut>,
    /// The outlets of new sessions, which this worker's fan-out picks up.
    pub outlets: Outlets,
    /// The link to other nodes, if the rooms are shared with those.
    pub(crate) link: Option<RedisLink>,
    /// The history that sessions read.
    pub records: Arc<dyn Records>,
    /// The journal, for tests that put records into it.
    #[cfg(test)]
    pub journal: Arc<dyn crate::journal::Journal>,
    /// The pictures of users.
    pub avatars: Arc<AvatarStore>,
    /// The Socket.IO sessions of the process.
    pub io: Server,
    /// The memory budget of all clients of the process.
    pub budget: Arc<Budget>,
    /// The limits on sessions and handshakes of the process.
    pub admission: Arc<Admission>,
    /// The running lessons of the process.
    pub lessons: Arc<Lessons>,
    /// The process's settings.
    pub settings: Arc<Settings>,
    /// The metrics of the process.
    pub metrics: Arc<Metrics>,
    /// Actors and threads that all clients share.
    pub parts: Arc<Parts>,
    /// The secret that the owner's commands must send. Set when the server listens, if it has a data folder.
    pub owner_key: Arc<OnceLock<String>>,
    /// Decompresses the messages that this thread's sessions receive.
    pub inflater: Inflater,
    /// Compressors for the messages that this thread's sessions send on their own.
    pub deflaters: RefCell<Deflaters>,
}

/// The door of a session: it decides which protocol the session has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    /// Replies in upper case, and publishes to the room.
    Plain(RoomName),
    /// Replies with the message that it received; no other session gets it.
    Echo,
    /// Events of [`protocol::chat`](crate::protocol::chat). The session has no user until it logs in.
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
