//! What sessions, and the server around them, ask of the chat server.
//!
//! A request that is answered bears a `ticket`, the session's own number for it; the answer is a
//! [`Reply`](super::Reply) with that ticket. Whatever a session may send often bears its [`Accepted`] share, so that
//! what has not been dealt with is bounded.

use std::{net::IpAddr, sync::Arc};

use actix::{Addr, Message};
use bytes::Bytes;
use bytestring::ByteString;

use super::{Refusal, Seat};
use crate::{
    chat::{FanOut, budget::Accepted, log::Since, presence::Face},
    domain::{Nickname, NicknameKey, RoomName, SessionId, Token, WorkerId},
    journal::{Damage, EpochId, JournalError, Kind},
};

/// A session begins. One that names a room is in it as a guest, without a nickname, and hears from here on what is said
/// there, and nothing from before. Every session joins, so that the server can reach it.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Join {
    /// Who.
    pub session: SessionId,
    /// Where; the room is made if it is not there. Over the bound on rooms the session is dismissed.
    pub room: Option<RoomName>,
    /// The worker whose thread the session lives on.
    pub worker: WorkerId,
    /// Where its deliveries go.
    pub seat: Seat,
    /// Its client's address, if that is known.
    pub address: Option<IpAddr>,
}

/// A session has ended. Harmless if it never began.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Leave {
    /// Who.
    pub session: SessionId,
    /// Whether the name of its user is held, if this was the user's last session.
    pub holds_name: bool,
}

/// A guest says something to the others in its room.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Publish {
    /// Who speaks; its own lines do not come back to it.
    pub session: SessionId,
    /// What.
    pub payload: Payload,
    /// The session's share of its intake.
    pub accepted: Accepted,
}

/// What a guest publishes.
#[derive(Clone, Debug)]
pub enum Payload {
    /// A text.
    Text(ByteString),
    /// Bytes.
    Binary(Bytes),
}

/// A session becomes a user of a room: it speaks there from here on, and leaves the room where it was. It hears what is
/// said once it has read up and [`Listen`]s. Answered by `Entered`, or refused, and then nothing has changed.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Enter {
    /// Who.
    pub session: SessionId,
    /// The session's number for the request.
    pub ticket: u64,
    /// Where.
    pub room: RoomName,
    /// As whom; without it as the user that the session is by then.
    pub face: Option<Face>,
    /// What proves it, if the user was here before. Without it the token of the user that the session is by then.
    pub token: Option<Token>,
    /// Whether its client has shown the token, in this login or in an earlier one of the session.
    pub has_shown_token: bool,
    /// The user's token otherwise.
    pub spare: Token,
    /// Where it left off, if it says so.
    pub since: Option<Since>,
    /// Whether it wants every change of who is there, or lists; nothing if that is to be as it was.
    pub wants_changes: Option<bool>,
    /// The session's share of its intake.
    pub accepted: Accepted,
}

/// A session has read the journal of its room up to an offset and wants to hear what comes. Answered by a
/// [`Tail`](super::Tail).
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Listen {
    /// Who.
    pub session: SessionId,
    /// The ticket by which it entered; if it has gone elsewhere since, nothing happens.
    pub visit: u64,
    /// The offset it has read up to.
    pub after: u64,
}

/// A user says something to everybody in the room, itself included. Answered by `Posted` when it is durable.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Post {
    /// Who.
    pub session: SessionId,
    /// The session's number for the request.
    pub ticket: u64,
    /// Whether it is a text or a picture.
    pub kind: Kind,
    /// What.
    pub body: ByteString,
    /// The client's own name for it. The same again from the same user is the same message.
    pub id: Option<ByteString>,
    /// The session's share of its intake.
    pub accepted: Accepted,
}

/// A user says something to one other. Answered by `Whispered`.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Whisper {
    /// Who.
    pub session: SessionId,
    /// The session's number for the request.
    pub ticket: u64,
    /// To whom.
    pub to: Nickname,
    /// Whether it is a text or a picture.
    pub kind: Kind,
    /// What.
    pub body: ByteString,
    /// The client's own name for it.
    pub id: Option<ByteString>,
    /// The session's share of its intake.
    pub accepted: Accepted,
}

