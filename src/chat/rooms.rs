//! Which rooms there are, and which session is in which. A plain struct: it decides, the actors carry out.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    hash::Hash,
    net::IpAddr,
    sync::atomic::{AtomicU64, Ordering},
};

use smallvec::SmallVec;

use super::{audience::Audience, map::Map, round::Encoding};
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
    type Name: Clone + Ord + Hash + fmt::Debug;

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

    /// Whether a room of that name may always be entered, and keeps its history when others lose theirs.
    fn is_reserved(name: &Self::Name) -> bool {
        let _ = name;
        false
    }
}

/// All sessions, and all rooms that somebody is in or with which something would be lost.
#[derive(Debug)]
pub struct Rooms<R: AnyRoom> {
    max_rooms: usize,
    by_name: HashMap<R::Name, RoomId>,
    rooms: Map<RoomId, R>,
    /// Rooms with sessions in them.
    occupied: usize,
    /// Rooms with history, in memory or not, and when the last message of each was said, in milliseconds since 1970.
    kept: HashMap<R::Name, u64>,
    /// Rooms with history that are not in memory, the longest silent first.
    silent: BTreeSet<(u64, R::Name)>,
    /// Rooms in memory without history.
    unkept: usize,
    members: Map<SessionId, Membership>,
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
    /// Its client's address, if that is known.
    pub address: Option<IpAddr>,
}

impl Membership {
    /// The one room it is in, if any.
    pub fn room(&self) -> Option<RoomId> {
        self.rooms.first().copied()
    }
}

/// What a session that names a room would find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The room is there, in memory or with history.
    Known,
    /// The room would be made.
    New,
    /// The room would be one too many.
    TooMany,
}

/// A room that was found or made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found<N> {
    /// The room.
    pub id: RoomId,
    /// The room whose history must go, so that there is place for this one.
    pub forgotten: Option<N>,
}

/// There are as many rooms as there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there are too many rooms")]
pub struct TooManyRooms;

impl<R: AnyRoom> Rooms<R> {
    /// No rooms yet, and at most `max_rooms` at a time that have members or history.
    pub fn new(max_rooms: usize) -> Self {
        Self {
            max_rooms,
            by_name: HashMap::new(),
            rooms: Map::default(),
            occupied: 0,
            kept: HashMap::new(),
            silent: BTreeSet::new(),
            unkept: 0,
            members: Map::default(),
        }
    }

    /// What a session that names this room would find. A bound on what is stored refuses no newcomer: as long as there is
    /// a room that only history is left of, the room that has been silent longest gives way.
    pub fn standing(&self, name: &R::Name) -> Standing {
        if self.by_name.contains_key(name) || self.kept.contains_key(name) {
            Standing::Known
        } else if !self.is_full() || !self.silent.is_empty() || R::is_reserved(name) {
            Standing::New
        } else {
            Standing::TooMany
        }
    }

    /// Whether a new room needs the place of another.
    fn is_full(&self) -> bool {
        self.count() >= self.max_rooms
    }

    /// Rooms that count against the bound: those with members or history.
    pub fn count(&self) -> usize {
        self.kept.len() + self.unkept
    }

    /// The room of that name, if it is in memory.
    pub fn find(&self, name: &R::Name) -> Option<RoomId> {
        self.by_name.get(name).copied()
    }

    /// The room of that name, which is made if needed, in the place of another if it must be.
    ///
    /// # Errors
    /// It would be one too many.
    pub fn find_or_make(&mut self, name: &R::Name) -> Result<Found<R::Name>, TooManyRooms> {
        if let Some(id) = self.by_name.get(name) {
            return Ok(Found { id: *id, forgotten: None });
        }
        let mut forgotten = None;
        match self.standing(name) {
            Standing::TooMany => return Err(TooManyRooms),
            Standing::New if self.is_full() => forgotten = self.forget_longest_silent(),
            Standing::New | Standing::Known => {}
        }
        let id = RoomId::next();
        self.by_name.insert(name.clone(), id);
        self.rooms.insert(id, R::new(name.clone()));
        match self.kept.get(name) {
            Some(at) => _ = self.silent.remove(&(*at, name.clone())),
            None => self.unkept += 1,
        }
        Ok(Found { id, forgotten })
    }

    fn forget_longest_silent(&mut self) -> Option<R::Name> {
        let (_, name) = self.silent.pop_first()?;
        self.kept.remove(&name);
        Some(name)
    }

    /// A room that is in memory.
    pub fn get(&mut self, id: RoomId) -> Option<&mut R> {
        self.rooms.get_mut(&id)
    }

