//! Requests about many sockets, from any thread. What a thread asks first happens first, also before the events
//! that it emits afterwards.

use actix::Message;
use bytestring::ByteString;
use tokio::sync::oneshot;

use super::sockets::Info;
use crate::{
    protocol::socketio::Args,
    socketio::cluster::{AnswersElsewhere, FoundElsewhere, RoomsElsewhere, Target},
};

/// Asks which sockets there are.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Look {
    /// The namespace's name.
    pub namespace: ByteString,
    /// Which sockets to find.
    pub target: Target,
    /// Receives the sockets of this server in the order in which they connected.
    pub to: oneshot::Sender<Vec<SocketFound>>,
    /// Receives the sockets of other servers, or is dropped if there are none; `None` if they are not asked for.
    pub elsewhere: Option<oneshot::Sender<FoundElsewhere>>,
}

/// A socket that was looked up.
#[derive(Clone, Debug)]
pub(crate) struct SocketFound {
    /// Its public id.
    pub sid: ByteString,
    /// Its rooms: first its sid, which is the name of the room with only this socket, then the others in the order in
    /// which it entered them.
    pub rooms: Vec<ByteString>,
    /// What the server keeps of it.
    pub info: Info,
}

/// Asks which rooms there are, and how many sockets are in each.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct LookRooms {
    /// The namespace's name.
    pub namespace: ByteString,
    /// Whether rooms count that only have the socket of which they have the sid as their name.
    pub with_sids: bool,
    /// Receives the rooms of this server in the order of their names.
    pub to: oneshot::Sender<Vec<(ByteString, usize)>>,
    /// Receives the rooms of other servers, or is dropped if there are none; `None` if they are not asked for.
    pub elsewhere: Option<oneshot::Sender<RoomsElsewhere>>,
}

/// Puts sockets into rooms. Each learns of it by [`SocketNews::PutInto`](super::SocketNews::PutInto).
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct EnterMany {
    /// The namespace's name.
    pub namespace: ByteString,
    /// Which sockets.
    pub target: Target,
    /// The names of the rooms. They are created if they do not exist. Those beyond the limit on rooms are not.
    pub rooms: Vec<ByteString>,
    /// Whether only sockets of this server are meant.
    pub is_local: bool,
}

/// Takes sockets out of rooms. Each learns of it by [`SocketNews::TakenOut`](super::SocketNews::TakenOut).
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct QuitMany {
    /// The namespace's name.
    pub namespace: ByteString,
    /// Which sockets.
    pub target: Target,
    /// The names of the rooms.
    pub rooms: Vec<ByteString>,
    /// Whether only sockets of this server are meant.
    pub is_local: bool,
}

/// Removes sockets from their namespace, at once and without recovery. Each learns of it by
/// [`SocketNews::SentAway`](super::SocketNews::SentAway).
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct DisconnectMany {
    /// The namespace's name.
    pub namespace: ByteString,
    /// Which sockets.
    pub target: Target,
    /// Whether to end their whole sessions.
    pub close: bool,
    /// Whether only sockets of this server are meant.
    pub is_local: bool,
}

/// Removes all sockets of a namespace as [`DisconnectMany`] does, and all that recovery keeps of it. A client that
/// connects to it afterwards begins it anew.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct RemoveNamespace {
    /// The namespace's name.
    pub namespace: ByteString,
}

/// Tells the listeners of other servers of an event.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct TellServers {
    /// The namespace's name.
    pub namespace: ByteString,
    /// The event: a list that begins with its name.
    pub args: Args,
    /// Receives the answers, if they are wanted.
    pub answers: Option<oneshot::Sender<AnswersElsewhere>>,
}

/// Asks how many servers serve a namespace.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct CountServers {
    /// The namespace's name.
    pub namespace: ByteString,
    /// Receives the number, this server included; nothing if it cannot be known now.
    pub to: oneshot::Sender<usize>,
}
