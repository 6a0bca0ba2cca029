//! Points in the log of a room.

use crate::{
    domain::{MemberId, WorkerId},
    journal::EpochId,
};

/// An epoch and an offset in it: of the newest message of a room, or of the last one that a client processed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The epoch of the offset.
    pub epoch: EpochId,
    /// The offset of the message; 0 if there is none.
    pub offset: u64,
}

/// Offset and time of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The number of the message in its room.
    pub offset: u64,
    /// When it was said, in milliseconds since 1970.
    pub at: u64,
}

/// Who is to be answered later. The session may have moved to another shard by then: its worker finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asker {
    /// The session.
    pub member: MemberId,
    /// The worker on whose thread it lives.
    pub worker: WorkerId,
    /// The session's number for its request.
    pub ticket: u64,
}
