//! Tracks whether a private message was handed to its reader.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use super::{ids::Remembered, position::Asker};
use crate::{
    broadcast::Handed,
    connection::Accepted,
    domain::{MemberId, RoomName},
    nodes::{NodeUid, contract::AskId},
};

/// Whether one private message was delivered. Known at once, or when the last worker with a session that gets
/// it has dropped its broadcast.
#[derive(Debug)]
pub(super) struct Fate {
    /// When the message was said, in milliseconds since 1970.
    at: AtomicU64,
    /// The message, if this is the fate of the part of this node alone, and the message goes to other nodes too.
    part_of: Option<AskId>,
    /// Whether sessions of this node were sent the message.
    is_shown: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug)]
enum State {
    OnItsWay(Vec<Waiter>),
    Known { delivered: bool },
}

/// What waits for the fate of a private message.
#[derive(Debug)]
pub(super) enum Waiter {
    /// A request of a session.
    Request {
        /// The request.
        to: Asker,
        /// The request's share of the session's intake, which bounds the requests that wait. `None` for the first
        /// request of a message: the broadcast holds its share.
        accepted: Option<Accepted>,
    },
    /// Another node, to which a request has come: the room, the node, and its number for the message.
    Node(RoomName, NodeUid, AskId),
}

impl Waiter {
    /// Takes the share of the intake.
    pub(super) fn take_accepted(&mut self) -> Option<Accepted> {
        match self {
            Self::Request { accepted, .. } => accepted.take(),
            Self::Node(..) => None,
        }
    }
}

impl Fate {
    /// The fate of a message that no session has got yet.
    pub(super) fn undelivered(at: u64) -> Self {
        let state = Mutex::new(State::Known { delivered: false });
        Self { at: AtomicU64::new(at), part_of: None, is_shown: AtomicBool::new(false), state }
    }

    /// The fate of this node's part of a message that goes to other nodes too.
    pub(super) fn of_part(ask: AskId) -> Self {
        Self { part_of: Some(ask), ..Self::undelivered(0) }
    }

    /// The message, if this is the fate of a part of it.
    pub(super) fn part_of(&self) -> Option<AskId> {
        self.part_of
    }

    /// Sessions of this node are sent the message.
    pub(super) fn show(&self) {
        self.is_shown.store(true, Ordering::Relaxed);
    }

    /// Whether sessions of this node were sent the message.
    pub(super) fn is_shown(&self) -> bool {
        self.is_shown.load(Ordering::Relaxed)
    }

    /// When the message was said, in milliseconds since 1970.
    pub(super) fn at(&self) -> u64 {
        self.at.load(Ordering::Relaxed)
    }

    /// A node that was handed the message knows when it was said first, in milliseconds since 1970: before this node was
    /// asked, if it has come through another one.
    pub(super) fn was_said_at(&self, at: u64) {
        self.at.store(at, Ordering::Relaxed);
    }

    /// The message was sent again. Keeps what waits if the fate is not known yet.
    pub(super) fn ask(&self, waiter: Waiter) -> Asked {
        match &mut *self.lock() {
            State::OnItsWay(waiters) => {
                waiters.push(waiter);
                Asked::Waits
            }
            State::Known { delivered: true } => Asked::Delivered(waiter),
            State::Known { delivered: false } => Asked::Undelivered(waiter),
        }
    }

    /// The message is on its way to the reader's sessions; its fate answers `waiter`.
    pub(super) fn send(&self, waiter: Option<Waiter>) {
        let mut state = self.lock();
        match &mut *state {
            State::OnItsWay(waiters) => waiters.extend(waiter),
            State::Known { .. } => *state = State::OnItsWay(waiter.into_iter().collect()),
        }
    }

    /// Sets the fate. Returns what has waited for it.
    pub(super) fn decide(&self, delivered: bool) -> Vec<Waiter> {
        match std::mem::replace(&mut *self.lock(), State::Known { delivered }) {
            State::OnItsWay(waiters) => waiters,
            State::Known { .. } => Vec::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Remembered for Arc<Fate> {
    fn at(&self) -> u64 {
        Fate::at(self)
    }
}

/// What becomes of a message that is sent again.
#[derive(Debug)]
pub(super) enum Asked {
    /// It is answered once the fate is known.
    Waits,
    /// The message has been delivered.
    Delivered(Waiter),
    /// The message has not been delivered; the reader may be reachable now.
    Undelivered(Waiter),
}

/// Whether a private message has reached its reader.
#[derive(Clone, Debug)]
pub struct Decided {
    /// The message.
    pub(super) fate: Arc<Fate>,
    /// Whether a session of the reader was handed it.
    pub(super) delivered: bool,
}

/// Takes what is decided on the threads of the fan-outs back to the chat.
pub trait Decisions: fmt::Debug + Send + Sync {
    /// The fate of a private message is known. Never waits.
    fn decided(&self, decided: Decided);
}

/// Goes with the broadcast of a private message to each worker with a session that gets it. When the last
/// worker drops the broadcast, the fate is decided: `delivered` is true if a session of the reader was handed
/// the message.
#[derive(Debug)]
pub(super) struct Handing {
    /// Sessions of the reader.
    readers: Vec<MemberId>,
    is_handed: AtomicBool,
    fate: Arc<Fate>,
    decisions: Arc<dyn Decisions>,
}

impl Handing {
    pub(super) fn new(readers: Vec<MemberId>, fate: Arc<Fate>, decisions: Arc<dyn Decisions>) -> Self {
        Self { readers, is_handed: AtomicBool::new(false), fate, decisions }
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
        let decided = Decided { fate: Arc::clone(&self.fate), delivered: *self.is_handed.get_mut() };
        self.decisions.decided(decided);
    }
}
