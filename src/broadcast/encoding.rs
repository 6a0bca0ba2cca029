//! How a member of a room reads what is said there.

use std::borrow::Cow;

use bytes::Bytes;

use crate::protocol::websocket::frame::OpCode;

/// The words in which a member reads a line. Each server of rooms gives the numbers their meaning, for its own rooms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialect(u8);

impl Dialect {
    /// Dialects that the members of one room may have at most.
    pub const COUNT: usize = 5;

    /// All of them, each at its own index.
    pub const ALL: [Self; Self::COUNT] = [Self(0), Self(1), Self(2), Self(3), Self(4)];

    /// The dialect with this number, below [`COUNT`](Self::COUNT).
    pub const fn of(number: usize) -> Self {
        Self::ALL[number]
    }

    /// Its place in tables of dialects.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// How a member wants its frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encoding {
    /// The words.
    pub dialect: Dialect,
    /// Whether large messages come by permessage-deflate, with the full window.
    pub deflated: bool,
}

impl Encoding {
    /// The number of encodings.
    pub const COUNT: usize = 2 * Dialect::COUNT;

    /// Its place in tables of encodings.
    pub fn index(self) -> usize {
        2 * self.dialect.index() + usize::from(self.deflated)
    }
}

/// A line of a broadcast: what happened in a room, in each dialect.
pub(crate) trait Encode {
    /// The line as the payload of a frame; `None` if members with this dialect do not hear of it.
    fn payload(&self, dialect: Dialect) -> Option<(OpCode, Cow<'_, [u8]>)>;

    /// Payloads of binary frames that follow the first.
    fn attachments(&self) -> &[Bytes] {
        &[]
    }
}
