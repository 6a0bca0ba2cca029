//! When more may be read from a client of Socket.IO, whichever requests or connections it comes by.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use crate::connection::Intake;

/// Shared by a session and by what reads for it, perhaps on another thread. Most often one task waits: a client has one post
/// under way, or a WebSocket that carries its session. But one that upgrades while a post waits has both.
#[derive(Debug)]
pub struct Gate {
    intake: Intake,
    /// Too many of the session's own answers wait for the client.
    is_paused: AtomicBool,
    /// The intake was full, so that the client's silence says nothing.
    has_held_back: AtomicBool,
    is_posting: AtomicBool,
    /// The session polls: no WebSocket carries it.
    is_polling: AtomicBool,
    /// The client has made a second request.
    has_come_back: AtomicBool,
    /// The client may send messages of any size.
    is_known: AtomicBool,
    readers: Arc<Readers>,
}

/// The tasks that wait for a gate.
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
    /// A gate that is open until `intake` is full.
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

    /// The bound on what the client has sent and is not dealt with yet.
    pub(super) fn intake(&self) -> Intake {
        self.intake.clone()
    }

    /// Says which transport the session has.
    pub(super) fn set_polling(&self, is_polling: bool) {
        self.is_polling.store(is_polling, Ordering::SeqCst);
    }

    pub(super) fn is_polling(&self) -> bool {
        self.is_polling.load(Ordering::SeqCst)
    }

    /// The client has made a request of the session, which is not its first.
    pub(super) fn note_request(&self) {
        self.has_come_back.store(true, Ordering::SeqCst);
    }

    pub(super) fn has_come_back(&self) -> bool {
        self.has_come_back.load(Ordering::SeqCst)
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
                self.readers.wake_by_ref();
            }
        }
    }

    /// Whether more may be read.
    pub(super) fn is_open(&self) -> bool {
        !self.is_paused.load(Ordering::SeqCst) && self.intake.is_open()
    }

    /// Ready while more may be read; the task is woken then.
    pub(super) fn poll_open(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_open() {
            return Poll::Ready(());
        }
        // Added first, and looked again afterwards: what opens the gate in between is seen here or wakes the task.
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

    /// A post may still wait for its answer when the session goes on over a WebSocket.
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
