//! What a connection can be handed without a message, and how much waits for it.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;

/// What a session can be handed directly. `session` implements it; it lives on the fan-out's thread.
pub trait DirectOutlet {
    /// Takes finished frames, `bytes` in all: writes them if nothing waits before them, and keeps what the socket does not
    /// take. Volatile frames are dropped instead if the session's transport is not writable.
    fn deliver(&self, frames: &[Bytes], bytes: usize, is_volatile: bool) -> Direct;

    /// A message goes to the session's mailbox; what is delivered next must stay behind it.
    fn note_mail(&self);
}

/// What became of a direct delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direct {
    /// It is written, or waits for the socket.
    Taken,
    /// Nothing was done: the session has ended, and hears no more.
    Gone,
    /// Nothing was done: messages are in the session's mailbox that it must not overtake.
    BehindMail,
    /// Nothing was done: the frames are volatile, and the transport is not writable.
    Skipped,
    /// Nothing was done: more waits for the session than may, in bytes or in pieces.
    Full,
}

impl fmt::Debug for dyn DirectOutlet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DirectOutlet")
    }
}

/// Bytes delivered to a session and not yet taken by its socket. The fan-out adds, the session's outlet subtracts.
#[derive(Clone, Debug, Default)]
pub struct Waiting(Arc<AtomicUsize>);

impl Waiting {
    /// The bytes that wait.
    pub fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// Counts bytes about to be delivered.
    pub fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Counts bytes that have been written, or will never be.
    pub fn subtract(&self, bytes: usize) {
        self.0.fetch_sub(bytes, Ordering::Relaxed);
    }
}
