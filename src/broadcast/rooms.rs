//! Rooms in memory and the sessions in them, as plain data.

use smallvec::SmallVec;

use super::{
    directory::{AnyRoom, Directory, Found, Standing, TooManyRooms},
    encoding::{Dialect, Encoding},
    lines::OpenBroadcast,
    room_bound::RoomBound,
    room_id::RoomId,
    subscribers::Subscribers,
};
use crate::domain::{Map, MemberId, WorkerId};

/// All sessions, and all rooms that have members or cannot leave memory without loss. Only the
/// [`Broadcaster`](super::Broadcaster) changes who is in which room.
#[derive(Debug)]
pub(crate) struct Rooms<R: AnyRoom> {
    directory: Directory<R>,
    rooms: Map<RoomId, Room<R>>,
    /// Number of rooms with members.
    occupied: usize,
    members: Map<MemberId, Member<R::Member>>,
}

/// What is left of the rooms of a server that begins again.
#[derive(Debug)]
pub(crate) struct Remains<R: AnyRoom> {
    /// What the server kept of each room in memory, and whether lines were not sent yet, which are lost.
    pub rooms: Vec<(RoomId, R, bool)>,
    /// The sessions.
    pub members: Vec<(MemberId, Member<R::Member>)>,
}

/// A room in memory.
#[derive(Debug)]
pub(super) struct Room<R> {
    /// Number of sessions in it, whether they are subscribed yet or not.
    members: usize,
    /// The subscribers, counted.
    pub(super) subscribers: Subscribers,
    /// The lines that are not sent yet.
    pub(super) open: Option<OpenBroadcast>,
    /// What its server keeps of it.
    own: R,
}

/// The rooms of a session, and how its worker delivers to it.
#[derive(Debug)]
pub(crate) struct Member<M> {
    /// The rooms it is in, in the order in which it entered: in the chat one at most.
    pub rooms: SmallVec<[RoomId; 1]>,
    /// Whether it is subscribed to them.
    pub is_subscribed: bool,
    /// The worker on whose thread it lives.
    pub worker: WorkerId,
    /// The encoding of its frames.
    pub encoding: Encoding,
    /// What its server keeps of it.
    pub own: M,
}

impl<M> Member<M> {
    /// The room it is in, if it is in one; the first if in several.
    pub(crate) fn room(&self) -> Option<RoomId> {
        self.rooms.first().copied()
    }
}

impl<R: AnyRoom> Rooms<R> {
    /// No rooms yet; `bound` says how many may have members or history.
    pub(super) fn new(bound: RoomBound) -> Self {
        Self { directory: Directory::new(bound), rooms: Map::default(), occupied: 0, members: Map::default() }
    }

    /// What happens if a session names this room. Rooms with only a history never keep a new room out: the
    /// one that has been silent longest is forgotten.
    pub(crate) fn standing(&self, name: &R::Name) -> Standing {
        self.directory.standing(name)
    }

    /// Number of rooms with members or history, which the bound counts.
    pub(crate) fn count(&self) -> usize {
        self.directory.count()
    }

    /// The room of this name, if it is in memory.
    pub(crate) fn find(&self, name: &R::Name) -> Option<RoomId> {
        self.directory.find(name)
    }

    /// The room of this name. Makes it if needed, in place of another one if the bound is reached.
    ///
    /// # Errors
    /// The bound is reached, and no other room can give way.
    pub(crate) fn find_or_make(&mut self, name: &R::Name) -> Result<Found<R::Name>, TooManyRooms> {
        if let Some(id) = self.directory.find(name) {
            return Ok(Found { id, forgotten: None, gives_way: None });
        }
        let found = self.directory.load(name)?;
        self.add(found.id, name);
        Ok(found)
    }

    /// Makes a room that its server makes by itself. The bound does not count it.
    pub(crate) fn make_uncounted(&mut self, name: &R::Name) -> RoomId {
        let id = self.directory.load_uncounted(name);
        self.add(id, name);
        id
    }

