//! Where a room stands in its journal: its next and its last durable offset, its known ids, and its newest
//! records, so that a session that has read the journal up to those misses nothing.

use std::collections::VecDeque;

use super::{
    ids::Ids,
    position::{Place, Position},
};
use crate::{
    journal::{Epoch, EpochId, Keyed, Record, RoomState},
    nodes::commands::MOST_EPOCHS,
};

/// What a client that comes back can be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resume {
    /// It does not say where it left off.
    Fresh,
    /// All messages after this offset that the journal still has.
    From(u64),
    /// Not all: it has seen messages that were lost. Up to this offset it has seen what the journal has.
    Lost(u64),
}

/// Offsets, epochs, ids and tail of one room.
#[derive(Debug)]
pub(crate) struct RoomLog {
    epochs: Vec<Epoch>,
    /// The epoch that clients were told before the first message, in a room that is shared with other nodes.
    before_first: Option<EpochId>,
    head: u64,
    durable: u64,
    /// The ids by which repeated messages are recognized.
    pub ids: Ids,
    tail: VecDeque<Record>,
    tail_bytes: usize,
}

impl RoomLog {
    /// The log of a room in this state of its journal.
    pub(crate) fn new(state: &RoomState, ids: Ids) -> Self {
        Self {
            epochs: state.epochs.clone(),
            before_first: None,
            head: state.head,
            durable: state.head,
            ids,
            tail: VecDeque::new(),
            tail_bytes: 0,
        }
    }

    /// The log of a room that is shared with other nodes. Redis has all its messages. `before_first` is the epoch that
    /// clients are told if there is none.
    pub(crate) fn shared(epochs: Vec<Epoch>, head: u64, ids: Ids, before_first: EpochId) -> Self {
        let before_first = epochs.is_empty().then_some(before_first);
        Self { epochs, before_first, head, durable: head, ids, tail: VecDeque::new(), tail_bytes: 0 }
    }

    /// A record of a room that is shared with other nodes was heard. `epoch` is that of its messages. The newest records
    /// stay in the tail, up to `max_bytes`, except one whose bytes cannot be read. `now` is in milliseconds since 1970.
    pub(crate) fn heard(
        &mut self,
        record: &Record,
        epoch: Epoch,
        is_readable: bool,
        now: u64,
        max_bytes: usize,
    ) {
        if self.epochs.last().is_none_or(|last| last.id != epoch.id) {
            self.epochs.push(epoch);
            let surplus = self.epochs.len().saturating_sub(MOST_EPOCHS);
            self.epochs.drain(..surplus);
        }
        (self.head, self.durable) = (record.last(), record.last());
        for &Keyed { key, offset, at } in &record.keys {
            self.ids.remember(key, Place { offset, at }, now);
        }
        if is_readable {
            self.push(record.clone(), max_bytes);
        }
    }

    /// Whether the room stands where this log does.
    pub(crate) fn is_at(&self, epochs: &[Epoch], head: u64) -> bool {
        self.head == head && self.epochs.last() == epochs.last()
    }

    /// Drops the records up to an offset from the tail, and their ids: they are forgotten.
    pub(crate) fn forget_to(&mut self, offset: u64) {
        while let Some(oldest) = self.tail.pop_front_if(|oldest| oldest.last() <= offset) {
            self.tail_bytes -= oldest.entries.len();
        }
        self.ids.forget_to(offset);
    }

    /// The offset of the last message, durable or not.
    pub(crate) fn head(&self) -> u64 {
        self.head
    }

    /// The offset of the last durable message.
    pub(crate) fn durable(&self) -> u64 {
        self.durable
    }

    /// Whether all messages are durable.
    pub(crate) fn is_durable(&self) -> bool {
        self.durable == self.head
    }

    /// The current epoch.
    pub(crate) fn epoch(&self) -> Epoch {
        if let (Some(id), true) = (self.before_first, self.epochs.is_empty()) {
            return Epoch { id, starts: 1 };
        }
        *self.epochs.last().expect("a journal gives every room an epoch")
    }

    /// The position of the newest message.
    pub(crate) fn position(&self) -> Position {
        Position { epoch: self.epoch().id, offset: self.head }
    }

    /// Takes the next offset.
    pub(crate) fn advance(&mut self) -> u64 {
        self.head += 1;
        self.head
    }

    /// Adds the record of a finished broadcast to the tail, which then drops old records down to `max_bytes`.
    pub(crate) fn push(&mut self, record: Record, max_bytes: usize) {
        self.tail_bytes += record.entries.len();
        self.tail.push_back(record);
        self.trim(max_bytes);
    }

    /// Adds a record that the chat has sent on its way to the journal before this log was opened, unless it was
    /// durable by then. `now` is in milliseconds since 1970.
    pub(crate) fn resume_at(&mut self, record: Record, now: u64, max_bytes: usize) {
        if record.last() <= self.head {
            return;
        }
        self.head = record.last();
        for &Keyed { key, offset, at } in &record.keys {
            self.ids.remember(key, Place { offset, at }, now);
        }
        self.push(record, max_bytes);
    }

    /// All records up to offset `last` are durable.
    pub(crate) fn committed(&mut self, last: u64, max_bytes: usize) {
        self.durable = self.durable.max(last);
        self.trim(max_bytes);
    }

    /// Drops all durable records from the tail, and their ids: the journal has forgotten them.
    pub(crate) fn forget_durable(&mut self) {
        self.trim(0);
        self.ids.forget_to(self.durable);
    }

    /// Keeps records that are not durable, even over `max_bytes`.
    fn trim(&mut self, max_bytes: usize) {
        while self.tail_bytes > max_bytes
            && let Some(oldest) = self.tail.front()
            && oldest.last() <= self.durable
        {
            self.tail_bytes -= oldest.entries.len();
            self.tail.pop_front();
        }
    }

