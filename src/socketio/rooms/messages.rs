//! Messages to the [`RoomServer`](super::RoomServer) from sockets and from any thread, and its messages to sockets.

use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;

use crate::protocol::socketio::Args;

pub(crate) use self::{
    emission::{BARE, EVENTS, Emission},
    emits::{Emit, EmitWithAck, Guarantee},
    outside::{
        CountServers, DisconnectMany, EnterMany, Look, LookRooms, QuitMany, RemoveNamespace, SocketFound,
        TellServers,
    },
    sockets::{
        Answer, Barrier, Connect, Disconnect, EnterRoom, Info, Listen, QuitRoom, Recall, Recover, Release,
        Revive, SetEncoding,
    },
};
pub(crate) use super::super::cluster::{Answered, NoAck, Target};

mod emission;
mod emits;
mod outside;
mod sockets;

/// Messages of the room server to one socket, other than events.
#[derive(Debug)]
pub(crate) enum SocketNews {
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
    /// Reply to [`QuitRoom`]: the socket is not in the room.
    Left {
        /// The room's name.
        room: ByteString,
    },
    /// Reply to [`Barrier`], behind the events before it.
    Barrier,
    /// Another one than the socket has put it into these rooms.
    PutInto {
        /// The names of the rooms.
        rooms: Vec<ByteString>,
    },
    /// Another one than the socket has taken it out of these rooms.
    TakenOut {
        /// The names of the rooms.
        rooms: Arc<[ByteString]>,
    },
    /// An event goes to the socket, which [listens](Listen) for that.
    Outgoing(Args),
    /// The socket has been removed from its namespace; its client must be told.
    SentAway {
        /// Whether to end the whole session.
        close: bool,
    },
}

/// The state of a recovered socket.
#[derive(Debug)]
pub(crate) struct Recovered {
    /// The sid of the former socket.
    pub sid: ByteString,
    /// The socket's rooms.
    pub rooms: Vec<ByteString>,
    /// What the server kept of the former socket.
    pub info: Info,
    /// The events that the client missed, in order.
    pub missed: Vec<Missed>,
}

/// An event that a client missed while it was away. All clients that missed it share its bytes and their charge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Missed {
    /// The packet, with the type digits of Engine.IO and Socket.IO.
    pub packet: Bytes,
    /// The attachments that follow the packet.
    pub attachments: Vec<Bytes>,
}
