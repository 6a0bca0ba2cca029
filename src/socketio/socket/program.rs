//! What the crate's own servers use beside the public API: the chat delivers to its sockets by a broadcaster of its own.

use std::{any::Any, rc::Rc};

use super::{Socket, SocketData};
use crate::{
    broadcast::{Cutter, Dialect, Encoding, Seat},
    connection::{DirectOutlet, Ending, Intake},
    domain::MemberId,
};

impl<U: SocketData> Socket<U> {
    /// The value that the worker's routes were given, if it has this type.
    /// See [`Server::routes_with`](crate::socketio::Server::routes_with).
    pub fn state<T: Any>(&self) -> Option<&T> {
        self.0.handle.state()?.downcast_ref()
    }

    /// The socket as a member of rooms.
    pub(crate) fn member(&self) -> MemberId {
        self.0.id.member()
    }

    /// Where another server delivers to the socket; `None` before the session's actor has started.
    pub(crate) fn seat(&self, dialect: Dialect) -> Option<Seat> {
        seat(&self.0.handle, dialect)
    }

    /// Opens the outlet by which fan-outs on this thread deliver to the socket.
    pub(crate) fn open_outlet(&self) -> Rc<dyn DirectOutlet> {
        self.0.handle.open_outlet(self.0.id)
    }

    /// The limit on what the client has sent and is not dealt with.
    pub(crate) fn intake(&self) -> Intake {
        self.0.handle.intake()
    }

    /// Ends the whole session for a reason of the crate's own.
    pub(crate) fn end_session(&self, why: Ending) {
        self.0.handle.end(why);
    }

    /// Ready when few bytes of answers wait for the client; otherwise wakes the task when that is so.
    pub(crate) fn poll_drained(
        &self,
        max_answers: usize,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<()> {
        self.0.handle.poll_drained(max_answers, cx)
    }

    /// Sets whether the client may send messages of the full size.
    pub(crate) fn set_trusted(&self, is_trusted: bool) {
        self.0.is_trusted.set(is_trusted);
    }
}

/// The address of a socket for a server of rooms; `None` before the session's actor has started.
pub(crate) fn seat(handle: &crate::socketio::handle::SessionHandle, dialect: Dialect) -> Option<Seat> {
    Some(Seat {
        deliveries: handle.address()?,
        backlog: handle.backlog(),
        encoding: Encoding { dialect, deflated: false },
        // There is no connection to cut: the session does not run inside one.
        cutter: Cutter::new(|_| {}),
    })
}
