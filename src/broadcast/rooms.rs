//! Rooms and their members as plain data. Decides what may happen; actors carry it out.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    hash::Hash,
    net::IpAddr,
    sync::atomic::{AtomicU64, Ordering},
};

use smallvec::SmallVec;

use super::{
    encoding::{Dialect, Encoding},
    map::Map,
    subscribers::Subscribers,
};
use crate::domain::{SessionId, WorkerId};

/// Identifies a room while it is in memory, unique in the process; a room that comes back into memory gets a
/// new id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RoomId(u64);

impl RoomId {
    /// The next unused id.
    pub fn next() -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Self(LAST.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

/// A room of any kind, as [`Rooms`] uses it.
pub(crate) trait AnyRoom {
    /// Identifies a room, also when it is not in memory.
    type Name: Clone + Ord + Hash + fmt::Debug;

    /// A room without members.
    fn new(name: Self::Name) -> Self;

    /// The name under which [`Rooms::find`] finds it.
    fn name(&self) -> &Self::Name;

    /// Sessions in it, whether they are subscribed yet or not.
    fn members(&mut self) -> &mut usize;

    /// The subscribers, counted.
    fn subscribers(&mut self) -> &mut Subscribers;

    /// Whether the room can leave memory without loss.
    fn is_idle(&self) -> bool;

    /// Whether a room of this name may always be entered, and keeps its history when others lose theirs.
    fn is_reserved(name: &Self::Name) -> bool {
        let _ = name;
        false
    }
}

/// All sessions, and all rooms that have members or cannot leave memory without loss.
#[derive(Debug)]
pub(crate) struct Rooms<R: AnyRoom> {
    max_rooms: usize,
    by_name: HashMap<R::Name, RoomId>,
    rooms: Map<RoomId, R>,
    /// Number of rooms with members.
    occupied: usize,
    /// Rooms with history, in memory or not, and the time of the last message of each in milliseconds since
    /// 1970.
    kept: HashMap<R::Name, u64>,
    /// Rooms with history that are not in memory, the longest silent first.
    silent: BTreeSet<(u64, R::Name)>,
    /// Number of rooms in memory without history.
    unkept: usize,
    members: Map<SessionId, Member>,
}

/// The rooms of a session, and how its worker delivers to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    /// The rooms it is in, in the order in which it entered: in the chat one at most.
    pub rooms: SmallVec<[RoomId; 1]>,
    /// Whether it is subscribed to them.
    pub is_subscribed: bool,
    /// The ticket of the login by which it entered; 0 for a guest.
    pub visit: u64,
    /// The worker on whose thread it lives.
    pub worker: WorkerId,
    /// The encoding of its frames.
    pub encoding: Encoding,
    /// The address of its client, if known.
    pub address: Option<IpAddr>,
}

impl Member {
    /// The room it is in, if it is in one; the first if in several.
    pub(crate) fn room(&self) -> Option<RoomId> {
        self.rooms.first().copied()
    }
}

/// What happens if a session names a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// The room exists, in memory or with history.
    Known,
    /// The room would be made.
    New,
    /// The room would exceed the bound on rooms.
    TooMany,
}

/// A room that was found or made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found<N> {
    /// The room in memory.
    pub id: RoomId,
    /// The room that must lose its history to make place for this one.
    pub forgotten: Option<N>,
}

/// The bound on rooms is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there are too many rooms")]
pub(crate) struct TooManyRooms;

