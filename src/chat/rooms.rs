//! Who is in which room. A plain struct: it decides, the actors carry out.

use std::collections::HashMap;

use super::round::Encoding;
use crate::domain::{RoomName, SessionId, WorkerId};

/// A room's number for as long as it has members; a room that comes back gets a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RoomId(u64);

/// All sessions, and all rooms with members. A session is in one room at a time, or in none; a room without members
/// is gone.
#[derive(Debug)]
pub struct Rooms {
    max_rooms: usize,
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
    /// How many members read compressed frames.
    deflating: usize,
}

/// Where a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The room it is in, if any.
    pub room: Option<RoomId>,
    /// The worker it lives on.
    pub worker: WorkerId,
    /// How it wants its frames.
    pub encoding: Encoding,
}

/// There are as many rooms as there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there are too many rooms")]
pub struct TooManyRooms;

impl Rooms {
    /// No rooms yet, and at most `max_rooms` ever at a time.
    pub fn new(max_rooms: usize) -> Self {
        Self {
            max_rooms,
            by_name: HashMap::new(),
            rooms: HashMap::new(),
            members: HashMap::new(),
            last_id: 0,
        }
    }

    /// Whether a session that names this room would find or make it.
    pub fn may_enter(&self, name: &RoomName) -> bool {
        self.by_name.contains_key(name) || self.rooms.len() < self.max_rooms
    }

    /// Adds a session, in a room if it names one, which is made if needed. The session must have left before.
    ///
    /// # Errors
    /// The room would be one too many; nothing has changed.
    pub fn join(
        &mut self,
        session: SessionId,
        name: Option<RoomName>,
        worker: WorkerId,
        encoding: Encoding,
    ) -> Result<Option<RoomId>, TooManyRooms> {
        let room = name.map(|name| self.find_or_make(name)).transpose()?;
        if let Some(entry) = room.and_then(|room| self.rooms.get_mut(&room)) {
            entry.add(worker, encoding);
        }
        let former = self.members.insert(session, Membership { room, worker, encoding });
        debug_assert!(former.is_none(), "{session} joined without leaving");
        Ok(room)
    }

    fn find_or_make(&mut self, name: RoomName) -> Result<RoomId, TooManyRooms> {
        if !self.may_enter(&name) {
            return Err(TooManyRooms);
        }
        Ok(*self.by_name.entry(name.clone()).or_insert_with(|| {
            self.last_id += 1;
            let id = RoomId(self.last_id);
            self.rooms.insert(id, Room { name, workers: Vec::new(), deflating: 0 });
            id
        }))
    }

    /// Takes a session out, if it is there, and says where it was.
    pub fn leave(&mut self, session: SessionId) -> Option<Membership> {
        let membership = self.members.remove(&session)?;
        if let Some(room) = membership.room
            && let Some(entry) = self.rooms.get_mut(&room)
        {
            entry.remove(membership.worker, membership.encoding);
            if entry.workers.is_empty() {
                self.by_name.remove(&entry.name);
                self.rooms.remove(&room);
            }
        }
        Some(membership)
    }

    /// The room a session is in.
    pub fn room_of(&self, session: SessionId) -> Option<RoomId> {
        self.members.get(&session)?.room
    }

    /// Whether somebody in a room reads compressed frames.
    pub fn has_deflating(&self, room: RoomId) -> bool {
        self.rooms.get(&room).is_some_and(|room| room.deflating > 0)
    }

    /// The workers on which a room has members.
    pub fn workers_of(&self, room: RoomId) -> impl Iterator<Item = WorkerId> + '_ {
        self.rooms.get(&room).into_iter().flat_map(|room| room.workers.iter().map(|(worker, _)| *worker))
    }

    /// Rooms with members.
    pub fn count(&self) -> usize {
        self.rooms.len()
    }

    /// Sessions, in rooms or not.
    pub fn member_count(&self) -> usize {
        self.members.len()
    }
}

impl Room {
    fn add(&mut self, worker: WorkerId, encoding: Encoding) {
        match self.workers.iter_mut().find(|(known, _)| *known == worker) {
            Some((_, members)) => *members += 1,
            None => self.workers.push((worker, 1)),
        }
        self.deflating += usize::from(encoding == Encoding::Deflated);
    }