    fn add(&mut self, id: RoomId, name: &R::Name) {
        self.insert(id, R::new(name.clone()));
    }

    fn insert(&mut self, id: RoomId, own: R) {
        self.rooms.insert(id, Room { members: 0, subscribers: Subscribers::default(), open: None, own });
    }

    /// What is left for a server that begins again.
    pub(super) fn remains(self) -> Remains<R> {
        let rooms = self.rooms.into_iter().map(|(id, room)| (id, room.own, room.open.is_some()));
        Remains { rooms: rooms.collect(), members: self.members.into_iter().collect() }
    }

    /// Takes over what is left of the rooms of a server that has begun again; the fan-outs know the rooms and
    /// the sessions already. All counts are made anew.
    pub(super) fn adopt(&mut self, Remains { rooms, members }: Remains<R>) {
        for (id, own, _) in rooms {
            self.directory.adopt(own.name(), id);
            self.insert(id, own);
        }
        for (id, mut member) in members {
            let in_rooms = std::mem::take(&mut member.rooms);
            let is_subscribed = std::mem::replace(&mut member.is_subscribed, false);
            self.members.insert(id, member);
            in_rooms.into_iter().for_each(|room| self.put(id, room));
            self.set_subscribed(id, is_subscribed);
        }
    }

    /// What its server keeps of a room in memory.
    pub(crate) fn get(&mut self, id: RoomId) -> Option<&mut R> {
        self.rooms.get_mut(&id).map(|room| &mut room.own)
    }

    /// A room in memory.
    pub(super) fn room(&mut self, id: RoomId) -> Option<&mut Room<R>> {
        self.rooms.get_mut(&id)
    }

    /// The subscribers of a room in memory, counted.
    pub(crate) fn subscribers(&self, id: RoomId) -> Option<&Subscribers> {
        self.rooms.get(&id).map(|room| &room.subscribers)
    }

    /// Number of sessions in a room, whether they are subscribed yet or not.
    pub(crate) fn members_in(&self, id: RoomId) -> usize {
        self.rooms.get(&id).map_or(0, |room| room.members)
    }

    /// Registers a session, in no room.
    pub(super) fn register(
        &mut self,
        member: MemberId,
        worker: WorkerId,
        encoding: Encoding,
        own: R::Member,
    ) {
        let known = Member { rooms: SmallVec::new(), is_subscribed: false, worker, encoding, own };
        let former = self.members.insert(member, known);
        debug_assert!(former.is_none(), "{member} registered twice");
    }

    /// Puts a session into a room. Idempotent.
    pub(super) fn put(&mut self, member: MemberId, id: RoomId) {
        if let (Some(member), Some(room)) = (self.members.get_mut(&member), self.rooms.get_mut(&id))
            && !member.rooms.contains(&id)
        {
            member.rooms.push(id);
            if member.is_subscribed {
                room.subscribers.add(member.worker, member.encoding);
            }
            room.members += 1;
            self.occupied += usize::from(room.members == 1);
        }
    }

    /// What its server keeps of a session.
    pub(crate) fn own_of(&mut self, member: MemberId) -> Option<&mut R::Member> {
        self.members.get_mut(&member).map(|member| &mut member.own)
    }

    /// Chooses another dialect. Ignored while the session is subscribed.
    pub(crate) fn set_dialect(&mut self, member: MemberId, choose: impl FnOnce(Dialect) -> Dialect) {
        if let Some(member) = self.members.get_mut(&member).filter(|member| !member.is_subscribed) {
            member.encoding.dialect = choose(member.encoding.dialect);
        }
    }

    /// Subscribes a session to its rooms, or unsubscribes it.
    pub(super) fn set_subscribed(&mut self, member: MemberId, is_subscribed: bool) {
        let Some(member) =
            self.members.get_mut(&member).filter(|member| member.is_subscribed != is_subscribed)
        else {
            return;
        };
        member.is_subscribed = is_subscribed;
        for id in &member.rooms {
            if let Some(room) = self.rooms.get_mut(id) {
                match is_subscribed {
                    true => room.subscribers.add(member.worker, member.encoding),
                    false => room.subscribers.remove(member.worker, member.encoding),
                }
            }
        }
    }

