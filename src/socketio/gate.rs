//! Decides when more may be read from a Socket.IO client, over any request or connection.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use crate::connection::Intake;

/// Shared by a session and the tasks that read for it, possibly on other threads. Usually one task waits: one
/// post, or the WebSocket that carries the session. A session that upgrades while a post waits has both.
#[derive(Debug)]
pub(super) struct Gate {
    intake: Intake,
    /// Too many bytes of the session's own answers wait for the client.
    is_paused: AtomicBool,
    /// The intake was full, so the server did not read from the client and its silence proves nothing.
    has_held_back: AtomicBool,
    is_posting: AtomicBool,
    /// The session polls: it has no WebSocket.
    is_polling: AtomicBool,
    /// The client has made a second request, or the session began on a WebSocket.
    has_come_back: AtomicBool,
    /// The client may send messages of up to `max_payload` bytes.
    is_known: AtomicBool,
    readers: Arc<Readers>,
}

/// The tasks that wait until the gate opens.
#[derive(Debug, Default)]
struct Readers(Mutex<Vec<Waker>>);

impl Readers {
    fn add(&self, waker: &Waker) {
        let mut waiting = self.lock();
        if !waiting.iter().any(|known| known.will_wake(waker)) {
            waiting.push(waker.clone());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Waker>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Readers {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let waiting = std::mem::take(&mut *self.lock());
        waiting.into_iter().for_each(Waker::wake);
    }
}

impl Gate {
    /// Creates a gate that is open until `intake` is full.
    pub(super) fn new(intake: Intake) -> Self {
        Self {
            intake,
            is_paused: AtomicBool::new(false),
            has_held_back: AtomicBool::new(false),
            is_posting: AtomicBool::new(false),
            is_polling: AtomicBool::new(false),
            has_come_back: AtomicBool::new(false),
            is_known: AtomicBool::new(false),
            readers: Arc::default(),
        }
    }

    /// The limit on bytes that the client sent and that are not dealt with yet.
    pub(super) fn intake(&self) -> Intake {
        self.intake.clone()
    }

    /// Sets the transport: polling or WebSocket.
    pub(super) fn set_polling(&self, is_polling: bool) {
        self.is_polling.store(is_polling, Ordering::SeqCst);
    }

    pub(super) fn is_polling(&self) -> bool {
        self.is_polling.load(Ordering::SeqCst)
    }

    /// Notes a request of the client after its first one.
    pub(super) fn note_request(&self) {
        self.has_come_back.store(true, Ordering::SeqCst);
    }

    pub(super) fn has_come_back(&self) -> bool {
        self.has_come_back.load(Ordering::SeqCst)
    }

    /// Marks a post as running. Returns false if another post runs already.
    pub(super) fn begin_post(&self) -> bool {
        !self.is_posting.swap(true, Ordering::SeqCst)
    }

    pub(super) fn end_post(&self) {
        self.is_posting.store(false, Ordering::SeqCst);
    }

    /// Sets whether the client may send messages of up to `max_payload` bytes.
    pub(super) fn set_known(&self, is_known: bool) {
        if self.is_known.load(Ordering::Relaxed) != is_known {
            self.is_known.store(is_known, Ordering::SeqCst);
        }
    }

    pub(super) fn is_known(&self) -> bool {
        self.is_known.load(Ordering::SeqCst)
    }

    /// Pauses reading until the client has read more of its answers, or resumes it.
    pub(super) fn set_paused(&self, is_paused: bool) {
        // Only the session writes this flag, so a relaxed load is enough.
        if self.is_paused.load(Ordering::Relaxed) != is_paused {
            self.is_paused.store(is_paused, Ordering::SeqCst);
            if !is_paused {
                self.readers.wake_by_ref();
            }
        }
    }

    /// Whether more may be read now.
    pub(super) fn is_open(&self) -> bool {
        !self.is_paused.load(Ordering::SeqCst) && self.intake.is_open()
    }

    /// Ready while more may be read; otherwise wakes the task when the gate opens.
    pub(super) fn poll_open(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_open() {
            return Poll::Ready(());
        }
        // Register the waker before the check: an opening in between is seen here or wakes the task.
        self.readers.add(cx.waker());
        if self.is_paused.load(Ordering::SeqCst) {
            return Poll::Pending;
        }
        let all = Waker::from(Arc::clone(&self.readers));
        let is_open = self.intake.poll_open(&mut Context::from_waker(&all));
        if is_open.is_pending() {
            self.has_held_back.store(true, Ordering::SeqCst);
        }
        is_open
    }

    /// Whether the intake was full at some time since the last call.
    pub(super) fn take_held_back(&self) -> bool {
        self.has_held_back.swap(!self.intake.is_open(), Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use futures_util::FutureExt as _;

    use super::*;
    use crate::connection::Budget;

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

    /// A post may still wait for its response when the session continues over a WebSocket.
    #[tokio::test]
    async fn all_that_wait_for_a_gate_go_on_when_it_opens() {
        let gate = Arc::new(Gate::new(Intake::new(100, Budget::new(1 << 20))));
        let wait = |gate: Arc<Gate>| tokio::spawn(async move { poll_fn(|cx| gate.poll_open(cx)).await });
        for opens_intake in [false, true] {
            let accepted = opens_intake.then(|| gate.intake.accept(100));
            gate.set_paused(!opens_intake);
            let waiting = [wait(Arc::clone(&gate)), wait(Arc::clone(&gate))];
            tokio::task::yield_now().await;
            assert!(waiting.iter().all(|task| !task.is_finished()));
            drop(accepted);
            gate.set_paused(false);
            for task in waiting {
                task.await.expect("it goes on");
            }
        }
    }

    #[test]
    fn one_post_is_under_way_at_a_time() {
        let gate = Gate::new(Intake::new(1, Budget::new(1)));
        assert!(gate.begin_post() && !gate.begin_post());
        gate.end_post();
        assert!(gate.begin_post());
    }
}
