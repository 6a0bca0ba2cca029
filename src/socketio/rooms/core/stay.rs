//! What is kept of a socket while its client is away.

use bytestring::ByteString;

use crate::socketio::rooms::messages::{Info, Target};

/// What recovery restores of a socket. Its offsets tell which events were for it.
#[derive(Clone, Debug)]
pub(crate) struct Stay {
    /// Id of the socket.
    pub sid: ByteString,
    /// Its rooms, each with the last offset before the socket entered.
    pub rooms: Vec<(ByteString, u64)>,
    /// What the server keeps of the socket.
    pub info: Info,
    /// The last offset of the namespace before the socket connected.
    pub began: u64,
    /// The offset that the client brought from another socket or server; no event of this namespace has it,
    /// except by chance.
    pub foreign: Option<u64>,
}

impl Stay {
    /// Whether an event is for this socket: emitted to it after it connected, and not excluding it.
    pub(super) fn hears(&self, offset: u64, target: &Target) -> bool {
        let is_called = target.to.is_empty() || self.is_in_any(offset, &target.to);
        offset > self.began && is_called && !self.is_in_any(offset, &target.except)
    }

    /// Whether one of these names was its sid or one of its rooms when the event was emitted.
    pub(super) fn is_in_any(&self, offset: u64, names: &[ByteString]) -> bool {
        let is_in = |name: &ByteString| {
            *name == self.sid || self.rooms.iter().any(|(room, since)| room == name && *since < offset)
        };
        names.iter().any(is_in)
    }
}

#[cfg(test)]
impl Default for Stay {
    fn default() -> Self {
        Self {
            sid: ByteString::default(),
            rooms: Vec::new(),
            info: std::sync::Arc::new(()),
            began: 0,
            foreign: None,
        }
    }
}
