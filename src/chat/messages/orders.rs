//! What the chat server tells the fan-outs. Each fan-out has one mailbox, so it keeps the order of the room.

use std::sync::Arc;

use actix::Message;

use super::{News, Seat};
use crate::{
    chat::{
        rooms::RoomId,
        round::{Encoding, Round},
    },
    domain::SessionId,
};

/// Registers a session with the fan-out of its worker.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Attach {
    /// The session to register.
    pub session: SessionId,
    /// How the fan-out reaches the session.
    pub seat: Seat,
}

/// Subscribes a session to a room: it gets the broadcasts that follow.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Hear {
    /// The new subscriber.
    pub session: SessionId,
    /// The room to subscribe to.
    pub room: RoomId,
    /// The encoding of the session's frames.
    pub encoding: Encoding,
}

/// Unsubscribes a session from a room.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Ignore {
    /// The former subscriber.
    pub session: SessionId,
    /// The room to unsubscribe from.
    pub room: RoomId,
}

/// Unregisters a session and ends its subscriptions.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Detach {
    /// The session to unregister.
    pub session: SessionId,
}

/// One finished broadcast.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct FanOutRound {
    /// The room whose subscribers get it.
    pub room: RoomId,
    /// The broadcast, shared by all workers.
    pub round: Arc<Round>,
}

/// Answers for sessions of this worker. They do not count as backlog, because the session asked for them.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Tell(pub Vec<(SessionId, News)>);
