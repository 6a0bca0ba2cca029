//! When more may be read from a client of Socket.IO, whichever requests or connections it comes by.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    task::{Context, Poll},
};

use futures_util::task::AtomicWaker;

use crate::chat::Intake;

/// Shared by a session and by what reads for it, perhaps on another thread. One task waits at a time: a client has one post
/// under way, or a WebSocket that carries its session.
#[derive(Debug)]
pub struct Gate {
    intake: Intake,
    /// Too many of the session's own answers wait for the client.
    is_paused: AtomicBool,
    /// The intake was full, so that the client's silence says nothing.
    has_held_back: AtomicBool,
    is_posting: AtomicBool,
    /// The client may send messages of any size.
    is_known: AtomicBool,
    reader: AtomicWaker,
}

impl Gate {
    /// A gate that is open until `intake` is full.
    pub(super) fn new(intake: Intake) -> Self {
        Self {
            intake,
            is_paused: AtomicBool::new(false),
            has_held_back: AtomicBool::new(false),
            is_posting: AtomicBool::new(false),
            is_known: AtomicBool::new(false),
            reader: AtomicWaker::new(),
        }
    }

    /// The bound on what the client has sent and is not dealt with yet.
    pub(super) fn intake(&self) -> Intake {
        self.intake.clone()
    }

    /// Notes that a post is under way; whether none was.
    pub(super) fn begin_post(&self) -> bool {
        !self.is_posting.swap(true, Ordering::SeqCst)
    }

    pub(super) fn end_post(&self) {
        self.is_posting.store(false, Ordering::SeqCst);
    }

    /// Whether the client may send messages of any size, as the session knows.
    pub(super) fn set_known(&self, is_known: bool) {
        if self.is_known.load(Ordering::Relaxed) != is_known {
            self.is_known.store(is_known, Ordering::SeqCst);
        }
    }

    pub(super) fn is_known(&self) -> bool {
        self.is_known.load(Ordering::SeqCst)
    }

    /// Whether reading is to pause until the client has taken more of its answers.
    pub(super) fn set_paused(&self, is_paused: bool) {
        // Only the session writes it.
        if self.is_paused.load(Ordering::Relaxed) != is_paused {
            self.is_paused.store(is_paused, Ordering::SeqCst);
            if !is_paused {
                self.reader.wake();
            }
        }
    }

    /// Ready while more may be read; the task is woken then.
    pub(super) fn poll_open(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_paused.load(Ordering::SeqCst) {
            self.reader.register(cx.waker());
            if self.is_paused.load(Ordering::SeqCst) {
                return Poll::Pending;
            }
        }
        let is_open = self.intake.poll_open(cx);
        if is_open.is_pending() {
            self.has_held_back.store(true, Ordering::SeqCst);
        }
        is_open
    }

    /// Whether nothing was read for a while because the intake was full, since this was last asked.
    pub(super) fn take_held_back(&self) -> bool {
        self.has_held_back.swap(!self.intake.is_open(), Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use futures_util::FutureExt as _;

    use super::*;
    use crate::chat::Budget;

    #[test]
    fn a_gate_is_open_while_the_intake_has_room_and_answers_are_taken() {
        let gate = Gate::new(Intake::new(100, Budget::new(1 << 20)));
        let is_open = || poll_fn(|cx| gate.poll_open(cx)).now_or_never().is_some();
        assert!(is_open() && !gate.take_held_back());
        gate.set_paused(true);
        assert!(!is_open() && !gate.take_held_back(), "a client that does not read is no excuse for itself");
        gate.set_paused(false);
        let accepted = gate.intake.accept(100);
        assert!(!is_open() && gate.take_held_back() && gate.take_held_back(), "it is shut still");
        drop(accepted);
        assert!(is_open() && gate.take_held_back() && !gate.take_held_back());
    }

    #[test]
    fn one_post_is_under_way_at_a_time() {
        let gate = Gate::new(Intake::new(1, Budget::new(1)));
        assert!(gate.begin_post() && !gate.begin_post());
        gate.end_post();
        assert!(gate.begin_post());
    }
}
