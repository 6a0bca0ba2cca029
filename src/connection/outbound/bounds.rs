//! The bounds on what waits for a client: what may be read from it, what is sent to it, and when it is too slow.

use std::task::{Context, Poll};

use super::{MAX_POLL_PACKETS, Outbound, State, Way};
use crate::connection::FREE_SHARE;

/// Reading stops when more bytes of answers than this multiple of the bound wait for a polling client. A client with a
/// single connection cannot poll while its post waits.
const POLLING_OVERHANG: usize = 4;

/// A session of Socket.IO is ended when more bytes of answers than this multiple of the bound wait.
pub(super) const MAX_OVERHANG: usize = 8;

/// Bytes of answers, within the bound, that may always wait for a polling client: it takes them one poll at a time.
pub(super) const POLL_AHEAD: usize = 256 * 1024;

/// The bounds on what waits for one client.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Bytes of deliveries, with the memory of their pieces. A client with more is evicted at the next delivery. With more
    /// bytes of answers nothing is read from the client.
    pub waiting: usize,
    /// Size in bytes of the largest answer. One may wait even if `waiting` is smaller.
    pub answer: usize,
}

impl Outbound {
    /// The bounds on what waits.
    pub(crate) fn bounds(&self) -> Bounds {
        self.0.borrow().bounds
    }

    /// Whether so many bytes of answers wait that nothing more may be read from the client.
    pub fn holds_reading(&self) -> bool {
        self.0.borrow().holds_reading()
    }

    /// Like [`holds_reading`](Self::holds_reading). If so, the session's body polls the inlet again when fewer wait.
    pub(crate) fn holds_inlet(&self) -> bool {
        let state = &mut *self.0.borrow_mut();
        state.holds_inlet = state.holds_reading();
        state.holds_inlet
    }

    /// Whether the inlet waited and answers have been written since there were `before` bytes.
    pub(in crate::connection) fn lets_inlet_go_on(&self, before: usize) -> bool {
        let state = self.0.borrow();
        state.holds_inlet && state.queue.answers() < before
    }

    /// Whether so many bytes of answers wait that the session must end: its server goes on to make them, though nothing is
    /// read from the client.
    pub(crate) fn is_overrun(&self) -> bool {
        let state = self.0.borrow();
        let Bounds { waiting, answer } = state.bounds;
        state.queue.answers() > waiting.saturating_mul(MAX_OVERHANG).max(answer)
    }

    /// Whether the client takes something now; a volatile event is sent only then. The socket was not blocked when it was
    /// last written to, or a poll waits that can hold one packet more; and little waits.
    pub fn is_writable(&self) -> bool {
        self.0.borrow().is_writable()
    }

    /// Ready when at most `max_answers` bytes of answers wait, or for a polling client a few polls' worth; otherwise wakes
    /// the task when that is so.
    pub(crate) fn poll_drained(&self, max_answers: usize, cx: &mut Context<'_>) -> Poll<()> {
        let state = &mut *self.0.borrow_mut();
        let max_answers = match state.way {
            Way::Polls(_) => max_answers.max(POLL_AHEAD.min(state.bounds.waiting)),
            Way::Wire(_) | Way::Gone => max_answers,
        };
        if state.queue.answers() <= max_answers {
            return Poll::Ready(());
        }
        if !state.drained.iter().any(|(limit, waker)| *limit == max_answers && waker.will_wake(cx.waker())) {
            state.drained.push((max_answers, cx.waker().clone()));
        }
        Poll::Pending
    }
}

impl State {
    pub(super) fn holds_reading(&self) -> bool {
        let Bounds { waiting, answer } = self.bounds;
        let most = match self.way {
            Way::Polls(_) => waiting.saturating_mul(POLLING_OVERHANG).max(answer),
            Way::Wire(_) | Way::Gone => waiting,
        };
        self.queue.answers() > most
    }

    pub(super) fn is_writable(&self) -> bool {
        let takes = match &self.way {
            Way::Wire(wire) => !wire.connection().is_blocked(),
            Way::Polls(poll) => poll.is_some() && self.queue.has_fewer_frames_than(MAX_POLL_PACKETS),
            Way::Gone => false,
        };
        // Half of the bound, so that a volatile event cannot cause an eviction.
        let most = self.bounds.waiting / 2;
        !self.has_ended && takes && self.queue.bytes().max(self.queue.backlog().bytes()) <= most
    }

    /// Whether the memory budget is used up, the client does not read, and its backlog with `bytes` more would exceed
    /// [`FREE_SHARE`].
    pub(super) fn must_not_wait(&self, bytes: usize) -> bool {
        if !self.lease.budget().is_full() {
            return false;
        }
        let is_behind = match &self.way {
            Way::Wire(_) => !self.queue.is_empty(),
            Way::Polls(poll) => poll.is_none(),
            Way::Gone => true,
        };
        is_behind && self.queue.backlog().bytes() + bytes > FREE_SHARE
    }
}
