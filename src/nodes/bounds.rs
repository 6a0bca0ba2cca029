//! Bounds on what is kept in Redis.

use std::time::Duration;

/// Times and bounds that the functions in Redis are told with each call, so that all nodes should have equal ones.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// How long a node counts as alive after it has said so.
    pub lease: Duration,
    /// How long nothing is appended after Redis may have lost something, so that nodes can give it back.
    pub window: Duration,
    /// How long a node has to bury another one before the next node is asked.
    pub burial: Duration,
    /// Minimum number of messages kept per room, unless another bound deletes them.
    pub history: u64,
    /// Maximum bytes of the messages of one room; its newest record is kept in any case.
    pub history_bytes: u64,
    /// How long a name is held for a user whose last connection has dropped. 0 holds none.
    pub name_hold: Duration,
    /// How long a name is reserved for the bearer of a token. 0 reserves none.
    pub name_reservation: Duration,
    /// Maximum number of names that are held in one room, and of names that are reserved.
    pub max_held_names: usize,
    /// Maximum age of a message, and of a picture since its user wore it last.
    pub history_age: Duration,
    /// Maximum number of rooms with messages over all nodes, approximately.
    pub max_rooms: u64,
    /// Maximum bytes of the messages of all rooms, approximately.
    pub max_bytes: u64,
    /// Maximum bytes of all avatar pictures. Each partition has an equal share, and keeps its newest picture in any
    /// case, so this is approximate.
    pub avatar_bytes: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(15),
            window: Duration::from_millis(700),
            burial: Duration::from_secs(1),
            history: 1000,
            history_bytes: 16 << 20,
            name_hold: Duration::from_secs(30),
            name_reservation: Duration::from_secs(30 * 24 * 3600),
            max_held_names: 1000,
            history_age: Duration::from_secs(30 * 24 * 3600),
            max_rooms: 1 << 20,
            max_bytes: 2 << 30,
            avatar_bytes: 32 << 20,
        }
    }
}

/// A time in milliseconds, as Redis counts.
pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Versions of the users of a room in one epoch of its partition begin this much above those of the epoch before.
pub(super) const VERSIONS: u64 = 1 << 32;

/// How long what was heard is kept in memory, also of a room that no session is in any more: longer than Redis needs to
/// make it durable, and than a replica is behind.
pub(crate) const KEEP_FOR: Duration = Duration::from_secs(10);

/// Records are read until their entries have this many bytes.
pub(super) const READ_BYTES: usize = 1 << 20;

/// Users of a node that are taken out of a room in one step when it is buried.
pub(super) const MOST_BURIED: usize = 100;

/// Entries with more bytes are not published: nodes read them from the stream.
#[cfg(any(test, feature = "testing"))]
pub(super) const MOST_PUBLISHED: u64 = 64 << 10;

/// Records that are deleted in one step because a room has too many bytes.
#[cfg(any(test, feature = "testing"))]
pub(super) const MOST_SHED: usize = 64;
