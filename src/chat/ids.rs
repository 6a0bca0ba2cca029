//! The ids of messages, by which a room recognizes a repeated message. Callers pass the time.
//!
//! A client that has no answer sends its message again with its id, and the room takes it for the message
//! that was said before. That must not depend on how much others say meanwhile: each user of a room has a
//! share of its own.

use std::{
    collections::VecDeque,
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

use self::keys::sender;
pub(crate) use self::{
    keys::{Key, Sender, key_of, private_key, sender_of},
    resting::RestingIds,
};
use super::position::Place;
use crate::journal::Keyed;

mod keys;
mod resting;

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

#[cfg(test)]
mod tests;
