//! The address of a shared actor that counts what waits for it.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use actix::{Actor, Addr, Handler, Message, dev::ToEnvelope};

/// The address of an actor, with the number of messages that wait in its mailbox: all are sent by
/// [`do_send`](Self::do_send), and the actor notes each that it takes.
pub struct Mailbox<A: Actor> {
    address: Addr<A>,
    waiting: Waiting,
}

/// How many messages wait for an actor. Senders count what they send, the actor what it takes; both only add,
/// each to a number of its own.
#[derive(Clone, Debug, Default)]
pub(crate) struct Waiting(Arc<Numbers>);

#[derive(Debug, Default)]
struct Numbers {
    sent: Apart,
    taken: Apart,
}

/// A number in a cache line of its own: other threads change the other number.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Apart(AtomicU64);

impl Waiting {
    fn sent(&self) {
        self.0.sent.0.fetch_add(1, Ordering::Relaxed);
    }

    /// The actor takes a message. Only the actor may call this.
    pub(crate) fn taken(&self) {
        let taken = &self.0.taken.0;
        // The only writer needs no lock.
        taken.store(taken.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    /// The number of messages that wait.
    pub(crate) fn count(&self) -> usize {
        let taken = self.0.taken.0.load(Ordering::Relaxed);
        usize::try_from(self.0.sent.0.load(Ordering::Relaxed).saturating_sub(taken)).unwrap_or(usize::MAX)
    }
}

impl<A: Actor> Mailbox<A> {
    /// The mailbox at this address. The actor has the clone of `waiting`.
    pub(crate) fn new(address: Addr<A>, waiting: Waiting) -> Self {
        Self { address, waiting }
    }

    /// Sends a message. Never waits; a message to an actor that has ended is dropped.
    pub fn do_send<M>(&self, message: M)
    where
        M: Message + Send + 'static,
        M::Result: Send,
        A: Handler<M>,
        A::Context: ToEnvelope<A, M>,
    {
        self.waiting.sent();
        self.address.do_send(message);
    }

    /// The address, for messages that are answered and not counted.
    pub fn address(&self) -> &Addr<A> {
        &self.address
    }
}

impl<A: Actor> Clone for Mailbox<A> {
    fn clone(&self) -> Self {
        Self { address: self.address.clone(), waiting: self.waiting.clone() }
    }
}

impl<A: Actor> fmt::Debug for Mailbox<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Mailbox").field(&self.waiting.count()).finish()
    }
}
