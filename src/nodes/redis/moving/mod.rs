//! Moves rooms between the journal of a server and Redis, while neither a server nor a node is in use.
//!
//! Epochs, offsets and keys of messages stay what they were, so that clients come back with what they know, and messages
//! that are sent again are known. Nothing is overwritten. Avatar pictures come with the times at which they were used last.

mod export;
mod import;
mod session;

use super::{connecting::NotConnected, users::read_owner};
use crate::{config::RedisUrl, domain::RoomName, journal::sqlite::offline::OfflineError};

pub use self::{export::export, import::import};

/// What was moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Number of rooms.
    pub rooms: u64,
    /// Number of rooms that were there already, as they are in the journal.
    pub known: u64,
    /// Number of messages.
    pub messages: u64,
    /// Bytes of the messages.
    pub bytes: u64,
    /// Number of reserved names.
    pub names: u64,
    /// Number of avatar pictures.
    pub pictures: u64,
    /// Number of avatar pictures that are damaged, and were left out.
    pub damaged: u64,
}

/// Why rooms were not moved. Each is one sentence.
#[derive(Debug, thiserror::Error)]
pub enum MovingError {
    /// There is no connection to Redis, or it cannot be used.
    #[error("the Redis at {place} {why}")]
    NotConnected {
        /// The address, without the password.
        place: RedisUrl,
        /// The rest of the sentence.
        why: NotConnected,
    },
    /// Redis has refused something, or its answer cannot be read.
    #[error("Redis: {0}")]
    Redis(String),
    /// Slots of a Redis Cluster have gone to another server.
    #[error("the Redis Cluster has moved slots to another server meanwhile: run the command again")]
    Moved,
    /// A node may change the rooms meanwhile.
    #[error(
        "node {0} is alive: stop all nodes first (one that was killed counts as alive until its lease is over)"
    )]
    Alive(String),
    /// Redis has a room that the journal has, and not as the journal has it.
    #[error("Redis has room {:?} already, with other messages or names than the journal", .0.as_str())]
    Taken(RoomName),
    /// Nodes cannot count epochs on from there.
    #[error("room {:?} has epoch number {number}; nodes can go on from at most {most}", .room.as_str())]
    TooManyEpochs {
        /// The room.
        room: RoomName,
        /// The number of its last epoch.
        number: u64,
        /// The largest number.
        most: u64,
    },
    /// The journal cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalFault),
}

/// The journal cannot be used.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct JournalFault(OfflineError);

impl From<OfflineError> for MovingError {
    fn from(error: OfflineError) -> Self {
        Self::Journal(JournalFault(error))
    }
}
