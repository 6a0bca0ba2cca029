//! What the chat server tells the fan-outs: all through one mailbox each, so that their order is the room's order.

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

/// A session of this worker can be reached from here on.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Attach {
    /// Who.
    pub session: SessionId,
    /// Where its deliveries go.
    pub seat: Seat,
}

/// A session of this worker hears the rounds of a room from here on.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Hear {
    /// Who.
    pub session: SessionId,
    /// Which room.
    pub room: RoomId,
    /// How it wants its frames.
    pub encoding: Encoding,
}

/// A session of this worker does not hear the rounds of a room any more.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Ignore {
    /// Who.
    pub session: SessionId,
    /// Which room.
    pub room: RoomId,
}

/// A session of this worker is gone.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Detach {
    /// Who.
    pub session: SessionId,
}

/// The lines of one finished round.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct FanOutRound {
    /// Where they were said.
    pub room: RoomId,
    /// What was said, shared by all workers.
    pub round: Arc<Round>,
}

/// Answers for sessions of this worker. They do not count as what a session is behind with: it asked for them.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Tell(pub Vec<(SessionId, News)>);
