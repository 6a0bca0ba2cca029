//! Emits events to many sockets, and acts on them.

use std::time::Duration;

use bytes::Bytes;
use bytestring::ByteString;
use log::error;
use serde::{Serialize, de::DeserializeOwned};
use smallvec::{SmallVec, smallvec};
use tokio::sync::mpsc;

use super::{acks::AckStream, into_rooms::IntoRooms};
use crate::{
    connection::Intake,
    parts::Mailbox,
    protocol::socketio::Args,
    socketio::rooms::{
        RoomServer,
        messages::{DisconnectMany, Emit, EmitWithAck, EnterMany, Guarantee, QuitMany, Target},
    },
};

/// How long acks are waited for if [`Emitter::timeout`] is not called.
pub const DEFAULT_ACK_TIMEOUT: Duration = Duration::from_secs(30);

/// Said of an event that clients would not take: they end their connections over it.
pub(super) const NO_NAME: &str = "an event is not emitted: it has no name, or a reserved one";

/// The longest time that acks are waited for.
pub const MAX_ACK_TIMEOUT: Duration = Duration::from_secs(60 * 60);

/// Selects sockets of a namespace, on all workers and on all servers that share the namespace, and emits to them or acts on
/// them: the broadcast operator of the reference server. It selects all sockets of the namespace until [`to`](Self::to) names
/// rooms. It may be used on any thread, and again.
///
/// What one thread asks first happens first: sockets that are put into a room get what is emitted to the room
/// afterwards.
#[derive(Clone, Debug)]
#[must_use = "nothing is emitted until it is told to"]
pub struct Emitter {
    pub(super) room_server: Mailbox<RoomServer>,
    /// Usually one; several for a dynamic namespace.
    pub(super) namespaces: SmallVec<[ByteString; 1]>,
    pub(super) target: Target,
    guarantee: Guarantee,
    compress: bool,
    timeout: Duration,
    pub(super) is_local: bool,
    is_direct: bool,
    /// What is emitted counts against this client's share of unhandled input until it is delivered.
    intake: Option<Intake>,
}

impl Emitter {
    /// Selects all sockets of a namespace.
    pub(crate) fn new(room_server: Mailbox<RoomServer>, namespace: ByteString) -> Self {
        Self::over(room_server, smallvec![namespace])
    }

