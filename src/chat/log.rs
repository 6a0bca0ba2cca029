//! A room's place in its journal: which offset is next, what is durable, which messages were seen before, and the
//! newest records, so that a session that has read the journal up to them misses nothing. A plain struct.

use std::collections::{HashMap, VecDeque};

use crate::{
    domain::Token,
    journal::{Epoch, EpochId, Keyed, Position, Record},
};

/// A message's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its offset.
    pub offset: u64,
    /// When it was said, in milliseconds since 1970.
    pub at: u64,
}

/// What a message with an id is known by: a hash of its sender's token and the id.
pub type Key = [u8; 16];

/// Where a client left off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Since {
    /// What its offset counts in.
    pub epoch: EpochId,
    /// The last message it processed.
    pub offset: u64,
}

/// What a client that comes back can be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resume {
    /// It says nothing of having been here.
    Fresh,
    /// All behind this offset, if the journal still has it.
    From(u64),
    /// Not all: up to this offset, what it has seen is what the journal has.
    Lost(u64),
}

/// See the module's text.
#[derive(Debug)]
pub struct RoomLog {
    epochs: Vec<Epoch>,
    head: u64,
    durable: u64,
    keys: HashMap<Key, Place>,
    /// The keys in the order of their offsets.
    key_order: VecDeque<Key>,
    max_keys: usize,
    tail: VecDeque<Record>,
    tail_bytes: usize,
}

impl RoomLog {
    /// The log of a room that stands there in its journal. Of messages with an id, it knows the last `max_keys`.
    pub fn new(position: Position, max_keys: usize) -> Self {
        let mut log = Self {
            epochs: position.epochs,
            head: position.head,
            durable: position.head,
            keys: HashMap::new(),
            key_order: VecDeque::new(),
            max_keys,
            tail: VecDeque::new(),
            tail_bytes: 0,
        };
        for Keyed { key, offset, at } in position.keys {
            log.remember(key, Place { offset, at });
        }
        log
    }

    /// The offset of the last message, durable or not.
    pub fn head(&self) -> u64 {
        self.head
    }

    /// The offset of the last durable message.
    pub fn durable(&self) -> u64 {
        self.durable
    }

    /// Whether all messages are durable.
    pub fn is_durable(&self) -> bool {
        self.durable == self.head
    }

    /// The epoch that messages are said in now.
    pub fn epoch(&self) -> Epoch {
        *self.epochs.last().expect("a journal gives every room an epoch")
    }

    /// Takes the next offset.
    pub fn advance(&mut self) -> u64 {
        self.head += 1;
        self.head
    }

    /// The place of a message that was said before under this key.
    pub fn find(&self, key: &Key) -> Option<Place> {
        self.keys.get(key).copied()
    }

    /// A message was said under a key.
    pub fn remember(&mut self, key: Key, place: Place) {
        if self.keys.insert(key, place).is_none() {
            self.key_order.push_back(key);
        }
        while self.key_order.len() > self.max_keys {
            if let Some(oldest) = self.key_order.pop_front() {
                self.keys.remove(&oldest);
            }
        }
    }

    /// A round has ended: its record joins the tail, which gives way in front down to `max_bytes`.
    pub fn push(&mut self, record: Record, max_bytes: usize) {
        self.tail_bytes += record.entries.len();
        self.tail.push_back(record);
        self.trim(max_bytes);
    }

    /// A record is durable, and so are all before it.
    pub fn committed(&mut self, last: u64, max_bytes: usize) {
        self.durable = self.durable.max(last);
        self.trim(max_bytes);
    }

    /// The journal has let all durable messages go; so does the tail.
    pub fn forget_durable(&mut self) {
        self.trim(0);
    }

    /// What is not durable stays, however much it is.
    fn trim(&mut self, max_bytes: usize) {
        while self.tail_bytes > max_bytes
            && let Some(oldest) = self.tail.front()
            && oldest.last() <= self.durable
        {
            self.tail_bytes -= oldest.entries.len();
            self.tail.pop_front();
        }
    }

    /// The records behind an offset, if the tail reaches back to it; else they are to be read from the journal.
    pub fn since(&self, after: u64) -> Option<Vec<Record>> {
        let reaches_to = self.tail.front().map_or(self.head, |oldest| oldest.first - 1);
        (after >= reaches_to)
            .then(|| self.tail.iter().filter(|record| record.last() > after).cloned().collect())
    }