    /// A session begins, in no room.
    pub fn register(
        &mut self,
        session: SessionId,
        worker: WorkerId,
        encoding: Encoding,
        address: Option<IpAddr>,
    ) {
        let membership =
            Membership { rooms: SmallVec::new(), hears: false, visit: 0, worker, encoding, address };
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

    /// A session wants every change of who is in its room, or lists. Nothing changes while it hears one.
    pub fn set_changes(&mut self, session: SessionId, wants_changes: bool) {
        if let Some(member) = self.members.get_mut(&session).filter(|member| !member.hears) {
            member.encoding.dialect = member.encoding.dialect.with_changes(wants_changes);
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

    /// Lets go of a room with which nothing would be lost, and gives it back.
    pub fn retire(&mut self, id: RoomId) -> Option<R> {
        let room = self.rooms.get_mut(&id)?;
        if *room.members() > 0 || !room.is_idle() {
            return None;
        }
        let room = self.rooms.remove(&id)?;
        self.by_name.remove(room.name());
        match self.kept.get(room.name()) {
            Some(at) => self.fall_silent(room.name().clone(), *at),
            None => self.unkept -= 1,
        }
        Some(room)
    }

    /// A room is not in memory any more, and has history.
    fn fall_silent(&mut self, name: R::Name, at: u64) {
        if !R::is_reserved(&name) {
            self.silent.insert((at, name));
        }
    }

    /// A room has history, whose last message was said then, in milliseconds since 1970.
    pub fn keep(&mut self, name: &R::Name, at: u64) {
        let former = self.kept.insert(name.clone(), at);
        if self.by_name.contains_key(name) {
            self.unkept -= usize::from(former.is_none());
        } else {
            if let Some(former) = former {
                self.silent.remove(&(former, name.clone()));
            }
            self.fall_silent(name.clone(), at);
        }
    }

    /// A room has no history any more.
    pub fn forget(&mut self, name: &R::Name) {
        let Some(at) = self.kept.remove(name) else {
            return;
        };
        if self.by_name.contains_key(name) {
            self.unkept += 1;
        } else {
            self.silent.remove(&(at, name.clone()));
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
        let id = rooms.find_or_make(&name(room)).expect("place for a room").id;
        rooms.register(session(number), ONE, PLAIN, None);
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
        let id = rooms.find_or_make(&name("a")).expect("place").id;
        rooms.register(session(1), ONE, PLAIN, None);
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
        assert_eq!(rooms.standing(&name("a")), Standing::Known);
        assert_eq!(rooms.standing(&name("b")), Standing::TooMany);
        assert_eq!(rooms.find_or_make(&name("b")), Err(TooManyRooms));
        leave(&mut rooms, 1);
        assert_eq!(rooms.standing(&name("b")), Standing::New);
    }

    #[test]
    fn the_default_room_may_be_entered_when_all_others_are_taken() {
        let mut rooms = Rooms::new(1);
        join(&mut rooms, 1, "a");
        join(&mut rooms, 2, "lobby");
        assert_eq!(rooms.occupied(), 2);
    }

    #[test]
    fn at_the_bound_the_longest_silent_room_that_nobody_is_in_gives_way() {
        let mut rooms = Rooms::new(3);
        join(&mut rooms, 1, "occupied");
        rooms.keep(&name("occupied"), 1);
        rooms.keep(&name("older"), 2);
        rooms.keep(&name("newer"), 3);
        rooms.keep(&name("older"), 4);
        let found = rooms.find_or_make(&name("fresh")).expect("place");
        assert_eq!(found.forgotten, Some(name("newer")), "the other has spoken since");
        rooms.keep(&name("fresh"), 5);
        assert_eq!(rooms.count(), 3);
        assert_eq!(rooms.find_or_make(&name("older")).expect("it is there").forgotten, None);
        assert_eq!(rooms.standing(&name("another")), Standing::TooMany, "all are in memory");
        leave(&mut rooms, 1);
        let found = rooms.find_or_make(&name("another")).expect("place");
        assert_eq!(found.forgotten, Some(name("occupied")));
        assert_eq!(rooms.count(), 3);
    }

    #[test]
    fn the_default_room_keeps_its_history_when_others_lose_theirs() {
        let mut rooms = Rooms::<Room>::new(2);
        rooms.keep(&name("lobby"), 1);
        rooms.keep(&name("other"), 2);
        assert_eq!(rooms.find_or_make(&name("fresh")).expect("place").forgotten, Some(name("other")));
        assert_eq!(rooms.standing(&name("another")), Standing::TooMany);
        assert_eq!(rooms.standing(&name("lobby")), Standing::Known);
    }

    #[test]
    fn a_room_whose_history_is_forgotten_gives_its_place_back() {
        let mut rooms = Rooms::new(2);
        join(&mut rooms, 1, "a");
        rooms.keep(&name("a"), 1);
        rooms.keep(&name("b"), 2);
        rooms.forget(&name("b"));
        assert_eq!(rooms.count(), 1);
        rooms.forget(&name("a"));
        assert_eq!(rooms.count(), 1, "it has a member");
        leave(&mut rooms, 1);
        assert_eq!((rooms.count(), rooms.silent.len()), (0, 0));
    }
}
