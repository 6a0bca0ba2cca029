//! Which rooms there are, and which session is in which. A plain struct: it decides, the actors carry out.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    hash::Hash,
    sync::atomic::{AtomicU64, Ordering},
};

use smallvec::SmallVec;

use super::{audience::Audience, round::Encoding};
use crate::domain::{SessionId, WorkerId};

/// A room's number for as long as it is in memory, unlike that of any other room of the process; a room that comes back
/// gets a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RoomId(u64);

impl RoomId {
    /// The next unused number.
    pub(super) fn next() -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Self(LAST.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

/// What every kind of room is to [`Rooms`].
pub trait AnyRoom {
    /// How it is found.
    type Name: Clone + Eq + Hash + fmt::Debug;

    /// An empty room.
    fn new(name: Self::Name) -> Self;

    /// How it is found.
    fn name(&self) -> &Self::Name;

    /// Sessions in it, whether they hear it yet or not.
    fn members(&mut self) -> &mut usize;

    /// Those who hear it.
    fn audience(&mut self) -> &mut Audience;

    /// Whether nothing would be lost with it.
    fn is_idle(&self) -> bool;
}

/// All sessions, and all rooms that somebody is in or with which something would be lost.
#[derive(Debug)]
pub struct Rooms<R: AnyRoom> {
    max_rooms: usize,
    by_name: HashMap<R::Name, RoomId>,
    rooms: HashMap<RoomId, R>,
    /// Rooms with sessions in them.
    occupied: usize,
    /// Rooms with history, in memory or not.
    kept: HashSet<R::Name>,
    /// Rooms in memory without history.
    unkept: usize,
    members: HashMap<SessionId, Membership>,
}

/// Where a session is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The rooms it is in, in the order in which it came: in the chat one at most.
    pub rooms: SmallVec<[RoomId; 1]>,
    /// Whether it hears them yet.
    pub hears: bool,
    /// The ticket by which it came there, 0 for a guest.
    pub visit: u64,
    /// The worker it lives on.
    pub worker: WorkerId,
    /// How it wants its frames.
    pub encoding: Encoding,
}

impl Membership {
    /// The one room it is in, if any.
    pub fn room(&self) -> Option<RoomId> {
        self.rooms.first().copied()
    }
}

/// There are as many rooms as there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there are too many rooms")]
pub struct TooManyRooms;

impl<R: AnyRoom> Rooms<R> {
    /// No rooms yet, and at most `max_rooms` at a time that have somebody in them or history.
    pub fn new(max_rooms: usize) -> Self {
        Self {
            max_rooms,
            by_name: HashMap::new(),
            rooms: HashMap::new(),
            occupied: 0,
            kept: HashSet::new(),
            unkept: 0,
            members: HashMap::new(),
        }
    }

    /// Whether a session that names this room would find or make it.
    pub fn may_enter(&self, name: &R::Name) -> bool {
        self.by_name.contains_key(name)
            || self.kept.contains(name)
            || self.kept.len() + self.unkept < self.max_rooms
    }

    /// The room of that name, if it is in memory.
    pub fn find(&self, name: &R::Name) -> Option<RoomId> {
        self.by_name.get(name).copied()
    }

    /// The room of that name, which is made if needed.
    ///
    /// # Errors
    /// It would be one too many.
    pub fn find_or_make(&mut self, name: &R::Name) -> Result<RoomId, TooManyRooms> {
        if let Some(id) = self.by_name.get(name) {
            return Ok(*id);
        }
        if !self.may_enter(name) {
            return Err(TooManyRooms);
        }
        let id = RoomId::next();
        self.by_name.insert(name.clone(), id);
        self.rooms.insert(id, R::new(name.clone()));
        self.unkept += usize::from(!self.kept.contains(name));
        Ok(id)
    }

    /// A room that is in memory.
    pub fn get(&mut self, id: RoomId) -> Option<&mut R> {
        self.rooms.get_mut(&id)
    }

