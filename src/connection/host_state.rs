//! What a session and its host know of their connection; see [`host`](super::host). They may be on two threads.

use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::Wake,
};

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use tokio::sync::{Notify, mpsc};

/// What both sides, and the handle to the connection, know of it.
#[derive(Debug, Default)]
pub(super) struct HostState {
    /// The pipe took nothing when it was last written to, and has not taken anything since.
    pub is_blocked: AtomicBool,
    /// The host takes nothing more for the client.
    is_deaf: AtomicBool,
    /// The session is gone.
    is_left: AtomicBool,
    /// Where the payload is to be passed on to, for a session on another thread.
    passes_on: Mutex<Option<mpsc::Sender<Bytes>>>,
    /// The connection has been cut: the session reads and writes nothing more.
    pub is_cut: AtomicBool,
    /// The connection is to end by a reset, however it ends.
    pub is_to_be_reset: AtomicBool,
    /// Wakes the task that does what the session orders.
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

    /// The host takes nothing more for the client.
    pub(super) fn deafen(&self) {
        self.is_deaf.store(true, Ordering::SeqCst);
        self.writer.wake();
        self.reader.wake();
        self.orders.notify_one();
    }

    /// Whether the host takes nothing more for the client.
    pub(super) fn is_deaf(&self) -> bool {
        self.is_deaf.load(Ordering::SeqCst)
    }

    /// The session is gone.
    pub(super) fn leave(&self) {
        self.is_left.store(true, Ordering::SeqCst);
        self.orders.notify_one();
    }

    /// Whether the session is gone.
    pub(super) fn is_left(&self) -> bool {
        self.is_left.load(Ordering::SeqCst)
    }

    /// From now on the payload is to be passed on to this thread.
    pub(super) fn have_passed_on(&self, to: mpsc::Sender<Bytes>) {
        *self.passes_on.lock().unwrap_or_else(PoisonError::into_inner) = Some(to);
        self.orders.notify_one();
    }

    /// Where the payload is to be passed on to from now on, if that is new.
    pub(super) fn take_passes_on(&self) -> Option<mpsc::Sender<Bytes>> {
        self.passes_on.lock().unwrap_or_else(PoisonError::into_inner).take()
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
