//! The short way from a fan-out to the sessions of its thread: to their sockets, without a message to each.

use std::{cell::RefCell, fmt, rc::Rc};

use bytes::Bytes;

use super::map::Map;
use crate::domain::SessionId;

/// What a session can be handed directly. `session` implements it; it lives on the fan-out's thread.
pub trait DirectOutlet {
    /// Takes finished frames, `bytes` in all: writes them if nothing waits before them, and keeps what the socket does not
    /// take. Volatile frames are dropped instead if the session's transport is not writable.
    fn deliver(&self, frames: &[Bytes], bytes: usize, is_volatile: bool) -> Direct;

    /// A message goes to the session's mailbox; what is delivered next must stay behind it.
    fn note_mail(&self);
}

/// What became of a direct delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direct {
    /// It is written, or waits for the socket.
    Taken,
    /// Nothing was done: the session has ended, and hears no more.
    Gone,
    /// Nothing was done: messages are in the session's mailbox that it must not overtake.
    BehindMail,
    /// Nothing was done: the frames are volatile, and the transport is not writable.
    Skipped,
    /// Nothing was done: more waits for the session than may, in bytes or in pieces.
    Full,
}

impl fmt::Debug for dyn DirectOutlet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DirectOutlet")
    }
}

/// Where the sessions of a worker leave their outlets for its fan-out, on the same thread: an outlet cannot travel with
/// the session's [`Join`](super::Join), which passes through the chat server's thread.
#[derive(Clone, Debug, Default)]
pub struct Outlets(Rc<RefCell<Map<SessionId, Rc<dyn DirectOutlet>>>>);

impl Outlets {
    /// A session begins.
    pub fn add(&self, session: SessionId, outlet: Rc<dyn DirectOutlet>) {
        self.0.borrow_mut().insert(session, outlet);
    }

    /// The session's outlet, which is forgotten here. Harmless if there is none.
    pub fn take(&self, session: SessionId) -> Option<Rc<dyn DirectOutlet>> {
        self.0.borrow_mut().remove(&session)
    }
}
