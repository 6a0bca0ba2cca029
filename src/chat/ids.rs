//! The ids of messages, by which a room recognizes a repeated message. Callers pass the time.
//!
//! A client that has no answer sends its message again with its id, and the room takes it for the message
//! that was said before. That must not depend on how much others say meanwhile: each user of a room has a
//! share of its own.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    hash::BuildHasher as _,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use foldhash::fast::RandomState;
use hashbrown::hash_table::{
    Entry::{Occupied, Vacant},
    HashTable,
};
use sha2::{Digest as _, Sha256};

use super::position::Place;
use crate::{
    domain::{NicknameKey, RoomName, Token},
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
    /// When the message was said, in milliseconds since 1970.
    fn at(&self) -> u64;
}

impl Remembered for Place {
    fn at(&self) -> u64 {
        self.at
    }
}

/// The ids of one room's messages, or of all private messages.
///
/// There may be a million of them, from as many senders, so an id takes few bytes: what is remembered of it is in
/// one queue, and the tables have its number alone.
pub(crate) struct Ids<P = Place> {
    limits: IdLimits,
    all: IdCount,
    /// All ids, oldest first; some of them are forgotten already.
    queue: VecDeque<Entry<P>>,
    /// The number of the first one; the others are counted from it, and begin at 0 again behind the last number.
    first: u32,
    /// The ids that are known, by their keys.
    known: HashTable<u32>,
    /// Their senders, by the first half of the keys.
    senders: HashTable<Sent>,
    hashes: RandomState,
}

/// What is remembered of one message.
#[derive(Debug)]
struct Entry<P> {
    key: Key,
    place: P,
    /// The number of the next known id of its sender; without meaning for the newest.
    next: u32,
    is_known: bool,
}

/// The known ids of one sender, at least one.
#[derive(Clone, Copy, Debug)]
struct Sent {
    oldest: u32,
    newest: u32,
    count: u32,
}

impl<P> Ids<P> {
    /// No ids yet; `all` counts those that will be remembered.
    pub(crate) fn new(limits: IdLimits, all: IdCount) -> Self {
        Self {
            limits,
            all,
            queue: VecDeque::new(),
            first: 0,
            known: HashTable::new(),
            senders: HashTable::new(),
            hashes: RandomState::default(),
        }
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

    /// Forgets the ids of messages up to this offset.
    pub(crate) fn forget_to(&mut self, offset: u64) {
        while let Some(first) = self.queue.front().filter(|first| first.place.offset <= offset) {
            let key = first.key;
            if first.is_known {
                self.forget(&key);
            }
            self.queue.pop_front();
            self.first = self.first.wrapping_add(1);
        }
    }

    /// The offset of the newest message that had an id.
    pub(crate) fn last_offset(&self) -> u64 {
        self.queue.back().map_or(0, |entry| entry.place.offset)
    }
}

impl<P: Remembered> Ids<P> {
    /// What is remembered of the message with this key.
    pub(crate) fn find(&self, key: &Key) -> Option<P> {
        self.number_of(key).map(|number| self.at(number).place.clone())
    }

    /// Remembers a message, also one whose key is known: that one is forgotten. Times are milliseconds since 1970.
    pub(crate) fn remember(&mut self, key: Key, place: P, now: u64) {
        self.forget(&key);
        if self.append(key, place).count as usize > self.limits.per_user {
            self.forget_oldest_of(sender(&key));
        }
        self.let_go(now);
    }

    /// Adds an id that is not known. Returns what its sender has sent with it.
    fn append(&mut self, key: Key, place: P) -> Sent {
        let (hash, number) = (self.hashes.hash_one(key), self.number_at(self.queue.len()));
        self.queue.push_back(Entry { key, place, next: number, is_known: true });
        let (queue, first, hashes) = (&self.queue, self.first, &self.hashes);
        let key_of = |number: &u32| &queue[number.wrapping_sub(first) as usize].key;
        self.known.insert_unique(hash, number, |number| hashes.hash_one(key_of(number)));
        self.all.add(1);
        self.add_to_sender(number)
    }

    /// Forgets ids that are too old or over a bound.
    pub(crate) fn let_go(&mut self, now: u64) {
        let age = u64::try_from(self.limits.age.as_millis()).unwrap_or(u64::MAX);
        while let Some(first) = self.queue.front() {
            let is_over = first.place.at().saturating_add(age) <= now || self.all.get() > self.limits.total;
            if first.is_known && (!is_over || self.len() <= self.limits.per_user) {
                break;
            }
            let key = first.key;
            if first.is_known {
                self.forget(&key);
            }
            self.queue.pop_front();
            self.first = self.first.wrapping_add(1);
        }
        let has_gaps = self.queue.len() > 2 * self.len() + 64;
        if has_gaps || self.queue.capacity() > 4 * self.len() + 256 {
            self.make_anew();
        }
    }

