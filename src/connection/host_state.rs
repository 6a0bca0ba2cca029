//! What a session and its host know of their connection; see [`host`](super::host). They may be on two threads.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::Wake,
};

use futures_util::task::AtomicWaker;
use tokio::sync::Notify;

/// What both ends of a pair, and the handle to the connection, know of it.
#[derive(Debug, Default)]
pub(super) struct HostState {
    /// The pair took nothing when it was last written to, and has not taken anything since.
    pub is_blocked: AtomicBool,
    /// The host takes nothing more for the client.
    pub is_deaf: AtomicBool,
    /// The connection has been cut: the session reads and writes nothing more.
    pub is_cut: AtomicBool,
    /// The connection is to end by a reset, however it ends.
    pub is_to_be_reset: AtomicBool,
    /// Wakes the task that does to the host's socket what the session orders.
    pub orders: Notify,
    /// The session has written everything.
    pub is_finished: AtomicBool,
    pub writer: AtomicWaker,
    pub reader: AtomicWaker,
}

impl HostState {
    /// Cuts the connection, as far as the session knows it.
    pub(super) fn cut(&self) {
        self.is_cut.store(true, Ordering::SeqCst);
        self.writer.wake();
        self.reader.wake();
        self.orders.notify_one();
    }

    /// From now on the connection ends by a reset.
    pub(super) fn end_by_reset(&self) {
        self.is_to_be_reset.store(true, Ordering::SeqCst);
        self.orders.notify_one();
    }

    pub(super) fn deafen(&self) {
        self.is_deaf.store(true, Ordering::SeqCst);
        self.writer.wake();
        self.orders.notify_one();
    }

    pub(super) fn check(&self) -> io::Result<()> {
        if self.is_cut.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Ok(())
    }

    pub(super) fn check_write(&self) -> io::Result<()> {
        self.check()?;
        if self.is_deaf.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        Ok(())
    }
}

impl Wake for HostState {
    fn wake(self: Arc<Self>) {
        self.is_blocked.store(false, Ordering::SeqCst);
        self.writer.wake();
    }
}
