//! Emits events to many sockets, and acts on them.

use std::time::Duration;

use bytestring::ByteString;
use log::error;
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::mpsc;

use super::{acks::AckStream, into_rooms::IntoRooms};
use crate::{
    connection::Accepted,
    parts::Mailbox,
    protocol::socketio::Args,
    socketio::rooms::{
        RoomServer,
        messages::{DisconnectMany, Emit, EmitWithAck, EnterMany, Guarantee, QuitMany, Target},
    },
};

/// How long acks are waited for if [`Emitter::timeout`] is not called.
pub const DEFAULT_ACK_TIMEOUT: Duration = Duration::from_secs(30);

/// The longest time that acks are waited for.
pub const MAX_ACK_TIMEOUT: Duration = Duration::from_secs(60 * 60);

/// Selects sockets of one namespace, on all workers, and emits to them or acts on them: the broadcast operator of the
/// reference server. It selects all sockets of the namespace until [`to`](Self::to) names rooms. It may be used on
/// any thread, and again.
///
/// What one thread asks first happens first: sockets that are put into a room get what is emitted to the room
/// afterwards.
#[derive(Clone, Debug)]
#[must_use = "nothing is emitted until it is told to"]
pub struct Emitter {
    pub(super) room_server: Mailbox<RoomServer>,
    pub(super) namespace: ByteString,
    pub(super) target: Target,
    guarantee: Guarantee,
    compress: bool,
    timeout: Duration,
}

impl Emitter {
    /// Selects all sockets of a namespace.
    pub(crate) fn new(room_server: Mailbox<RoomServer>, namespace: ByteString) -> Self {
        Self {
            room_server,
            namespace,
            target: Target::default(),
            guarantee: Guarantee::default(),
            compress: true,
            timeout: DEFAULT_ACK_TIMEOUT,
        }
    }

    // ----- which sockets, and how -----

    /// Adds rooms. A socket is selected, once, if it is in any of them. The id of a socket is the name of a room with
    /// only that socket. With no room at all, all sockets of the namespace are selected.
    pub fn to(mut self, rooms: impl IntoRooms) -> Self {
        self.target.to.extend(rooms.into_rooms());
        self
    }

    /// As [`to`](Self::to).
    pub fn within(self, rooms: impl IntoRooms) -> Self {
        self.to(rooms)
    }

    /// Leaves out the sockets in any of these rooms.
    pub fn except(mut self, rooms: impl IntoRooms) -> Self {
        self.target.except.extend(rooms.into_rooms());
        self
    }

    /// Skips sockets that are not writable at the moment. It has no effect on events that ask for acks.
    pub fn volatile(self) -> Self {
        Self { guarantee: Guarantee::Volatile, ..self }
    }

    /// Does not repeat the event for recovered clients that missed it.
    pub(crate) fn once(self) -> Self {
        Self { guarantee: Guarantee::Once, ..self }
    }

    /// Selects the sockets of this server only. It has no effect: a namespace is on one server.
    pub fn local(self) -> Self {
        self
    }

    /// Whether the event may be compressed for its recipients. The default is `true`.
    pub fn compress(self, compress: bool) -> Self {
        Self { compress, ..self }
    }

    /// How long to wait for acks, at most [`MAX_ACK_TIMEOUT`]. The default is [`DEFAULT_ACK_TIMEOUT`].
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout: timeout.min(MAX_ACK_TIMEOUT), ..self }
    }

    // ----- events -----

    /// Emits the event `name`. If `data` cannot be encoded, the event is not emitted, and an error is logged.
    pub fn emit(&self, name: &str, data: &impl Serialize) {
        if let Some(args) = self.encode(name, data) {
            self.emit_args(args);
        }
    }

    /// Emits an event. `args` is a JSON array that begins with the event's name, with its attachments.
    pub fn emit_args(&self, args: Args) {
        self.room_server.do_send(self.event(args, None));
    }

    /// Emits an event as [`emit_args`](Self::emit_args) does, and holds the emitting client's intake share until all
    /// recipients have it.
    pub(crate) fn emit_holding(&self, args: Args, accepted: Accepted) {
        self.room_server.do_send(self.event(args, Some(accepted)));
    }

    /// Emits the event `name` and asks each recipient for an ack with an argument of type `T`. The event is not repeated
    /// for recovered clients that missed it. If `data` cannot be encoded, the event is not emitted, and an error
    /// is logged.
    pub fn emit_with_ack<T: DeserializeOwned>(&self, name: &str, data: &impl Serialize) -> AckStream<T> {
        match self.encode(name, data) {
            Some(args) => self.emit_args_with_ack(args),
            None => AckStream::new(mpsc::unbounded_channel().1),
        }
    }

    /// Emits an event and asks each recipient for an ack, as [`emit_with_ack`](Self::emit_with_ack) does. `args` is a
    /// JSON array that begins with the event's name, with its attachments.
    pub fn emit_args_with_ack<T: DeserializeOwned>(&self, args: Args) -> AckStream<T> {
        let (answers, answered) = mpsc::unbounded_channel();
        let emit = self.event(args, None);
        // The channel is closed if the server stops, or has panicked over the event.
        self.room_server.do_send(EmitWithAck { emit, timeout: self.timeout, answers });
        AckStream::new(answered)
    }

    fn encode(&self, name: &str, data: &impl Serialize) -> Option<Args> {
        match serde_json::to_string(&(name, data)) {
            Ok(json) => Some(Args { json: json.into(), attachments: Vec::new() }),
            Err(error) => {
                error!("the event {name} of the namespace {} cannot be encoded: {error}", self.namespace);
                None
            }
        }
    }

    fn event(&self, args: Args, accepted: Option<Accepted>) -> Emit {
        Emit {
            namespace: self.namespace.clone(),
            target: self.target.clone(),
            args,
            guarantee: self.guarantee,
            compress: self.compress,
            accepted,
        }
    }

    // ----- rooms -----

    /// Puts the selected sockets into rooms, which are created if they do not exist. Rooms beyond the limit on rooms
    /// are not created; that is logged.
    pub fn sockets_join(&self, rooms: impl IntoRooms) {
        let Self { room_server, namespace, target, .. } = self;
        let (namespace, target) = (namespace.clone(), target.clone());
        room_server.do_send(EnterMany { namespace, target, rooms: rooms.into_rooms() });
    }

    /// Takes the selected sockets out of rooms. A socket stays in the room of its id.
    pub fn sockets_leave(&self, rooms: impl IntoRooms) {
        let Self { room_server, namespace, target, .. } = self;
        let (namespace, target) = (namespace.clone(), target.clone());
        room_server.do_send(QuitMany { namespace, target, rooms: rooms.into_rooms() });
    }

    /// Disconnects the selected sockets, behind the events that were emitted to them before. They cannot be recovered.
    /// With `close`, ends their connections, with the sockets of all namespaces on them.
    pub fn disconnect_sockets(&self, close: bool) {
        let Self { room_server, namespace, target, .. } = self;
        let (namespace, target) = (namespace.clone(), target.clone());
        room_server.do_send(DisconnectMany { namespace, target, close });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_shared<T: Clone + Send + Sync>() {}

    #[test]
    fn an_emitter_may_be_used_on_any_thread() {
        is_shared::<Emitter>();
    }
}
