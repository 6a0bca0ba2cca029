//! The bound on the bytes that all clients together make the process hold.
//!
//! One part of it is for messages that sessions have accepted and that are not dealt with yet. The rest is
//! for incomplete messages and for the backlogs of clients that read slowly; [`Lease`](super::Lease)s take
//! it.
//!
//! A session asks its [`Intake`] before it takes another message from its client. While the bound is reached
//! the answer is "not now": the session stops reading, and TCP slows the client down. Every accepted message
//! carries an [`Accepted`], which gives its bytes back when dropped, so no charge outlives its message.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicIsize, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use futures_util::task::AtomicWaker;

use crate::logging;

/// The setting that the log names when the bound is reached.
const MAX_MEMORY: &str = "--max-memory (ECHOROOM_MAX_MEMORY)";

/// A lease is charged in steps of this size, so that bytes that come and go do not touch the budget each time.
pub(super) const STEP: usize = 16 * 1024;

/// Charged for each message on top of its bytes, so that empty messages are not free.
const MESSAGE_OVERHEAD: usize = 128;

/// The budget has no more bytes to give.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many bytes are held for clients (--max-memory)")]
pub struct OutOfMemory;

/// The bound over all sessions.
#[derive(Debug)]
pub struct Budget {
    used: AtomicUsize,
    limit: usize,
    parked: Mutex<Vec<Arc<Own>>>,
    /// Bytes of incomplete messages and of backlogs. Negative for a moment if one thread has reported bytes
    /// as freed before another thread has reported them as taken.
    pub(super) held: AtomicIsize,
    max_held: usize,
}

/// The intake bound of one session, and its waker.
#[derive(Debug)]
struct Own {
    used: AtomicUsize,
    limit: usize,
    waker: AtomicWaker,
    /// Whether this session is in [`Budget::parked`], so that it is in there at most once.
    parked: AtomicBool,
}

/// Decides whether one session may accept another message.
#[derive(Clone, Debug)]
pub struct Intake {
    own: Arc<Own>,
    total: Arc<Budget>,
}

/// The charge of one accepted message; drop it when the message is dealt with.
#[derive(Debug)]
pub struct Accepted {
    own: Arc<Own>,
    total: Arc<Budget>,
    bytes: usize,
    at: Instant,
}

impl Budget {
    /// A bound of `limit` bytes on messages that are not dealt with yet, and of `3 * limit` on incomplete
    /// messages and backlogs.
    pub fn new(limit: usize) -> Arc<Self> {
        Self::with(limit.saturating_mul(4), limit)
    }

    /// A bound of `total` bytes. Messages that are not dealt with yet may take `intake` of it, at most a
    /// quarter.
    pub fn with(total: usize, intake: usize) -> Arc<Self> {
        let intake = intake.min(total / 4).max(1);
        Arc::new(Self {
            used: AtomicUsize::new(0),
            limit: intake,
            parked: Mutex::default(),
            held: AtomicIsize::new(0),
            max_held: total.saturating_sub(intake),
        })
    }

    /// Bytes of incomplete messages and of backlogs. Accepted messages do not count: at their bound the
    /// server reads more slowly, and rejects no client.
    pub fn used(&self) -> usize {
        usize::try_from(self.held.load(Ordering::Relaxed)).unwrap_or(0)
    }

    /// Bytes of accepted messages that are not dealt with yet.
    pub fn accepted(&self) -> usize {
        self.used.load(Ordering::SeqCst)
    }

    /// The bound on [`used`](Self::used): a client that needs more is refused.
    pub fn bound(&self) -> usize {
        self.max_held
    }

    /// Bytes of [`bound`](Self::bound) that a message of `len` bytes takes while it comes in.
    pub fn needed_for(len: usize) -> usize {
        len.next_multiple_of(STEP)
    }

    /// Whether backlogs have reached their bound.
    pub fn is_full(&self) -> bool {
        self.used() >= self.max_held_with_waiting()
    }

    /// Backlogs may take three quarters: clients that do not read must not keep others from sending.
    fn max_held_with_waiting(&self) -> usize {
        self.max_held - self.max_held / 4
    }

    /// Takes bytes for a backlog (`is_waiting`) or for an incomplete message.
    pub(super) fn take(&self, bytes: usize, is_waiting: bool) -> Result<(), OutOfMemory> {
        let most = if is_waiting { self.max_held_with_waiting() } else { self.max_held };
        let add = bytes.cast_signed();
        let before = self.held.fetch_add(add, Ordering::Relaxed);
        if usize::try_from(before + add).unwrap_or(0) <= most {
            return Ok(());
        }
        self.held.fetch_sub(add, Ordering::Relaxed);
        self.note_refusal();
        Err(OutOfMemory)
    }

    /// Logs that a client was refused for lack of memory.
    pub fn note_refusal(&self) {
        let what =
            format_args!("{} bytes are held for clients; one that needed more was refused", self.used());
        logging::refused(MAX_MEMORY, what);
    }

