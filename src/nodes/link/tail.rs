//! The newest records of a room, to give back what Redis has lost.

use std::{collections::VecDeque, time::Instant};

use crate::nodes::{KEEP_FOR, commands::Stored};

/// The newest records of one room.
#[derive(Clone, Debug, Default)]
pub(super) struct Tail {
    /// Each with the time when it was heard.
    records: VecDeque<(Instant, Stored)>,
    bytes: usize,
}

impl Tail {
    /// Adds the record behind the others.
    pub(super) fn push(&mut self, now: Instant, record: Stored) {
        self.bytes += bytes_of(&record);
        self.records.push_back((now, record));
    }

    /// Drops the oldest records over `share` bytes, and those that are younger than [`KEEP_FOR`] only over `most` bytes. The
    /// newest record stays.
    pub(super) fn trim(&mut self, now: Instant, share: usize, most: usize) {
        while self.records.len() > 1
            && let Some((at, oldest)) = self.records.front()
        {
            let is_young = now.saturating_duration_since(*at) < KEEP_FOR;
            if self.bytes <= share || (is_young && self.bytes <= most) {
                return;
            }
            self.bytes -= bytes_of(oldest);
            self.records.pop_front();
        }
    }

    /// Drops all records.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Drops the records up to an offset.
    pub(super) fn forget_to(&mut self, offset: u64) {
        while let Some((_, oldest)) = self.records.front().filter(|(_, oldest)| oldest.last() <= offset) {
            self.bytes -= bytes_of(oldest);
            self.records.pop_front();
        }
    }

    /// Whether the records reach back to an offset, so that those after it have no gap.
    pub(super) fn reaches(&self, after: u64) -> bool {
        self.records.front().is_some_and(|(_, oldest)| oldest.first <= after + 1)
    }

    /// The newest record.
    pub(super) fn newest(&self) -> Option<&Stored> {
        self.records.back().map(|(_, record)| record)
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The records after an offset, up to about `most` bytes, at least one if there is one.
    pub(super) fn after(&self, after: u64, most: usize) -> Vec<Stored> {
        let mut bytes = 0;
        let records = self.records.iter().map(|(_, record)| record).filter(|record| record.last() > after);
        let fits = records.take_while(|record| {
            let is_first = bytes == 0;
            bytes += bytes_of(record);
            is_first || bytes <= most
        });
        fits.cloned().collect()
    }
}

/// Bytes that a record takes, about.
fn bytes_of(record: &Stored) -> usize {
    size_of::<Stored>() + record.entries.as_ref().map_or(0, bytes::Bytes::len)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::{
        journal::EpochId,
        nodes::{NodeName, NodeUid},
    };

    fn record(first: u64, bytes: usize) -> Stored {
        let name: NodeName = "node".parse().expect("a name");
        Stored {
            first,
            count: 2,
            at: 0,
            epoch: EpochId { random: 1, number: 1 },
            run: NodeUid::new(name, [0; 12]),
            seq: 1,
            keys: Vec::new(),
            entries: Some(Bytes::from(vec![0; bytes])),
        }
    }

    fn firsts(tail: &Tail, after: u64) -> Vec<u64> {
        tail.after(after, usize::MAX).iter().map(|record| record.first).collect()
    }

    #[test]
    fn young_records_stay_over_the_share_and_old_ones_do_not() {
        let (mut tail, start) = (Tail::default(), Instant::now());
        for number in 0..4 {
            tail.push(start + KEEP_FOR / 4 * number, record(1 + 2 * u64::from(number), 1000));
        }
        tail.trim(start + KEEP_FOR / 4 * 3, 1000, 100_000);
        assert_eq!(firsts(&tail, 0), [1, 3, 5, 7], "all are young");
        tail.trim(start + KEEP_FOR / 4 * 6, 2500, 100_000);
        assert_eq!(firsts(&tail, 0), [5, 7]);
        tail.trim(start + KEEP_FOR / 4 * 6, 0, 0);
        assert_eq!(firsts(&tail, 0), [7], "the newest one stays");
    }

    #[test]
    fn what_is_given_back_begins_behind_an_offset_and_is_bounded() {
        let (mut tail, now) = (Tail::default(), Instant::now());
        (0..4).for_each(|number| tail.push(now, record(11 + 2 * number, 1000)));
        assert_eq!(firsts(&tail, 12), [13, 15, 17]);
        assert_eq!(firsts(&tail, 13), [13, 15, 17], "a part of a record is the record");
        assert_eq!(tail.after(10, 1).len(), 1, "at least one");
        assert_eq!(tail.after(10, 2500).len(), 2);
        assert_eq!([9, 10, 15].map(|after| tail.reaches(after)), [false, true, true]);
        tail.forget_to(14);
        assert_eq!(firsts(&tail, 0), [15, 17]);
    }
}