/// A user asks who is in the room. Answered by `Users`.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct ListUsers {
    /// Who.
    pub session: SessionId,
    /// The session's number for the request.
    pub ticket: u64,
    /// Users behind this name in the order of names; the first ones if there is none.
    pub after: Option<NicknameKey>,
    /// How many at most.
    pub limit: usize,
    /// The session's share of its intake.
    pub accepted: Accepted,
}

/// A user begins or stops to write. Those who are busy do not hear of it.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct ShowTyping {
    /// Who; nothing happens if it is nobody.
    pub session: SessionId,
    /// Whether it writes.
    pub typing: bool,
    /// The session's share of its intake.
    pub accepted: Accepted,
}

/// A session is nobody any more, but goes on. Answered by `Departed`.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Depart {
    /// Who.
    pub session: SessionId,
    /// The session's number for the request.
    pub ticket: u64,
}

// ----- from the server around -----

/// A worker's fan-out reports for duty, before any session of that worker joins.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct AddWorker {
    /// The worker.
    pub worker: WorkerId,
    /// Its fan-out.
    pub fanout: Addr<FanOut>,
}

/// Asks, before a session is opened, whether it may enter a room: the room is there, or it may be made.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), Refusal>")]
pub struct MayEnter {
    /// Which room.
    pub room: RoomName,
    /// The client's address, if that is known.
    pub address: Option<IpAddr>,
}

/// Lets all messages of a room go. Its members stay, and go on at the next offset. Answered when nothing of it is in the
/// journal any more.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), JournalError>")]
pub struct ForgetRoom {
    /// Which room.
    pub room: RoomName,
}

/// Dismisses every session, because the server stops.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct DismissAll;

/// Closes the journal once all that was said is durable, and answers then.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct CloseJournal;

/// Asks for the rooms that have sessions, those with most first.
#[derive(Debug, Message)]
#[rtype(result = "RoomList")]
pub struct ListRooms {
    /// Rooms to tell of in any case.
    pub asked: Vec<RoomName>,
}

/// The answer to [`ListRooms`]. It may be a second old.
#[derive(Clone, Debug, Default, PartialEq, Eq, actix::MessageResponse)]
pub struct RoomList {
    /// The largest.
    pub rooms: Arc<[ListedRoom]>,
    /// How many more there are.
    pub more: usize,
    /// The rooms that were asked for, but for those that are not listed.
    pub asked: Vec<AskedRoom>,
}

/// A room that was asked for by its name. It may have no sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskedRoom {
    /// Name and size.
    pub room: ListedRoom,
    /// Where it stands, if the server knows without asking the journal.
    pub head: Option<RoomHead>,
}

/// Where a room stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoomHead {
    /// The epoch that messages are said in now.
    pub epoch: EpochId,
    /// The offset of its newest message.
    pub offset: u64,
}

/// A room that has sessions, or is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedRoom {
    /// Its name.
    pub name: RoomName,
    /// Sessions in it, plain ones too.
    pub sessions: usize,
    /// Users who have logged in there.
    pub users: usize,
}

/// Asks how many rooms and sessions there are, and how the journal is.
#[derive(Debug, Message)]
#[rtype(result = "Summary")]
pub struct Summarize;

/// The answer to [`Summarize`].
#[derive(Clone, Debug, PartialEq, Eq, actix::MessageResponse)]
pub struct Summary {
    /// Rooms with somebody in them.
    pub rooms: usize,
    /// Rooms with members or history, which `--max-rooms` bounds.
    pub kept_rooms: usize,
    /// Sessions, in rooms or not.
    pub members: usize,
    /// What is wrong with the journal, if something is.
    pub journal_fault: Option<JournalError>,
    /// What damage of the journal was met.
    pub journal_damage: Option<Damage>,
}
