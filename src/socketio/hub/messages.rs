//! What sockets, the clients in a namespace of Socket.IO, ask of the [`Hub`](super::Hub), and what they get.

use std::{borrow::Cow, sync::Arc, time::Duration};

use actix::Message;
use bytes::Bytes;
use bytestring::ByteString;
use tokio::sync::oneshot;

use crate::{
    broadcast::{Dialect, Encode, Seat},
    connection::Accepted,
    domain::{SessionId, WorkerId},
    protocol::{
        socketio::{Args, Offset, ServerPacket},
        websocket::frame::OpCode,
    },
};

/// A socket is in a namespace from here on.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct Connect {
    /// Who.
    pub session: SessionId,
    /// The worker whose thread it lives on.
    pub worker: WorkerId,
    /// Where its deliveries go.
    pub seat: Seat,
    /// Where.
    pub namespace: ByteString,
    /// The id by which others may address it.
    pub sid: ByteString,
    /// The secret by which its client can come back, if it can.
    pub pid: Option<ByteString>,
    /// The offset that its client brought from another place, or another server.
    pub foreign: Option<u64>,
}

/// A client is back: its socket is to be what it was, in the same rooms, and to be given what it missed. Answered by
/// [`SocketNews::Recovered`]; if that cannot be, nothing has happened.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct Recover {
    /// The socket that is to be the former one.
    pub session: SessionId,
    /// The worker whose thread it lives on.
    pub worker: WorkerId,
    /// Where its deliveries go.
    pub seat: Seat,
    /// Where.
    pub namespace: ByteString,
    /// The secret that it was given.
    pub pid: ByteString,
    /// The last event that it has.
    pub offset: Offset,
}

/// A socket has gone. Harmless if it never came.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct Disconnect {
    /// Who.
    pub session: SessionId,
    /// Whether its client may come back.
    pub may_return: bool,
}

/// What is to be kept with a socket's place, for when its client is back.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct Keep {
    /// Who.
    pub session: SessionId,
    /// What.
    pub kept: ByteString,
}

/// A socket enters a room of its namespace. Answered by [`SocketNews::Entered`].
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct EnterRoom {
    /// Who.
    pub session: SessionId,
    /// Which room; it is made if it is not there.
    pub room: ByteString,
}

/// A socket leaves a room of its namespace.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct QuitRoom {
    /// Who.
    pub session: SessionId,
    /// Which room.
    pub room: ByteString,
}

/// An event for many sockets.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Emit {
    /// Where.
    pub namespace: ByteString,
    /// Which sockets.
    pub target: Target,
    /// The event's name and arguments.
    pub args: Args,
    /// What those whom it is for can rely on.
    pub guarantee: Guarantee,
    /// The emitter's share of its intake, if a client emits.
    pub accepted: Option<Accepted>,
}

/// What those whom an event is for can rely on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Guarantee {
    /// It comes in its place, and again to a client that comes back without it.
    #[default]
    Kept,
    /// It comes in its place, and not again.
    Once,
    /// It comes in its place, or not at all to those who are busy.
    Volatile,
}

/// Which sockets of a namespace an event is for. An id of a socket is the name of a room in which only that one is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// Those in any of these rooms; everybody if there is none.
    pub to: Vec<ByteString>,
    /// But not those in any of these.
    pub except: Vec<ByteString>,
}

/// An event for many sockets, each of which is to answer.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct EmitWithAck {
    /// The event. It comes in its place, and not again.
    pub emit: Emit,
    /// How long to wait.
    pub timeout: Duration,
    /// Where the answers go.
    pub answers: oneshot::Sender<Answers>,
}

/// What many sockets answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    /// The answers that came, in no order.
    pub answers: Vec<Args>,
    /// Sockets that did not answer in time, or have gone.
    pub missing: usize,
}

/// A socket answers an event that many got. If it was not asked, or has answered, it is told [`SocketNews::NotAsked`].
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Answer {
    /// Who.
    pub session: SessionId,
    /// The number of the event.
    pub id: u64,
    /// What.
    pub args: Args,
    /// The socket's share of what may be under way for its client.
    pub accepted: Accepted,
}

/// What the hub tells a socket, beside events.
#[derive(Debug)]
pub enum SocketNews {
    /// The answer to [`Recover`]: what the socket is again, if it could be.
    Recovered(Option<Arc<Recovered>>),
    /// The client of this socket is back on another connection; this one is over.
    Replaced,
    /// An [`Answer`] was to nothing that the socket was asked.
    NotAsked,
    /// The answer to [`EnterRoom`].
    Entered {
        /// Which room.
        room: ByteString,
        /// Whether the socket is in it; it is not if the room would be one too many.
        is_in: bool,
    },
}

/// What a socket is again.
#[derive(Debug, Default)]
pub struct Recovered {
    /// Its id.
    pub sid: ByteString,
    /// The rooms that it is in.
    pub rooms: Vec<ByteString>,
    /// What was kept with its place.
    pub kept: ByteString,
    /// The packets that it missed, in order.
    pub missed: Vec<Emission>,
}

/// An event as it goes to clients of its namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Emission {
    /// Its packet.
    pub packet: ByteString,
    /// What follows the packet.
    pub attachments: Vec<Bytes>,
    /// Bytes of the offset, with the comma before it, that stands behind the arguments.
    offset_len: usize,
}

/// Events with an offset behind their arguments, for clients that may come back.
pub const EVENTS: Dialect = Dialect::of(0);

/// Events as they were emitted.
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
    /// The event of these arguments in a namespace, with an offset as one more, and with the number of the ack that it
    /// asks for.
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

    /// The packet without the offset, for clients that do not come back.
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
