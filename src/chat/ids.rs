//! The ids of messages, by which a room recognizes a repeated message. Callers pass the time.
//!
//! A client that has no answer sends its message again with its id, and the room takes it for the message
//! that was said before. That must not depend on how much others say meanwhile: each user of a room has a
//! share of its own.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use sha2::{Digest as _, Sha256};

use super::position::Place;
use crate::{
    domain::{Map, NicknameKey, RoomName, Token},
    journal::Keyed,
};

/// Identifies a message with an id: 8 bytes of a hash of the sender's token, 8 of a hash of token and id.
pub(crate) type Key = [u8; 16];

/// The first half of a key, equal for all messages of one sender: the beginning of a hash of the token.
pub(crate) type Sender = [u8; 8];

/// How many ids are remembered, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct IdLimits {
    /// Ids of one user of a room. The newest `per_user` ids of a room stay, however old they are.
    pub per_user: usize,
    /// Minimum time that an id is remembered, unless its user has sent `per_user` newer ones.
    pub age: Duration,
    /// Ids in all rooms. Over this bound, the room that remembers one more forgets its oldest ones early.
    pub total: usize,
}

/// The number of ids in all rooms of all shards; clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct IdCount(Arc<AtomicUsize>);

impl IdCount {
    /// The number of remembered ids.
    pub(crate) fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    fn add(&self, ids: usize) {
        self.0.fetch_add(ids, Ordering::Relaxed);
    }

    fn subtract(&self, ids: usize) {
        self.0.fetch_sub(ids, Ordering::Relaxed);
    }
}

/// What is remembered of a message with an id.
pub(crate) trait Remembered: Clone {
    /// Distinguishes it from another message with an equal key.
    fn stamp(&self) -> u64;
    /// When the message was said, in milliseconds since 1970.
    fn at(&self) -> u64;
}

impl Remembered for Place {
    fn stamp(&self) -> u64 {
        self.offset
    }

    fn at(&self) -> u64 {
        self.at
    }
}

/// The ids of one room's messages, or of all private messages.
#[derive(Debug)]
pub(crate) struct Ids<P = Place> {
    limits: IdLimits,
    all: IdCount,
    places: Map<Key, P>,
    /// The keys of each sender, oldest first.
    senders: Map<Sender, VecDeque<Key>>,
    /// All keys, oldest first; some of them are forgotten already.
    order: VecDeque<Entry>,
}

/// One key in the order of arrival.
#[derive(Clone, Copy, Debug)]
struct Entry {
    key: Key,
    stamp: u64,
    at: u64,
}

impl<P> Ids<P> {
    /// No ids yet; `all` counts those that will be remembered.
    pub(crate) fn new(limits: IdLimits, all: IdCount) -> Self {
        Self { limits, all, places: Map::default(), senders: Map::default(), order: VecDeque::new() }
    }
}

impl Ids {
    /// The ids that a journal has kept; `keys` must be in the order of their offsets.
    pub(crate) fn kept(limits: IdLimits, all: IdCount, keys: &[Keyed], now: u64) -> Self {
        let mut ids = Self::new(limits, all);
        for &Keyed { key, offset, at } in keys {
            ids.remember(key, Place { offset, at }, now);
        }
        ids
    }

    /// The offset of the newest message that had an id.
    pub(crate) fn last_offset(&self) -> u64 {
        self.order.back().map_or(0, |entry| entry.stamp)
    }
}

impl<P: Remembered> Ids<P> {
    /// What is remembered of the message with this key.
    pub(crate) fn find(&self, key: &Key) -> Option<P> {
        self.places.get(key).cloned()
    }

    /// Remembers a message. Times are milliseconds since 1970.
    pub(crate) fn remember(&mut self, key: Key, place: P, now: u64) {
        let entry = Entry { key, stamp: place.stamp(), at: place.at() };
        let mut too_many = None;
        if self.places.insert(key, place).is_none() {
            self.all.add(1);
            let own = self.senders.entry(sender(&key)).or_default();
            own.push_back(key);
            too_many = (own.len() > self.limits.per_user).then(|| own.pop_front()).flatten();
        }
        self.order.push_back(entry);
        if let Some(oldest) = too_many {
            self.places.remove(&oldest);
            self.all.subtract(1);
            // In a room with one speaker, the oldest key comes first.
            if self.order.front().is_some_and(|first| first.key == oldest) {
                self.order.pop_front();
            }
        }
        self.let_go(now);
    }

