//! The packed form of what one node tells another one about private messages.
//!
//! The first byte says what it is, 8 bytes are the sender's number for the message, little-endian. An answer ends with 8
//! bytes of the time at which the message was said. A message goes on with the reader's name, behind its length in two bytes, and ends with an entry as the journal packs
//! it.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

use crate::{
    domain::Nickname,
    journal::{Entry, NewEntry, Record, entry},
    nodes::contract::AskId,
};

const TO_READER: u8 = 1;
const TO_SENDER: u8 = 2;
const HANDED: u8 = 3;
const NOT_HANDED: u8 = 4;

/// What one node tells another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Whisper {
    /// A private message.
    Private(Box<PrivateWhisper>),
    /// Whether a session of the reader was handed the message with this number, and when that was said first, in
    /// milliseconds since 1970.
    Handed(AskId, bool, u64),
}

/// A private message of a user of another node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PrivateWhisper {
    /// The sender's number for it.
    pub ask: AskId,
    /// Whether the node is to answer: the reader has sessions there. Else only the sender has.
    pub wants_answer: bool,
    /// The reader.
    pub to: Nickname,
    /// The sender, the time, the id and what is said; the offset has no meaning.
    pub entry: Entry,
}

/// The bytes are not a packed [`Whisper`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a private message of another node cannot be read")]
pub(super) struct BadWhisper;

/// Packs an answer.
pub(super) fn pack_handed(AskId(ask): AskId, is_handed: bool, at: u64) -> Bytes {
    let mut packed = BytesMut::with_capacity(17);
    packed.put_u8(if is_handed { HANDED } else { NOT_HANDED });
    packed.put_u64_le(ask);
    packed.put_u64_le(at);
    packed.freeze()
}

/// Packs a message, see [`PrivateWhisper`].
pub(super) fn pack_private(
    AskId(ask): AskId,
    wants_answer: bool,
    to: &Nickname,
    entry: NewEntry<'_>,
) -> Bytes {
    let to = to.as_str().as_bytes();
    let mut packed = BytesMut::with_capacity(99 + to.len() + entry.body.len());
    packed.put_u8(if wants_answer { TO_READER } else { TO_SENDER });
    packed.put_u64_le(ask);
    packed.put_u16_le(u16::try_from(to.len()).expect("a nickname is far below 64 KiB"));
    packed.extend_from_slice(to);
    entry.pack(&mut packed);
    packed.freeze()
}

impl Whisper {
    /// Unpacks it.
    ///
    /// # Errors
    /// It is none.
    pub(super) fn unpack(mut bytes: Bytes) -> Result<Self, BadWhisper> {
        if bytes.len() < 9 {
            return Err(BadWhisper);
        }
        let (kind, ask) = (bytes.get_u8(), AskId(bytes.get_u64_le()));
        match kind {
            HANDED | NOT_HANDED if bytes.len() == 8 => {
                Ok(Self::Handed(ask, kind == HANDED, bytes.get_u64_le()))
            }
            TO_READER | TO_SENDER => private(bytes)
                .map(|(to, entry)| {
                    Self::Private(Box::new(PrivateWhisper {
                        ask,
                        wants_answer: kind == TO_READER,
                        to,
                        entry,
                    }))
                })
                .ok_or(BadWhisper),
            _ => Err(BadWhisper),
        }
    }
}

/// The reader and the message.
fn private(mut bytes: Bytes) -> Option<(Nickname, Entry)> {
    if bytes.len() < 2 {
        return None;
    }
    let len = usize::from(bytes.get_u16_le());
    if bytes.len() < len {
        return None;
    }
    let to = Nickname::parse(std::str::from_utf8(&bytes.split_to(len)).ok()?).ok()?;
    let record = Record { first: 1, count: 1, at: 0, keys: Vec::new(), entries: bytes };
    Some((to, entry::unpack(&record).ok()?.pop()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::journal::Kind;

    fn entry() -> NewEntry<'static> {
        NewEntry {
            kind: Kind::Message,
            at: 9,
            username: "ann",
            avatar: "cat",
            uid: None,
            id: "x",
            body: "hi",
        }
    }

    fn reader() -> Nickname {
        Nickname::parse("Zoë").expect("a legal name")
    }

    #[test]
    fn messages_and_answers_are_read_as_they_were_packed() {
        for is_handed in [true, false] {
            let answer = Whisper::unpack(pack_handed(AskId(7), is_handed, 8));
            assert_eq!(answer, Ok(Whisper::Handed(AskId(7), is_handed, 8)));
            let message = Whisper::unpack(pack_private(AskId(u64::MAX), is_handed, &reader(), entry()));
            let Ok(Whisper::Private(message)) = message else { panic!("{message:?}") };
            let PrivateWhisper { ask, wants_answer, to, entry } = *message;
            assert_eq!((ask, wants_answer, to), (AskId(u64::MAX), is_handed, reader()));
            assert_eq!((&*entry.username, &*entry.id, &*entry.body, entry.at), ("ann", "x", "hi", 9));
        }
    }

    #[test]
    fn bytes_that_are_cut_are_an_error() {
        for packed in [pack_handed(AskId(7), true, 8), pack_private(AskId(7), true, &reader(), entry())] {
            for len in 0..packed.len() {
                assert_eq!(Whisper::unpack(packed.slice(..len)), Err(BadWhisper), "cut at {len}");
            }
            let longer = [&packed[..], b"x"].concat();
            assert_eq!(Whisper::unpack(longer.into()), Err(BadWhisper));
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..99), kind in 0..6_u8) {
            _ = Whisper::unpack([&[kind][..], &bytes].concat().into());
        }
    }
}
