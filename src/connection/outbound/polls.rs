//! A connection whose client takes what waits by HTTP requests: long-polling.

use std::task::Waker;

use prometheus::IntCounter;
use tokio::sync::oneshot;

use super::{Bounds, MAX_POLL_PACKETS, Outbound, Way};
use crate::connection::Lease;

/// The response to a poll.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PollAnswer {
    /// Packets, joined by the record separator of Engine.IO 4.
    Payload(String),
    /// The session already has a poll, or a WebSocket carries it.
    BadRequest,
    /// The session has ended.
    Over,
}

impl Outbound {
    /// An empty queue of a session that polls. What waits is charged to `lease`. `session` is woken when something waits.
    /// `bytes_out` counts bytes of answers, if they are counted.
    pub fn polled(
        bounds: Bounds,
        lease: Lease,
        session: Waker,
        bytes_out: impl Into<Option<IntCounter>>,
    ) -> Self {
        let outbound = Self::new(Way::Polls(None), bounds, lease, bytes_out.into());
        outbound.0.borrow_mut().writer = Some(session);
        outbound
    }

    /// Whether the client takes what waits by polls.
    pub(crate) fn is_polling(&self) -> bool {
        matches!(self.0.borrow().way, Way::Polls(_))
    }

    /// Whether a poll waits for its response.
    pub(crate) fn has_poll(&self) -> bool {
        matches!(self.0.borrow().way, Way::Polls(Some(_)))
    }

    /// Takes the waiting poll, to be answered.
    pub fn take_poll(&self) -> Option<oneshot::Sender<PollAnswer>> {
        match &mut self.0.borrow_mut().way {
            Way::Polls(waiting) => waiting.take(),
            Way::Wire(_) | Way::Gone => None,
        }
    }

    /// Stores a poll until there are packets. Gives it back if another poll waits or the session does not poll.
    pub fn offer_poll(&self, poll: oneshot::Sender<PollAnswer>) -> Result<(), oneshot::Sender<PollAnswer>> {
        match &mut self.0.borrow_mut().way {
            Way::Polls(waiting @ None) => {
                *waiting = Some(poll);
                Ok(())
            }
            _ => Err(poll),
        }
    }

    /// The next poll response: at most [`MAX_POLL_PACKETS`] packets and `max_bytes` bytes, except that the first packet may be
    /// larger. `None` if nothing waits.
    pub fn payload(&self, max_bytes: usize) -> Option<String> {
        let state = &mut *self.0.borrow_mut();
        let before = state.queue.answers();
        let payload = state.queue.take_packets(MAX_POLL_PACKETS, max_bytes)?;
        state.taken += payload.len() as u64;
        state.count(before - state.queue.answers());
        state.settle();
        Some(payload)
    }

    /// Continues on the wire of `probe`, behind what waits there. Returns the poll that waited. `probe` has no wire after
    /// that.
    pub(crate) fn upgrade(&self, probe: &Self) -> Option<oneshot::Sender<PollAnswer>> {
        let (state, probe) = (&mut *self.0.borrow_mut(), &mut *probe.0.borrow_mut());
        probe.has_ended = true;
        let poll = match std::mem::replace(&mut state.way, std::mem::replace(&mut probe.way, Way::Gone)) {
            Way::Polls(poll) => poll,
            Way::Wire(_) | Way::Gone => None,
        };
        (state.writer, state.is_attended) = (probe.writer.take(), probe.is_attended);
        state.is_text_only = probe.is_text_only;
        if state.is_text_only {
            state.queue.make_text_only();
        }
        state.queue.go_behind(probe.queue.take());
        state.charge();
        state.wake_writer(true);
        poll
    }
}
