//! Pauses the reading from a client.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    task::{Context, Poll, Waker},
};

/// Pauses reading from one client. Clones share one switch; one of them is in the client's
/// [`inlet`](super::inlet).
#[derive(Clone, Debug, Default)]
pub(crate) struct Pause(Rc<PauseState>);

#[derive(Debug, Default)]
struct PauseState {
    is_on: Cell<bool>,
    /// Whether the client has logged in at least once.
    is_known: Cell<bool>,
    /// The inlet's task, while it waits for the end of the pause.
    inlet: RefCell<Option<Waker>>,
}

impl Pause {
    /// Ready if there is no pause; otherwise wakes the task at its end.
    pub(crate) fn poll_off(&self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.is_on() {
            return Poll::Ready(());
        }
        *self.0.inlet.borrow_mut() = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Notes that the client has logged in.
    pub(crate) fn note_known(&self) {
        self.0.is_known.set(true);
    }

    /// Whether the client has logged in at least once, even if it has logged out since.
    pub(crate) fn is_known(&self) -> bool {
        self.0.is_known.get()
    }

    /// Whether reading is paused.
    pub(crate) fn is_on(&self) -> bool {
        self.0.is_on.get()
    }

    /// Starts the pause, or ends it and wakes the inlet.
    pub(crate) fn set(&self, is_on: bool) {
        self.0.is_on.set(is_on);
        if !is_on && let Some(inlet) = self.0.inlet.take() {
            inlet.wake();
        }
    }
}
