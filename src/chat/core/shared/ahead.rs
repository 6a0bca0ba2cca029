//! Sessions that have read more of a room's history in Redis than the node has heard: they are subscribed once it has
//! heard that, too. Callers pass the time.

use std::time::{Duration, Instant};

use crate::{chat::messages::CaughtUp, domain::RoomName};

/// How long what a session has read may take to be heard.
const PATIENCE: Duration = Duration::from_secs(2);

/// The sessions that are ahead of their rooms.
#[derive(Debug, Default)]
pub(super) struct Ahead(Vec<Waiting>);

#[derive(Debug)]
struct Waiting {
    room: RoomName,
    message: CaughtUp,
    until: Instant,
}

impl Ahead {
    /// Has a session wait.
    pub(super) fn wait(&mut self, room: RoomName, message: CaughtUp, now: Instant) {
        self.0.push(Waiting { room, message, until: now + PATIENCE });
    }

    /// The sessions of a room that have read no more than up to `head`.
    pub(super) fn take_up_to(&mut self, room: &RoomName, head: u64) -> Vec<CaughtUp> {
        let is_due = |waiting: &mut Waiting| waiting.room == *room && waiting.message.after <= head;
        self.0.extract_if(.., is_due).map(|waiting| waiting.message).collect()
    }

    /// A session that has waited too long.
    pub(super) fn take_late(&mut self, now: Instant) -> Option<CaughtUp> {
        let place = self.0.iter().position(|waiting| waiting.until <= now)?;
        Some(self.0.remove(place).message)
    }

    /// When [`take_late`](Self::take_late) is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.0.first().map(|waiting| waiting.until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::MemberId;

    #[test]
    fn a_session_waits_until_its_room_has_heard_what_it_has_read_or_too_long() {
        let (mut ahead, now) = (Ahead::default(), Instant::now());
        let room = |name: &str| RoomName::parse(name).expect("a name");
        let read = |number, after| CaughtUp { member: MemberId::of(number), visit: 1, after };
        ahead.wait(room("tea"), read(1, 7), now);
        ahead.wait(room("tea"), read(2, 9), now);
        ahead.wait(room("milk"), read(3, 1), now);
        let members = |taken: Vec<CaughtUp>| taken.iter().map(|read| read.member).collect::<Vec<_>>();
        assert_eq!(members(ahead.take_up_to(&room("tea"), 8)), [MemberId::of(1)]);
        assert!(ahead.take_late(now).is_none() && ahead.next() == Some(now + PATIENCE));
        let late = [ahead.take_late(now + PATIENCE), ahead.take_late(now + PATIENCE)];
        assert_eq!(late.map(|read| read.map(|read| read.member)), [2, 3].map(|n| Some(MemberId::of(n))));
        assert_eq!(ahead.next(), None);
    }
}
