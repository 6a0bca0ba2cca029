//! Which sockets something is for.

use bytestring::ByteString;

/// Selects sockets of a namespace. A sid is a room name too, of the room with only that socket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Target {
    /// Sockets in any of these rooms; all sockets if empty.
    pub to: Vec<ByteString>,
    /// Except sockets in any of these rooms.
    pub except: Vec<ByteString>,
}