    /// Selects all sockets of several namespaces.
    pub(crate) fn over(room_server: Mailbox<RoomServer>, namespaces: SmallVec<[ByteString; 1]>) -> Self {
        Self {
            room_server,
            namespaces,
            target: Target::default(),
            guarantee: Guarantee::default(),
            compress: true,
            timeout: DEFAULT_ACK_TIMEOUT,
            is_local: false,
            is_direct: false,
            intake: None,
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

    /// Does not repeat the event for recovered clients that missed it. Where servers keep events together, this has no effect.
    pub fn unrecorded(self) -> Self {
        self.guarantee(Guarantee::Once)
    }

    /// Selects other sockets of the namespace.
    pub(super) fn aimed_at(self, target: Target) -> Self {
        Self { target, ..self }
    }

    pub(super) fn guarantee(self, guarantee: Guarantee) -> Self {
        Self { guarantee, ..self }
    }

    /// Has what is emitted count against a client's share of unhandled input until it is delivered.
    pub(super) fn charged_to(self, intake: Intake) -> Self {
        Self { intake: Some(intake), ..self }
    }

    /// Selects sockets of this server only, where several servers share the namespace.
    pub fn local(self) -> Self {
        Self { is_local: true, ..self }
    }

    /// Has the event go to one socket of this server, in its place of the order.
    pub(super) fn direct(self) -> Self {
        Self { is_direct: true, ..self }
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

    /// Emits an event. A tuple is several arguments, `()` none, any other value one; [`Bytes`](bytes::Bytes) anywhere in
    /// them are sent as binary. An event that cannot be encoded, or has a name that the protocol reserves, is logged as an
    /// error and not sent.
    pub fn emit(&self, name: &str, data: &(impl Serialize + ?Sized)) {
        match Args::encode(name, data) {
            Ok(args) => self.send(&args),
            Err(problem) => error!("an event is not emitted: {problem}"),
        }
    }

    /// Emits an event that is encoded already: a JSON array that begins with the name, with its attachments. If it does not
    /// begin with a text or a number, or the name is one that the protocol reserves, that is logged as an error, and nothing
    /// is sent: clients would disconnect.
    pub fn emit_args(&self, args: Args) {
        if args.has_event_name() {
            self.send(&args);
        } else {
            error!("{NO_NAME}");
        }
    }

    fn send(&self, args: &Args) {
        for namespace in &self.namespaces {
            self.room_server.do_send(self.event(namespace, args.clone()));
        }
    }

    /// Emits an event and asks each recipient for an answer. A tuple takes several arguments of an answer, another type the
    /// first one. The event is not repeated for recovered clients that missed it. If it cannot be encoded, it is not
    /// emitted, and an error is logged. Other servers that share the namespace tell the answers of their sockets without
    /// their ids, and only the first argument of each.
    pub fn emit_with_ack<T: DeserializeOwned>(
        &self,
        name: &str,
        data: &(impl Serialize + ?Sized),
    ) -> AckStream<T> {
        match Args::encode(name, data) {
            Ok(args) => self.emit_args_with_ack(args),
            Err(problem) => {
                error!("an event is not emitted: {problem}");
                AckStream::new(mpsc::unbounded_channel().1, 1)
            }
        }
    }

    /// Emits an event and asks each recipient for an ack, as [`emit_with_ack`](Self::emit_with_ack) does. `args` is a
    /// JSON array that begins with the event's name, with its attachments.
    pub fn emit_args_with_ack<T: DeserializeOwned>(&self, args: Args) -> AckStream<T> {
        if !args.has_event_name() {
            error!("{NO_NAME}");
            return AckStream::new(mpsc::unbounded_channel().1, 1);
        }
        let (answers, answered) = mpsc::unbounded_channel();
        for namespace in &self.namespaces {
            let emit = self.event(namespace, args.clone());
            // The channel is closed if the server stops, or has panicked over the event.
            let answers = answers.clone();
            self.room_server.do_send(EmitWithAck { emit, timeout: self.timeout, answers });
        }
        AckStream::new(answered, self.namespaces.len())
    }

    fn event(&self, namespace: &ByteString, args: Args) -> Emit {
        let len = || args.json.len() + args.attachments.iter().map(Bytes::len).sum::<usize>();
        Emit {
            namespace: namespace.clone(),
            target: self.target.clone(),
            guarantee: self.guarantee,
            compress: self.compress,
            accepted: self.intake.as_ref().map(|intake| intake.accept(len())),
            args,
            is_local: self.is_local,
            is_direct: self.is_direct,
        }
    }

    // ----- rooms -----

    /// Puts the selected sockets into rooms, which are created if they do not exist. Rooms beyond the limit on rooms
    /// are not created; that is logged.
    pub fn sockets_join(&self, rooms: impl IntoRooms) {
        let rooms = rooms.into_rooms();
        for namespace in self.namespaces.iter().cloned() {
            let (target, rooms, is_local) = (self.target.clone(), rooms.clone(), self.is_local);
            self.room_server.do_send(EnterMany { namespace, target, rooms, is_local });
        }
    }

    /// Takes the selected sockets out of rooms. A socket stays in the room of its id.
    pub fn sockets_leave(&self, rooms: impl IntoRooms) {
        let rooms = rooms.into_rooms();
        for namespace in self.namespaces.iter().cloned() {
            let (target, rooms, is_local) = (self.target.clone(), rooms.clone(), self.is_local);
            self.room_server.do_send(QuitMany { namespace, target, rooms, is_local });
        }
    }

    /// Disconnects the selected sockets, behind the events that were emitted to them before. They cannot be recovered.
    /// With `close`, ends their connections, with the sockets of all namespaces on them.
    pub fn disconnect_sockets(&self, close: bool) {
        for namespace in self.namespaces.iter().cloned() {
            let (target, is_local) = (self.target.clone(), self.is_local);
            self.room_server.do_send(DisconnectMany { namespace, target, close, is_local });
        }
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
