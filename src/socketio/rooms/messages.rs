//! Messages from sockets to the [`RoomServer`](super::RoomServer), and its messages to sockets.

use std::{borrow::Cow, sync::Arc, time::Duration};

use actix::Message;
use bytes::Bytes;
use bytestring::ByteString;
use tokio::sync::oneshot;

use crate::{
    broadcast::{Dialect, Encode, Seat},
    connection::Accepted,
    domain::{SocketId, WorkerId},
    protocol::{
        socketio::{Args, Offset, ServerPacket},
        websocket::frame::OpCode,
    },
};

/// Adds a socket to a namespace.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct Connect {
    /// The socket.
    pub socket: SocketId,
    /// The worker that runs the socket.
    pub worker: WorkerId,
    /// Where the socket takes deliveries.
    pub seat: Seat,
    /// The namespace's name.
    pub namespace: ByteString,
    /// The socket's public id, also a target of events.
    pub sid: ByteString,
    /// The secret for recovery; `None` if the client cannot come back.
    pub pid: Option<ByteString>,
    /// The offset that the client brought from another socket or server.
    pub foreign: Option<u64>,
}

/// Restores a lost socket: its sid, its rooms, and the events that it missed. The reply is
/// [`SocketNews::Recovered`]. If recovery is impossible, `socket` is in no namespace, and a former socket
/// that was still connected has ended.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct Recover {
    /// The new socket that takes over the former one.
    pub socket: SocketId,
    /// The worker that runs the socket.
    pub worker: WorkerId,
    /// Where the socket takes deliveries.
    pub seat: Seat,
    /// The namespace's name.
    pub namespace: ByteString,
    /// The secret that the client got when it connected.
    pub pid: ByteString,
    /// The last event that the client has seen.
    pub offset: Offset,
}

/// Removes a socket from its namespace. Idempotent; ignored if the socket is unknown.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct Disconnect {
    /// The socket.
    pub socket: SocketId,
    /// Whether its client may recover it.
    pub may_return: bool,
}

/// Stores data of a socket's handler for recovery.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct Keep {
    /// The socket.
    pub socket: SocketId,
    /// The data. It replaces the data before.
    pub kept: ByteString,
}

/// Puts a socket into a room of its namespace. The reply is [`SocketNews::Entered`].
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct EnterRoom {
    /// The socket.
    pub socket: SocketId,
    /// The room's name. The room is created if it does not exist.
    pub room: ByteString,
}

/// Takes a socket out of a room of its namespace. Ignored if it is not in the room.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct QuitRoom {
    /// The socket.
    pub socket: SocketId,
    /// The room's name.
    pub room: ByteString,
}

/// Emits an event to many sockets.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Emit {
    /// The namespace's name.
    pub namespace: ByteString,
    /// Which sockets get it.
    pub target: Target,
    /// The event's name and arguments, as a JSON array.
    pub args: Args,
    /// What the recipients can rely on.
    pub guarantee: Guarantee,
    /// The emitting client's intake share, held until the event is delivered.
    pub accepted: Option<Accepted>,
}

/// What the recipients of an event can rely on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Guarantee {
    /// Delivered in order, and delivered again to a recovered client that missed it.
    #[default]
    Kept,
    /// Delivered in order, not repeated by recovery.
    Once,
    /// Delivered in order, or skipped for clients that are not writable.
    Volatile,
}

/// Selects sockets of a namespace. A sid is a room name too, of the room with only that socket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// Sockets in any of these rooms; all sockets if empty.
    pub to: Vec<ByteString>,
    /// Except sockets in any of these rooms.
    pub except: Vec<ByteString>,
}

/// Emits an event to many sockets and asks each for an ack.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct EmitWithAck {
    /// The event. Its `guarantee` is ignored: it is delivered in order, not repeated by recovery.
    pub emit: Emit,
    /// How long to wait for acks.
    pub timeout: Duration,
    /// Receives the acks when all have come, or after `timeout`.
    pub answers: oneshot::Sender<Answers>,
}

/// The acks of many sockets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    /// Arguments of the acks, in arrival order.
    pub answers: Vec<Args>,
    /// Number of sockets that did not ack in time, or left.
    pub missing: usize,
}

/// An ack of a socket for an event to many. If it was not asked, or has answered already, the reply is
/// [`SocketNews::NotAsked`].
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Answer {
    /// The socket.
    pub socket: SocketId,
    /// The ack id of the event.
    pub id: u64,
    /// The ack's arguments.
    pub args: Args,
    /// The client's intake share, held until the ack is handled.
    pub accepted: Accepted,
}

