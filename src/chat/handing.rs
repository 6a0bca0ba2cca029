//! Whether a private message was handed to its reader.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use actix::Addr;

use super::{
    budget::Accepted,
    fanout::FanOut,
    ids::Remembered,
    messages::{ChatNews, Reply, Tell},
};
use crate::domain::SessionId;

/// What becomes of one private message: known at once, or when the last worker that has a session of it has let go of its
/// round.
#[derive(Debug)]
pub(super) struct Fate {
    /// When the message was said, in milliseconds since 1970.
    at: u64,
    state: Mutex<State>,
}

#[derive(Debug)]
enum State {
    OnItsWay(Vec<Waiter>),
    Known { delivered: bool },
}

/// A request that is answered when the fate of a private message is known.
#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) session: SessionId,
    /// The session's own number for the request.
    pub(super) ticket: u64,
    /// The fan-out of its worker.
    pub(super) fanout: Addr<FanOut>,
    /// The session's share of its intake, which bounds how many requests wait; the round of the message has that of the first.
    pub(super) accepted: Option<Accepted>,
}

impl Fate {
    /// That of a message which goes to no session.
    pub(super) fn undelivered(at: u64) -> Self {
        Self { at, state: Mutex::new(State::Known { delivered: false }) }
    }

    /// When the message was said, in milliseconds since 1970.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    /// The message is said again. It is answered by what became of it, now or later; but if it was not delivered, the request
    /// comes back: it may be by now.
    pub(super) fn ask(&self, waiter: Waiter) -> Option<Waiter> {
        match &mut *self.lock() {
            State::OnItsWay(waiters) => waiters.push(waiter),
            State::Known { delivered: true } => waiter.answer(self.at, true),
            State::Known { delivered: false } => return Some(waiter),
        }
        None
    }

    /// The message goes to the sessions of its reader.
    pub(super) fn send(&self, waiter: Waiter) {
        *self.lock() = State::OnItsWay(vec![waiter]);
    }

    fn decide(&self, delivered: bool) {
        if let State::OnItsWay(waiters) = std::mem::replace(&mut *self.lock(), State::Known { delivered }) {
            waiters.into_iter().for_each(|waiter| waiter.answer(self.at, delivered));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Remembered for Arc<Fate> {
    fn stamp(&self) -> u64 {
        self.at
    }

    fn at(&self) -> u64 {
        self.at
    }
}

impl Waiter {
    /// Through the fan-out of the session's worker, so that the answer comes behind what the session is to hear.
    pub(super) fn answer(self, at: u64, delivered: bool) {
        let Self { session, ticket, fanout, .. } = self;
        let news = ChatNews::Reply { ticket, reply: Reply::Whispered { at, delivered } };
        fanout.do_send(Tell(vec![(session, Box::new(news))]));
    }
}

/// Goes with the round of a private message to every worker that has a session of it. When the last of them has let go
/// of the round, the sender is answered: `delivered` is true if a session of the reader was handed the message.
#[derive(Debug)]
pub(super) struct Handing {
    /// Sessions of the reader.
    readers: Vec<SessionId>,
    is_handed: AtomicBool,
    fate: Arc<Fate>,
}

impl Handing {
    /// That of a message to `readers`.
    pub(super) fn new(readers: Vec<SessionId>, fate: Arc<Fate>) -> Self {
        Self { readers, is_handed: AtomicBool::new(false), fate }
    }

    /// A session was handed the message.
    pub(super) fn note(&self, session: SessionId) {
        if self.readers.contains(&session) {
            self.is_handed.store(true, Ordering::Relaxed);
        }
    }
}

impl Drop for Handing {
    fn drop(&mut self) {
        self.fate.decide(*self.is_handed.get_mut());
    }
}
