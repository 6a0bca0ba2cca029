//! What the rooms are told, and what they want done.

use std::time::Duration;

use actix::Recipient;

use crate::{
    broadcast::{Delivery, ForFanOut},
    domain::{MemberId, WorkerId},
    socketio::rooms::messages::{
        Answer, Barrier, Connect, CountServers, Disconnect, DisconnectMany, Emit, EmitWithAck, EnterMany,
        EnterRoom, Listen, Look, LookRooms, QuitMany, QuitRoom, Recover, RemoveNamespace, SetEncoding,
        TellServers,
    },
};

/// What the rooms are told.
#[derive(Debug)]
pub(in crate::socketio::rooms) enum Input {
    /// A socket or an emitter wants something.
    Request(Request),
    /// The time for the acks of an event is over.
    GiveUp(u64),
    /// The bounds of recovery are to be applied.
    Sweep,
    /// All that has come in this turn has been handed over.
    TurnEnded,
}

/// What sockets and emitters want, and what is asked from outside.
#[derive(Debug)]
pub(in crate::socketio::rooms) enum Request {
    /// See [`Connect`].
    Connect(Connect),
    /// See [`Recover`].
    Recover(Recover),
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
}