    /// Forgets ids that are too old or over a bound.
    pub(crate) fn let_go(&mut self, now: u64) {
        let age = u64::try_from(self.limits.age.as_millis()).unwrap_or(u64::MAX);
        while let Some(&first) = self.order.front() {
            let is_over = first.at.saturating_add(age) <= now || self.all.get() > self.limits.total;
            if !is_over || self.places.len() <= self.limits.per_user && self.is_known(&first) {
                break;
            }
            if self.is_known(&first) {
                self.forget(&first.key);
            }
            self.order.pop_front();
        }
        if self.order.len() > 2 * self.places.len() + 64 {
            let mut order = std::mem::take(&mut self.order);
            order.retain(|entry| self.is_known(entry));
            self.order = order;
        }
    }

    /// Whether the entry is current: its key is neither forgotten nor remembered anew since.
    fn is_known(&self, entry: &Entry) -> bool {
        self.places.get(&entry.key).is_some_and(|place| place.stamp() == entry.stamp)
    }

    fn forget(&mut self, key: &Key) {
        if self.places.remove(key).is_none() {
            return;
        }
        self.all.subtract(1);
        let sender = sender(key);
        if let Some(own) = self.senders.get_mut(&sender) {
            // Usually at index 0.
            if let Some(index) = own.iter().position(|other| other == key) {
                own.remove(index);
            }
            if own.is_empty() {
                self.senders.remove(&sender);
            }
        }
    }

    /// Whether the newest id is not too old yet.
    fn is_young(&self, now: u64) -> bool {
        let age = u64::try_from(self.limits.age.as_millis()).unwrap_or(u64::MAX);
        self.order.back().is_some_and(|newest| newest.at.saturating_add(age) > now)
    }
}

impl<P> Drop for Ids<P> {
    fn drop(&mut self) {
        self.all.subtract(self.places.len());
    }
}

/// Ids of rooms that are not in memory. Needed because the journal has only the ids of messages that it still
/// keeps.
#[derive(Debug, Default)]
pub(crate) struct RestingIds {
    rooms: HashMap<RoomName, Ids>,
    /// Rooms in the order of arrival; some are in memory again.
    order: VecDeque<RoomName>,
    count: usize,
}

impl RestingIds {
    /// Keeps the ids of a room that leaves memory. Such rooms of all `shards` together may have half of all ids;
    /// those that came first are dropped.
    pub(crate) fn put(&mut self, room: RoomName, ids: Ids, now: u64, shards: usize) {
        if !ids.is_young(now) {
            return;
        }
        let most = ids.limits.total / 2 / shards.max(1);
        self.count += ids.places.len();
        self.order.push_back(room.clone());
        self.rooms.insert(room, ids);
        while self.count > most
            && let Some(oldest) = self.order.pop_front()
        {
            self.take(&oldest);
        }
        if self.order.len() > 2 * self.rooms.len() + 64 {
            self.order.retain(|room| self.rooms.contains_key(room));
        }
    }

    /// Removes and returns the ids of a room that is in memory again or has lost its history.
    pub(crate) fn take(&mut self, room: &RoomName) -> Option<Ids> {
        let ids = self.rooms.remove(room)?;
        self.count -= ids.places.len();
        Some(ids)
    }

    /// Forgets the rooms whose ids are all too old.
    pub(crate) fn sweep(&mut self, now: u64) {
        self.rooms.retain(|_, ids| {
            let is_young = ids.is_young(now);
            self.count -= if is_young { 0 } else { ids.places.len() };
            is_young
        });
    }
}

/// The first half of the keys of all messages of a token's owner.
pub(crate) fn sender_of(token: &Token) -> Sender {
    let hash = Sha256::digest(token.as_bytes());
    std::array::from_fn(|index| hash[index])
}

/// The key of a message; `sender` must be [`sender_of`] `token`. It cannot be computed without the token.
pub(crate) fn key_of(sender: Sender, token: &Token, id: &str) -> Key {
    key_of_parts(sender, token, &[id])
}

/// The key of a private message to one user of a room.
pub(crate) fn private_key(
    sender: Sender,
    token: &Token,
    room: &RoomName,
    reader: &NicknameKey,
    id: &str,
) -> Key {
    // Names hold no control characters, so `\0` separates the parts.
    key_of_parts(sender, token, &[room.as_str(), "\0", reader.as_str(), "\0", id])
}

fn key_of_parts(sender: Sender, token: &Token, parts: &[&str]) -> Key {
    let begun = Sha256::new().chain_update(token.as_bytes());
    let message = parts.iter().fold(begun, |hash, part| hash.chain_update(part)).finalize();
    let mut key = Key::default();
    key[..8].copy_from_slice(&sender);
    key[8..].copy_from_slice(&message[..8]);
    key
}

