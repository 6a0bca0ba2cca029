//! The forms in which members get the lines of a broadcast.

use std::borrow::Cow;

use bytes::Bytes;

use crate::protocol::websocket::frame::OpCode;

/// A representation of lines, such as plain text or chat events. Each server of rooms assigns the numbers for
/// its own rooms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialect(u8);

impl Dialect {
    /// Largest number of dialects in one room.
    pub const COUNT: usize = 5;

    /// All dialects, ordered by [`index`](Self::index).
    pub const ALL: [Self; Self::COUNT] = [Self(0), Self(1), Self(2), Self(3), Self(4)];

    /// The dialect with this number. Panics if it is not below [`COUNT`](Self::COUNT).
    pub const fn of(number: usize) -> Self {
        Self::ALL[number]
    }

    /// Index into tables of dialects.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// The form of a member's frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encoding {
    /// The representation of the lines.
    pub dialect: Dialect,
    /// Whether large messages are compressed by permessage-deflate (RFC 7692) with a 32 KiB window.
    pub deflated: bool,
}

impl Encoding {
    /// The number of encodings.
    pub const COUNT: usize = 2 * Dialect::COUNT;

    /// Index into tables of encodings.
    pub fn index(self) -> usize {
        2 * self.dialect.index() + usize::from(self.deflated)
    }
}

/// A line of a broadcast, encoded once per dialect.
pub trait Encode {
    /// The opcode and payload of the line's frame; `None` if members with this dialect do not get the line.
    fn payload(&self, dialect: Dialect) -> Option<(OpCode, Cow<'_, [u8]>)>;

    /// Whether members that take compressed messages may get it compressed.
    fn may_be_compressed(&self) -> bool {
        true
    }

    /// Payloads of binary frames that follow the first frame.
    fn attachments(&self) -> &[Bytes] {
        &[]
    }
}
