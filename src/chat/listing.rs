//! The list of rooms, made at most once a second for any number of requests.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    messages::{AskedRoom, ListedRoom, MOST_LISTED, RoomList},
    position::Position,
    room::Room,
};
use crate::domain::RoomName;

/// How long a list is reused.
const GOOD_FOR: Duration = Duration::from_secs(1);

/// The last list of rooms, and the positions of rooms that are not in memory.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// The last list and when it was made.
    last: Option<(Instant, RoomList)>,
    /// Positions of rooms that have history and are not in memory: at most `--max-rooms`.
    resting: HashMap<RoomName, Position>,
}

impl Listing {
    /// A room leaves memory with its history up to `position`.
    pub(crate) fn rest(&mut self, name: &RoomName, position: Position) {
        if position.offset > 0 {
            self.resting.insert(name.clone(), position);
        }
    }

    /// The history of a room is forgotten.
    pub(crate) fn forget(&mut self, name: &RoomName) {
        self.resting.remove(name);
    }

    /// One room, whether listed or not, with the number of its members; `room` is `None` if it is not in
    /// memory.
    pub(crate) fn asked(&self, name: RoomName, members: usize, room: Option<&mut Room>) -> AskedRoom {
        let mut position = self.resting.get(&name).copied();
        let mut listed = ListedRoom { name, sessions: 0, users: 0 };
        if let Some(room) = room {
            (listed.sessions, listed.users) = (members, room.presence.count());
            position = room.log().map(|log| log.position()).or(position);
        }
        AskedRoom { room: listed, position }
    }

    /// Lists `rooms`, each with the number of its members; returns the last list while that may be reused.
    pub(crate) fn list<'a>(
        &mut self,
        now: Instant,
        rooms: impl Iterator<Item = (usize, &'a Room)>,
    ) -> RoomList {
        match &self.last {
            Some((made, list)) if now.saturating_duration_since(*made) < GOOD_FOR => list.clone(),
            _ => {
                let list = make(rooms);
                self.last = Some((now, list.clone()));
                list
            }
        }
    }
}

fn make<'a>(rooms: impl Iterator<Item = (usize, &'a Room)>) -> RoomList {
    let is_listed = |(members, room): &(usize, &Room)| *members > 0 && room.name.is_listed();
    let mut occupied: Vec<_> = rooms.filter(is_listed).collect();
    occupied.sort_unstable_by(|(a, room), (b, other)| b.cmp(a).then_with(|| room.name.cmp(&other.name)));
    let more = occupied.len().saturating_sub(MOST_LISTED);
    let listed = occupied.iter().take(MOST_LISTED).map(|&(sessions, room)| ListedRoom {
        name: room.name.clone(),
        sessions,
        users: room.presence.count(),
    });
    RoomList { rooms: Arc::from_iter(listed), more, asked: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{broadcast::AnyRoom as _, domain::RoomName};

    fn room(name: &str, members: usize) -> (usize, Room) {
        (members, Room::new(RoomName::parse(name).expect("a name")))
    }

    fn all(rooms: &[(usize, Room)]) -> impl Iterator<Item = (usize, &Room)> {
        rooms.iter().map(|(members, room)| (*members, room))
    }

    fn names(list: &RoomList) -> Vec<&str> {
        list.rooms.iter().map(|room| room.name.as_str()).collect()
    }

    #[test]
    fn the_largest_rooms_come_first_and_empty_and_unlisted_ones_not_at_all() {
        let rooms = [room("b", 1), room("empty", 0), room("a", 1), room("big", 9), room("lesson-1", 5)];
        let list = Listing::default().list(Instant::now(), all(&rooms));
        assert_eq!((names(&list), list.more), (vec!["big", "a", "b"], 0));
    }

    #[test]
    fn a_list_is_bounded_and_says_how_many_more_there_are() {
        let rooms: Vec<_> = (0..60).map(|number| room(&format!("room {number}"), 1)).collect();
        let list = Listing::default().list(Instant::now(), all(&rooms));
        assert_eq!((list.rooms.len(), list.more), (50, 10));
    }

    #[test]
    fn a_list_is_good_for_a_second() {
        let (mut listing, now) = (Listing::default(), Instant::now());
        assert_eq!(names(&listing.list(now, all(&[room("a", 1)]))), ["a"]);
        let later = now + Duration::from_millis(900);
        assert_eq!(names(&listing.list(later, all(&[room("b", 1)]))), ["a"]);
        let later = now + Duration::from_millis(1000);
        assert_eq!(names(&listing.list(later, all(&[room("b", 1)]))), ["b"]);
    }
}