    /// Forgets the id with this key, if it is known.
    fn forget(&mut self, key: &Key) {
        let Some(number) = self.number_of(key) else {
            return;
        };
        self.take_from_sender(number);
        self.remove(number);
    }

    /// Forgets the oldest id of a sender.
    fn forget_oldest_of(&mut self, sender: Sender) {
        if let Some(Sent { oldest, .. }) = self.sent_by(sender).copied() {
            self.take_from_sender(oldest);
            self.remove(oldest);
        }
    }

    /// Forgets an id that has been taken from its sender. Its entry stays in the queue.
    fn remove(&mut self, number: u32) {
        let hash = self.hashes.hash_one(self.at(number).key);
        if let Ok(entry) = self.known.find_entry(hash, |other| *other == number) {
            entry.remove();
            self.all.subtract(1);
        }
        self.at_mut(number).is_known = false;
    }

    // ----- the senders -----

    fn sent_by(&self, sender: Sender) -> Option<&Sent> {
        let hash = self.hashes.hash_one(sender);
        self.senders.find(hash, |sent| self.sender_at(sent.oldest) == sender)
    }

    /// The newest id becomes the newest of its sender.
    fn add_to_sender(&mut self, number: u32) -> Sent {
        let sender = self.sender_at(number);
        let hash = self.hashes.hash_one(sender);
        let (queue, first, hashes) = (&self.queue, self.first, &self.hashes);
        let sender_of = |sent: &Sent| self::sender(&queue[sent.oldest.wrapping_sub(first) as usize].key);
        let entry = self.senders.entry(
            hash,
            |sent| sender_of(sent) == sender,
            |sent| hashes.hash_one(sender_of(sent)),
        );
        match entry {
            Occupied(mut entry) => {
                let sent = entry.get_mut();
                let before = std::mem::replace(&mut sent.newest, number);
                sent.count += 1;
                let sent = *sent;
                self.at_mut(before).next = number;
                sent
            }
            Vacant(entry) => {
                let sent = Sent { oldest: number, newest: number, count: 1 };
                entry.insert(sent);
                sent
            }
        }
    }

    /// Takes an id out of those of its sender.
    fn take_from_sender(&mut self, number: u32) {
        let sender = self.sender_at(number);
        let next = self.at(number).next;
        let before = self.before_in_sender(sender, number);
        let (queue, first) = (&self.queue, self.first);
        let is_its =
            |sent: &Sent| self::sender(&queue[sent.oldest.wrapping_sub(first) as usize].key) == sender;
        let Ok(mut entry) = self.senders.find_entry(self.hashes.hash_one(sender), is_its) else {
            return;
        };
        let sent = entry.get_mut();
        if sent.count == 1 {
            entry.remove();
            return;
        }
        sent.count -= 1;
        match before {
            None => sent.oldest = next,
            Some(before) => {
                if sent.newest == number {
                    sent.newest = before;
                }
                self.at_mut(before).next = next;
            }
        }
    }

    /// The id before this one of a sender; `None` if this is the oldest, as it usually is.
    fn before_in_sender(&self, sender: Sender, number: u32) -> Option<u32> {
        let mut before = self.sent_by(sender)?.oldest;
        if before == number {
            return None;
        }
        while self.at(before).next != number {
            before = self.at(before).next;
        }
        Some(before)
    }

    // ----- the queue -----

    /// Number of known ids.
    fn len(&self) -> usize {
        self.known.len()
    }

    fn number_of(&self, key: &Key) -> Option<u32> {
        self.known.find(self.hashes.hash_one(key), |number| self.at(*number).key == *key).copied()
    }

    /// The number of the id at an index of the queue.
    fn number_at(&self, index: usize) -> u32 {
        self.first.wrapping_add(index as u32)
    }

    fn at(&self, number: u32) -> &Entry<P> {
        &self.queue[number.wrapping_sub(self.first) as usize]
    }

    fn at_mut(&mut self, number: u32) -> &mut Entry<P> {
        &mut self.queue[number.wrapping_sub(self.first) as usize]
    }

    fn sender_at(&self, number: u32) -> Sender {
        sender(&self.at(number).key)
    }

    /// Makes queue and tables anew, without the ids that are forgotten, and as large as the others need.
    fn make_anew(&mut self) {
        let known = self.len();
        let queue = std::mem::replace(&mut self.queue, VecDeque::with_capacity(known + known / 4));
        self.known = HashTable::with_capacity(known);
        self.senders = HashTable::with_capacity(self.senders.len());
        self.all.subtract(known);
        for Entry { key, place, .. } in queue.into_iter().filter(|entry| entry.is_known) {
            self.append(key, place);
        }
    }

    /// Whether the newest id is not too old yet.
    fn is_young(&self, now: u64) -> bool {
        let age = u64::try_from(self.limits.age.as_millis()).unwrap_or(u64::MAX);
        self.queue.back().is_some_and(|newest| newest.place.at().saturating_add(age) > now)
    }
}

impl<P> fmt::Debug for Ids<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ids").field("known", &self.known.len()).finish_non_exhaustive()
    }
}

