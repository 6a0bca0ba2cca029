//! Bytes that clients make the process hold, charged to the [`Budget`] while it holds them.
//!
//! Each owner charges what it holds through a [`Lease`], in coarse steps and beyond a free share; the budget
//! may refuse that. Bytes that many owners share, such as the frames of a room, are charged once, by
//! [`counted`], until the last owner has dropped them. The budget cannot refuse those, because they exist
//! already; code that would queue them asks [`Budget::is_full`] first.

use std::{
    cell::RefCell,
    fmt,
    sync::{Arc, atomic::Ordering},
};

use bytes::{Bytes, BytesMut};

use super::budget::{Budget, OutOfMemory, STEP};

/// Bytes that each owner may hold uncharged, even if the budget is full. A usual message fits.
pub(crate) const FREE_SHARE: usize = 4 * 1024;

/// Charged for each piece of counted bytes, for its bookkeeping.
const PIECE_OVERHEAD: usize = 96;

/// The most counted bytes that a thread has not reported to the budget.
const UNTOLD: isize = 32 * 1024;

/// The bytes that one owner has charged; given back on drop.
#[derive(Debug)]
pub struct Lease {
    budget: Arc<Budget>,
    charged: usize,
    is_waiting: bool,
}

impl Lease {
    /// An empty lease, for what a client sends.
    pub fn new(budget: Arc<Budget>) -> Self {
        Self { budget, charged: 0, is_waiting: false }
    }

    /// An empty lease, for what waits for a client.
    pub fn of_waiting(budget: Arc<Budget>) -> Self {
        Self { budget, charged: 0, is_waiting: true }
    }

    /// The budget that it charges.
    pub fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }

    /// Sets the bytes that the owner holds.
    ///
    /// # Errors
    /// The budget does not allow it; the former charge stays.
    #[inline]
    pub fn hold(&mut self, bytes: usize) -> Result<(), OutOfMemory> {
        if bytes <= FREE_SHARE && self.charged == 0 { Ok(()) } else { self.charge(bytes) }
    }

    /// Sets the bytes that the owner holds, without asking the budget: another owner held them before.
    pub fn take_over(&mut self, bytes: usize) {
        let due = if bytes <= FREE_SHARE { 0 } else { bytes.next_multiple_of(STEP) };
        self.budget.give_back_held(self.charged);
        self.budget.held.fetch_add(due.cast_signed(), Ordering::Relaxed);
        self.charged = due;
    }

    #[cold]
    fn charge(&mut self, bytes: usize) -> Result<(), OutOfMemory> {
        let due = if bytes <= FREE_SHARE { 0 } else { bytes.next_multiple_of(STEP) };
        if due > self.charged {
            self.budget.take(due - self.charged, self.is_waiting)?;
            self.charged = due;
        } else if due == 0 || self.charged - due > STEP {
            self.budget.give_back_held(self.charged - due);
            self.charged = due;
        }
        Ok(())
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.charged > 0 {
            self.budget.give_back_held(self.charged);
        }
    }
}

/// Charges bytes with all the capacity behind them, until the last reference to the result is dropped.
pub(crate) fn counted(bytes: BytesMut, budget: &Arc<Budget>) -> Bytes {
    let held = bytes.capacity();
    count(bytes, held, budget)
}

fn count<B: AsRef<[u8]> + Send + 'static>(bytes: B, held: usize, budget: &Arc<Budget>) -> Bytes {
    if bytes.as_ref().is_empty() {
        return Bytes::new();
    }
    let charge = held + PIECE_OVERHEAD;
    tell(budget, charge.cast_signed());
    Bytes::from_owner(Counted { bytes, budget: Arc::clone(budget), charge })
}

/// A charge for bytes that several owners hold together, until the last of them has dropped it. The budget cannot refuse it.
#[derive(Debug)]
pub(crate) struct Charge {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Charge {
    /// Charges `bytes`.
    pub(crate) fn new(bytes: usize, budget: &Arc<Budget>) -> Arc<Self> {
        tell(budget, bytes.cast_signed());
        Arc::new(Self { budget: Arc::clone(budget), bytes })
    }

