//! What the rooms are told, and what they want done.

use std::time::Duration;

use actix::Recipient;
use bytestring::ByteString;
use tokio::sync::mpsc::UnboundedSender;

use crate::{
    broadcast::{Delivery, ForFanOut},
    domain::{MemberId, WorkerId},
    protocol::socketio::Args,
    socketio::cluster::{Answered, Message, Opts, Order, Session, StreamId},
    socketio::rooms::messages::{
        Answer, Barrier, Connect, CountServers, Disconnect, DisconnectMany, Emit, EmitWithAck, EnterMany,
        EnterRoom, Info, Listen, Look, LookRooms, QuitMany, QuitRoom, Recall, Recover, Release,
        RemoveNamespace, SetEncoding, TellServers,
    },
};

/// What the rooms are told.
#[derive(Debug)]
pub(in crate::socketio::rooms) enum Input {
    /// A socket or an emitter wants something.
    Request(Request),
    /// Something wanted has its turn in the order of the cluster, or comes from another server; with its offset, if the cluster
    /// keeps it.
    InTurn(Request, Option<StreamId>),
    /// Events of the cluster go on behind this offset.
    Position(StreamId),
    /// The time for the acks of an event is over.
    GiveUp(u64),
    /// The bounds of recovery are to be applied.
    Sweep,
    /// All that has come in this turn has been handed over.
    TurnEnded,
}

/// What sockets and emitters want, and what is asked from outside.
#[derive(Debug)]
pub(in crate::socketio) enum Request {
    /// See [`Connect`].
    Connect(Connect),
    /// See [`Recover`].
    Recover(Recover),
    /// See [`Recall`].
    Recall(Recall),
    /// See [`Release`].
    Release(Release),
    /// See [`Disconnect`].
    Disconnect(Disconnect),
    /// See [`EnterRoom`].
    EnterRoom(EnterRoom),
    /// See [`QuitRoom`].
    QuitRoom(QuitRoom),
    /// See [`Listen`].
    Listen(Listen),
    /// See [`SetEncoding`].
    SetEncoding(SetEncoding),
    /// See [`Barrier`].
    Barrier(Barrier),
    /// See [`Emit`].
    Emit(Emit),
    /// See [`EmitWithAck`].
    EmitWithAck(EmitWithAck),
    /// See [`Answer`].
    Answer(Answer),
    /// See [`Look`].
    Look(Look),
    /// See [`LookRooms`].
    LookRooms(LookRooms),
    /// See [`EnterMany`].
    EnterMany(EnterMany),
    /// See [`QuitMany`].
    QuitMany(QuitMany),
    /// See [`DisconnectMany`].
    DisconnectMany(DisconnectMany),
    /// See [`RemoveNamespace`].
    RemoveNamespace(RemoveNamespace),
    /// See [`TellServers`].
    TellServers(TellServers),
    /// See [`CountServers`].
    CountServers(CountServers),
}

macro_rules! requests {
    ($($name:ident),*) => {
        $(impl From<$name> for Request {
            fn from(request: $name) -> Self {
                Self::$name(request)
            }
        })*
    };
}

requests!(
    Connect,
    Recover,
    Recall,
    Release,
    Disconnect,
    EnterRoom,
    QuitRoom,
    Listen,
    SetEncoding,
    Barrier,
    Emit,
    EmitWithAck,
    Answer
);
requests!(Look, LookRooms, EnterMany, QuitMany, DisconnectMany, RemoveNamespace, TellServers, CountServers);

/// What the rooms want done, in order.
#[derive(Debug)]
pub(in crate::socketio::rooms) enum Effect {
    /// A message for the fan-out of a worker.
    Send(WorkerId, ForFanOut),
    /// A delivery to a session that no fan-out knows.
    Deliver(Recipient<Delivery>, Delivery),
    /// The session of a socket must end with 1012. Which fan-out knows the socket is not certain.
    SendAway(MemberId),
    /// [`Input::GiveUp`] is due after this time.
    GiveUpAfter(Duration, u64),
    /// An order for the adapter.
    Order(Order),
    /// Others are told of something, or it is done here in its turn ([`Input::InTurn`]), or both.
    Tell {
        /// The namespace.
        namespace: ByteString,
        /// What they are told.
        message: Option<Message>,
        /// What is done here in its turn.
        back: Option<Request>,
    },
    /// Sockets of other servers are asked for acks; those of this server in turn, if they have not been.
    Ask {
        /// The namespace.
        namespace: ByteString,
        /// The event.
        args: Args,
        /// For whom.
        opts: Opts,
        /// How long answers are waited for.
        timeout: Duration,
        /// Receives what becomes known.
        answers: UnboundedSender<Answered>,
        /// What is done here in its turn.
        back: Option<Request>,
    },
    /// The cluster keeps a socket.
    Keep {
        /// The socket, without its data.
        session: Session,
        /// Has its data.
        info: Info,
    },
    /// The cluster is asked for a lost socket: [`Recall`].
    Restore(Box<Recover>),
}
