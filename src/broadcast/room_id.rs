//! The id of a room in memory.

use std::sync::atomic::{AtomicU64, Ordering};

/// Identifies a room while it is in memory, unique in the process; a room that comes back into memory gets a
/// new id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RoomId(u64);

impl RoomId {
    /// The next unused id.
    pub fn next() -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Self(LAST.fetch_add(1, Ordering::Relaxed) + 1)
    }
}
