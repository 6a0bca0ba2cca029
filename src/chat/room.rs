//! One room: who is in it, who hears it, and where it stands in its journal.

use std::time::{Duration, Instant};

use super::{
    audience::Audience,
    log::RoomLog,
    messages::{Enter, Publish},
    presence::Presence,
    rooms::AnyRoom,
    round::OpenRound,
};
use crate::domain::RoomName;

/// A room's list of users is sent no more often than this.
const LIST_INTERVAL: Duration = Duration::from_secs(1);

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
    /// When its list of users is sent.
    pub list: ListClock,
}

/// A room's place in the journal, once that is known.
#[derive(Debug)]
pub enum Book {
    /// Nobody has asked.
    Closed,
    /// The journal has been asked; this is to be done when it answers, in order.
    Opening(Vec<Waiting>),
    /// It is known.
    Open(RoomLog),
}

/// What waits for a room's journal.
#[derive(Debug)]
pub enum Waiting {
    /// Something a guest said, who may be gone by then.
    Publish(Publish),
    /// Somebody comes in.
    Enter(Enter),
}

/// When a room's list of users is sent: at once, but not twice in a second.
#[derive(Debug, Default)]
pub struct ListClock {
    sent: Option<Instant>,
    is_scheduled: bool,
}

/// When to send a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListTime {
    /// Now.
    Now,
    /// After this long.
    In(Duration),
    /// It is being seen to.
    Scheduled,
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
            list: ListClock::default(),
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
        self.open.is_none() && is_written && self.presence.is_idle()
    }
}

impl ListClock {
    /// The list has changed.
    pub fn changed(&mut self, now: Instant) -> ListTime {
        if self.is_scheduled {
            return ListTime::Scheduled;
        }
        let since = self.sent.map_or(LIST_INTERVAL, |sent| now.saturating_duration_since(sent));
        match LIST_INTERVAL.checked_sub(since).filter(|left| !left.is_zero()) {
            Some(left) => {
                self.is_scheduled = true;
                ListTime::In(left)
            }
            None => {
                self.sent = Some(now);
                ListTime::Now
            }
        }
    }

    /// The time has come for a list that was scheduled.
    pub fn due(&mut self, now: Instant) {
        self.is_scheduled = false;
        self.sent = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_sent_at_once_and_then_once_a_second() {
        let (mut clock, now) = (ListClock::default(), Instant::now());
        let later = |millis| now + Duration::from_millis(millis);
        assert_eq!(clock.changed(now), ListTime::Now);
        assert_eq!(clock.changed(later(300)), ListTime::In(Duration::from_millis(700)));
        assert_eq!(clock.changed(later(400)), ListTime::Scheduled);
        clock.due(later(1000));
        assert_eq!(clock.changed(later(1999)), ListTime::In(Duration::from_millis(1)));
        clock.due(later(2000));
        assert_eq!(clock.changed(later(3000)), ListTime::Now);
    }
}
