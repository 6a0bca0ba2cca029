//! One room of the chat: its users, and where it stands in its journal.

use std::{net::IpAddr, time::Instant};

use super::{
    common::ShardId,
    kept::Kept,
    log::RoomLog,
    messages::{Login, Logout, Post, Publish, Request, SendPrivate, Unregister},
    news::News,
    presence::Presence,
};
use crate::{broadcast::AnyRoom, domain::RoomName};

/// A room in memory.
#[derive(Debug)]
pub(crate) struct Room {
    /// Unique among rooms.
    pub name: RoomName,
    /// The users.
    pub presence: Presence,
    /// Where it stands in its journal.
    pub book: Book,
    /// What the journal is to keep of the open broadcast.
    pub kept: Kept,
    /// Changes of its users that its members have yet to be told.
    pub news: News,
    /// Whether an alarm is set for the held nicknames.
    pub has_names_alarm: bool,
    /// Whether requests that waited for the journal are being handled; until that is done, the room stays in
    /// memory.
    pub is_catching_up: bool,
    /// Whether no node knew the room when the link opened it, and no session was let in since. `None` before that, and
    /// without other nodes.
    pub is_new: Option<bool>,
    /// When a message was last heard from other nodes or this one. `None` without other nodes.
    pub heard_at: Option<Instant>,
    /// Whether an alarm is set for the time from which the room may leave memory.
    pub has_rest_alarm: bool,
}

/// What the chat keeps of a session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Visit {
    /// The ticket of the login by which it entered its room, or is to enter it; 0 for a guest.
    pub ticket: u64,
    /// The address of its client, if known.
    pub address: Option<IpAddr>,
    /// The shard that it comes from, while this one logs it in.
    pub from: Option<ShardId>,
}

/// Where a room stands in its journal, once that is known.
#[derive(Debug)]
pub(crate) enum Book {
    /// The journal has not been asked.
    Closed,
    /// The journal has been asked; these are handled in order when it answers.
    Opening(Vec<Waiting>),
    /// The journal has answered.
    Open(Box<RoomLog>),
}

/// A request that waits until the room's journal has answered.
#[derive(Debug)]
pub(crate) enum Waiting {
    /// A guest's message; the guest may be gone by then.
    Publish(Publish),
    /// A login.
    Login(Login),
    /// A request of a user that was in the room already when the chat began again.
    Again(Request),
}

/// What a session has sent behind a login that waits. Only a client that is gone has something here: no
/// message is read from a client during its login.
#[derive(Debug)]
pub(crate) enum Behind {
    /// Another login, to another room or as another user.
    Login(Login),
    /// A message to the room.
    Post(Post),
    /// A private message.
    SendPrivate(SendPrivate),
    /// A logout.
    Logout(Logout),
    /// The end of the session.
    Unregister(Unregister),
}

impl From<Behind> for Request {
    fn from(behind: Behind) -> Self {
        match behind {
            Behind::Login(login) => Self::Login(login),
            Behind::Post(post) => Self::Post(post),
            Behind::SendPrivate(message) => Self::SendPrivate(message),
            Behind::Logout(logout) => Self::Logout(logout),
            Behind::Unregister(message) => Self::Unregister(message),
        }
    }
}

impl Room {
    /// Whether a request waits for the room's journal.
    pub(crate) fn is_awaited(&self) -> bool {
        matches!(&self.book, Book::Opening(waiting) if !waiting.is_empty())
    }

    /// The log of the room, if the journal has answered.
    pub(crate) fn log(&mut self) -> Option<&mut RoomLog> {
        match &mut self.book {
            Book::Open(log) => Some(log),
            Book::Closed | Book::Opening(_) => None,
        }
    }
}

impl AnyRoom for Room {
    type Name = RoomName;
    type Member = Visit;

    fn new(name: RoomName) -> Self {
        Self {
            name,
            presence: Presence::default(),
            book: Book::Closed,
            kept: Kept::default(),
            news: News::default(),
            has_names_alarm: false,
            is_catching_up: false,
            is_new: None,
            heard_at: None,
            has_rest_alarm: false,
        }
    }

    fn name(&self) -> &RoomName {
        &self.name
    }

    fn is_reserved(name: &RoomName) -> bool {
        name.is_reserved()
    }

    fn is_idle(&self) -> bool {
        let is_written = match &self.book {
            Book::Closed => true,
            Book::Opening(_) => false,
            Book::Open(log) => log.is_durable(),
        };
        !self.is_catching_up && is_written && self.presence.is_idle()
    }
}