    /// A session begins, in no room.
    pub fn register(&mut self, session: SessionId, worker: WorkerId, encoding: Encoding) {
        let membership = Membership { rooms: SmallVec::new(), hears: false, visit: 0, worker, encoding };
        let former = self.members.insert(session, membership);
        debug_assert!(former.is_none(), "{session} joined without leaving");
    }

    /// Puts a session into a room. Harmless if it is there.
    pub fn put(&mut self, session: SessionId, id: RoomId) {
        if let (Some(member), Some(room)) = (self.members.get_mut(&session), self.rooms.get_mut(&id))
            && !member.rooms.contains(&id)
        {
            member.rooms.push(id);
            if member.hears {
                room.audience().add(member.worker, member.encoding);
            }
            *room.members() += 1;
            self.occupied += usize::from(*room.members() == 1);
        }
    }

    /// A session came into its room by this ticket.
    pub fn set_visit(&mut self, session: SessionId, visit: u64) {
        if let Some(member) = self.members.get_mut(&session) {
            member.visit = visit;
        }
    }

    /// A session hears its rooms from here on, or not any more.
    pub fn set_hears(&mut self, session: SessionId, hears: bool) {
        let Some(member) = self.members.get_mut(&session).filter(|member| member.hears != hears) else {
            return;
        };
        member.hears = hears;
        for id in &member.rooms {
            if let Some(room) = self.rooms.get_mut(id) {
                match hears {
                    true => room.audience().add(member.worker, member.encoding),
                    false => room.audience().remove(member.worker, member.encoding),
                }
            }
        }
    }

    /// Takes a session out of a room; whether it was there.
    pub fn take_out(&mut self, session: SessionId, id: RoomId) -> bool {
        let Some(member) = self.members.get_mut(&session) else {
            return false;
        };
        let Some(place) = member.rooms.iter().position(|room| *room == id) else {
            return false;
        };
        member.rooms.remove(place);
        if let Some(room) = self.rooms.get_mut(&id) {
            if member.hears {
                room.audience().remove(member.worker, member.encoding);
            }
            *room.members() -= 1;
            self.occupied -= usize::from(*room.members() == 0);
        }
        true
    }

    /// A session is gone; it must have been taken out of its rooms.
    pub fn remove(&mut self, session: SessionId) -> Option<Membership> {
        self.members.remove(&session)
    }

    /// Lets go of a room with which nothing would be lost.
    pub fn retire(&mut self, id: RoomId) {
        if self.rooms.get_mut(&id).is_some_and(|room| *room.members() == 0 && room.is_idle())
            && let Some(room) = self.rooms.remove(&id)
        {
            self.by_name.remove(room.name());
            self.unkept -= usize::from(!self.kept.contains(room.name()));
        }
    }

    /// A room has history.
    pub fn keep(&mut self, name: &R::Name) {
        if self.kept.insert(name.clone()) && self.by_name.contains_key(name) {
            self.unkept -= 1;
        }
    }

    /// A room has none any more.
    pub fn forget(&mut self, name: &R::Name) {
        if self.kept.remove(name) && self.by_name.contains_key(name) {
            self.unkept += 1;
        }
    }

    /// Where a session is.
    pub fn membership(&self, session: SessionId) -> Option<&Membership> {
        self.members.get(&session)
    }

    /// The one room a session is in.
    pub fn room_of(&self, session: SessionId) -> Option<RoomId> {
        self.members.get(&session)?.room()
    }

    /// Rooms with sessions in them.
    pub fn occupied(&self) -> usize {
        self.occupied
    }

    /// The rooms in memory, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &R> {
        self.rooms.values()
    }

    /// Rooms in memory.
    pub fn loaded(&self) -> usize {
        self.rooms.len()
    }

    /// Sessions, in rooms or not.
    pub fn member_count(&self) -> usize {
        self.members.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        chat::{line::Dialect, room::Room},
        domain::RoomName,
    };

    const ONE: WorkerId = WorkerId(0);
    const PLAIN: Encoding = Encoding { dialect: Dialect::Plain, deflated: false };

