//! The names of rooms, within a bound: which rooms are in memory, which have history, and which of them loses
//! its history when another room needs its place.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    hash::Hash,
};

use super::{
    room_bound::{Own, RoomBound},
    room_id::RoomId,
};

/// What a server of rooms keeps of each of its rooms beside its members and lines.
pub(crate) trait AnyRoom {
    /// Identifies a room, also when it is not in memory.
    type Name: Clone + Ord + Hash + fmt::Debug;

    /// What the server keeps of each session.
    type Member: fmt::Debug;

    /// A room without members.
    fn new(name: Self::Name) -> Self;

    /// The name of the room.
    fn name(&self) -> &Self::Name;

    /// Whether the room can leave memory without loss, as soon as it has neither members nor lines to send.
    fn is_idle(&self) -> bool;

    /// Whether a room of this name may always be entered, and keeps its history when others lose theirs.
    fn is_reserved(name: &Self::Name) -> bool {
        let _ = name;
        false
    }

    /// Whether the bound does not count a room of this name, because its server makes it by itself.
    fn is_uncounted(name: &Self::Name) -> bool {
        let _ = name;
        false
    }
}

/// All rooms that are in memory or have history, by name.
#[derive(Debug)]
pub(super) struct Directory<R: AnyRoom> {
    bound: RoomBound,
    by_name: HashMap<R::Name, RoomId>,
    /// Rooms with history, in memory or not, and the time of the last message of each in milliseconds since
    /// 1970.
    kept: HashMap<R::Name, u64>,
    /// Rooms with history that are not in memory, the longest silent first.
    silent: BTreeSet<(u64, R::Name)>,
    /// Number of rooms in memory without history, which the bound counts.
    unkept: usize,
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
    /// The number of the server of which a room must lose its history for it, if it is another one.
    pub gives_way: Option<usize>,
}

/// The bound on rooms is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there are too many rooms")]
pub(crate) struct TooManyRooms;

impl<R: AnyRoom> Directory<R> {
    /// No rooms yet; `bound` says how many may be in memory or have history.
    pub(super) fn new(bound: RoomBound) -> Self {
        Self { bound, by_name: HashMap::new(), kept: HashMap::new(), silent: BTreeSet::new(), unkept: 0 }
    }

    /// Publishes the numbers of rooms, after each change of them.
    fn publish(&mut self) {
        self.bound.set(Own {
            rooms: self.count(),
            silent: self.silent.len(),
            loaded: self.by_name.len(),
            silent_since: self.silent.first().map(|(at, _)| *at),
        });
    }

    /// Number of rooms in memory, of all servers that share the bound.
    pub(super) fn loaded_in_all(&self) -> usize {
        self.bound.loaded()
    }

    /// What happens if a session names this room. Rooms with only a history never keep a new room out: the
    /// one that has been silent longest is forgotten.
    pub(super) fn standing(&self, name: &R::Name) -> Standing {
        if self.by_name.contains_key(name) || self.kept.contains_key(name) {
            Standing::Known
        } else if !self.bound.is_full() || self.bound.can_give_way() || R::is_reserved(name) {
            Standing::New
        } else {
            Standing::TooMany
        }
    }

    /// Number of rooms in memory or with history, which the bound counts.
    pub(super) fn count(&self) -> usize {
        self.kept.len() + self.unkept
    }

    /// The room of this name, if it is in memory.
    pub(super) fn find(&self, name: &R::Name) -> Option<RoomId> {
        self.by_name.get(name).copied()
    }

    /// Gives a room that is not in memory an id, in place of another room if the bound is reached: of the room that
    /// has been silent longest, in this server or in another one.
    ///
    /// # Errors
    /// The bound is reached, and no other room can give way.
    pub(super) fn load(&mut self, name: &R::Name) -> Result<Found<R::Name>, TooManyRooms> {
        let (mut forgotten, mut gives_way) = (None, None);
        match self.standing(name) {
            Standing::TooMany => return Err(TooManyRooms),
            Standing::New if self.bound.is_full() => {
                gives_way = self.bound.claim();
                forgotten = if gives_way.is_none() { self.forget_longest_silent() } else { None };
            }
            Standing::New | Standing::Known => {}
        }
        match self.kept.get(name) {
            Some(at) => _ = self.silent.remove(&(*at, name.clone())),
            None => self.unkept += 1,
        }
        Ok(Found { id: self.load_uncounted(name), forgotten, gives_way })
    }

    /// Gives a room that its server makes by itself an id. The bound does not count it.
    pub(super) fn load_uncounted(&mut self, name: &R::Name) -> RoomId {
        let id = RoomId::next();
        self.by_name.insert(name.clone(), id);
        self.publish();
        id
    }

    /// A room is in memory, under the id that it had before its server began again.
    pub(super) fn adopt(&mut self, name: &R::Name, id: RoomId) {
        self.by_name.insert(name.clone(), id);
        self.unkept += usize::from(!self.kept.contains_key(name) && !R::is_uncounted(name));
        self.publish();
    }

    /// A room leaves memory.
    pub(super) fn unload(&mut self, name: &R::Name) {
        self.by_name.remove(name);
        match self.kept.get(name) {
            Some(at) => self.fall_silent(name.clone(), *at),
            None => self.unkept -= usize::from(!R::is_uncounted(name)),
        }
        self.publish();
    }

