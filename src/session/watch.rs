//! A session as seen from outside: how much waits for it, and how it ended. For a lesson that shows it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Ending;
use crate::chat::messages::Waiting;

/// Looks at one session, which may live on another thread.
#[derive(Clone, Debug, Default)]
pub struct Watch(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    waiting: Option<Waiting>,
    ended: Option<Ending>,
}

impl Watch {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The session has begun, and this counts what waits for it.
    pub fn begun(&self, waiting: Waiting) {
        self.seen().waiting = Some(waiting);
    }

    /// The session has ended.
    pub fn ended(&self, ending: Ending) {
        self.seen().ended = Some(ending);
    }

    /// Bytes that wait for it; `None` before it has begun.
    pub fn waiting_bytes(&self) -> Option<usize> {
        self.seen().waiting.as_ref().map(Waiting::bytes)
    }

    /// How it ended, if it has.
    pub fn ending(&self) -> Option<Ending> {
        self.seen().ended.clone()
    }
}