    fn session(number: u64) -> SessionId {
        SessionId::of(number)
    }

    fn name(text: &str) -> RoomName {
        RoomName::parse(text).expect("a legal name")
    }

    fn join(rooms: &mut Rooms<Room>, number: u64, room: &str) -> RoomId {
        let id = rooms.find_or_make(&name(room)).expect("place for a room");
        rooms.register(session(number), ONE, PLAIN);
        rooms.put(session(number), id);
        rooms.set_hears(session(number), true);
        id
    }

    fn leave(rooms: &mut Rooms<Room>, number: u64) {
        if let Some(id) = rooms.room_of(session(number)) {
            rooms.take_out(session(number), id);
            rooms.retire(id);
        }
        rooms.remove(session(number));
    }

    #[test]
    fn sessions_that_name_the_same_room_meet_there() {
        let mut rooms = Rooms::new(9);
        let first = join(&mut rooms, 1, "a");
        let second = join(&mut rooms, 2, "a");
        let other = join(&mut rooms, 3, "b");
        assert_eq!(first, second);
        assert_ne!(first, other);
        assert_eq!((rooms.occupied(), rooms.member_count()), (2, 3));
    }

    #[test]
    fn leaving_the_last_room_removes_it() {
        let mut rooms = Rooms::new(9);
        let room = join(&mut rooms, 1, "a");
        join(&mut rooms, 2, "a");
        leave(&mut rooms, 1);
        assert_eq!((rooms.occupied(), rooms.loaded()), (1, 1));
        leave(&mut rooms, 2);
        assert_eq!((rooms.occupied(), rooms.loaded(), rooms.member_count()), (0, 0, 0));
        assert!(rooms.by_name.is_empty());
        assert_ne!(join(&mut rooms, 3, "a"), room, "a room that comes back is a new one");
    }

    #[test]
    fn leaving_twice_is_harmless() {
        let mut rooms = Rooms::new(9);
        join(&mut rooms, 1, "a");
        for _ in 0..2 {
            leave(&mut rooms, 1);
            leave(&mut rooms, 9);
        }
        assert_eq!(rooms.member_count(), 0);
    }

    #[test]
    fn a_session_that_does_not_hear_yet_is_in_the_room_but_no_audience() {
        let mut rooms = Rooms::<Room>::new(9);
        let id = rooms.find_or_make(&name("a")).expect("place");
        rooms.register(session(1), ONE, PLAIN);
        rooms.put(session(1), id);
        assert_eq!((rooms.occupied(), rooms.room_of(session(1))), (1, Some(id)));
        assert_eq!(rooms.get(id).expect("there").audience.workers().count(), 0);
        for _ in 0..2 {
            rooms.set_hears(session(1), true);
        }
        assert!(rooms.take_out(session(1), id) && !rooms.take_out(session(1), id));
        assert_eq!(rooms.get(id).expect("there").audience.workers().count(), 0, "counted once");
    }

    #[test]
    fn a_room_too_many_is_refused_and_the_others_stay_open() {
        let mut rooms = Rooms::new(1);
        join(&mut rooms, 1, "a");
        assert!(rooms.may_enter(&name("a")) && !rooms.may_enter(&name("b")));
        assert_eq!(rooms.find_or_make(&name("b")), Err(TooManyRooms));
        leave(&mut rooms, 1);
        assert!(rooms.may_enter(&name("b")));
    }

    #[test]
    fn rooms_with_history_count_whether_somebody_is_in_them_or_not() {
        let mut rooms = Rooms::new(2);
        join(&mut rooms, 1, "a");
        rooms.keep(&name("a"));
        rooms.keep(&name("b"));
        assert!(!rooms.may_enter(&name("c")));
        assert!(rooms.may_enter(&name("b")), "a room that is kept can be entered");
        leave(&mut rooms, 1);
        assert!(!rooms.may_enter(&name("c")), "its history is there still");
        rooms.forget(&name("a"));
        join(&mut rooms, 2, "c");
        assert!(!rooms.may_enter(&name("a")));
    }
}