impl<P> Drop for Ids<P> {
    fn drop(&mut self) {
        self.all.subtract(self.known.len());
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
        self.count += ids.len();
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
        self.count -= ids.len();
        Some(ids)
    }

    /// Forgets the rooms whose ids are all too old.
    pub(crate) fn sweep(&mut self, now: u64) {
        self.rooms.retain(|_, ids| {
            let is_young = ids.is_young(now);
            self.count -= if is_young { 0 } else { ids.len() };
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
    use std::collections::HashSet;

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
        assert_eq!((one.len(), two.len(), all.get()), (10, 3, 13));
        say(&mut one, 10, "x", 1);
        assert_eq!((one.len(), all.get()), (7, 10));
        drop(one);
        assert_eq!(all.get(), 3);
    }

    #[test]
    fn what_is_forgotten_leaves_nothing_behind() {
        let mut ids = Ids::new(LIMITS, IdCount::default());
        // Stays first until it is too old.
        say(&mut ids, 2, "x", 0);
        for at in 0..10_000 {
            say(&mut ids, 1, &at.to_string(), at);
            assert!(ids.queue.len() <= 2 * 4 + 64, "{}", ids.queue.len());
        }
        assert_eq!((ids.len(), ids.senders.len()), (3, 1));
    }

    /// What should be known, found without tables: keys and offsets, oldest first.
    fn remember_plainly(known: &mut Vec<(Key, u64)>, limits: IdLimits, key: Key, at: u64) {
        known.retain(|(other, _)| *other != key);
        known.push((key, at));
        let own: Vec<_> =
            known.iter().map(|(other, _)| *other).filter(|other| other[..8] == key[..8]).collect();
        if own.len() > limits.per_user {
            known.retain(|(other, _)| *other != own[0]);
        }
        let age = limits.age.as_millis() as u64;
        while known.len() > limits.per_user && (known[0].1 + age <= at || known.len() > limits.total) {
            known.remove(0);
        }
    }

    #[test]
    fn what_is_known_is_what_a_plain_list_would_know() {
        let all = IdCount::default();
        // In the second case the id of a user that is quiet stays first, and gaps come behind it.
        let patient = IdLimits { per_user: 3, age: Duration::from_secs(1000), total: 1000 };
        for (limits, users) in [(LIMITS, 6), (patient, 6), (patient, 600)] {
            let mut ids = Ids::new(limits, all.clone());
            // The numbers begin at 0 again on the way.
            ids.first = u32::MAX - 500;
            let (mut known, mut random, mut at) = (Vec::new(), 33_u64, 0);
            let mut longest = 0;
            for _ in 0..5000 {
                random =
                    random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let is_talker = (random >> 60) != 0;
                let user = if is_talker { 0 } else { (random >> 33) as u32 % users };
                let id = (random >> 45) % 50;
                at += 1 + (random >> 55) % 200;
                say(&mut ids, user, &id.to_string(), at);
                remember_plainly(&mut known, limits, key(user, &id.to_string()), at);
                assert!(known.iter().all(|(key, at)| ids.find(key) == Some(place(*at))));
                assert_eq!((ids.len(), all.get()), (known.len(), known.len()), "and nothing else");
                let senders: HashSet<_> = known.iter().map(|(key, _)| sender(key)).collect();
                assert_eq!(ids.senders.len(), senders.len());
                longest = longest.max(ids.queue.len() - ids.len());
            }
            // What is forgotten is let go of, and not each time.
            let has_gaps = limits.age == patient.age;
            assert_eq!(longest > 64, has_gaps, "{longest} gaps");
        }
    }

    #[test]
    fn the_ids_of_forgotten_messages_are_forgotten() {
        let mut ids = Ids::new(LIMITS, IdCount::default());
        for (user, at) in [(1, 1), (2, 2), (1, 3), (3, 4)] {
            say(&mut ids, user, &at.to_string(), at);
        }
        ids.forget_to(3);
        assert!(!knows(&ids, 1, "1") && !knows(&ids, 2, "2") && !knows(&ids, 1, "3") && knows(&ids, 3, "4"));
        assert_eq!((ids.len(), ids.senders.len(), ids.queue.len()), (1, 1, 1));
    }

    #[test]
    fn after_a_crowd_no_more_memory_is_held_than_few_ids_need() {
        let limits = IdLimits { per_user: 3, age: Duration::from_millis(1000), total: 100_000 };
        let mut ids = Ids::new(limits, IdCount::default());
        for user in 0..50_000 {
            say(&mut ids, user, "x", 1);
        }
        for at in 2000..3000 {
            say(&mut ids, 1, &at.to_string(), at);
        }
        assert_eq!(ids.len(), 3);
        let held = (ids.queue.capacity(), ids.known.capacity(), ids.senders.capacity());
        assert!(held.0 < 1000 && held.1 < 1000 && held.2 < 1000, "{held:?}");
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
