//! One room: who is in it, who hears it, and where it stands in its journal.

use super::{
    audience::Audience,
    log::RoomLog,
    messages::{Depart, Enter, Leave, Post, Publish, Whisper},
    news::News,
    presence::Presence,
    rooms::AnyRoom,
    round::OpenRound,
};
use crate::domain::RoomName;

/// See the module's text.
#[derive(Debug)]
pub struct Room {
    /// Its name.
    pub name: RoomName,
    /// Sessions in it, whether they hear it yet or not.
    pub members: usize,
    /// Those who hear it.
    pub audience: Audience,
    /// Those who have a name.
    pub presence: Presence,
    /// Its place in the journal.
    pub book: Book,
    /// What has been said and not yet sent.
    pub open: Option<OpenRound>,
    /// What its members have yet to be told of who came and went.
    pub news: News,
    /// Whether an alarm is set for the names that are held.
    pub has_names_alarm: bool,
    /// Whether what has waited for its journal is being done: until all of it is, the room stays.
    pub is_catching_up: bool,
}

/// A room's place in the journal, once that is known.
#[derive(Debug)]
pub enum Book {
    /// Nobody has asked.
    Closed,
    /// The journal has been asked; this is to be done when it answers, in order.
    Opening(Vec<Waiting>),
    /// It is known.
    Open(Box<RoomLog>),
}

/// What waits for a room's journal.
#[derive(Debug)]
pub enum Waiting {
    /// Something a guest said, who may be gone by then.
    Publish(Publish),
    /// A session logs in.
    Enter(Enter),
}

/// What a session has sent behind a login that waits. Its client is gone by then: as long as it is there, it is not read
/// from while it logs in.
#[derive(Debug)]
pub enum Behind {
    /// It goes to another room, or becomes another user.
    Enter(Enter),
    /// It says something.
    Post(Post),
    /// It says something to one other.
    Whisper(Whisper),
    /// It logs out.
    Depart(Depart),
    /// It has ended behind all that.
    Leave(Leave),
}

impl Room {
    /// The round that lines are added to.
    pub fn open_round(&mut self) -> &mut OpenRound {
        let audience = &self.audience;
        self.open.get_or_insert_with(|| OpenRound::new(audience))
    }

    /// Whether something that was said waits for its place in the journal.
    pub fn is_awaited(&self) -> bool {
        matches!(&self.book, Book::Opening(waiting) if !waiting.is_empty())
    }

    /// Its place in the journal, if that is known.
    pub fn log(&mut self) -> Option<&mut RoomLog> {
        match &mut self.book {
            Book::Open(log) => Some(log),
            Book::Closed | Book::Opening(_) => None,
        }
    }
}

impl AnyRoom for Room {
    type Name = RoomName;

    fn new(name: RoomName) -> Self {
        Self {
            name,
            members: 0,
            audience: Audience::default(),
            presence: Presence::default(),
            book: Book::Closed,
            open: None,
            news: News::default(),
            has_names_alarm: false,
            is_catching_up: false,
        }
    }

    fn name(&self) -> &RoomName {
        &self.name
    }

    fn members(&mut self) -> &mut usize {
        &mut self.members
    }

    fn audience(&mut self) -> &mut Audience {
        &mut self.audience
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
        !self.is_catching_up && self.open.is_none() && is_written && self.presence.is_idle()
    }
}