    pub(super) fn give_back_held(&self, bytes: usize) {
        self.held.fetch_sub(bytes.cast_signed(), Ordering::Relaxed);
    }

    fn is_spent(&self) -> bool {
        self.used.load(Ordering::SeqCst) >= self.limit
    }

    fn park(&self, own: &Arc<Own>) {
        if !own.parked.swap(true, Ordering::SeqCst) {
            self.parked.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(own));
        }
    }

    fn give_back(&self, bytes: usize) {
        let before = self.used.fetch_sub(bytes, Ordering::SeqCst);
        if before >= self.limit && before - bytes < self.limit {
            let parked = std::mem::take(&mut *self.parked.lock().unwrap_or_else(PoisonError::into_inner));
            for own in parked {
                own.parked.store(false, Ordering::SeqCst);
                own.waker.wake();
            }
        }
    }
}

impl Intake {
    /// The intake of a new session; its messages that are not dealt with yet may have `limit` bytes.
    pub fn new(limit: usize, total: Arc<Budget>) -> Self {
        let own = Own {
            used: AtomicUsize::new(0),
            limit,
            waker: AtomicWaker::new(),
            parked: AtomicBool::new(false),
        };
        Self { own: Arc::new(own), total }
    }

    /// Ready while another message may be accepted; otherwise wakes the task when it is time to ask again.
    pub fn poll_open(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_open() {
            return Poll::Ready(());
        }
        // Register first and look again afterwards: bytes given back in between are seen here or wake us.
        self.own.waker.register(cx.waker());
        if self.total.is_spent() {
            self.total.park(&self.own);
        }
        if self.is_open() { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Charges a message of `len` bytes. Call after [`poll_open`](Self::poll_open) was ready: the last
    /// message may exceed the bound, so a message as large as the bound is still accepted.
    pub fn accept(&self, len: usize) -> Accepted {
        let bytes = len + MESSAGE_OVERHEAD;
        self.own.used.fetch_add(bytes, Ordering::SeqCst);
        self.total.used.fetch_add(bytes, Ordering::SeqCst);
        Accepted { own: Arc::clone(&self.own), total: Arc::clone(&self.total), bytes, at: Instant::now() }
    }

    /// Whether another message may be accepted now.
    pub fn is_open(&self) -> bool {
        self.own.used.load(Ordering::SeqCst) < self.own.limit && !self.total.is_spent()
    }
}

impl Accepted {
    /// How long ago the message was accepted.
    pub fn age(&self) -> Duration {
        self.at.elapsed()
    }
}

impl Drop for Accepted {
    fn drop(&mut self) {
        let before = self.own.used.fetch_sub(self.bytes, Ordering::SeqCst);
        if before >= self.own.limit {
            self.own.waker.wake();
        }
        self.total.give_back(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Wake, Waker};

    use super::*;

    #[derive(Default)]
    struct Counter(AtomicUsize);

    impl Wake for Counter {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn poll(intake: &Intake, counter: &Arc<Counter>) -> bool {
        let waker = Waker::from(Arc::clone(counter));
        intake.poll_open(&mut Context::from_waker(&waker)).is_ready()
    }

    #[test]
    fn a_session_over_its_bound_waits_until_its_bytes_are_given_back() {
        let (intake, woken) = (Intake::new(1000, Budget::new(1 << 20)), Arc::new(Counter::default()));
        assert!(poll(&intake, &woken));
        let large = intake.accept(5000);
        assert!(!poll(&intake, &woken));
        drop(large);
        assert_eq!(woken.0.load(Ordering::SeqCst), 1);
        assert!(poll(&intake, &woken));
    }

    #[test]
    fn the_bound_over_all_closes_every_gate_and_opens_them_together() {
        let total = Budget::new(1000);
        let (one, two) = (Intake::new(10_000, Arc::clone(&total)), Intake::new(10_000, Arc::clone(&total)));
        let woken = [Arc::new(Counter::default()), Arc::new(Counter::default())];
        let held = one.accept(2000);
        for _ in 0..3 {
            assert!(!poll(&one, &woken[0]));
            assert!(!poll(&two, &woken[1]));
        }
        assert_eq!(total.parked.lock().expect("not poisoned").len(), 2, "each waits once");
        drop(held);
        assert_eq!(woken.map(|counter| counter.0.load(Ordering::SeqCst)), [1, 1]);
        assert!(total.parked.lock().expect("not poisoned").is_empty());
    }

    #[test]
    fn empty_messages_are_not_free() {
        let (intake, woken) = (Intake::new(1000, Budget::new(1 << 20)), Arc::new(Counter::default()));
        let held: Vec<_> = (0..8).map(|_| intake.accept(0)).collect();
        assert!(!poll(&intake, &woken));
        drop(held);
        assert!(poll(&intake, &woken));
    }
}
