//! The order of what a socket sends directly behind its events. With recovery, events go through the room server, so acks,
//! questions and the end of the socket would overtake them. They wait here for a barrier: a message that the room server
//! sends back behind the events.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
};

use super::Socket;
use crate::{connection::Accepted, socketio::rooms::messages::Barrier};

/// Sends something to the client.
type Action = Box<dyn FnOnce(&Socket)>;

/// What waits for barriers.
#[derive(Default)]
pub(super) struct Behind {
    /// Events have gone to the room server since the last barrier.
    has_events: Cell<bool>,
    /// What waits for each barrier that has not come back, in order. The client is charged for it.
    groups: RefCell<VecDeque<Vec<(Action, Accepted)>>>,
}

impl Behind {
    /// Drops what waits: the socket has left.
    pub(super) fn forget_all(&self) {
        drop(self.groups.take());
    }
}

impl Socket {
    /// Notes an event to this socket that goes through the room server.
    pub(super) fn note_event_on_its_way(&self) {
        self.0.behind.has_events.set(true);
    }

    /// Sends something of `len` bytes behind the events that are on their way: now, if there are none.
    pub(super) fn behind_events(&self, len: usize, action: impl FnOnce(&Self) + 'static) {
        let behind = &self.0.behind;
        let mut groups = behind.groups.borrow_mut();
        if behind.has_events.take() {
            groups.push_back(Vec::new());
            self.0.desk.room_server.do_send(Barrier { socket: self.0.id });
        }
        let Some(last) = groups.back_mut() else {
            drop(groups);
            return action(self);
        };
        last.push((Box::new(action), self.0.handle.intake().accept(len)));
    }

    /// No barrier will come back: sends all that waits.
    pub(super) fn all_barriers_passed(&self) {
        while !self.0.behind.groups.borrow().is_empty() {
            self.barrier_passed();
        }
    }

    /// A barrier has come back: sends what has waited for it.
    pub(super) fn barrier_passed(&self) {
        let group = self.0.behind.groups.borrow_mut().pop_front();
        for (action, _) in group.into_iter().flatten() {
            action(self);
        }
    }
}