    /// Sets the encoding of a member, which is not subscribed.
    pub(super) fn set_encoding(&mut self, member: MemberId, encoding: Encoding) {
        if let Some(member) = self.members.get_mut(&member).filter(|member| !member.is_subscribed) {
            member.encoding = encoding;
        }
    }

    /// Takes a session out of a room. Idempotent.
    pub(super) fn take_out(&mut self, member: MemberId, id: RoomId) {
        let Some(member) = self.members.get_mut(&member) else {
            return;
        };
        let Some(place) = member.rooms.iter().position(|room| *room == id) else {
            return;
        };
        member.rooms.remove(place);
        let (is_subscribed, worker, encoding) = (member.is_subscribed, member.worker, member.encoding);
        self.discount(id, is_subscribed, worker, encoding);
    }

    /// One member less is in a room.
    fn discount(&mut self, id: RoomId, is_subscribed: bool, worker: WorkerId, encoding: Encoding) {
        if let Some(room) = self.rooms.get_mut(&id) {
            if is_subscribed {
                room.subscribers.remove(worker, encoding);
            }
            room.members -= 1;
            self.occupied -= usize::from(room.members == 0);
        }
    }

    /// Takes a session out of its rooms and unregisters it. Returns what was known of it.
    pub(super) fn remove(&mut self, member: MemberId) -> Option<Member<R::Member>> {
        let member = self.members.remove(&member)?;
        for id in &member.rooms {
            self.discount(*id, member.is_subscribed, member.worker, member.encoding);
        }
        Some(member)
    }

    /// Removes a room that can leave memory without loss, and returns what its server kept of it.
    pub(crate) fn retire(&mut self, id: RoomId) -> Option<R> {
        let room = self.rooms.get(&id)?;
        if room.members > 0 || room.open.is_some() || !room.own.is_idle() {
            return None;
        }
        let Room { own, .. } = self.rooms.remove(&id)?;
        self.directory.unload(own.name());
        Some(own)
    }

    /// A room has history; its last message was said at `at`, in milliseconds since 1970.
    pub(crate) fn keep(&mut self, name: &R::Name, at: u64) {
        self.directory.keep(name, at);
    }

    /// A room has lost its history.
    pub(crate) fn forget(&mut self, name: &R::Name) {
        self.directory.forget(name);
    }

    /// The rooms of a session, and how its worker delivers to it.
    pub(crate) fn member(&self, member: MemberId) -> Option<&Member<R::Member>> {
        self.members.get(&member)
    }

    /// The room of a session; the first if it is in several.
    pub(crate) fn room_of(&self, member: MemberId) -> Option<RoomId> {
        self.members.get(&member)?.room()
    }

    /// Number of rooms with members.
    pub(crate) fn occupied(&self) -> usize {
        self.occupied
    }

