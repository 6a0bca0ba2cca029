//! Direct delivery to a connection, without an actor message, and the count of its waiting bytes.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;

/// The outlet of a session, by which a fan-out on its thread delivers to it.
pub trait DirectOutlet {
    /// Takes finished frames, `bytes` in total: writes them if nothing waits before them, and queues what the
    /// socket does not take. Drops volatile frames if the session's transport is not writable, and takes no others
    /// if its backlog is over its bound.
    fn deliver(&self, frames: &[Bytes], bytes: usize, is_volatile: bool) -> Direct;

    /// Notes a message to the session's mailbox. Later deliveries must not overtake it.
    fn note_mail(&self);
}

/// Result of a direct delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direct {
    /// The frames are written or queued.
    Taken,
    /// Not delivered: the session has ended.
    Gone,
    /// Not delivered: the backlog of the session was over its bound before.
    Behind,
    /// Not delivered: the session's mailbox holds messages that the frames must not overtake.
    BehindMail,
    /// Not delivered: the frames are volatile and the transport is not writable.
    Skipped,
}

impl fmt::Debug for dyn DirectOutlet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DirectOutlet")
    }
}

/// The backlog of a session: bytes delivered to it and not yet taken by its client, with the memory of their pieces; and
/// their bound. Clones share one count.
#[derive(Clone, Debug)]
pub struct Backlog {
    bytes: Arc<AtomicUsize>,
    bound: usize,
}

impl Backlog {
    /// An empty backlog. A session with more than `bound` bytes is evicted at the next delivery.
    pub fn new(bound: usize) -> Self {
        Self { bytes: Arc::default(), bound }
    }

    /// Number of waiting bytes.
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Whether more bytes wait than may.
    pub fn is_over(&self) -> bool {
        self.bytes() > self.bound
    }

    /// Adds bytes that are about to be delivered.
    pub fn add(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Subtracts bytes that were written or dropped.
    pub fn subtract(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}
