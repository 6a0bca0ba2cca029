//! What the chat server tells sessions.

use crate::{
    chat::{log::Resume, position::Place},
    domain::{Profile, RoomName, RoomNameError, Token},
    journal::{EpochId, JournalError, Record},
};

/// What the chat server tells a session.
#[derive(Debug)]
pub enum ChatNews {
    /// What became of a request.
    Reply {
        /// The number under which the session asked.
        ticket: u64,
        /// What became of it.
        reply: Reply,
    },
    /// The answer to [`CaughtUp`](super::CaughtUp).
    Tail(Tail),
    /// The session cannot be given what it missed: it must end, and its client come back.
    Lost,
}

/// What became of a request.
#[derive(Clone, Debug)]
pub enum Reply {
    /// The session is in a room; it has yet to listen.
    LoggedIn(Box<LoggedIn>),
    /// The message is durable.
    Posted(Place),
    /// The private message is dealt with.
    PrivateSent {
        /// When it was said, in milliseconds since 1970.
        at: u64,
        /// Whether a session of the reader was handed it.
        delivered: bool,
    },
    /// Users of the session's room.
    Users(Box<UsersPage>),
    /// The session is logged out, and in no room.
    LoggedOut,
    /// The request was rejected.
    Rejected(Rejected),
}

/// Where a session is now.
#[derive(Clone, Debug)]
pub struct LoggedIn {
    /// The room.
    pub name: RoomName,
    /// What others see of the session's user.
    pub profile: Profile,
    /// What proves other sessions to be the same user's.
    pub token: Token,
    /// What offsets count in.
    pub epoch: EpochId,
    /// The offset of the room's last message.
    pub head: u64,
    /// The offset of its last durable message.
    pub durable: u64,
    /// What the session can be given of the past.
    pub resume: Resume,
    /// How many users are in the room, itself included.
    pub count: usize,
}

/// Users of a room, in the order of their names.
#[derive(Clone, Debug)]
pub struct UsersPage {
    /// The users.
    pub users: Vec<Profile>,
    /// How many are in the room.
    pub count: usize,
    /// Whether there are more behind these.
    pub more: bool,
}

/// The newest messages of a room, from where a session has read its journal.
#[derive(Clone, Debug)]
pub struct Tail {
    /// The ticket of the session's login.
    pub visit: u64,
    /// The epoch of the newest message. All that the session has read is of it, too.
    pub epoch: EpochId,
    /// The messages.
    pub records: Vec<Record>,
    /// What follows. If there is nothing, everything that is said from here on comes by itself.
    pub behind: Option<Behind>,
}

/// The session must read on in the journal.
#[derive(Clone, Copy, Debug)]
pub struct Behind {
    /// Up to here there is something to read, unless the journal has let it go.
    pub durable: u64,
}

/// Why a request was rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejected {
    /// The session is not logged in.
    NotLoggedIn,
    /// Another user has the name.
    NameTaken,
    /// The room would be one too many.
    TooManyRooms,
    /// The client's address has made as many rooms in the last minute as one address may.
    TooManyNewRooms,
    /// There is no such room, and none is made by this name.
    NoNewRoom(RoomNameError),
    /// No user of that name is in the room.
    NoSuchUser,
    /// The journal cannot take or give messages now.
    JournalUnavailable,
    /// The message was accepted, and stays with the chat server, or its link, until the journal takes it. Members have heard
    /// it, unless the room is shared with other nodes.
    NotKeptYet,
    /// What the journal has of the room is damaged.
    JournalDamaged,
    /// The chat panicked before the request was done. It may be sent again.
    Interrupted,
}

impl Rejected {
    /// Whether the request may succeed later although nothing about it changes.
    pub(crate) fn is_fault(self) -> bool {
        matches!(self, Self::JournalUnavailable | Self::JournalDamaged | Self::Interrupted)
    }
}

impl From<&JournalError> for Rejected {
    fn from(error: &JournalError) -> Self {
        match error {
            JournalError::Unavailable(_) => Self::JournalUnavailable,
            JournalError::Damaged(_) => Self::JournalDamaged,
        }
    }
}
