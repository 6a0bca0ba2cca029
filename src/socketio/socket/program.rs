//! What the crate's own servers use beside the public API: the chat delivers to its sockets by a broadcaster of its own.

use std::rc::Rc;

use bytestring::ByteString;

use super::{Socket, SocketData};
use crate::{
    broadcast::{Cutter, Dialect, Encoding, Seat},
    connection::{DirectOutlet, Ending, Intake},
    domain::MemberId,
    protocol::socketio::ServerPacket,
};

impl<U: SocketData> Socket<U> {
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

    /// Writes a packet of an event that is encoded already, with the type digits of Engine.IO and Socket.IO.
    pub(crate) fn send_packet_text(&self, packet: impl Into<ByteString>) {
        self.0.handle.packet(packet);
    }

    /// Answers the event with this ack id. `json` is an array of the arguments.
    pub(crate) fn send_ack_json(&self, id: u64, json: &str) {
        self.send(ServerPacket::Ack { id: &id.to_string(), json, attachments: 0 }, &[]);
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
        encoding: Encoding { dialect, deflated: handle.takes_compressed() },
        // There is no connection to cut: the session does not run inside one.
        cutter: Cutter::new(|_| {}),
    })
}
