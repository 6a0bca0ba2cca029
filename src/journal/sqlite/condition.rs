//! The damage found in the file, shared by the threads of a journal.

use std::{
    path::Path,
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use log::error;
use rusqlite::InterruptHandle;

use super::fault::Fault;
use crate::journal::{Damage, JournalError};

/// Maximum number of logged damages: repeated reads of one damaged record must not fill the log.
const MAX_LOGGED: u64 = 20;

/// The damage found so far, and whether the journal closes.
#[derive(Default)]
pub(super) struct Condition {
    found: AtomicU64,
    first: OnceLock<String>,
    is_closing: AtomicBool,
    /// Interrupts the long query of the checker.
    interrupt: Mutex<Option<InterruptHandle>>,
}

impl Condition {
    /// Counts damage, and logs it up to [`MAX_LOGGED`] times.
    pub(super) fn damaged(&self, what: &str) {
        self.first.get_or_init(|| what.to_owned());
        if self.found.fetch_add(1, Ordering::Relaxed) < MAX_LOGGED {
            error!("the journal is damaged: {what}");
        }
    }

    /// Counts damage and continues: damage in one room must not stop the work for others.
    ///
    /// # Errors
    /// The fault is not damage.
    pub(super) fn pass_over(&self, fault: Fault, database: &Path) -> Result<(), Fault> {
        match fault.into_error(database) {
            JournalError::Damaged(what) => {
                self.damaged(&what);
                Ok(())
            }
            error => Err(Fault::Passing(error)),
        }
    }

    /// The damage found so far.
    pub(super) fn damage(&self) -> Option<Damage> {
        let first = self.first.get()?.clone();
        Some(Damage { first, found: self.found.load(Ordering::Relaxed) })
    }

    /// Begins closing: interrupts a long query.
    pub(super) fn close(&self) {
        self.is_closing.store(true, Ordering::SeqCst);
        if let Some(handle) = &*self.interrupt() {
            handle.interrupt();
        }
    }

    pub(super) fn is_closing(&self) -> bool {
        self.is_closing.load(Ordering::SeqCst)
    }

    /// Sets the connection that [`close`](Self::close) interrupts; `None` removes it.
    pub(super) fn set_interrupt(&self, handle: Option<InterruptHandle>) {
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
