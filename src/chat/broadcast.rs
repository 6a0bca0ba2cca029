//! What is said in a room of the chat in one go: the broadcast, and what the journal is to keep of it.

use std::sync::Arc;

use bytes::BytesMut;

use super::{commits::Receipt, ids::Key, line::Line, position::Place};
use crate::{
    broadcast::{Broadcast, MAX_BYTES, OpenBroadcast, Reach, Recipients, Subscribers},
    connection::{Accepted, Budget},
    domain::Picture,
    journal::{Keyed, Record},
    protocol::websocket::deflate::Deflater,
};

/// A broadcast of the chat that lines can be added to.
#[derive(Debug)]
pub struct ChatBroadcast {
    open: OpenBroadcast,
    kept: Kept,
}

/// What the journal is to keep of a broadcast.
#[derive(Debug, Default)]
pub struct Kept {
    entries: BytesMut,
    first: u64,
    count: u32,
    at: u64,
    keys: Vec<Keyed>,
    pictures: Vec<Arc<Picture>>,
    /// The acks to send once the record is durable.
    pub receipts: Vec<Receipt>,
}

impl ChatBroadcast {
    /// An empty one for these subscribers.
    pub fn new(subscribers: &Subscribers) -> Self {
        Self { open: OpenBroadcast::new(subscribers), kept: Kept::default() }
    }

    /// Appends a line.
    pub fn push(&mut self, line: &Line<'_>, reach: Reach, deflater: Option<&mut Deflater>) {
        self.open.push(line, reach, deflater);
        if let Line::Said(offset, entry) = line {
            let kept = &mut self.kept;
            if kept.count == 0 {
                kept.first = *offset;
            }
            kept.count += 1;
            kept.at = entry.at;
            entry.pack(&mut kept.entries);
        }
    }

    /// Holds the share of a message until the broadcast has been delivered.
    pub fn hold(&mut self, accepted: Accepted) {
        self.open.hold(accepted);
    }

    /// Has the journal store `key`, by which the message at `place` is recognized.
    pub fn remember(&mut self, key: Key, place: Place) {
        self.kept.keys.push(Keyed { key, offset: place.offset, at: place.at });
    }

    /// Has the journal store a picture that a sender wears.
    pub fn keep_picture(&mut self, picture: Arc<Picture>) {
        self.kept.pictures.push(picture);
    }

    /// Adds an ack to send once the record is durable.
    pub fn owe(&mut self, receipt: Receipt) {
        self.kept.receipts.push(receipt);
    }

    /// Whether the broadcast, or what is to be kept of it, has reached one of its bounds.
    pub fn is_full(&self) -> bool {
        self.open.is_full() || self.kept.entries.len() >= MAX_BYTES
    }

    /// Nothing can be added any more. The frames of the broadcast are charged to `budget` while they wait.
    pub fn finish(self, recipients: Recipients, budget: &Arc<Budget>) -> (Broadcast, Kept) {
        (self.open.finish(recipients, budget), self.kept)
    }
}

impl Kept {
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
        broadcast::Encoding,
        chat::line,
        domain::{SessionId, WorkerId},
        journal::{Kind, NewEntry, entry},
    };

    const PLAIN: Encoding = Encoding { dialect: line::PLAIN, deflated: false };
    const CHAT: Encoding = Encoding { dialect: line::CHAT, deflated: false };

    fn subscribers(encodings: &[Encoding]) -> Subscribers {
        let mut subscribers = Subscribers::default();
        encodings.iter().for_each(|encoding| subscribers.add(WorkerId(0), *encoding));
        subscribers
    }

    fn said(offset: u64, kind: Kind, body: &str) -> Line<'_> {
        Line::Said(offset, NewEntry { kind, at: 9, username: "u", avatar: "cat", uid: None, id: "", body })
    }

    fn finish(open: ChatBroadcast) -> (Broadcast, Kept) {
        open.finish(Recipients::Room, &Budget::new(1 << 20))
    }

    #[test]
    fn each_dialect_gets_what_it_has_words_for() {
        let mut open = ChatBroadcast::new(&subscribers(&[PLAIN, CHAT]));
        open.push(&said(1, Kind::Message, "a"), Reach::All, None);
        open.push(&said(2, Kind::Image, "data:,"), Reach::All, None);
        open.push(&Line::Binary(&Bytes::from_static(b"x")), Reach::Exclude(SessionId::of(5)), None);
        open.push(&said(3, Kind::Message, "b"), Reach::Exclude(SessionId::of(5)), None);
        let (broadcast, kept) = finish(open);
        let (plain, lines) = broadcast.frames(PLAIN).expect("lines");
        assert_eq!((&plain[..], lines), (&b"\x81\x01a\x82\x01x\x81\x01b"[..], 3));
        let (own, lines) = broadcast.frames_for(SessionId::of(5), PLAIN);
        assert_eq!((&*own.concat(), lines), (&b"\x81\x01a"[..], 1));
        let (chat, lines) = broadcast.frames(CHAT).expect("lines");
        let chat = String::from_utf8_lossy(chat);
        assert_eq!(lines, 3);
        assert!(chat.contains("receiveMessage") && chat.contains("receiveImage"), "{chat}");
        let (record, ..) = kept.into_record().expect("something to keep");
        assert_eq!((record.first, record.count, record.at), (1, 3, 9));
        assert_eq!(entry::unpack(&record).expect("readable")[2].body, "b");
    }

    #[test]
    fn what_is_not_kept_is_no_record() {
        let mut open = ChatBroadcast::new(&subscribers(&[PLAIN]));
        open.push(&Line::Binary(&Bytes::from_static(b"x")), Reach::All, None);
        assert!(finish(open).1.into_record().is_none());
    }

    #[test]
    fn a_broadcast_is_full_when_what_is_kept_is_also_without_subscribers() {
        let mut large = ChatBroadcast::new(&subscribers(&[]));
        let body = "x".repeat(MAX_BYTES);
        assert!(!large.is_full());
        large.push(&said(1, Kind::Message, &body), Reach::All, None);
        assert!(large.is_full());
    }
}
