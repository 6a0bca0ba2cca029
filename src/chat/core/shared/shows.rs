//! What this node has told all nodes and has not heard yet: until then it counts in the intake of its session.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use crate::{connection::Accepted, domain::RoomName};

/// How long it counts at most. Redis does not repeat what is lost with a connection.
const WITHIN: Duration = Duration::from_secs(2);

/// What was told, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Shows(VecDeque<Showing>);

#[derive(Debug)]
struct Showing {
    number: u64,
    room: RoomName,
    accepted: Accepted,
    until: Instant,
}

impl Shows {
    /// Something is told to all nodes. Numbers must count up.
    pub(super) fn add(&mut self, number: u64, room: RoomName, accepted: Accepted, now: Instant) {
        self.0.push_back(Showing { number, room, accepted, until: now + WITHIN });
    }

    /// It was heard. Returns its share.
    pub(super) fn heard(&mut self, number: u64) -> Option<Accepted> {
        let place = self.0.binary_search_by_key(&number, |showing| showing.number).ok()?;
        self.0.remove(place).map(|showing| showing.accepted)
    }

    /// Nothing is heard any more of these rooms.
    pub(super) fn drop_in(&mut self, is_away: impl Fn(&RoomName) -> bool) {
        self.0.retain(|showing| !is_away(&showing.room));
    }

    /// Drops what was not heard in time.
    pub(super) fn let_go(&mut self, now: Instant) {
        while self.0.pop_front_if(|showing| showing.until <= now).is_some() {}
    }

    /// When [`let_go`](Self::let_go) is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.0.front().map(|showing| showing.until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::{Budget, Intake};

    #[test]
    fn a_share_is_given_back_when_it_is_heard_or_too_late_or_redis_is_away() {
        let budget = Budget::new(1 << 20);
        let intake = Intake::new(1 << 20, budget.clone());
        let (room, now) = (RoomName::parse("a").expect("a legal name"), Instant::now());
        let mut shows = Shows::default();
        for number in [3, 5, 9] {
            shows.add(number, room.clone(), intake.accept(1), now + Duration::from_millis(number));
        }
        assert!(shows.heard(4).is_none() && shows.heard(5).is_some() && shows.heard(5).is_none());
        assert_eq!(shows.next(), Some(now + Duration::from_millis(3) + WITHIN));
        shows.let_go(now + Duration::from_millis(3) + WITHIN);
        assert_eq!(shows.0.len(), 1);
        shows.drop_in(|_| true);
        assert_eq!((shows.next(), budget.accepted()), (None, 0));
    }
}
