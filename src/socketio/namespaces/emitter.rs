//! Emits events to many sockets.

use std::time::Duration;

use bytestring::ByteString;
use serde::Serialize;
use tokio::sync::oneshot;

use crate::{
    connection::Accepted,
    parts::Mailbox,
    protocol::socketio::Args,
    socketio::rooms::{
        RoomServer,
        messages::{Answers, Emit, EmitWithAck, Guarantee, Target},
    },
};

/// Emits to sockets of one namespace, on all workers: to all sockets, or to some rooms.
#[derive(Debug)]
#[must_use = "nothing is emitted until it is told to"]
pub struct Emitter {
    room_server: Mailbox<RoomServer>,
    namespace: ByteString,
    target: Target,
    guarantee: Guarantee,
    accepted: Option<Accepted>,
}

impl Emitter {
    /// Creates an emitter to all sockets of a namespace.
    pub(crate) fn new(room_server: Mailbox<RoomServer>, namespace: ByteString) -> Self {
        Self {
            room_server,
            namespace,
            target: Target::default(),
            guarantee: Guarantee::default(),
            accepted: None,
        }
    }

    /// Adds a room to the target. Without any call the target is the whole namespace. A socket's sid is a
    /// room name too.
    pub fn to(mut self, room: impl Into<ByteString>) -> Self {
        self.target.to.push(room.into());
        self
    }

    /// Excludes the sockets in `room`.
    pub fn except(mut self, room: impl Into<ByteString>) -> Self {
        self.target.except.push(room.into());
        self
    }

    /// Skips sockets that are not writable.
    pub fn volatile(self) -> Self {
        Self { guarantee: Guarantee::Volatile, ..self }
    }

    /// Does not repeat the event for recovered clients that missed it.
    pub fn once(self) -> Self {
        Self { guarantee: Guarantee::Once, ..self }
    }

    /// Holds the emitting client's intake share until all recipients have the event.
    pub fn holding(self, accepted: Accepted) -> Self {
        Self { accepted: Some(accepted), ..self }
    }

    /// Emits the event `name` with one argument.
    pub fn emit(self, name: &str, data: &impl Serialize) {
        self.emit_args(Args::event(name, data));
    }

    /// Emits an event. `args` is a JSON array that begins with the event's name, with its attachments.
    pub fn emit_args(self, args: Args) {
        let (room_server, emit) = self.into_emit(args);
        room_server.do_send(emit);
    }

    /// Emits an event and asks each recipient for an ack. Returns the acks when all have come, or after
    /// `timeout`.
    pub async fn emit_with_ack(self, args: Args, timeout: Duration) -> Answers {
        let (answers, answered) = oneshot::channel();
        let (room_server, emit) = self.into_emit(args);
        room_server.do_send(EmitWithAck { emit, timeout, answers });
        // The channel is closed if the server stops, or has panicked over the event.
        answered.await.unwrap_or_default()
    }

    fn into_emit(self, args: Args) -> (Mailbox<RoomServer>, Emit) {
        let Self { room_server, namespace, target, guarantee, accepted } = self;
        (room_server, Emit { namespace, target, args, guarantee, accepted })
    }
}