    /// The records after an offset; `None` if the tail does not reach back to it and they are in the journal
    /// only.
    pub(crate) fn records_after(&self, after: u64) -> Option<Vec<Record>> {
        let reaches_to = self.tail.front().map_or(self.head, |oldest| oldest.first - 1);
        (after >= reaches_to)
            .then(|| self.tail.iter().filter(|record| record.last() > after).cloned().collect())
    }

    /// What a client that left off at this position can be given.
    pub(crate) fn resume(&self, position: Option<Position>) -> Resume {
        let Some(Position { epoch, offset }) = position else {
            return Resume::Fresh;
        };
        // A client that has processed nothing cannot have seen a lost message.
        if offset == 0 {
            return Resume::From(0);
        }
        // Clients that came before the first message are in its epoch.
        let is_in_first =
            self.before_first == Some(epoch) && self.epochs.first().is_none_or(|first| first.starts == 1);
        let index = self.epochs.iter().position(|known| known.id == epoch);
        let Some(index) = index.or(is_in_first.then_some(0)) else {
            return Resume::Lost(0);
        };
        // The durable messages of an epoch end where the next epoch begins.
        let end = self.epochs.get(index + 1).map_or(self.head, |next| next.starts - 1);
        if offset <= end { Resume::From(offset) } else { Resume::Lost(end) }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        chat::ids::{IdCount, IdLimits},
        journal::EpochId,
    };

    fn epoch(number: u64, starts: u64) -> Epoch {
        Epoch { id: EpochId { random: 1, number }, starts }
    }

    fn log(epochs: Vec<Epoch>, head: u64) -> RoomLog {
        let limits = IdLimits { per_user: 3, age: Duration::ZERO, total: 9 };
        RoomLog::new(
            &RoomState { epochs, head, keys: Vec::new(), names: Vec::new() },
            Ids::new(limits, IdCount::default()),
        )
    }

    fn record(first: u64, count: u32) -> Record {
        Record { first, count, at: 0, keys: Vec::new(), entries: vec![0; 100].into() }
    }

    /// Says `count` messages as one record.
    fn say(log: &mut RoomLog, count: u32) {
        let first = log.head() + 1;
        for _ in 0..count {
            log.advance();
        }
        log.push(record(first, count), 250);
    }

    fn firsts(log: &RoomLog, after: u64) -> Option<Vec<u64>> {
        log.records_after(after).map(|records| records.iter().map(|record| record.first).collect())
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
        let resume = |number, offset| log.resume(Some(Position { epoch: epoch(number, 0).id, offset }));
        assert_eq!(log.resume(None), Resume::Fresh);
        assert_eq!(resume(4, 150), Resume::From(150));
        assert_eq!(resume(4, 151), Resume::Lost(150), "ahead of the room");
        assert_eq!(resume(1, 100), Resume::From(100));
        assert_eq!(resume(1, 103), Resume::Lost(100), "it has seen messages that were lost");
        assert_eq!(resume(9, 5), Resume::Lost(0), "another journal");
        assert_eq!(resume(9, 0), Resume::From(0));
    }

    #[test]
    fn a_client_that_came_before_the_first_message_of_a_shared_room_resumes_in_its_first_epoch() {
        let limits = IdLimits { per_user: 3, age: Duration::ZERO, total: 9 };
        let (before, now) = (EpochId { random: 7, number: 0 }, 0);
        let ids = || Ids::new(limits, IdCount::default());
        let mut log = RoomLog::shared(Vec::new(), 0, ids(), before);
        assert_eq!(log.position(), Position { epoch: before, offset: 0 });
        log.heard(&record(1, 2), epoch(3, 1), true, now, 999);
        log.heard(&record(3, 2), epoch(3, 1), true, now, 999);
        assert_eq!((log.head(), log.durable(), log.epoch()), (4, 4, epoch(3, 1)));
        assert_eq!(firsts(&log, 0), Some(vec![1, 3]));
        let resume = |log: &RoomLog, offset| log.resume(Some(Position { epoch: before, offset }));
        assert_eq!(resume(&log, 3), Resume::From(3));
        log.heard(&record(5, 1), epoch(4, 5), true, now, 999);
        assert_eq!(resume(&log, 5), Resume::Lost(4), "it may have heard what was lost");
        let other = RoomLog::shared(vec![epoch(3, 1)], 4, ids(), before);
        assert_eq!(resume(&other, 3), Resume::Lost(0), "a node that has not seen the room begin");
    }

    #[test]
    fn a_shared_room_remembers_the_newest_epochs_and_forgets_messages_up_to_an_offset() {
        let limits = IdLimits { per_user: 9, age: Duration::from_secs(9), total: 99 };
        let ids = Ids::new(limits, IdCount::default());
        let mut log = RoomLog::shared(Vec::new(), 0, ids, epoch(0, 0).id);
        for number in 1..=20_u8 {
            let offset = u64::from(number);
            let keyed = Keyed { key: [number; 16], offset, at: 0 };
            let record = Record { keys: vec![keyed], ..record(offset, 1) };
            log.heard(&record, epoch(offset, offset), number != 19, 0, 99_999);
        }
        assert_eq!(log.epochs.len(), MOST_EPOCHS);
        log.forget_to(17);
        assert_eq!(firsts(&log, 17), Some(vec![18, 20]), "19 could not be read");
        assert_eq!((log.ids.find(&[17; 16]), log.tail_bytes), (None, 200));
        assert!(log.ids.find(&[18; 16]).is_some());
    }
}
