//! What the journal is to keep of the open broadcast of a room.

use std::sync::Arc;

use bytes::BytesMut;

use super::{commits::Receipt, ids::Key, line::Line, position::Place};
use crate::{
    broadcast::MAX_BYTES,
    domain::Picture,
    journal::{Keyed, Record},
};

/// What the journal is to keep of an open broadcast.
#[derive(Debug, Default)]
pub struct Kept {
    entries: BytesMut,
    first: u64,
    count: u32,
    at: u64,
    keys: Vec<Keyed>,
    pictures: Vec<Arc<Picture>>,
    /// The acks to send once the record is durable.
    receipts: Vec<Receipt>,
}

impl Kept {
    /// Adds a line of the broadcast, if it is to be kept.
    pub fn push(&mut self, line: &Line<'_>) {
        if let Line::Said(offset, entry) = line {
            if self.count == 0 {
                self.first = *offset;
            }
            self.count += 1;
            self.at = entry.at;
            entry.pack(&mut self.entries);
        }
    }

    /// Has the journal store `key`, by which the message at `place` is recognized.
    pub(super) fn remember(&mut self, key: Key, place: Place) {
        self.keys.push(Keyed { key, offset: place.offset, at: place.at });
    }

    /// Has the journal store a picture that a sender wears.
    pub(super) fn keep_picture(&mut self, picture: Arc<Picture>) {
        self.pictures.push(picture);
    }

    /// Adds an ack to send once the record is durable.
    pub(super) fn owe(&mut self, receipt: Receipt) {
        self.receipts.push(receipt);
    }

    /// Whether the message with this offset is in it.
    pub(super) fn has(&self, offset: u64) -> bool {
        (self.first..self.first + u64::from(self.count)).contains(&offset)
    }

    /// The acks to send, for a record that is lost.
    pub(super) fn into_receipts(self) -> Vec<Receipt> {
        self.receipts
    }

    /// Whether the bound on what is kept of one broadcast is reached.
    pub(super) fn is_full(&self) -> bool {
        self.entries.len() >= MAX_BYTES
    }

    /// The record for the journal, the pictures of its senders and the acks to send; `None` if there is
    /// nothing to keep.
    pub fn into_record(self) -> Option<(Record, Vec<Arc<Picture>>, Vec<Receipt>)> {
        let Self { entries, first, count, at, keys, pictures, receipts } = self;
        let record = || Record { first, count, at, keys, entries: entries.freeze() };
        (count > 0).then(|| (record(), pictures, receipts))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::{
        chat::position::Asker,
        domain::{MemberId, WorkerId},
        journal::{Kind, NewEntry, entry},
    };

    fn said(offset: u64, kind: Kind, body: &str) -> Line<'_> {
        Line::Said(offset, NewEntry { kind, at: 9, username: "u", avatar: "cat", uid: None, id: "", body })
    }

    fn receipt() -> Receipt {
        let to = Asker { member: MemberId::of(1), worker: WorkerId(0), ticket: 1 };
        Receipt { to, place: Place { offset: 1, at: 9 } }
    }

    #[test]
    fn a_record_has_the_messages_in_order_and_the_acks_that_wait_for_it() {
        let mut kept = Kept::default();
        kept.push(&said(1, Kind::Message, "a"));
        kept.push(&said(2, Kind::Image, "data:,"));
        kept.push(&Line::Binary(&Bytes::from_static(b"x")));
        kept.push(&said(3, Kind::Message, "b"));
        kept.owe(receipt());
        let (record, _, receipts) = kept.into_record().expect("something to keep");
        assert_eq!((record.first, record.count, record.at, receipts.len()), (1, 3, 9, 1));
        let bodies: Vec<_> =
            entry::unpack(&record).expect("readable").iter().map(|said| said.body.to_string()).collect();
        assert_eq!(bodies, ["a", "data:,", "b"]);
    }

    #[test]
    fn what_is_not_kept_is_no_record() {
        let mut kept = Kept::default();
        kept.push(&Line::Binary(&Bytes::from_static(b"x")));
        assert!(!kept.has(0));
        assert!(kept.into_record().is_none());
    }

    #[test]
    fn a_broadcast_is_full_when_what_is_kept_is_also_without_subscribers() {
        let mut kept = Kept::default();
        let body = "x".repeat(MAX_BYTES);
        assert!(!kept.is_full());
        kept.push(&said(1, Kind::Message, &body));
        assert!(kept.is_full());
    }
}
