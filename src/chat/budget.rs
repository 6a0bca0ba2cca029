//! The bound on the bytes that all clients together make the process hold.
//!
//! One part of it is for messages that sessions have handed over and that are not dealt with yet. The rest is for what is
//! unfinished, and for what waits for clients that read slowly; it is taken by [`Lease`](super::Lease)s.
//!
//! A session asks its [`Intake`] before it takes another message from its client. While the bound is reached the
//! answer is "not now": the session stops reading, and TCP slows the client down. Every accepted message carries
//! an [`Accepted`], which gives its bytes back when dropped, so nothing can be charged for ever.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicIsize, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use futures_util::task::AtomicWaker;

use super::lease::{OutOfMemory, STEP};
use crate::logging;

/// The setting whose bound is reached, as the log names it.
const MAX_MEMORY: &str = "--max-memory (ECHOROOM_MAX_MEMORY)";

/// Charged for each message on top of its bytes, so that empty messages are not free.
const MESSAGE_OVERHEAD: usize = 128;

/// The bound over all sessions.
#[derive(Debug)]
pub struct Budget {
    used: AtomicUsize,
    limit: usize,
    parked: Mutex<Vec<Arc<Own>>>,
    /// Bytes that are unfinished or wait for clients. Below 0 for a moment, when one thread has told of bytes that went and
    /// another not yet of bytes that came.
    pub(super) held: AtomicIsize,
    max_held: usize,
}

/// The bound of one session, and how to wake it.
#[derive(Debug)]
struct Own {
    used: AtomicUsize,
    limit: usize,
    waker: AtomicWaker,
    /// Whether this session stands in [`Budget::parked`]; it stands there once at most.
    parked: AtomicBool,
}

/// One session's gate.
#[derive(Clone, Debug)]
pub struct Intake {
    own: Arc<Own>,
    total: Arc<Budget>,
}

/// The share of one accepted message; dropping it means the message is dealt with.
#[derive(Debug)]
pub struct Accepted {
    own: Arc<Own>,
    total: Arc<Budget>,
    bytes: usize,
    at: Instant,
}

impl Budget {
    /// A bound of `limit` bytes on messages that are not dealt with yet, and of three times as much on what is unfinished
    /// or waits.
    pub fn new(limit: usize) -> Arc<Self> {
        Self::with(limit.saturating_mul(4), limit)
    }

    /// A bound of `total` bytes, of which `intake` may be messages that are not dealt with yet, but at most a quarter.
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

    /// Bytes that are unfinished or wait for clients. Those of messages that have come are not among them: at their bound
    /// a client is read from more slowly, and none is refused.
    pub fn used(&self) -> usize {
        usize::try_from(self.held.load(Ordering::Relaxed)).unwrap_or(0)
    }

    /// How many of those there may be: a client that needs more is refused.
    pub fn bound(&self) -> usize {
        self.max_held
    }

    /// How many of those a message of `len` bytes is while it comes in.
    pub fn needed_for(len: usize) -> usize {
        len.next_multiple_of(STEP)
    }

    /// Whether nothing more may wait for clients that read slowly.
    pub fn is_full(&self) -> bool {
        self.used() >= self.max_held_with_waiting()
    }

    /// A quarter of the bound is beyond the reach of what waits: clients that do not read must not keep others from sending.
    fn max_held_with_waiting(&self) -> usize {
        self.max_held - self.max_held / 4
    }

    /// Takes bytes for something unfinished, or that waits.
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

    /// Logs that a client was refused for it.
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
    /// The gate of a new session that may have `limit` bytes under way.
    pub fn new(limit: usize, total: Arc<Budget>) -> Self {
        let own = Own {
            used: AtomicUsize::new(0),
            limit,
            waker: AtomicWaker::new(),
            parked: AtomicBool::new(false),
        };
        Self { own: Arc::new(own), total }
    }

    /// Ready while another message may be accepted; otherwise the task is woken when it is time to ask again.
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

    /// Charges a message of `len` bytes. Call after [`poll_open`](Self::poll_open) was ready: the last message may
    /// reach over the bound, so a message as large as the bound is still accepted.
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