impl<R: AnyRoom> Rooms<R> {
    /// No rooms yet; at most `max_rooms` at a time may have members or history.
    pub(crate) fn new(max_rooms: usize) -> Self {
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

    /// What happens if a session names this room. Rooms with only a history never keep a new room out: the
    /// one that has been silent longest is forgotten.
    pub(crate) fn standing(&self, name: &R::Name) -> Standing {
        if self.by_name.contains_key(name) || self.kept.contains_key(name) {
            Standing::Known
        } else if !self.is_full() || !self.silent.is_empty() || R::is_reserved(name) {
            Standing::New
        } else {
            Standing::TooMany
        }
    }

    /// Whether a new room must replace another one.
    fn is_full(&self) -> bool {
        self.count() >= self.max_rooms
    }

    /// Number of rooms with members or history, which the bound counts.
    pub(crate) fn count(&self) -> usize {
        self.kept.len() + self.unkept
    }

    /// The room of this name, if it is in memory.
    pub(crate) fn find(&self, name: &R::Name) -> Option<RoomId> {
        self.by_name.get(name).copied()
    }

    /// The room of this name. Makes it if needed, in place of another one if the bound is reached.
    ///
    /// # Errors
    /// The bound is reached, and no other room can give way.
    pub(crate) fn find_or_make(&mut self, name: &R::Name) -> Result<Found<R::Name>, TooManyRooms> {
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

    /// A room in memory.
    pub(crate) fn get(&mut self, id: RoomId) -> Option<&mut R> {
        self.rooms.get_mut(&id)
    }

    /// Registers a session, in no room.
    pub(crate) fn register(
        &mut self,
        session: SessionId,
        worker: WorkerId,
        encoding: Encoding,
        address: Option<IpAddr>,
    ) {
        let member =
            Member { rooms: SmallVec::new(), is_subscribed: false, visit: 0, worker, encoding, address };
        let former = self.members.insert(session, member);
        debug_assert!(former.is_none(), "{session} registered twice");
    }

    /// Puts a session into a room. Idempotent.
    pub(crate) fn put(&mut self, session: SessionId, id: RoomId) {
        if let (Some(member), Some(room)) = (self.members.get_mut(&session), self.rooms.get_mut(&id))
            && !member.rooms.contains(&id)
        {
            member.rooms.push(id);
            if member.is_subscribed {
                room.subscribers().add(member.worker, member.encoding);
            }
            *room.members() += 1;
            self.occupied += usize::from(*room.members() == 1);
        }
    }

    /// Notes the ticket of the login by which a session entered its room.
    pub(crate) fn set_visit(&mut self, session: SessionId, visit: u64) {
        if let Some(member) = self.members.get_mut(&session) {
            member.visit = visit;
        }
    }

    /// Chooses another dialect. Ignored while the session is subscribed.
    pub(crate) fn set_dialect(&mut self, session: SessionId, choose: impl FnOnce(Dialect) -> Dialect) {
        if let Some(member) = self.members.get_mut(&session).filter(|member| !member.is_subscribed) {
            member.encoding.dialect = choose(member.encoding.dialect);
        }
    }

    /// Subscribes a session to its rooms, or unsubscribes it.
    pub(crate) fn set_subscribed(&mut self, session: SessionId, is_subscribed: bool) {
        let Some(member) =
            self.members.get_mut(&session).filter(|member| member.is_subscribed != is_subscribed)
        else {
            return;
        };
        member.is_subscribed = is_subscribed;
        for id in &member.rooms {
            if let Some(room) = self.rooms.get_mut(id) {
                match is_subscribed {
                    true => room.subscribers().add(member.worker, member.encoding),
                    false => room.subscribers().remove(member.worker, member.encoding),
                }
            }
        }
    }

    /// Takes a session out of a room. False if it was not in it.
    pub(crate) fn take_out(&mut self, session: SessionId, id: RoomId) -> bool {
        let Some(member) = self.members.get_mut(&session) else {
            return false;
        };
        let Some(place) = member.rooms.iter().position(|room| *room == id) else {
            return false;
        };
        member.rooms.remove(place);
        if let Some(room) = self.rooms.get_mut(&id) {
            if member.is_subscribed {
                room.subscribers().remove(member.worker, member.encoding);
            }
            *room.members() -= 1;
            self.occupied -= usize::from(*room.members() == 0);
        }
        true
    }

    /// Unregisters a session, which must have been taken out of its rooms.
    pub(crate) fn remove(&mut self, session: SessionId) -> Option<Member> {
        self.members.remove(&session)
    }

    /// Removes a room that can leave memory without loss, and returns it.
    pub(crate) fn retire(&mut self, id: RoomId) -> Option<R> {
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

    /// Notes a room with history that is not in memory.
    fn fall_silent(&mut self, name: R::Name, at: u64) {
        if !R::is_reserved(&name) {
            self.silent.insert((at, name));
        }
    }

    /// A room has history; its last message was said at `at`, in milliseconds since 1970.
    pub(crate) fn keep(&mut self, name: &R::Name, at: u64) {
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

    /// A room has lost its history.
    pub(crate) fn forget(&mut self, name: &R::Name) {
        let Some(at) = self.kept.remove(name) else {
            return;
        };
        if self.by_name.contains_key(name) {
            self.unkept += 1;
        } else {
            self.silent.remove(&(at, name.clone()));
        }
    }

    /// The rooms of a session, and how its worker delivers to it.
    pub(crate) fn member(&self, session: SessionId) -> Option<&Member> {
        self.members.get(&session)
    }

    /// The room of a session; the first if it is in several.
    pub(crate) fn room_of(&self, session: SessionId) -> Option<RoomId> {
        self.members.get(&session)?.room()
    }

    /// Number of rooms with members.
    pub(crate) fn occupied(&self) -> usize {
        self.occupied
    }

    /// The rooms in memory, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &R> {
        self.rooms.values()
    }

    /// Number of rooms in memory.
    pub(crate) fn loaded(&self) -> usize {
        self.rooms.len()
    }

    /// Number of registered sessions, in rooms or not.
    pub(crate) fn member_count(&self) -> usize {
        self.members.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::RoomName;

    const ONE: WorkerId = WorkerId(0);
    const PLAIN: Encoding = Encoding { dialect: Dialect::of(0), deflated: false };

    /// A room with which nothing is lost but its members.
    #[derive(Debug)]
    struct Room {
        name: RoomName,
        members: usize,
        subscribers: Subscribers,
    }

    impl AnyRoom for Room {
        type Name = RoomName;

        fn new(name: RoomName) -> Self {
            Self { name, members: 0, subscribers: Subscribers::default() }
        }

        fn name(&self) -> &RoomName {
            &self.name
        }

        fn members(&mut self) -> &mut usize {
            &mut self.members
        }

        fn subscribers(&mut self) -> &mut Subscribers {
            &mut self.subscribers
        }

        fn is_idle(&self) -> bool {
            true
        }

        fn is_reserved(name: &RoomName) -> bool {
            name.is_reserved()
        }
    }

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
        rooms.set_subscribed(session(number), true);
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
    fn a_session_that_is_not_subscribed_yet_is_in_the_room_but_no_subscriber() {
        let mut rooms = Rooms::<Room>::new(9);
        let id = rooms.find_or_make(&name("a")).expect("place").id;
        rooms.register(session(1), ONE, PLAIN, None);
        rooms.put(session(1), id);
        assert_eq!((rooms.occupied(), rooms.room_of(session(1))), (1, Some(id)));
        assert_eq!(rooms.get(id).expect("there").subscribers.workers().count(), 0);
        for _ in 0..2 {
            rooms.set_subscribed(session(1), true);
        }
        assert!(rooms.take_out(session(1), id) && !rooms.take_out(session(1), id));
        assert_eq!(rooms.get(id).expect("there").subscribers.workers().count(), 0, "counted once");
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
    fn at_the_bound_the_longest_silent_room_without_members_gives_way() {
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
