//! A journal in memory that ends with the process: for tests, and for servers without a data folder.

use std::{
    collections::{HashMap, VecDeque},
    future::ready,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{
    Append, Damage, Epoch, EpochId, Journal, JournalError, Page, Pending, Range, Record, Records,
    ReservedName, Retention, RoomState,
    age::{Clock, Expired, millis},
    entry, now_millis,
};
use crate::domain::RoomName;

/// A journal in memory.
#[derive(Debug)]
pub struct MemoryJournal {
    retention: Retention,
    store: Mutex<Store>,
}

#[derive(Debug)]
struct Store {
    /// The epoch of a new room. It changes when a room is forgotten, because that room's offsets may be given
    /// out again.
    epoch: EpochId,
    rooms: HashMap<RoomName, Room>,
    bytes: u64,
    clock: Clock,
    /// Whether the current doubt about the clock has been logged.
    has_doubted: bool,
    names: HashMap<RoomName, HashMap<String, ReservedName>>,
    names_count: u64,
}

#[derive(Debug)]
struct Room {
    epochs: Vec<Epoch>,
    head: u64,
    messages: u64,
    bytes: u64,
    records: VecDeque<Record>,
}

impl MemoryJournal {
    /// Creates an empty journal.
    ///
    /// # Errors
    /// The system has no random numbers for the epoch's id.
    pub fn new(retention: Retention) -> Result<Self, JournalError> {
        let random = getrandom::u64().map_err(|error| JournalError::Unavailable(error.to_string()))?;
        let store = Store {
            epoch: EpochId { random, number: 1 },
            rooms: HashMap::new(),
            bytes: 0,
            clock: Clock::default(),
            has_doubted: false,
            names: HashMap::new(),
            names_count: 0,
        };
        Ok(Self { retention, store: Mutex::new(store) })
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Records for MemoryJournal {
    fn read(&self, room: RoomName, range: Range) -> Pending<Page> {
        answer(self.store().rooms.get(&room).map_or_else(|| Ok(Page::default()), |room| room.read(range)))
    }
}

impl Journal for MemoryJournal {
    fn check(&self) -> Pending<()> {
        answer(Ok(()))
    }

    fn damage(&self) -> Option<Damage> {
        None
    }

    fn rooms(&self) -> Pending<Vec<(RoomName, u64)>> {
        let last_at = |room: &Room| room.records.back().map_or(0, |record| record.at);
        let store = self.store();
        answer(Ok(store.rooms.iter().map(|(name, room)| (name.clone(), last_at(room))).collect()))
    }

    fn open(&self, room: RoomName) -> Pending<RoomState> {
        let store = self.store();
        let names = store.names.get(&room).map_or_else(Vec::new, |names| names.values().cloned().collect());
        answer(Ok(match store.rooms.get(&room) {
            Some(room) => RoomState {
                epochs: room.epochs.clone(),
                head: room.head,
                keys: room.records.iter().flat_map(|record| record.keys.iter().copied()).collect(),
                names,
            },
            None => RoomState {
                epochs: vec![Epoch { id: store.epoch, starts: 1 }],
                head: 0,
                keys: Vec::new(),
                names,
            },
        }))
    }

    fn append(&self, batch: Vec<Append>) -> Pending<()> {
        let mut store = self.store();
        for append in batch {
            store.append(append, self.retention);
        }
        store.shed(self.retention.total_bytes);
        answer(Ok(()))
    }

    fn sweep(&self) -> Pending<Vec<RoomName>> {
        answer(Ok(self.store().sweep(self.retention.age, now_millis())))
    }

    fn forget(&self, room: RoomName) -> Pending<()> {
        let mut store = self.store();
        if let Some(room) = store.rooms.remove(&room) {
            store.bytes -= room.bytes;
            // The offsets of the forgotten room may be given out again.
            store.epoch.number += 1;
        }
        answer(Ok(()))
    }

    fn reserve(&self, room: RoomName, names: Vec<ReservedName>) -> Pending<()> {
        self.store().reserve(&room, names, self.retention.names);
        answer(Ok(()))
    }

    fn close(&self) -> Pending<()> {
        answer(Ok(()))
    }
}

fn answer<T: Send + 'static>(result: Result<T, JournalError>) -> Pending<T> {
    Box::pin(ready(result))
}

impl Store {
    fn append(&mut self, Append { room, epoch, record, .. }: Append, retention: Retention) {
        let room = self.rooms.entry(room).or_insert_with(|| Room {
            epochs: vec![epoch],
            head: record.first - 1,
            messages: 0,
            bytes: 0,
            records: VecDeque::new(),
        });
        if record.first <= room.head {
            return; // A repeated append.
        }
        let before = room.bytes;
        room.head = record.last();
        room.messages += u64::from(record.count);
        room.bytes += record.entries.len() as u64;
        room.records.push_back(record);
        while room.messages - room.oldest_count() >= retention.messages || room.bytes > retention.bytes {
            if room.records.len() <= 1 {
                break;
            }
            room.drop_oldest();
        }
        self.bytes = self.bytes + room.bytes - before;
    }

    /// Drops the oldest records of all rooms until at most `total_bytes` remain.
    fn shed(&mut self, total_bytes: u64) {
        while self.bytes > total_bytes {
            let oldest = self
                .rooms
                .values_mut()
                .filter(|room| !room.records.is_empty())
                .min_by_key(|room| room.records.front().map(|record| record.at));
            match oldest {
                Some(room) => self.bytes -= room.drop_oldest(),
                None => return,
            }
        }
    }

    fn reserve(&mut self, room: &RoomName, names: Vec<ReservedName>, max: u64) {
        let known = self.names.entry(room.clone()).or_default();
        for name in names {
            if name.until == 0 {
                self.names_count -= u64::from(known.remove(&name.key).is_some());
            } else if known.contains_key(&name.key) || self.names_count < max {
                self.names_count += u64::from(known.insert(name.key.clone(), name).is_none());
            }
        }
        if known.is_empty() {
            self.names.remove(room);
        }
    }

    fn sweep_names(&mut self, now: u64) {
        for names in self.names.values_mut() {
            names.retain(|_, name| name.until > now);
        }
        self.names.retain(|_, names| !names.is_empty());
        self.names_count = self.names.values().map(|names| names.len() as u64).sum();
    }

    /// Drops records over `age` if the clock is trusted, removes empty rooms and returns their names.
    fn sweep(&mut self, age: Duration, now: u64) -> Vec<RoomName> {
        let cutoff = now.saturating_sub(millis(age));
        let last_messages_at = self.rooms.values().filter_map(|room| Some(room.records.back()?.at));
        let newest = last_messages_at.filter(|at| *at <= now).max();
        let is_first = self.clock == Clock::default();
        if !self.clock.check(now, newest, is_first) {
            let expired = self.count_expired(cutoff);
            if expired.messages > 0 && !std::mem::replace(&mut self.has_doubted, true) {
                expired.log_kept(now, newest);
            }
            return Vec::new();
        }
        self.sweep_names(now);
        let mut expired = self.count_expired(cutoff);
        for room in self.rooms.values_mut() {
            while room.records.front().is_some_and(|record| record.at < cutoff) {
                self.bytes -= room.drop_oldest();
            }
        }
        let empty = self.rooms.iter().filter(|(_, room)| room.records.is_empty());
        let removed: Vec<_> = empty.map(|(name, _)| name.clone()).collect();
        for name in &removed {
            self.rooms.remove(name);
        }
        expired.emptied = removed.len();
        self.epoch.number += u64::from(!removed.is_empty());
        self.has_doubted = false;
        expired.log_deleted(now, newest);
        removed
    }

    /// Counts the messages older than `cutoff`.
    fn count_expired(&self, cutoff: u64) -> Expired {
        let of_room = |room: &Room| {
            let old = room.records.iter().take_while(|record| record.at < cutoff);
            old.map(|record| u64::from(record.count)).sum::<u64>()
        };
        let by_room = self.rooms.values().map(of_room).filter(|messages| *messages > 0);
        by_room.fold(Expired::default(), |expired, messages| Expired {
            messages: expired.messages + messages,
            rooms: expired.rooms + 1,
            ..expired
        })
    }
}

impl Room {
    fn oldest_count(&self) -> u64 {
        self.records.front().map_or(0, |record| record.count.into())
    }

    /// Drops the oldest record and returns its size in bytes.
    fn drop_oldest(&mut self) -> u64 {
        let Some(record) = self.records.pop_front() else {
            return 0;
        };
        self.messages -= u64::from(record.count);
        self.bytes -= record.entries.len() as u64;
        record.entries.len() as u64
    }

    fn read(&self, range: Range) -> Result<Page, JournalError> {
        match range {
            Range::After { after, max_bytes } => {
                let from = self.records.partition_point(|record| record.last() <= after);
                Page::after(self.records.range(from..).map(entry::unpack), after, max_bytes)
            }
            Range::Before { before, limit, max_bytes } => {
                let to = self.records.partition_point(|record| record.first < before);
                Page::before(self.records.range(..to).rev().map(entry::unpack), before, limit, max_bytes)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    const DAY: u64 = 24 * 3600 * 1000;

    #[test]
    fn a_clock_that_jumps_deletes_nothing_from_memory_either() {
        let month = Duration::from_secs(30 * 24 * 3600);
        let retention =
            Retention { messages: 9, bytes: 999, age: month, total_bytes: 999, avatar_bytes: 999, names: 9 };
        let journal = MemoryJournal::new(retention).expect("random numbers");
        let mut store = journal.store();
        let room = RoomName::parse("a").expect("a legal name");
        let epoch = Epoch { id: store.epoch, starts: 1 };
        let record = Record { first: 1, count: 1, at: 100 * DAY, keys: Vec::new(), entries: Bytes::new() };
        store.append(Append { room: room.clone(), epoch, record, pictures: Vec::new() }, retention);
        for now in [100 * DAY, 131 * DAY, 131 * DAY + DAY / 2, 100 * DAY + 1] {
            assert!(store.sweep(month, now).is_empty(), "{now}");
            assert_eq!(store.rooms.get(&room).map(|room| room.messages), Some(1), "{now}");
        }
        // With steps of one day, the clock reaches that time without a jump.
        let removed: Vec<_> = (101..=131).filter(|day| !store.sweep(month, day * DAY).is_empty()).collect();
        assert_eq!(removed, [131]);
    }
}