fn sender(key: &Key) -> Sender {
    std::array::from_fn(|index| key[index])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(user: u32, id: &str) -> Key {
        key_of(sender_of(&token(user)), &token(user), id)
    }

    const LIMITS: IdLimits = IdLimits { per_user: 3, age: Duration::from_millis(1000), total: 10 };

    fn token(number: u32) -> Token {
        format!("{number:032x}").parse().expect("a token")
    }

    fn place(offset: u64) -> Place {
        Place { offset, at: offset }
    }

    /// Remembers a message whose offset is also its time.
    fn say(ids: &mut Ids, user: u32, id: &str, at: u64) {
        ids.remember(key(user, id), place(at), at);
    }

    fn knows(ids: &Ids, user: u32, id: &str) -> bool {
        ids.find(&key(user, id)).is_some()
    }

    #[test]
    fn an_id_is_its_senders_own() {
        let mut ids = Ids::new(LIMITS, IdCount::default());
        say(&mut ids, 1, "a", 1);
        assert_eq!(ids.find(&key(1, "a")), Some(place(1)));
        assert!(!knows(&ids, 2, "a") && !knows(&ids, 1, "b"));
        assert_eq!(key(1, "a")[..8], key(1, "b")[..8]);
        assert_ne!(key(1, "a")[8..], key(2, "a")[8..]);
    }

    #[test]
    fn a_users_newest_ids_are_known_whatever_others_say() {
        let limits = IdLimits { total: 100_000, ..LIMITS };
        let mut ids = Ids::new(limits, IdCount::default());
        say(&mut ids, 1, "a", 1);
        for other in 2..2002 {
            say(&mut ids, other, "x", 2);
        }
        for number in 0..2000 {
            say(&mut ids, 2, &number.to_string(), 3);
        }
        assert!(knows(&ids, 1, "a"));
        assert!(!knows(&ids, 2, "1996") && knows(&ids, 2, "1997") && knows(&ids, 2, "1999"));
        for (at, id) in [(4, "b"), (5, "c"), (6, "d")] {
            say(&mut ids, 1, id, at);
        }
        assert!(
            !knows(&ids, 1, "a") && knows(&ids, 1, "b") && knows(&ids, 1, "d"),
            "the user's own last three"
        );
    }

    #[test]
    fn ids_go_with_time_but_for_a_rooms_newest() {
        let mut ids = Ids::new(LIMITS, IdCount::default());
        for (user, at) in [(1, 1), (2, 500), (3, 900)] {
            say(&mut ids, user, "x", at);
        }
        say(&mut ids, 4, "x", 1500);
        assert_eq!([1, 2, 3, 4].map(|user| knows(&ids, user, "x")), [false, true, true, true]);
        say(&mut ids, 5, "x", 9000);
        assert_eq!([2, 3, 4, 5].map(|user| knows(&ids, user, "x")), [false, true, true, true]);
    }

    #[test]
    fn ids_are_bounded_over_all_rooms_and_each_keeps_a_few() {
        let all = IdCount::default();
        let (mut one, mut two) = (Ids::new(LIMITS, all.clone()), Ids::new(LIMITS, all.clone()));
        for user in 0..10 {
            say(&mut one, user, "x", 1);
        }
        for user in 0..10 {
            say(&mut two, user, "x", 1);
        }
        assert_eq!((one.places.len(), two.places.len(), all.get()), (10, 3, 13));
        say(&mut one, 10, "x", 1);
        assert_eq!((one.places.len(), all.get()), (7, 10));
        drop(one);
        assert_eq!(all.get(), 3);
    }

    #[test]
    fn what_is_forgotten_leaves_nothing_behind() {
        let mut ids = Ids::new(LIMITS, IdCount::default());
        for at in 0..10_000 {
            say(&mut ids, 1, &at.to_string(), at);
        }
        assert_eq!((ids.places.len(), ids.senders.len()), (3, 1));
        assert!(ids.order.len() <= 2 * 3 + 64 + 1, "{}", ids.order.len());
    }

    #[test]
    fn a_room_out_of_memory_keeps_its_ids_for_their_time() {
        let room = |name: &str| RoomName::parse(name).expect("a name");
        let all = IdCount::default();
        let mut resting = RestingIds::default();
        for (name, at) in [("a", 1), ("b", 500), ("c", 600)] {
            let mut ids = Ids::new(LIMITS, all.clone());
            say(&mut ids, 1, "x", at);
            say(&mut ids, 1, "y", at);
            resting.put(room(name), ids, at, 1);
        }
        assert!(resting.take(&room("a")).is_none(), "no more than five of ten");
        resting.sweep(1500);
        assert!(resting.take(&room("b")).is_none(), "too old");
        assert!(resting.take(&room("c")).is_some_and(|ids| knows(&ids, 1, "x")));
        assert_eq!((resting.count, all.get()), (0, 0));
    }
}
