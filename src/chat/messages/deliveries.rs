//! What sessions get, and how they are reached.

use std::{
    any::Any,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use actix::{Message, Recipient};
use bytes::Bytes;

use crate::{
    chat::{
        log::{Place, Resume},
        presence::Face,
        round::Encoding,
    },
    domain::{RoomName, RoomNameError, SessionId, Token},
    journal::{EpochId, JournalError, Record},
};

/// What a session is sent by the fan-outs of its thread. One mailbox may belong to several members of rooms, one after the
/// other or at a time: the sockets of one Socket.IO connection. So what is for one of them names it.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub enum Delivery {
    /// Finished frames, in order.
    Frames {
        /// The member of the room.
        session: SessionId,
        /// The frames, one list shared by all members that hear them.
        frames: Arc<[Bytes]>,
    },
    /// Frames that are dropped if the session's transport is not writable.
    Volatile {
        /// The member of the room.
        session: SessionId,
        /// The frames.
        frames: Arc<[Bytes]>,
    },
    /// News for one member.
    News {
        /// The member.
        session: SessionId,
        /// The news.
        news: News,
    },
    /// No more will come, and the session must end.
    Dismissed(Dismissal),
}

/// What a server of rooms tells one of its members. Each server has a type of its own for it; those who carry it do not
/// look into it.
pub type News = Box<dyn Any + Send>;

impl Delivery {
    /// The member that it is for, if it is for one alone.
    pub fn recipient(&self) -> Option<SessionId> {
        match self {
            Self::Frames { session, .. } | Self::Volatile { session, .. } | Self::News { session, .. } => {
                Some(*session)
            }
            Self::Dismissed(_) => None,
        }
    }
}

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
    /// The answer to [`Listen`](super::Listen).
    Tail(Tail),
    /// The session cannot be given what it missed: it must end, and its client come back.
    Lost,
}

/// What became of a request.
#[derive(Clone, Debug)]
pub enum Reply {
    /// The session is in a room; it has yet to listen.
    Entered(Box<Entered>),
    /// The message is durable.
    Posted(Place),
    /// The private message went to whom it was for, or not.
    Whispered {
        /// When it was said, in milliseconds since 1970.
        at: u64,
        /// Whether somebody got it.
        delivered: bool,
    },
    /// Users of the session's room.
    Users(Box<UsersPage>),
    /// The session is nobody, in no room.
    Departed,
    /// Nothing was done.
    Refused(Refusal),
}

/// Where a session is now.
#[derive(Clone, Debug)]
pub struct Entered {
    /// The room.
    pub name: RoomName,
    /// What others see of the session's user.
    pub face: Face,
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
    pub users: Vec<Face>,
    /// How many are in the room.
    pub count: usize,
    /// Whether there are more behind these.
    pub more: bool,
}

/// The newest messages of a room, from where a session has read its journal.
#[derive(Clone, Debug)]
pub struct Tail {
    /// The ticket by which the session entered.
    pub visit: u64,
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

/// Why a request was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The session is nobody yet.
    NotLoggedIn,
    /// Somebody else has the name.
    NameTaken,
    /// The room would be one too many.
    TooManyRooms,
    /// The client's address has made as many rooms in the last minute as one address may.
    TooManyNewRooms,
    /// There is no such room, and none is made by this name.
    NoNewRoom(RoomNameError),
    /// Nobody of that name is in the room.
    NoSuchUser,
    /// The journal cannot take or give messages now.
    JournalUnavailable,
    /// The message was relayed, and stays with the chat server until the journal takes it.
    NotKeptYet,
    /// What the journal has of the room is damaged.
    JournalDamaged,
}

impl From<&JournalError> for Refusal {
    fn from(error: &JournalError) -> Self {
        match error {
            JournalError::Unavailable(_) => Self::JournalUnavailable,
            JournalError::Damaged(_) => Self::JournalDamaged,
        }
    }
}

/// Why the server ends a session that did nothing against the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dismissal {
    /// Too much was waiting for it.
    SlowConsumer,
    /// The process holds as much as it may, and something more would have had to be held for it.
    OutOfMemory,
    /// Its room would be one too many.
    TooManyRooms,
    /// The server stops.
    Restart,
}

/// A session's place with its fan-out: how to reach it, and how to end it when it cannot be reached.
#[derive(Clone, Debug)]
pub struct Seat {
    /// The session's mailbox.
    pub deliveries: Recipient<Delivery>,
    /// Bytes delivered and not yet written.
    pub waiting: Waiting,
    /// How it wants its frames.
    pub encoding: Encoding,
    /// Ends its connection from outside.
    pub cutter: Cutter,
}

/// Ends a session's connection from outside, if its client does not take what is left for it, and so never comes to the
/// end.
#[derive(Clone)]
pub struct Cutter(Arc<dyn Fn(Duration) + Send + Sync>);

impl Cutter {
    /// A cutter that calls `cut_after`.
    pub fn new(cut_after: impl Fn(Duration) + Send + Sync + 'static) -> Self {
        Self(Arc::new(cut_after))
    }

    /// Ends the connection if it is still there after so long. To be called on the session's own thread.
    pub fn cut_after(&self, patience: Duration) {
        (self.0)(patience);
    }
}

impl fmt::Debug for Cutter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cutter")
    }
}

/// Bytes delivered to a session and not yet taken by its socket. The fan-out adds, the session's outlet subtracts.
#[derive(Clone, Debug, Default)]
pub struct Waiting(Arc<AtomicUsize>);

impl Waiting {
    /// The bytes that wait.
    pub fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// Counts bytes about to be delivered.
    pub fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Counts bytes that have been written, or will never be.
    pub fn subtract(&self, bytes: usize) {
        self.0.fetch_sub(bytes, Ordering::Relaxed);
    }
}
