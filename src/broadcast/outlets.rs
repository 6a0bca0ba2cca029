//! The short way from a fan-out to the sessions of its thread: to their sockets, without a message to each.

use std::{cell::RefCell, rc::Rc};

use super::map::Map;
use crate::{connection::DirectOutlet, domain::SessionId};

/// Where the sessions of a worker leave their outlets for its fan-out, on the same thread: an outlet cannot travel with
/// the session's registration, which passes through the thread of the server of rooms.
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