    fn remove(&mut self, worker: WorkerId, encoding: Encoding) {
        if let Some(place) = self.workers.iter().position(|(known, _)| *known == worker) {
            self.workers[place].1 -= 1;
            if self.workers[place].1 == 0 {
                self.workers.swap_remove(place);
            }
        }
        self.deflating -= usize::from(encoding == Encoding::Deflated);
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

    fn join(rooms: &mut Rooms, number: u64, name: &str, worker: WorkerId) -> Option<RoomId> {
        let name = RoomName::parse(name).expect("a legal name");
        rooms.join(session(number), Some(name), worker, Encoding::Plain).expect("place for a room")
    }

    #[test]
    fn sessions_that_name_the_same_room_meet_there() {
        let mut rooms = Rooms::new(9);
        let first = join(&mut rooms, 1, "a", ONE);
        let second = join(&mut rooms, 2, "a", TWO);
        let other = join(&mut rooms, 3, "b", ONE);
        assert_eq!(first, second);
        assert_ne!(first, other);
        assert_eq!((rooms.count(), rooms.member_count()), (2, 3));
        assert_eq!(rooms.workers_of(first.expect("a room")).collect::<Vec<_>>(), [ONE, TWO]);
    }

    #[test]
    fn leaving_the_last_room_removes_it() {
        let mut rooms = Rooms::new(9);
        let room = join(&mut rooms, 1, "a", ONE);
        join(&mut rooms, 2, "a", ONE);
        let left = Membership { room, worker: ONE, encoding: Encoding::Plain };
        assert_eq!(rooms.leave(session(1)), Some(left));
        assert_eq!(rooms.count(), 1);
        rooms.leave(session(2));
        assert_eq!((rooms.count(), rooms.member_count()), (0, 0));
        assert!(rooms.by_name.is_empty());
        assert_ne!(join(&mut rooms, 3, "a", ONE), room, "a room that comes back is a new one");
    }

    #[test]
    fn leaving_twice_is_harmless() {
        let mut rooms = Rooms::new(9);
        join(&mut rooms, 1, "a", ONE);
        assert!(rooms.leave(session(1)).is_some());
        assert_eq!(rooms.leave(session(1)), None);
        assert_eq!(rooms.leave(session(9)), None);
    }

    #[test]
    fn a_session_without_a_room_is_counted_and_makes_none() {
        let mut rooms = Rooms::new(9);
        assert_eq!(rooms.join(session(1), None, ONE, Encoding::Plain), Ok(None));
        assert_eq!((rooms.count(), rooms.member_count(), rooms.room_of(session(1))), (0, 1, None));
        assert!(rooms.leave(session(1)).is_some());
    }

    #[test]
    fn a_room_too_many_is_refused_and_the_others_stay_open() {
        let mut rooms = Rooms::new(1);
        join(&mut rooms, 1, "a", ONE);
        let (a, b) = (RoomName::parse("a").expect("legal"), RoomName::parse("b").expect("legal"));
        assert!(rooms.may_enter(&a) && !rooms.may_enter(&b));
        assert_eq!(rooms.join(session(2), Some(b.clone()), ONE, Encoding::Plain), Err(TooManyRooms));
        assert_eq!((rooms.count(), rooms.member_count()), (1, 1));
        rooms.leave(session(1));
        assert!(rooms.may_enter(&b));
    }

    #[test]
    fn a_worker_without_members_hears_nothing_of_a_room() {
        let mut rooms = Rooms::new(9);
        let room = join(&mut rooms, 1, "a", ONE).expect("a room");
        join(&mut rooms, 2, "a", TWO);
        rooms.leave(session(1));
        assert_eq!(rooms.workers_of(room).collect::<Vec<_>>(), [TWO]);
    }

    #[test]
    fn a_room_deflates_while_somebody_can_inflate() {
        let mut rooms = Rooms::new(9);
        let room = join(&mut rooms, 1, "a", ONE).expect("a room");
        assert!(!rooms.has_deflating(room));
        let name = RoomName::parse("a").expect("legal");
        rooms.join(session(2), Some(name), ONE, Encoding::Deflated).expect("place");
        assert!(rooms.has_deflating(room));
        rooms.leave(session(2));
        assert!(!rooms.has_deflating(room));
    }
}
