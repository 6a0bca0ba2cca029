//! How the file is, as far as anybody has met it: shared by the threads of a journal.

use std::sync::{
    Mutex, MutexGuard, OnceLock, PoisonError,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use log::error;
use rusqlite::InterruptHandle;

use super::{Place, schema::Fault};
use crate::journal::{Damage, JournalError};

/// Damage that has lines of its own in the log; who reads one damaged record again and again must not fill it.
const MAX_LOGGED: u64 = 20;

/// See the module's text.
#[derive(Default)]
pub(super) struct Condition {
    found: AtomicU64,
    first: OnceLock<String>,
    is_closing: AtomicBool,
    /// Ends what takes long.
    interrupt: Mutex<Option<InterruptHandle>>,
}

impl Condition {
    /// Something that is stored cannot be what was written.
    pub fn damaged(&self, what: &str) {
        self.first.get_or_init(|| what.to_owned());
        if self.found.fetch_add(1, Ordering::Relaxed) < MAX_LOGGED {
            error!("the journal is damaged: {what}");
        }
    }

    /// Damage in one room is no reason to do nothing for the others.
    ///
    /// # Errors
    /// The fault is another one.
    pub fn pass_over(&self, fault: Fault, place: &Place) -> Result<(), Fault> {
        match fault.later(place) {
            JournalError::Damaged(what) => {
                self.damaged(&what);
                Ok(())
            }
            error => Err(Fault::Passing(error)),
        }
    }

    /// What damage was met so far.
    pub fn damage(&self) -> Option<Damage> {
        let first = self.first.get()?.clone();
        Some(Damage { first, found: self.found.load(Ordering::Relaxed) })
    }

    /// The journal is about to be closed: what takes long gives up.
    pub fn close(&self) {
        self.is_closing.store(true, Ordering::SeqCst);
        if let Some(handle) = &*self.interrupt() {
            handle.interrupt();
        }
    }

    pub fn is_closing(&self) -> bool {
        self.is_closing.load(Ordering::SeqCst)
    }

    /// Makes [`close`](Self::close) interrupt a connection, or none.
    pub fn set_interrupt(&self, handle: Option<InterruptHandle>) {
        *self.interrupt() = handle;
    }

    fn interrupt(&self) -> MutexGuard<'_, Option<InterruptHandle>> {
        self.interrupt.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Condition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Condition").field("damage", &self.damage()).finish_non_exhaustive()
    }
}