/// Messages of the room server to one socket, other than events.
#[derive(Debug)]
pub enum SocketNews {
    /// Reply to [`Recover`]; `None` if recovery is impossible.
    Recovered(Option<Arc<Recovered>>),
    /// The client has come back on another connection; this session ends.
    Replaced,
    /// Reply to an [`Answer`] that the socket was not asked for.
    NotAsked,
    /// Reply to [`EnterRoom`].
    Entered {
        /// The room's name.
        room: ByteString,
        /// Whether the socket is in the room. False if there are too many rooms.
        is_in: bool,
    },
}

/// The state of a recovered socket.
#[derive(Debug, Default)]
pub struct Recovered {
    /// The sid of the former socket.
    pub sid: ByteString,
    /// The socket's rooms.
    pub rooms: Vec<ByteString>,
    /// Data that the handler stored by [`Keep`].
    pub kept: ByteString,
    /// The events that the client missed, in order.
    pub missed: Vec<Missed>,
}

/// An event that a client missed while it was away. All clients that missed it share its bytes and their charge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missed {
    /// The packet, with the type digits of Engine.IO and Socket.IO.
    pub packet: Bytes,
    /// The attachments that follow the packet.
    pub attachments: Vec<Bytes>,
}

/// An event encoded for the clients of its namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Emission {
    /// The packet, with the type digits of Engine.IO and Socket.IO.
    pub packet: ByteString,
    /// The attachments that follow the packet.
    pub attachments: Vec<Bytes>,
    /// Bytes at the end of the packet's arguments for the offset and the comma before it; 0 without an
    /// offset.
    offset_len: usize,
}

/// Dialect with an offset behind the arguments, for clients that may recover.
pub const EVENTS: Dialect = Dialect::of(0);

/// Dialect without offsets.
pub const BARE: Dialect = Dialect::of(1);

impl Encode for Emission {
    fn payload(&self, dialect: Dialect) -> Option<(OpCode, Cow<'_, [u8]>)> {
        let packet = match dialect {
            BARE => match self.bare() {
                Cow::Borrowed(packet) => Cow::Borrowed(packet.as_bytes()),
                Cow::Owned(packet) => Cow::Owned(packet.into_bytes()),
            },
            _ => Cow::Borrowed(&**self.packet.as_bytes()),
        };
        Some((OpCode::Text, packet))
    }

    fn attachments(&self) -> &[Bytes] {
        &self.attachments
    }
}

impl Emission {
    /// Encodes an event. `offset` becomes one more argument; `ack` is the id of the ack that the event asks
    /// for.
    pub fn new(namespace: &str, args: Args, offset: Option<u64>, ack: Option<u64>) -> Self {
        let Args { mut json, attachments } = args;
        let mut offset_len = 0;
        if let Some(offset) = offset
            && let Some(open) = json.trim_end().strip_suffix(']')
        {
            let more = format!(",\"{offset}\"");
            offset_len = more.len();
            json = format!("{open}{more}]").into();
        }
        let packet = ServerPacket::Event { json: &json, attachments: attachments.len(), id: ack };
        Self { packet: packet.to_message(namespace).into(), attachments, offset_len }
    }

    /// The packet without the offset.
    pub fn bare(&self) -> Cow<'_, str> {
        match self.packet.len().checked_sub(self.offset_len + 1) {
            Some(end) if self.offset_len > 0 => format!("{}]", &self.packet[..end]).into(),
            _ => Cow::Borrowed(&self.packet),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_ends_with_its_offset_and_can_be_had_without() {
        let args =
            |json: &'static str| Args { json: json.into(), attachments: vec![Bytes::from_static(b"x")] };
        let numbered = Emission::new("/n", args("[\"a\", {} ,\"b\" ] "), Some(12), None);
        assert_eq!(numbered.packet, "451-/n,[\"a\", {} ,\"b\" ,\"12\"]");
        assert_eq!(numbered.bare(), "451-/n,[\"a\", {} ,\"b\" ]");
        let asking = Emission::new("/", args("[\"a\"]"), None, Some(7));
        assert_eq!((&*asking.packet, asking.bare()), ("451-7[\"a\"]", Cow::from("451-7[\"a\"]")));
        assert_eq!(Emission::new("/", args("[\"a\"]"), Some(0), None).bare(), "451-[\"a\"]");
    }
}
