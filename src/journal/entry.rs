//! The packed form of one message in a journal.
//!
//! An entry is a header (kind, time, four lengths; little-endian), the sender's public id if bit `HAS_UID` of
//! the kind is set, and four texts: name, avatar, id, body. Entries of a record follow each other; their
//! offsets count up from the first offset of the record.

use bytes::{Buf as _, Bytes, BytesMut};
use bytestring::ByteString;

use super::{JournalError, Record};
use crate::domain::PublicId;

/// Bytes of the header: kind, time, and the lengths of name, avatar, id and body.
const HEADER: usize = 1 + 8 + 4 * 4;

/// Bit of the first byte: the entry has a public id.
const HAS_UID: u8 = 2;

/// The type of content of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A text.
    Message,
    /// A picture as a data URL.
    Image,
}

/// A message to pack.
#[derive(Clone, Copy, Debug)]
pub struct NewEntry<'a> {
    /// The type of content.
    pub kind: Kind,
    /// When it was sent, in milliseconds since 1970.
    pub at: u64,
    /// Nickname or guest name of the sender.
    pub username: &'a str,
    /// The sender's avatar: a name or the address of a picture.
    pub avatar: &'a str,
    /// The sender's public id; `None` for a guest.
    pub uid: Option<&'a PublicId>,
    /// The message id from its client, empty if none.
    pub id: &'a str,
    /// The text, or the data URL of the picture.
    pub body: &'a str,
}

/// A message read from a journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its offset in the room.
    pub offset: u64,
    /// The type of content.
    pub kind: Kind,
    /// When it was sent, in milliseconds since 1970.
    pub at: u64,
    /// Nickname or guest name of the sender.
    pub username: ByteString,
    /// The sender's avatar: a name or the address of a picture.
    pub avatar: ByteString,
    /// The sender's public id; `None` for a guest.
    pub uid: Option<PublicId>,
    /// The message id from its client, empty if none.
    pub id: ByteString,
    /// The text, or the data URL of the picture.
    pub body: ByteString,
}

impl NewEntry<'_> {
    /// Appends the packed entry to `out`.
    pub fn pack(&self, out: &mut BytesMut) {
        let mut header = [0; HEADER];
        header[0] = match self.kind {
            Kind::Message => 0,
            Kind::Image => 1,
        } | if self.uid.is_some() { HAS_UID } else { 0 };
        header[1..9].copy_from_slice(&self.at.to_le_bytes());
        let texts = [self.username, self.avatar, self.id, self.body];
        for (field, text) in header[9..].chunks_exact_mut(4).zip(texts) {
            let len = u32::try_from(text.len()).expect("every text is part of one message, far below 4 GiB");
            field.copy_from_slice(&len.to_le_bytes());
        }
        out.extend_from_slice(&header);
        if let Some(uid) = self.uid {
            out.extend_from_slice(uid.as_str().as_bytes());
        }
        for text in texts {
            out.extend_from_slice(text.as_bytes());
        }
    }
}

impl Entry {
    /// The message, to be packed or told.
    pub fn as_new(&self) -> NewEntry<'_> {
        let Self { kind, at, username, avatar, uid, id, body, .. } = self;
        NewEntry { kind: *kind, at: *at, username, avatar, uid: uid.as_ref(), id, body }
    }

    /// Bytes of the entry when packed.
    pub fn packed_len(&self) -> usize {
        let uid = if self.uid.is_some() { PublicId::LEN } else { 0 };
        HEADER + uid + self.username.len() + self.avatar.len() + self.id.len() + self.body.len()
    }
}

/// Unpacks the entries of a record.
///
/// # Errors
/// The bytes are not exactly [`Record::count`] entries.
pub fn unpack(record: &Record) -> Result<Vec<Entry>, JournalError> {
    let mut bytes = record.entries.clone();
    let entries = (record.first..=record.last())
        .map(|offset| take_entry(&mut bytes, offset))
        .collect::<Option<Vec<_>>>()
        .filter(|_| bytes.is_empty());
    entries
        .ok_or_else(|| JournalError::Damaged(format!("the record at offset {} cannot be read", record.first)))
}

fn take_entry(bytes: &mut Bytes, offset: u64) -> Option<Entry> {
    if bytes.len() < HEADER {
        return None;
    }
    let first = bytes.get_u8();
    let kind = match first & !HAS_UID {
        0 => Kind::Message,
        1 => Kind::Image,
        _ => return None,
    };
    let at = bytes.get_u64_le();
    let [username, avatar, id, body] = std::array::from_fn(|_| bytes.get_u32_le());
    let uid = match first & HAS_UID {
        0 => None,
        _ if bytes.len() < PublicId::LEN => return None,
        _ => Some(PublicId::from_bytes(bytes.split_to(PublicId::LEN)[..].try_into().ok()?)?),
    };
    Some(Entry {
        offset,
        kind,
        at,
        username: take_text(bytes, username)?,
        avatar: take_text(bytes, avatar)?,
        uid,
        id: take_text(bytes, id)?,
        body: take_text(bytes, body)?,
    })
}

fn take_text(bytes: &mut Bytes, len: u32) -> Option<ByteString> {
    let len = usize::try_from(len).ok()?;
    if bytes.len() < len {
        return None;
    }
    ByteString::try_from(bytes.split_to(len)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        let mut entries = BytesMut::new();
        for (kind, id, body) in
            [(Kind::Message, "", "hello"), (Kind::Image, "x1", "data:,"), (Kind::Message, "", "")]
        {
            NewEntry { kind, at: 7, username: "名", avatar: "cat", uid: None, id, body }.pack(&mut entries);
        }
        Record { first: 5, count: 3, at: 7, keys: Vec::new(), entries: entries.freeze() }
    }

    #[test]
    fn entries_are_read_as_they_were_packed() {
        let read = unpack(&record()).expect("readable");
        assert_eq!(read.iter().map(|entry| entry.offset).collect::<Vec<_>>(), [5, 6, 7]);
        assert_eq!(read.iter().map(Entry::packed_len).sum::<usize>(), record().entries.len());
        let image = &read[1];
        assert_eq!(
            (image.kind, &*image.username, &*image.id, &*image.body),
            (Kind::Image, "名", "x1", "data:,")
        );
    }

    #[test]
    fn damaged_entries_are_an_error_and_no_panic() {
        let good = record();
        for len in 0..good.entries.len() {
            let cut = Record { entries: good.entries.slice(..len), ..good.clone() };
            assert!(matches!(unpack(&cut), Err(JournalError::Damaged(_))), "cut at {len}");
        }
        for index in 0..good.entries.len() {
            let mut bytes = good.entries.to_vec();
            bytes[index] ^= 0xFF;
            // Any value is valid in a byte of a text or time, so the result is not checked.
            let _ = unpack(&Record { entries: bytes.into(), ..good.clone() });
        }
        assert!(unpack(&Record { count: 2, ..good }).is_err(), "bytes are left");
    }
}
