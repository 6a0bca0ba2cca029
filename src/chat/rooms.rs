//! Who is in which room. A plain struct: it decides, the actors carry out.

use std::collections::HashMap;

use crate::domain::{RoomName, SessionId, WorkerId};

/// A room's number for as long as it has members; a room that comes back gets a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RoomId(u64);

/// All rooms with members. A session is in one room at a time, or in none; a room without members is gone.
#[derive(Debug, Default)]
pub struct Rooms {
    by_name: HashMap<RoomName, RoomId>,
    rooms: HashMap<RoomId, Room>,
    members: HashMap<SessionId, Membership>,
    last_id: u64,
}

#[derive(Debug)]
struct Room {
    name: RoomName,
    /// How many members live on each worker that has any.
    workers: Vec<(WorkerId, usize)>,
}

/// Where a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The room it is in.
    pub room: RoomId,
    /// The worker it lives on.
    pub worker: WorkerId,
}

impl Rooms {
    /// Puts a session into a room, which is made if needed. The session must have left its last one.
    pub fn join(&mut self, session: SessionId, name: RoomName, worker: WorkerId) -> RoomId {
        let room = *self.by_name.entry(name.clone()).or_insert_with(|| {
            self.last_id += 1;
            let id = RoomId(self.last_id);
            self.rooms.insert(id, Room { name, workers: Vec::new() });
            id
        });
        let former = self.members.insert(session, Membership { room, worker });
        debug_assert!(former.is_none(), "{session} joined without leaving");
        if let Some(entry) = self.rooms.get_mut(&room) {
            entry.add(worker);
        }
        room
    }

    /// Takes a session out of its room, if it is in one, and says which that was.
    pub fn leave(&mut self, session: SessionId) -> Option<Membership> {
        let membership = self.members.remove(&session)?;
        if let Some(entry) = self.rooms.get_mut(&membership.room) {
            entry.remove(membership.worker);
            if entry.workers.is_empty() {
                self.by_name.remove(&entry.name);
                self.rooms.remove(&membership.room);
            }
        }
        Some(membership)
    }

    /// The room a session is in.
    pub fn room_of(&self, session: SessionId) -> Option<RoomId> {
        self.members.get(&session).map(|membership| membership.room)
    }

    /// The workers on which a room has members.
    pub fn workers_of(&self, room: RoomId) -> impl Iterator<Item = WorkerId> + '_ {
        self.rooms.get(&room).into_iter().flat_map(|room| room.workers.iter().map(|(worker, _)| *worker))
    }

    /// Rooms with members.
    pub fn count(&self) -> usize {
        self.rooms.len()
    }

    /// Sessions in rooms.
    pub fn member_count(&self) -> usize {
        self.members.len()
    }
}

impl Room {
    fn add(&mut self, worker: WorkerId) {
        match self.workers.iter_mut().find(|(known, _)| *known == worker) {
            Some((_, members)) => *members += 1,
            None => self.workers.push((worker, 1)),
        }
    }

    fn remove(&mut self, worker: WorkerId) {
        if let Some(place) = self.workers.iter().position(|(known, _)| *known == worker) {
            self.workers[place].1 -= 1;
            if self.workers[place].1 == 0 {
                self.workers.swap_remove(place);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: WorkerId = WorkerId(0);
    const TWO: WorkerId = WorkerId(1);

    fn session(number: u64) -> SessionId {
        SessionId::of(number)
    }

    fn name(text: &str) -> RoomName {
        RoomName::parse(text).expect("a legal name")
    }

    #[test]
    fn sessions_that_name_the_same_room_meet_there() {
        let mut rooms = Rooms::default();
        let first = rooms.join(session(1), name("a"), ONE);
        let second = rooms.join(session(2), name("a"), TWO);
        let other = rooms.join(session(3), name("b"), ONE);
        assert_eq!(first, second);
        assert_ne!(first, other);
        assert_eq!((rooms.count(), rooms.member_count()), (2, 3));
        assert_eq!(rooms.workers_of(first).collect::<Vec<_>>(), [ONE, TWO]);
    }

    #[test]
    fn leaving_the_last_room_removes_it() {
        let mut rooms = Rooms::default();
        let room = rooms.join(session(1), name("a"), ONE);
        rooms.join(session(2), name("a"), ONE);
        assert_eq!(rooms.leave(session(1)), Some(Membership { room, worker: ONE }));
        assert_eq!(rooms.count(), 1);
        rooms.leave(session(2));
        assert_eq!((rooms.count(), rooms.member_count()), (0, 0));
        assert!(rooms.by_name.is_empty());
        assert_ne!(rooms.join(session(3), name("a"), ONE), room, "a room that comes back is a new one");
    }

    #[test]
    fn leaving_twice_is_harmless() {
        let mut rooms = Rooms::default();
        rooms.join(session(1), name("a"), ONE);
        assert!(rooms.leave(session(1)).is_some());
        assert_eq!(rooms.leave(session(1)), None);
        assert_eq!(rooms.leave(session(9)), None);
    }

    #[test]
    fn a_worker_without_members_hears_nothing_of_a_room() {
        let mut rooms = Rooms::default();
        let room = rooms.join(session(1), name("a"), ONE);
        rooms.join(session(2), name("a"), TWO);
        rooms.leave(session(1));
        assert_eq!(rooms.workers_of(room).collect::<Vec<_>>(), [TWO]);
    }
}