    /// These bytes, which keep the charge.
    pub(crate) fn hold(self: &Arc<Self>, bytes: Bytes) -> Bytes {
        Bytes::from_owner(Charged { bytes, _charge: Arc::clone(self) })
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        tell(&self.budget, -self.bytes.cast_signed());
    }
}

struct Charged {
    bytes: Bytes,
    _charge: Arc<Charge>,
}

impl AsRef<[u8]> for Charged {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

struct Counted<B> {
    bytes: B,
    budget: Arc<Budget>,
    charge: usize,
}

impl<B: AsRef<[u8]>> AsRef<[u8]> for Counted<B> {
    fn as_ref(&self) -> &[u8] {
        self.bytes.as_ref()
    }
}

impl<B> Drop for Counted<B> {
    fn drop(&mut self) {
        tell(&self.budget, -self.charge.cast_signed());
    }
}

/// Bytes that a thread has counted and not reported to the budget yet. Most are gone before that matters, and
/// threads do not contend for one counter.
struct Untold {
    budget: Arc<Budget>,
    bytes: isize,
}

impl Untold {
    fn tell(&mut self) {
        self.budget.held.fetch_add(std::mem::take(&mut self.bytes), Ordering::Relaxed);
    }
}

impl Drop for Untold {
    fn drop(&mut self) {
        self.tell();
    }
}

impl fmt::Debug for Untold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.bytes.fmt(f)
    }
}

thread_local! {
    static UNTOLD_HERE: RefCell<Option<Untold>> = const { RefCell::new(None) };
}

/// Reports what this thread has counted, also if it is little.
pub fn report_counts() {
    UNTOLD_HERE.with(|here| here.take());
}

fn tell(budget: &Arc<Budget>, bytes: isize) {
    let counted_here = UNTOLD_HERE.try_with(|here| {
        let Ok(mut here) = here.try_borrow_mut() else { return false };
        // A thread works for one server, except in tests.
        let is_its = |untold: &Untold| Arc::ptr_eq(&untold.budget, budget);
        if !here.as_ref().is_some_and(is_its) {
            *here = Some(Untold { budget: Arc::clone(budget), bytes: 0 });
        }
        if let Some(untold) = &mut *here {
            untold.bytes += bytes;
            if untold.bytes.abs() >= UNTOLD {
                untold.tell();
            }
        }
        true
    });
    if counted_here != Ok(true) {
        // The thread is ending.
        budget.held.fetch_add(bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    #[test]
    fn what_is_held_beyond_a_free_share_is_charged_in_steps_until_the_budget_is_spent() {
        let budget = Budget::with(4 * MIB, MIB);
        let mut leases: Vec<_> = (0..3).map(|_| Lease::new(Arc::clone(&budget))).collect();
        assert_eq!(leases[0].hold(FREE_SHARE), Ok(()));
        assert_eq!(budget.used(), 0);
        assert_eq!(leases[0].hold(FREE_SHARE + 1), Ok(()));
        assert_eq!(budget.used(), STEP);
        assert_eq!(leases[0].hold(3 * MIB), Ok(()));
        assert_eq!((leases[1].hold(FREE_SHARE + 1), leases[1].hold(FREE_SHARE)), (Err(OutOfMemory), Ok(())));
        assert!(budget.is_full());
        assert_eq!(leases[0].hold(2 * MIB), Ok(()));
        assert!(!budget.is_full(), "a quarter is for what is unfinished");
        assert_eq!(leases[0].hold(MIB), Ok(()));
        assert_eq!(budget.used(), MIB);
        assert_eq!(leases[0].hold(MIB - STEP), Ok(()), "it comes and goes");
        assert_eq!(budget.used(), MIB);
        assert_eq!(leases[1].hold(2 * MIB), Ok(()));
        assert_eq!(leases[2].hold(2 * MIB), Err(OutOfMemory));
        let mut waiting = Lease::of_waiting(Arc::clone(&budget));
        assert_eq!((waiting.hold(FREE_SHARE), waiting.hold(FREE_SHARE + 1)), (Ok(()), Err(OutOfMemory)));
        leases[2].take_over(2 * MIB);
        assert_eq!(budget.used(), 5 * MIB);
        drop(leases);
        assert_eq!((budget.used(), budget.is_full()), (0, false));
    }

    #[test]
    fn shared_bytes_are_charged_once_until_the_last_of_their_owners_lets_go() {
        let budget = Budget::with(4 * MIB, MIB);
        let bytes = counted(BytesMut::zeroed(MIB), &budget);
        let part = bytes.slice(10..20);
        let copies: Vec<_> = (0..100).map(|_| bytes.clone()).collect();
        assert!((MIB..2 * MIB).contains(&budget.used()));
        drop((bytes, copies));
        assert!(budget.used() > MIB, "a part keeps all of it");
        assert_eq!(&part[..], [0; 10]);
        std::thread::spawn(|| drop(part)).join().expect("no panic");
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn threads_tell_the_budget_what_they_count_at_the_latest_when_they_end() {
        let budget = Budget::with(4 * MIB, MIB);
        let its = Arc::clone(&budget);
        let small =
            std::thread::spawn(move || counted(BytesMut::zeroed(100), &its)).join().expect("no panic");
        assert_eq!(budget.used(), 100 + PIECE_OVERHEAD);
        drop(small);
        let other = counted(BytesMut::zeroed(1), &Budget::with(MIB, MIB));
        assert_eq!(budget.used(), 0, "the thread counts for another one now");
        drop(other);
    }
}
