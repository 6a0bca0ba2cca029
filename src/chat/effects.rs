//! What goes into the [core](super::core) of the chat, and what comes out of it.

use std::time::Instant;

use super::{
    calls::{Answer, Call, CallId},
    commits::{Commit, Receipt},
    common::ShardId,
    handing::Decided,
    messages::Request,
    transfer::ToShard,
};
use crate::{
    broadcast::{ForFanOut, RoomId, Seat},
    connection::Ending,
    domain::{RoomName, WorkerId},
    journal::{Append, JournalError, ReservedName, RoomState},
    nodes::contract::{Heard, Order},
};

/// The time, as the chat is told it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// For what is due later.
    pub at: Instant,
    /// The wall clock in milliseconds since 1970, for what is kept.
    pub millis: u64,
}

/// What the chat handles, one at a time.
#[derive(Debug)]
pub enum Input {
    /// A request of a session.
    Request(Request),
    /// An answer of the journal.
    Done(Done),
    /// Whether a private message has reached its reader.
    Decided(Decided),
    /// A message of another shard.
    FromShard(ToShard),
    /// The time that was asked for has come.
    Wake,
    /// All that was sent in this turn has been handled.
    TurnEnded,
    /// The server stops: sessions that register from now on are turned away.
    Stop,
    /// A call of the server, to be answered by [`Effect::Answer`].
    Call(CallId, Call),
    /// What the link to other nodes tells.
    Heard(Heard),
}

impl Input {
    /// Whether what has been said is to be made durable without delay. Who comes may ask for it, and who leaves may
    /// have been the last in a room, which stays in memory until then; in a room that is opened, what both have said
    /// has waited.
    pub(super) fn hurries(&self) -> bool {
        let request = match self {
            Self::Request(request) => request,
            // Shards send each other the sessions that move.
            Self::FromShard(_) | Self::Done(Done::Opened(..)) => return true,
            Self::Done(_)
            | Self::Decided(_)
            | Self::Wake
            | Self::TurnEnded
            | Self::Stop
            | Self::Call(..)
            | Self::Heard(_) => {
                return false;
            }
        };
        match request {
            Request::Register(_) | Request::Unregister(_) | Request::Login(_) | Request::Logout(_) => true,
            Request::Publish(_)
            | Request::CaughtUp(_)
            | Request::Post(_)
            | Request::SendPrivate(_)
            | Request::ListUsers(_)
            | Request::UntilKept(_)
            | Request::ShowTyping(_) => false,
        }
    }

    /// Whether nothing follows in the same turn, so that all broadcasts are to be sent.
    pub(super) fn ends_turn(&self) -> bool {
        match self {
            Self::Request(_) | Self::FromShard(_) | Self::Decided(_) => false,
            Self::Done(_) | Self::Wake | Self::TurnEnded | Self::Stop | Self::Call(..) | Self::Heard(_) => {
                true
            }
        }
    }
}

/// What the chat wants done.
#[derive(Debug)]
pub enum Effect {
    /// Goes to the fan-out of a worker.
    Send(WorkerId, ForFanOut),
    /// A session is not registered, and must end.
    TurnAway(Seat, Ending),
    /// Goes to another shard, behind what has been sent to the fan-outs.
    Forward(ShardId, ToShard),
    /// Goes to the journal, which answers with [`Done`].
    Ask(Job),
    /// The answer to a call.
    Answer(CallId, Answer),
    /// Goes to the link to other nodes, which tells what is [`Heard`].
    Order(Order),
}

/// What is to be kept of what the chat has said.
#[derive(Debug)]
pub(crate) enum ToKeep {
    /// The record of a broadcast that has ended.
    Record(Commit),
    /// One more ack for a message that is on its way to the journal.
    Ack(RoomId, Receipt),
}

/// What the journal is asked.
#[derive(Debug)]
pub enum Job {
    /// Which rooms have history.
    Rooms {
        /// Nothing else is handled before that is known: at the start and at a restart.
        is_awaited: bool,
    },
    /// Where a room stands.
    Open(RoomId, RoomName),
    /// To make records durable.
    Append(Vec<Append>),
    /// Whether the store is as it was left.
    Check,
    /// To remove what is too old.
    Sweep,
    /// To forget a room: for a call, to make place for another room, or because its history is not to be kept.
    Forget(RoomName, Option<CallId>),
    /// To reserve names, or to free them.
    Reserve(RoomName, Vec<ReservedName>),
    /// To close.
    Close,
}

/// What the journal has answered.
#[derive(Debug)]
pub enum Done {
    /// The rooms with history, each with the time of its last message in milliseconds since 1970.
    Rooms(Result<Vec<(RoomName, u64)>, JournalError>),
    /// Where a room stands.
    Opened(RoomId, Result<RoomState, JournalError>),
    /// The last batch is durable, or is to be tried again.
    Appended(Result<(), JournalError>),
    /// Whether the store is as it was left.
    Checked(Result<(), JournalError>),
    /// When that was asked, in milliseconds since 1970, and the rooms of which nothing is left.
    Swept(u64, Result<Vec<RoomName>, JournalError>),
    /// A room is forgotten, for that call.
    Forgot(RoomName, Option<CallId>, Result<(), JournalError>),
    /// Names are reserved or free.
    Reserved(Result<(), JournalError>),
    /// The journal is closed.
    Closed(Result<(), JournalError>),
}
