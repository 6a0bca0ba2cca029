//! How an outgoing queue ends.

use std::{future::poll_fn, mem, rc::Rc, time::Duration};

use super::{Outbound, Way};

impl Outbound {
    /// Refuses all that comes from now on. What waits is still taken.
    pub fn end(&self) {
        let state = &mut *self.0.borrow_mut();
        state.has_ended = true;
        // A lesson's body ends when this is so.
        state.wake_writer(true);
    }

    /// Whether the session has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.0.borrow().has_ended
    }

    /// Queues these finished frames as the last ones, and ends. The first end counts.
    pub(crate) fn end_with(&self, last: &[u8]) {
        self.answer(|out| out.extend_from_slice(last));
        self.end();
    }

    /// Ends the connection at once and closes its socket, as after an error.
    pub(crate) fn fail(&self) {
        let state = &mut *self.0.borrow_mut();
        state.is_cut = true;
        state.wake_writer(true);
    }

    /// Whether the connection ends at once, without what waits.
    pub(in crate::connection) fn is_cut(&self) -> bool {
        self.0.borrow().is_cut
    }

    /// Drops the waiting frames, except the rest of a frame that is partly written. Cuts the connection if the memory
    /// budget has no room for that rest.
    pub(crate) fn clear(&self) {
        let state = &mut *self.0.borrow_mut();
        state.queue.clear();
        if state.recount().is_err() {
            state.queue.drop_all();
            state.is_cut = true;
        }
    }

    /// Drops what waits and all later output: the client reads nothing more.
    pub fn drop_all(&self) {
        let state = &mut *self.0.borrow_mut();
        state.is_deaf = true;
        state.drop_all();
    }

    /// Whether the client reads nothing more: a write has failed.
    pub(crate) fn is_deaf(&self) -> bool {
        self.0.borrow().is_deaf
    }

    /// Writes what is left after the end, and closes the connection. A client that does not take it within `patience` is
    /// cut.
    pub(crate) async fn finish(self, patience: Duration) {
        let wire = match &self.0.borrow().way {
            Way::Wire(wire) => Rc::clone(wire),
            Way::Polls(_) | Way::Gone => return,
        };
        // On a host the last bytes may leave this queue before its client takes them.
        let mut is_patient = true;
        if wire.connection().is_on_host() {
            is_patient = false;
            wire.connection().cut_after(patience);
        }
        let outcome = poll_fn(|cx| {
            let outcome = self.poll_write(cx);
            if outcome.is_pending() && mem::take(&mut is_patient) {
                wire.connection().cut_after(patience);
            }
            outcome
        });
        if outcome.await.is_ok() {
            wire.linger().await;
        }
        self.release();
        wire.close();
    }

    /// Lets the socket go.
    pub(crate) fn release(&self) {
        let state = &mut *self.0.borrow_mut();
        state.has_ended = true;
        state.way = Way::Gone;
        state.writer = None;
    }
}
