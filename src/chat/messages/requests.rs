//! Requests to the chat server from sessions and from the rest of the server.
//!
//! A request that is answered has a `ticket`, the session's own number for it; the answer is a
//! [`Reply`](super::Reply) with that ticket. A request that clients may send often holds its [`Accepted`]
//! share, so that requests that are not dealt with are bounded.

use std::{net::IpAddr, sync::Arc};

use actix::Message;
use bytes::Bytes;
use bytestring::ByteString;

use super::Rejected;
use crate::{
    broadcast::Seat,
    chat::position::Position,
    connection::Accepted,
    domain::{MemberId, Nickname, NicknameKey, Profile, RoomName, Token, WorkerId},
    journal::{Damage, JournalError, Kind},
};

/// Registers a session, so that the server can reach it. If it names a room, it is a guest there, without a
/// nickname, and gets what is said from here on, and nothing from before.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Register {
    /// The session to register.
    pub member: MemberId,
    /// The room to enter, made if it does not exist. Over the bound on rooms the session is dismissed.
    pub room: Option<RoomName>,
    /// The worker on whose thread the session lives.
    pub worker: WorkerId,
    /// How its worker's fan-out reaches it.
    pub seat: Seat,
    /// The address of its client, if known.
    pub address: Option<IpAddr>,
}

/// A session has ended. Idempotent.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Unregister {
    /// The session to unregister.
    pub member: MemberId,
    /// Whether the nickname of its user is held, if this was the user's last session.
    pub holds_name: bool,
}

/// A guest sends a message to its room.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Publish {
    /// The sender; it does not get its own line.
    pub member: MemberId,
    /// The text or the bytes to send.
    pub payload: Payload,
    /// Charged to the session's intake until the broadcast is delivered, and durable if it is kept.
    pub accepted: Accepted,
}

/// The content of a guest's message.
#[derive(Clone, Debug)]
pub enum Payload {
    /// A text; the journal keeps it if the room has history.
    Text(ByteString),
    /// Bytes; never kept.
    Binary(Bytes),
}

/// Logs a session in to a room: from here on it speaks there, and has left its former room. It gets
/// broadcasts once it has caught up and sends [`CaughtUp`]. Answered by `LoggedIn`, or rejected, and then
/// nothing has changed.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Login {
    /// The session that logs in.
    pub member: MemberId,
    /// The session's number for the login; it names the visit in [`CaughtUp`].
    pub ticket: u64,
    /// The room to enter, made if it does not exist.
    pub room: RoomName,
    /// The profile of the user. `None` stands for the user that the session is when the login is done.
    pub profile: Option<Profile>,
    /// The token of the user, if known. `None` stands for the token of the user that the session is then.
    pub token: Option<Token>,
    /// Whether its client has shown the token, in this login or in an earlier one of the session.
    pub has_shown_token: bool,
    /// The token of a new user that shows none, or one that another user of the room has.
    pub spare: Token,
    /// Where the client left off, if it says so.
    pub position: Option<Position>,
    /// True for every change of the users, false for lists; `None` leaves it as it was.
    pub wants_changes: Option<bool>,
    /// Charged to the session's intake until the login is done.
    pub _accepted: Accepted,
}

/// Asks to subscribe a session that has read the journal of its room up to an offset. Answered by a
/// [`Tail`](super::Tail).
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct CaughtUp {
    /// The session that has caught up.
    pub member: MemberId,
    /// The ticket of its login; ignored if the session has logged in elsewhere since.
    pub visit: u64,
    /// The offset that it has read up to.
    pub after: u64,
}

/// A user sends a message to the room, itself included. Answered by `Posted` when the message is durable.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Post {
    /// The session of the sender.
    pub member: MemberId,
    /// The session's number for the message.
    pub ticket: u64,
    /// Whether it is a text or a picture.
    pub kind: Kind,
    /// The text, or the picture as a data URL.
    pub body: ByteString,
    /// The client's id of the message: an equal id from one user means a repeated message.
    pub id: Option<ByteString>,
    /// Charged to the session's intake until the broadcast is delivered and durable.
    pub accepted: Accepted,
}

/// A user sends a private message to another user. Answered by `PrivateSent`.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct SendPrivate {
    /// The session of the sender.
    pub member: MemberId,
    /// The session's number for the message.
    pub ticket: u64,
    /// The nickname of the reader.
    pub to: Nickname,
    /// Whether it is a text or a picture.
    pub kind: Kind,
    /// The text, or the picture as a data URL.
    pub body: ByteString,
    /// The client's id of the message.
    pub id: Option<ByteString>,
    /// Charged to the session's intake until the message is delivered.
    pub accepted: Accepted,
}

/// A user asks for the users of its room. Answered by `Users`.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct ListUsers {
    /// The session that asks.
    pub member: MemberId,
    /// The session's number for the request.
    pub ticket: u64,
    /// Users behind this name in the order of names; `None` for the first ones.
    pub after: Option<NicknameKey>,
    /// Most users in the answer.
    pub limit: usize,
    /// Charged to the session's intake until the request is answered.
    pub _accepted: Accepted,
}

