//! The packed form of what all nodes are told and nothing keeps.
//!
//! One byte says what it is. The numbers of the session that has sent it and of the message follow, with 8 bytes each,
//! little-endian; only the node of the session knows what they mean. The rest is the name, the text or the bytes.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use bytestring::ByteString;

use crate::domain::Nickname;

/// Bytes before the content.
const HEADER: usize = 1 + 8 + 8;

const STOPS_TYPING: u8 = 1;
const TYPES: u8 = 2;
const BINARY: u8 = 3;
const TEXT: u8 = 4;

/// Something that is not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Show {
    /// The number of the session, which does not get it.
    pub by: u64,
    /// The node's number for it, 0 if it has none.
    pub number: u64,
    /// What it is.
    pub what: What,
}

/// What is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// A user begins or stops to write.
    Typing(Nickname, bool),
    /// Bytes of a guest.
    Binary(Bytes),
    /// A text of a guest, in a room without history.
    Text(ByteString),
}

/// The bytes are not a packed [`Show`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what another node has told of a room cannot be read")]
pub(super) struct BadShow;

impl Show {
    /// Packs it.
    pub(super) fn pack(&self) -> Bytes {
        let (kind, content) = match &self.what {
            What::Typing(name, false) => (STOPS_TYPING, name.as_str().as_bytes()),
            What::Typing(name, true) => (TYPES, name.as_str().as_bytes()),
            What::Binary(bytes) => (BINARY, &bytes[..]),
            What::Text(text) => (TEXT, &text.as_bytes()[..]),
        };
        let mut packed = BytesMut::with_capacity(HEADER + content.len());
        packed.put_u8(kind);
        packed.put_u64_le(self.by);
        packed.put_u64_le(self.number);
        packed.extend_from_slice(content);
        packed.freeze()
    }

    /// Unpacks it.
    ///
    /// # Errors
    /// It is none.
    pub(super) fn unpack(mut bytes: Bytes) -> Result<Self, BadShow> {
        if bytes.len() < HEADER {
            return Err(BadShow);
        }
        let (kind, by, number) = (bytes.get_u8(), bytes.get_u64_le(), bytes.get_u64_le());
        let what = match kind {
            STOPS_TYPING | TYPES => {
                let name = std::str::from_utf8(&bytes).ok().and_then(|name| Nickname::parse(name).ok());
                What::Typing(name.ok_or(BadShow)?, kind == TYPES)
            }
            BINARY => What::Binary(bytes),
            TEXT => What::Text(ByteString::try_from(bytes).map_err(|_| BadShow)?),
            _ => return Err(BadShow),
        };
        Ok(Self { by, number, what })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all() -> [Show; 4] {
        let name = Nickname::parse("Zoë").expect("a legal name");
        [
            What::Typing(name.clone(), true),
            What::Typing(name, false),
            What::Binary(Bytes::from_static(b"\0\xff")),
            What::Text("茶".into()),
        ]
        .map(|what| Show { by: u64::MAX, number: 7, what })
    }

    #[test]
    fn what_is_told_is_read_as_it_was_packed() {
        for show in all() {
            assert_eq!(Show::unpack(show.pack()), Ok(show));
        }
    }

    #[test]
    fn bytes_that_are_cut_or_of_an_unknown_kind_are_an_error() {
        for show in all() {
            let packed = show.pack();
            (0..HEADER).for_each(|len| assert_eq!(Show::unpack(packed.slice(..len)), Err(BadShow)));
            let mut other = packed.to_vec();
            other[0] = 99;
            assert_eq!(Show::unpack(other.into()), Err(BadShow));
        }
        let no_name = [&[TYPES][..], &[0; 16], b"\xff"].concat();
        assert_eq!(Show::unpack(no_name.into()), Err(BadShow));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..99)) {
            if let Ok(show) = Show::unpack(bytes.into()) {
                prop_assert_eq!(Show::unpack(show.pack()), Ok(show));
            }
        }
    }
}