    /// Has the room that has been silent longest give way, for which another server asked.
    pub(super) fn give_way(&mut self) -> Option<R::Name> {
        let name = self.forget_longest_silent();
        self.bound.give_way();
        name
    }

    /// Whether there are more rooms than there may be.
    pub(super) fn is_exceeded(&self) -> bool {
        self.bound.is_exceeded()
    }

    /// Forgets the room that has been silent longest. Returns its name.
    pub(super) fn forget_longest_silent(&mut self) -> Option<R::Name> {
        let (_, name) = self.silent.pop_first()?;
        self.kept.remove(&name);
        self.publish();
        Some(name)
    }

    /// Notes a room with history that is not in memory.
    fn fall_silent(&mut self, name: R::Name, at: u64) {
        if !R::is_reserved(&name) {
            self.silent.insert((at, name));
        }
    }

    /// A room has history; its last message was said at `at`, in milliseconds since 1970.
    pub(super) fn keep(&mut self, name: &R::Name, at: u64) {
        let former = self.kept.insert(name.clone(), at);
        if self.by_name.contains_key(name) {
            self.unkept -= usize::from(former.is_none());
        } else {
            if let Some(former) = former {
                self.silent.remove(&(former, name.clone()));
            }
            self.fall_silent(name.clone(), at);
        }
        self.publish();
    }

    /// When the last message of a room with history was said, in milliseconds since 1970.
    pub(super) fn kept_at(&self, name: &R::Name) -> Option<u64> {
        self.kept.get(name).copied()
    }

    /// A room has lost its history.
    pub(super) fn forget(&mut self, name: &R::Name) {
        let Some(at) = self.kept.remove(name) else {
            return;
        };
        if self.by_name.contains_key(name) {
            self.unkept += 1;
        } else {
            self.silent.remove(&(at, name.clone()));
        }
        self.publish();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{broadcast::testing::Place, domain::RoomName};

    fn directory(max_rooms: usize) -> Directory<Place> {
        Directory::new(RoomBound::new(max_rooms))
    }

    fn name(text: &str) -> RoomName {
        RoomName::parse(text).expect("a legal name")
    }

    fn load(directory: &mut Directory<Place>, text: &str) -> Result<Option<RoomName>, TooManyRooms> {
        directory.load(&name(text)).map(|found| found.forgotten)
    }

    #[test]
    fn a_room_too_many_is_refused_until_another_one_leaves_memory() {
        let mut directory = directory(1);
        assert_eq!(load(&mut directory, "a"), Ok(None));
        assert_eq!(directory.standing(&name("a")), Standing::Known);
        assert_eq!(directory.standing(&name("b")), Standing::TooMany);
        assert_eq!(load(&mut directory, "b"), Err(TooManyRooms));
        directory.unload(&name("a"));
        assert_eq!(directory.standing(&name("b")), Standing::New);
    }

    #[test]
    fn the_default_room_may_be_entered_when_all_others_are_taken() {
        let mut directory = directory(1);
        assert_eq!(load(&mut directory, "a"), Ok(None));
        assert_eq!(load(&mut directory, "lobby"), Ok(None));
    }

    #[test]
    fn the_bound_does_not_count_a_room_that_never_leaves_memory() {
        let mut directory = directory(1);
        let id = directory.load_uncounted(&name("always"));
        assert_eq!((directory.count(), directory.find(&name("always"))), (0, Some(id)));
        assert_eq!(load(&mut directory, "a"), Ok(None));
    }

    #[test]
    fn at_the_bound_the_longest_silent_room_that_is_not_in_memory_gives_way() {
        let mut directory = directory(3);
        assert_eq!(load(&mut directory, "occupied"), Ok(None));
        directory.keep(&name("occupied"), 1);
        directory.keep(&name("older"), 2);
        directory.keep(&name("newer"), 3);
        directory.keep(&name("older"), 4);
        let forgotten = load(&mut directory, "fresh");
        assert_eq!(forgotten, Ok(Some(name("newer"))), "the other has spoken since");
        directory.keep(&name("fresh"), 5);
        assert_eq!(directory.count(), 3);
        assert_eq!(load(&mut directory, "older"), Ok(None), "it has a place");
        assert_eq!(directory.standing(&name("another")), Standing::TooMany, "all are in memory");
        directory.unload(&name("occupied"));
        assert_eq!(load(&mut directory, "another"), Ok(Some(name("occupied"))));
        assert_eq!(directory.count(), 3);
    }

    #[test]
    fn the_default_room_keeps_its_history_when_others_lose_theirs() {
        let mut directory = directory(2);
        directory.keep(&name("lobby"), 1);
        directory.keep(&name("other"), 2);
        assert_eq!(load(&mut directory, "fresh"), Ok(Some(name("other"))));
        assert_eq!(directory.standing(&name("another")), Standing::TooMany);
        assert_eq!(directory.standing(&name("lobby")), Standing::Known);
    }

    #[test]
    fn a_room_whose_history_is_forgotten_gives_its_place_back() {
        let mut directory = directory(2);
        assert_eq!(load(&mut directory, "a"), Ok(None));
        directory.keep(&name("a"), 1);
        directory.keep(&name("b"), 2);
        directory.forget(&name("b"));
        assert_eq!(directory.count(), 1);
        directory.forget(&name("a"));
        assert_eq!(directory.count(), 1, "it is in memory");
        directory.unload(&name("a"));
        assert_eq!((directory.count(), directory.silent.len(), directory.by_name.len()), (0, 0, 0));
    }
}