/// A user waits until all that its room has heard so far is durable. Answered by `Posted`, with the place of the last
/// such message, or by `Rejected` if the journal cannot take it now.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct UntilKept {
    /// The session that asks.
    pub member: MemberId,
    /// The session's number for the request.
    pub ticket: u64,
}

/// A user begins or stops to write. Volatile: left out for subscribers that are not writable.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct ShowTyping {
    /// The session of the user; ignored if it is not logged in.
    pub member: MemberId,
    /// True if the user begins to write.
    pub typing: bool,
    /// Charged to the session's intake until the request is dealt with.
    pub _accepted: Accepted,
}

/// Logs a session out; the session goes on. Answered by `LoggedOut`.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Logout {
    /// The session to log out.
    pub member: MemberId,
    /// The session's number for the request.
    pub ticket: u64,
}

// ----- from the rest of the server -----

/// Asks, before a session is opened, whether it may enter a room: the room exists, or may be made.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), Rejected>")]
pub(crate) struct MayEnter {
    /// The name of the room.
    pub room: RoomName,
    /// The client's address, if known.
    pub address: Option<IpAddr>,
}

/// The server stops: sends all that has been said to the fan-outs, and turns sessions away that register from
/// then on.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Stop;

/// Asks for the rooms that have sessions, those with most first.
#[derive(Debug, Message)]
#[rtype(result = "RoomList")]
pub(crate) struct ListRooms {
    /// Rooms to tell of even if they are not among the largest.
    pub asked: Vec<RoomName>,
}

/// Asks how many sessions are in each room that may be listed and has some.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Vec<(RoomName, u64)>")]
pub(crate) struct SizeUp;

/// The answer to [`ListRooms`]. It may be a second old.
#[derive(Clone, Debug, Default, PartialEq, Eq, actix::MessageResponse)]
pub(crate) struct RoomList {
    /// The largest rooms, largest first.
    pub rooms: Arc<[ListedRoom]>,
    /// How many more rooms have sessions.
    pub more: usize,
    /// The rooms that were asked for, without those that must not be listed.
    pub asked: Vec<AskedRoom>,
}

/// A room that was asked for by its name. It may have no sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AskedRoom {
    /// Name and size of the room.
    pub room: ListedRoom,
    /// The position of its newest message, if that is known without asking the journal.
    pub position: Option<Position>,
}

/// A room in a list, or one that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ListedRoom {
    /// The name of the room.
    pub name: RoomName,
    /// Sessions in it, guests included.
    pub sessions: usize,
    /// Users who are logged in there.
    pub users: usize,
}

/// Asks for the number of rooms and sessions, and for the state of the journal.
#[derive(Debug, Message)]
#[rtype(result = "Summary")]
pub(crate) struct Summarize;

/// The answer to [`Summarize`].
#[derive(Clone, Debug, PartialEq, Eq, actix::MessageResponse)]
pub(crate) struct Summary {
    /// Rooms with members.
    pub rooms: usize,
    /// Rooms with members or history; bounded by `--max-rooms`.
    pub kept_rooms: usize,
    /// Sessions, in rooms or not.
    pub members: usize,
    /// The known fault of the journal.
    pub journal_fault: Option<JournalError>,
    /// The damage that the journal has met.
    pub journal_damage: Option<Damage>,
}

/// Most rooms in a list.
pub(crate) const MOST_LISTED: usize = 50;

impl RoomList {
    /// One list of the lists of all shards; the rooms that were asked for come in the order of `asked`.
    pub(crate) fn joined(lists: Vec<Self>, asked: &[RoomName]) -> Self {
        let mut more = lists.iter().map(|list| list.more).sum();
        let mut rooms: Vec<_> = lists.iter().flat_map(|list| list.rooms.iter().cloned()).collect();
        rooms.sort_unstable_by(|a, b| b.sessions.cmp(&a.sessions).then_with(|| a.name.cmp(&b.name)));
        more += rooms.len().saturating_sub(MOST_LISTED);
        rooms.truncate(MOST_LISTED);
        let mut answers: Vec<_> = lists.into_iter().flat_map(|list| list.asked).collect();
        answers.sort_by_key(|answer| asked.iter().position(|room| *room == answer.room.name));
        Self { rooms: rooms.into(), more, asked: answers }
    }
}

impl Summary {
    /// One summary of the summaries of all shards.
    pub(crate) fn joined(parts: Vec<Self>) -> Self {
        let sum = |number: fn(&Self) -> usize| parts.iter().map(number).sum();
        Self {
            rooms: sum(|part| part.rooms),
            kept_rooms: sum(|part| part.kept_rooms),
            members: sum(|part| part.members),
            journal_fault: parts.iter().find_map(|part| part.journal_fault.clone()),
            journal_damage: parts.iter().find_map(|part| part.journal_damage.clone()),
        }
    }
}
