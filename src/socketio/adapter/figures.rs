//! Counters of the adapter.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::metrics::SocketIoRedisFigures;

/// What the adapter counts. The core counts `junk` and `only_here`, the thread with the connections all else.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    /// Whether Redis can be reached.
    pub(crate) is_up: AtomicBool,
    /// Publications and entries that Redis has taken.
    pub(crate) published: AtomicU64,
    /// Publications and entries that were heard, this server's own too.
    pub(crate) heard: AtomicU64,
    /// Publications, entries and keys that Redis has refused.
    pub(crate) refused: AtomicU64,
    /// How often the connections were lost, or given up.
    pub(crate) losses: AtomicU64,
    /// Bodies that are not messages.
    pub(crate) junk: AtomicU64,
    /// Events that only this server's sockets got, because Redis was away.
    pub(crate) only_here: AtomicU64,
}

impl Figures {
    /// The figures now, for `/metrics`.
    pub(crate) fn shown(&self) -> SocketIoRedisFigures {
        let total = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        SocketIoRedisFigures {
            is_up: self.is_up.load(Ordering::Relaxed),
            published: total(&self.published),
            heard: total(&self.heard),
            refused: total(&self.refused),
            losses: total(&self.losses),
            junk: total(&self.junk),
            only_here: total(&self.only_here),
        }
    }

    /// A body is no message, or one too many.
    pub(super) fn count_junk(&self) {
        self.junk.fetch_add(1, Ordering::Relaxed);
    }

    /// So many messages did not reach other servers.
    pub(super) fn count_only_here(&self, count: usize) {
        self.only_here.fetch_add(count as u64, Ordering::Relaxed);
    }
}
