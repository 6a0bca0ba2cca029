//! Tracks whether a private message was handed to its reader.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use actix::Addr;

use super::{
    ids::Remembered,
    messages::{ChatNews, Reply},
};
use crate::{
    broadcast::{FanOut, Handed, Tell},
    connection::Accepted,
    domain::MemberId,
};

/// Whether one private message was delivered. Known at once, or when the last worker with a session that gets
/// it has dropped its broadcast.
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

/// A request whose answer waits for the fate of a private message.
#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) member: MemberId,
    pub(super) ticket: u64,
    /// The fan-out of the session's worker, which delivers the answer.
    pub(super) fanout: Addr<FanOut>,
    /// The request's share of the session's intake, which bounds the requests that wait. `None` for the first
    /// request of a message: the broadcast holds its share.
    pub(super) accepted: Option<Accepted>,
}

impl Fate {
    /// The fate of a message that no session has got yet.
    pub(super) fn undelivered(at: u64) -> Self {
        Self { at, state: Mutex::new(State::Known { delivered: false }) }
    }

    /// When the message was said, in milliseconds since 1970.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    /// The request was repeated: answers it with the fate, now or once that is known. Returns the request if
    /// the message was not delivered, because the reader may be reachable now.
    pub(super) fn ask(&self, waiter: Waiter) -> Option<Waiter> {
        match &mut *self.lock() {
            State::OnItsWay(waiters) => waiters.push(waiter),
            State::Known { delivered: true } => waiter.answer(self.at, true),
            State::Known { delivered: false } => return Some(waiter),
        }
        None
    }

    /// The message is on its way to the reader's sessions; its fate answers `waiter`.
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
    /// Answers through the fan-out of the session's worker, so that the answer follows what the session was
    /// sent before.
    pub(super) fn answer(self, at: u64, delivered: bool) {
        let Self { member, ticket, fanout, .. } = self;
        let news = ChatNews::Reply { ticket, reply: Reply::PrivateSent { at, delivered } };
        fanout.do_send(Tell(vec![(member, Box::new(news))]));
    }
}

/// Goes with the broadcast of a private message to each worker with a session that gets it. When the last
/// worker drops the broadcast, the sender is answered: `delivered` is true if a session of the reader was
/// handed the message.
#[derive(Debug)]
pub(super) struct Handing {
    /// Sessions of the reader.
    readers: Vec<MemberId>,
    is_handed: AtomicBool,
    fate: Arc<Fate>,
}

impl Handing {
    pub(super) fn new(readers: Vec<MemberId>, fate: Arc<Fate>) -> Self {
        Self { readers, is_handed: AtomicBool::new(false), fate }
    }
}

impl Handed for Handing {
    /// Only sessions of the reader count.
    fn note(&self, member: MemberId) {
        if self.readers.contains(&member) {
            self.is_handed.store(true, Ordering::Relaxed);
        }
    }
}

impl Drop for Handing {
    fn drop(&mut self) {
        self.fate.decide(*self.is_handed.get_mut());
    }
}