    /// What a client that left off there can be given.
    pub fn resume(&self, since: Option<Since>) -> Resume {
        let Some(Since { epoch, offset }) = since else {
            return Resume::Fresh;
        };
        // Who has processed nothing has seen nothing else than we have.
        if offset == 0 {
            return Resume::From(0);
        }
        let Some(index) = self.epochs.iter().position(|known| known.id == epoch) else {
            return Resume::Lost(0);
        };
        // What an epoch made durable ends where the next one begins.
        let end = self.epochs.get(index + 1).map_or(self.head, |next| next.starts - 1);
        if offset <= end { Resume::From(offset) } else { Resume::Lost(end) }
    }
}

/// The key of a message: nobody else can make one for this token.
pub fn key(token: &Token, id: &str) -> Key {
    use sha2::{Digest as _, Sha256};
    let hash = Sha256::new().chain_update(token.as_bytes()).chain_update(id).finalize();
    let mut key = Key::default();
    key.copy_from_slice(&hash[..16]);
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epoch(number: u64, starts: u64) -> Epoch {
        Epoch { id: EpochId { random: 1, number }, starts }
    }

    fn log(epochs: Vec<Epoch>, head: u64) -> RoomLog {
        RoomLog::new(Position { epochs, head, keys: Vec::new() }, 3)
    }

    fn record(first: u64, count: u32) -> Record {
        Record { first, count, at: 0, keys: Vec::new(), entries: vec![0; 100].into() }
    }

    /// Says so many messages as one record.
    fn say(log: &mut RoomLog, count: u32) {
        let first = log.head() + 1;
        for _ in 0..count {
            log.advance();
        }
        log.push(record(first, count), 250);
    }

    fn firsts(log: &RoomLog, after: u64) -> Option<Vec<u64>> {
        log.since(after).map(|records| records.iter().map(|record| record.first).collect())
    }

    #[test]
    fn the_tail_keeps_what_is_not_durable_and_a_bounded_rest() {
        let mut log = log(vec![epoch(1, 1)], 10);
        assert_eq!(firsts(&log, 10), Some(vec![]));
        assert_eq!(firsts(&log, 9), None, "the journal has it");
        for _ in 0..5 {
            say(&mut log, 2);
        }
        assert_eq!(firsts(&log, 10), Some(vec![11, 13, 15, 17, 19]), "nothing is durable, so all is kept");
        assert_eq!(firsts(&log, 13), Some(vec![13, 15, 17, 19]), "a record that is partly behind");
        log.committed(16, 250);
        assert_eq!((log.durable(), log.is_durable()), (16, false));
        assert_eq!(firsts(&log, 16), Some(vec![17, 19]));
        assert_eq!(firsts(&log, 15), None);
        log.committed(20, 250);
        assert_eq!(firsts(&log, 16), Some(vec![17, 19]), "within its bound the tail stays");
        assert!(log.is_durable());
    }

    #[test]
    fn a_client_resumes_within_what_its_epoch_made_durable() {
        let log = log(vec![epoch(1, 1), epoch(4, 101)], 150);
        let resume = |number, offset| log.resume(Some(Since { epoch: epoch(number, 0).id, offset }));
        assert_eq!(log.resume(None), Resume::Fresh);
        assert_eq!(resume(4, 150), Resume::From(150));
        assert_eq!(resume(4, 151), Resume::Lost(150), "ahead of the room");
        assert_eq!(resume(1, 100), Resume::From(100));
        assert_eq!(resume(1, 103), Resume::Lost(100), "it has seen messages that were lost");
        assert_eq!(resume(9, 5), Resume::Lost(0), "another journal");
        assert_eq!(resume(9, 0), Resume::From(0));
    }

    #[test]
    fn keys_are_known_again_up_to_a_bound() {
        let mut log = log(vec![epoch(1, 1)], 0);
        let token: Token = "00000000000000000000000000000001".parse().expect("a token");
        let other: Token = "00000000000000000000000000000002".parse().expect("a token");
        let place = |offset| Place { offset, at: 7 };
        log.remember(key(&token, "a"), place(1));
        assert_eq!(log.find(&key(&token, "a")), Some(place(1)));
        assert_eq!(log.find(&key(&other, "a")), None, "another sender's");
        for (offset, id) in [(2, "b"), (3, "c"), (4, "d")] {
            log.remember(key(&token, id), place(offset));
        }
        assert_eq!(log.find(&key(&token, "a")), None);
        assert_eq!(log.find(&key(&token, "d")), Some(place(4)));
    }
}
