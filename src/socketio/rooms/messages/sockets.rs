//! Requests of one socket.

use std::{any::Any, fmt, sync::Arc};

use actix::Message;
use bytestring::ByteString;

use crate::{
    broadcast::{Encoding, Seat},
    connection::Accepted,
    domain::{SocketId, WorkerId},
    protocol::socketio::{Args, Offset},
    socketio::cluster::Restored,
};

/// What the server keeps of a socket, such as its handshake and its data. The room server stores it without
/// looking at it, gives it to each look-up of the socket, and gives it back when the socket is recovered.
pub(crate) type Info = Arc<dyn Any + Send + Sync>;

/// Adds a socket to a namespace.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Connect {
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
    /// What the server keeps of the socket.
    pub info: Info,
}

/// Restores a lost socket: its sid, its rooms, its [`Info`], and the events that it missed. The reply is
/// [`SocketNews::Recovered`](super::SocketNews::Recovered). If recovery is impossible, `socket` is in no namespace, and a former socket
/// that was still connected has ended.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Recover {
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
    /// What the server keeps of the socket from now on; `None` for what it has kept.
    pub info: Option<Info>,
    /// Makes what the server keeps of a socket that another server has kept; `None` if that cannot be.
    pub revive: Option<Revive>,
}

/// What [`Revive`] calls.
type Revives = dyn Fn(&str) -> Option<Info> + Send + Sync;

/// Makes what the server keeps of a socket from the JSON of its data; `None` if the data do not fit.
#[derive(Clone)]
pub(crate) struct Revive(pub(crate) Arc<Revives>);

impl fmt::Debug for Revive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Revive")
    }
}

/// What the cluster has of a lost socket, whose client comes back here.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Recall {
    /// What was asked.
    pub recover: Recover,
    /// What was found; `None` if there is nothing.
    pub restored: Option<Restored>,
}

/// The client of a socket has come back to another server, and its former connection is not known to be lost here: ends the
/// socket, and has the cluster keep it. Ignored if there is no such socket.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Release {
    /// The namespace's name.
    pub namespace: ByteString,
    /// The secret that the client got when it connected.
    pub pid: ByteString,
}

/// Removes a socket from its namespace. Idempotent; ignored if the socket is unknown.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Disconnect {
    /// The socket.
    pub socket: SocketId,
    /// Whether its client may recover it.
    pub may_return: bool,
}

/// Puts a socket into a room of its namespace. The reply is
/// [`SocketNews::Entered`](super::SocketNews::Entered).
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct EnterRoom {
    /// The socket.
    pub socket: SocketId,
    /// The room's name. The room is created if it does not exist.
    pub room: ByteString,
}

/// Takes a socket out of a room of its namespace. The reply is
/// [`SocketNews::Left`](super::SocketNews::Left), also if it was not in the room.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct QuitRoom {
    /// The socket.
    pub socket: SocketId,
    /// The room's name.
    pub room: ByteString,
}

/// Has a socket told, as [`SocketNews::Barrier`](super::SocketNews::Barrier), behind all events that were emitted to it
/// before.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Barrier {
    /// The socket.
    pub socket: SocketId,
}

/// Has a socket told of each event to it, as [`SocketNews::Outgoing`](super::SocketNews::Outgoing), from now on.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Listen {
    /// The socket.
    pub socket: SocketId,
}

/// Has a socket get events to rooms in another encoding from now on.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct SetEncoding {
    /// The socket.
    pub(crate) socket: SocketId,
    /// The encoding.
    pub(crate) encoding: Encoding,
}

/// An ack of a socket for an event to many. If it was not asked, or has answered already, the reply is
/// [`SocketNews::NotAsked`](super::SocketNews::NotAsked).
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Answer {
    /// The socket.
    pub socket: SocketId,
    /// The ack id of the event.
    pub id: u64,
    /// The ack's arguments.
    pub args: Args,
    /// The client's intake share, held until the ack is handled.
    pub accepted: Accepted,
}
