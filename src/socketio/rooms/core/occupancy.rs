//! Which rooms have sockets of this server, so that other servers' events for other rooms can be dropped unread.

use std::{
    collections::{HashMap, VecDeque, hash_map::Entry},
    time::{Duration, Instant},
};

use bytestring::ByteString;

/// A room of a namespace, or the room of one socket.
type Room = (ByteString, ByteString);

/// A change of what others must know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// The room has its first socket.
    Occupied(Room),
    /// The room has no socket any more.
    Vacant(Room),
}

/// The number of sockets in each room. A room is left later than by its last socket: a lost socket that comes back must
/// not have missed what was for the room meanwhile.
#[derive(Debug, Default)]
pub(super) struct Occupancy {
    /// How long a room without sockets still counts.
    linger: Duration,
    /// For each room that counts, the number of its sockets, and how often it was left by the last one.
    rooms: HashMap<Room, (usize, u64)>,
    /// The rooms that were left by the last socket, with the count of that.
    left: VecDeque<(Instant, Room, u64)>,
}

impl Occupancy {
    /// A room without sockets counts so long.
    pub(super) fn new(linger: Duration) -> Self {
        Self { linger, ..Self::default() }
    }

    /// A socket has entered a room.
    pub(super) fn enter(&mut self, namespace: &ByteString, room: &ByteString) -> Option<Change> {
        match self.rooms.entry((namespace.clone(), room.clone())) {
            Entry::Occupied(mut counted) => {
                counted.get_mut().0 += 1;
                None
            }
            Entry::Vacant(new) => {
                let change = Change::Occupied(new.key().clone());
                new.insert((1, 0));
                Some(change)
            }
        }
    }

    /// A socket has left a room that it was in.
    pub(super) fn leave(
        &mut self,
        now: Instant,
        namespace: &ByteString,
        room: &ByteString,
    ) -> Option<Change> {
        let key = (namespace.clone(), room.clone());
        let (count, times) = self.rooms.get_mut(&key)?;
        *count = count.saturating_sub(1);
        if *count > 0 {
            return None;
        }
        if self.linger.is_zero() {
            self.rooms.remove(&key);
            return Some(Change::Vacant(key));
        }
        *times += 1;
        let times = *times;
        self.left.push_back((now, key, times));
        None
    }

    /// Begins to count anew. Returns the rooms that have counted.
    pub(super) fn begin_again(self) -> (Self, Vec<Room>) {
        (Self::new(self.linger), self.rooms.into_keys().collect())
    }

    /// The rooms that do not count any more.
    pub(super) fn sweep(&mut self, now: Instant) -> Vec<Change> {
        let mut vacant = Vec::new();
        while let Some((since, ..)) = self.left.front()
            && *since + self.linger <= now
            && let Some((_, room, times)) = self.left.pop_front()
        {
            if self.rooms.get(&room).is_some_and(|counted| *counted == (0, times)) {
                self.rooms.remove(&room);
                vacant.push(Change::Vacant(room));
            }
        }
        vacant
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(name: &'static str) -> ByteString {
        ByteString::from_static(name)
    }

    fn room(room: &'static str) -> Room {
        (name("/"), name(room))
    }

    #[test]
    fn the_first_socket_occupies_a_room_and_the_last_one_leaves_it_vacant() {
        let (mut occupancy, now) = (Occupancy::default(), Instant::now());
        assert_eq!(occupancy.enter(&name("/"), &name("a")), Some(Change::Occupied(room("a"))));
        assert_eq!(occupancy.enter(&name("/"), &name("a")), None);
        assert!(occupancy.enter(&name("/x"), &name("a")).is_some(), "of another namespace");
        assert_eq!(occupancy.leave(now, &name("/"), &name("a")), None);
        assert_eq!(occupancy.leave(now, &name("/"), &name("a")), Some(Change::Vacant(room("a"))));
        assert_eq!(occupancy.leave(now, &name("/"), &name("a")), None, "none is in it");
    }

    #[test]
    fn with_recovery_a_room_is_vacant_only_when_none_can_come_back() {
        let (mut occupancy, now) = (Occupancy::new(Duration::from_secs(9)), Instant::now());
        let after = |seconds| now + Duration::from_secs(seconds);
        for (enters, leaves) in [(0, 1), (2, 3)] {
            occupancy.enter(&name("/"), &name("a"));
            assert!(occupancy.sweep(after(enters)).is_empty());
            assert_eq!(occupancy.leave(after(leaves), &name("/"), &name("a")), None);
        }
        assert_eq!(occupancy.sweep(after(11)), [], "it was entered again");
        assert_eq!(occupancy.sweep(after(12)), [Change::Vacant(room("a"))]);
        assert!(occupancy.enter(&name("/"), &name("a")).is_some());
    }
}
