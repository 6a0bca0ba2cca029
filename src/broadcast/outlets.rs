//! Outlets by which a fan-out delivers to the sessions of its thread directly.

use std::{cell::RefCell, rc::Rc};

use crate::{
    connection::DirectOutlet,
    domain::{Map, MemberId},
};

/// Passes the outlets of new sessions to the fan-out on their thread. An outlet is not `Send`, so it cannot
/// travel with the session's registration, which crosses the thread of the server of rooms.
#[derive(Clone, Debug, Default)]
pub struct Outlets(Rc<RefCell<Map<MemberId, Rc<dyn DirectOutlet>>>>);

impl Outlets {
    /// Stores the outlet of a new session.
    pub fn add(&self, member: MemberId, outlet: Rc<dyn DirectOutlet>) {
        self.0.borrow_mut().insert(member, outlet);
    }

    /// Removes and returns the session's outlet; `None` if there is none.
    pub fn take(&self, member: MemberId) -> Option<Rc<dyn DirectOutlet>> {
        self.0.borrow_mut().remove(&member)
    }
}
