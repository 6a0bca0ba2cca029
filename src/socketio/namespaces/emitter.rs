//! Events for many sockets.

use std::time::Duration;

use actix::Addr;
use bytestring::ByteString;
use serde::Serialize;
use tokio::sync::oneshot;

use crate::{
    connection::Accepted,
    protocol::socketio::Args,
    socketio::hub::{
        Hub,
        messages::{Answers, Emit, EmitWithAck, Guarantee, Target},
    },
};

/// Emits to sockets of one namespace, on all workers: to everybody, or to those in some rooms.
#[derive(Debug)]
#[must_use = "nothing is emitted until it is told to"]
pub struct Emitter {
    hub: Addr<Hub>,
    namespace: ByteString,
    target: Target,
    guarantee: Guarantee,
    accepted: Option<Accepted>,
}

impl Emitter {
    /// To everybody in a namespace.
    pub(crate) fn new(hub: Addr<Hub>, namespace: ByteString) -> Self {
        Self { hub, namespace, target: Target::default(), guarantee: Guarantee::default(), accepted: None }
    }

    /// Only to those in this room, and in the others that are named so; a socket's id is the name of a room of its own.
    pub fn to(mut self, room: impl Into<ByteString>) -> Self {
        self.target.to.push(room.into());
        self
    }

    /// Not to those in this room.
    pub fn except(mut self, room: impl Into<ByteString>) -> Self {
        self.target.except.push(room.into());
        self
    }

    /// Only to those who take it at once.
    pub fn volatile(self) -> Self {
        Self { guarantee: Guarantee::Volatile, ..self }
    }

    /// Not again to clients that come back without it.
    pub fn once(self) -> Self {
        Self { guarantee: Guarantee::Once, ..self }
    }

    /// On behalf of a client, whose event is dealt with when all have been given it.
    pub fn holding(self, accepted: Accepted) -> Self {
        Self { accepted: Some(accepted), ..self }
    }

    /// Emits an event with one argument.
    pub fn emit(self, name: &str, data: &impl Serialize) {
        self.emit_args(Args::event(name, data));
    }

    /// Emits an event: a JSON array that begins with its name, and its attachments.
    pub fn emit_args(self, args: Args) {
        let (hub, emit) = self.into_emit(args);
        hub.do_send(emit);
    }

    /// The same, and every socket is to answer. Gives back what they have answered when all have, or the time is over.
    pub async fn emit_with_ack(self, args: Args, timeout: Duration) -> Answers {
        let (answers, answered) = oneshot::channel();
        let (hub, emit) = self.into_emit(args);
        hub.do_send(EmitWithAck { emit, timeout, answers });
        // A server that stops has no answers.
        answered.await.unwrap_or_default()
    }

    fn into_emit(self, args: Args) -> (Addr<Hub>, Emit) {
        let Self { hub, namespace, target, guarantee, accepted } = self;
        (hub, Emit { namespace, target, args, guarantee, accepted })
    }
}