    /// The rooms in memory, in no order, each with the number of sessions in it.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, &R)> {
        self.rooms.values().map(|room| (room.members, &room.own))
    }

    /// Number of rooms in memory, of all servers that share the bound on rooms.
    pub(crate) fn loaded_in_all(&self) -> usize {
        self.directory.loaded_in_all()
    }

    /// Has the room give way that has been silent longest, for which another server asked. Returns its name: its
    /// history must be forgotten.
    pub(crate) fn give_way(&mut self) -> Option<R::Name> {
        self.directory.give_way()
    }

    /// The room that has been silent longest, if there are more rooms than there may be: its history must be
    /// forgotten.
    pub(crate) fn one_too_many(&mut self) -> Option<R::Name> {
        if self.directory.is_exceeded() { self.directory.forget_longest_silent() } else { None }
    }

    /// When the last message of a room with history was said, in milliseconds since 1970.
    pub(crate) fn kept_at(&self, name: &R::Name) -> Option<u64> {
        self.directory.kept_at(name)
    }

    /// Number of rooms in memory.
    pub(crate) fn loaded(&self) -> usize {
        self.rooms.len()
    }

    /// The sessions in a room, in the order of their numbers. Looks at all sessions.
    pub(crate) fn members_of(&self, id: RoomId) -> Vec<MemberId> {
        let is_in = |(_, member): &(&MemberId, &Member<R::Member>)| member.rooms.contains(&id);
        let mut members: Vec<_> = self.members.iter().filter(is_in).map(|(member, _)| *member).collect();
        members.sort_unstable();
        members
    }

    /// Number of registered sessions, in rooms or not.
    pub(crate) fn member_count(&self) -> usize {
        self.members.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{broadcast::testing::Place, domain::RoomName};

    const ONE: WorkerId = WorkerId(0);
    const PLAIN: Encoding = Encoding { dialect: Dialect::of(0), deflated: false };

    fn member(number: u64) -> MemberId {
        MemberId::of(number)
    }

    fn name(text: &str) -> RoomName {
        RoomName::parse(text).expect("a legal name")
    }

    fn join(rooms: &mut Rooms<Place>, number: u64, room: &str) -> RoomId {
        let id = rooms.find_or_make(&name(room)).expect("place for a room").id;
        rooms.register(member(number), ONE, PLAIN, ());
        rooms.put(member(number), id);
        rooms.set_subscribed(member(number), true);
        id
    }

    fn leave(rooms: &mut Rooms<Place>, number: u64) {
        let member = rooms.remove(member(number));
        member.into_iter().flat_map(|member| member.rooms).for_each(|id| _ = rooms.retire(id));
    }

    #[test]
    fn sessions_that_name_the_same_room_meet_there() {
        let mut rooms = Rooms::new(RoomBound::new(9));
        let first = join(&mut rooms, 1, "a");
        let second = join(&mut rooms, 2, "a");
        let other = join(&mut rooms, 3, "b");
        assert_eq!(first, second);
        assert_ne!(first, other);
        assert_eq!((rooms.occupied(), rooms.member_count()), (2, 3));
    }

    #[test]
    fn leaving_the_last_room_removes_it() {
        let mut rooms = Rooms::new(RoomBound::new(9));
        let room = join(&mut rooms, 1, "a");
        join(&mut rooms, 2, "a");
        leave(&mut rooms, 1);
        assert_eq!((rooms.occupied(), rooms.loaded(), rooms.count()), (1, 1, 1));
        leave(&mut rooms, 2);
        assert_eq!((rooms.occupied(), rooms.loaded(), rooms.count(), rooms.member_count()), (0, 0, 0, 0));
        assert_ne!(join(&mut rooms, 3, "a"), room, "a room that comes back is a new one");
    }

    #[test]
    fn leaving_is_idempotent() {
        let mut rooms = Rooms::new(RoomBound::new(9));
        join(&mut rooms, 1, "a");
        for _ in 0..2 {
            leave(&mut rooms, 1);
            leave(&mut rooms, 9);
        }
        assert_eq!(rooms.member_count(), 0);
    }

    #[test]
    fn a_session_that_is_not_subscribed_yet_is_in_the_room_but_no_subscriber() {
        let mut rooms = Rooms::<Place>::new(RoomBound::new(9));
        let id = rooms.find_or_make(&name("a")).expect("place").id;
        rooms.register(member(1), ONE, PLAIN, ());
        rooms.put(member(1), id);
        assert_eq!((rooms.occupied(), rooms.room_of(member(1)), rooms.members_in(id)), (1, Some(id), 1));
        let subscribers = |rooms: &Rooms<Place>| rooms.subscribers(id).expect("there").count();
        assert_eq!(subscribers(&rooms), 0);
        for _ in 0..2 {
            rooms.set_subscribed(member(1), true);
            assert_eq!(subscribers(&rooms), 1);
        }
        for _ in 0..2 {
            rooms.take_out(member(1), id);
            assert_eq!((subscribers(&rooms), rooms.members_in(id)), (0, 0), "counted once");
        }
    }
}
