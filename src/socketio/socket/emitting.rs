//! Events from the server: to this client, and to others.

use std::time::Duration;

use bytes::Bytes;
use log::error;
use serde::{Serialize, de::DeserializeOwned};

use super::{Answer, Phase, Socket, SocketData};
use crate::{
    protocol::socketio::{Args, ServerPacket},
    socketio::{
        AckError,
        emitter::{Emitter, NO_NAME},
        into_rooms::IntoRooms,
        rooms::messages::{Guarantee, Listen},
    },
};

/// Flags for the next event to one client. See [`Socket::volatile`], [`Socket::compress`], [`Socket::timeout`].
#[derive(Clone, Debug)]
#[must_use = "nothing is emitted until it is told to"]
pub struct SocketEmitter {
    socket: Socket,
    guarantee: Guarantee,
    is_compressed: bool,
    timeout: Option<Duration>,
}

impl SocketEmitter {
    /// Drops the event if the client's transport is not writable at the moment.
    pub fn volatile(self) -> Self {
        Self { guarantee: Guarantee::Volatile, ..self }
    }

    /// Does not repeat the event if the client is recovered and has missed it.
    pub fn unrecorded(self) -> Self {
        Self { guarantee: Guarantee::Once, ..self }
    }

    /// Whether a WebSocket compresses the event, where compression is on.
    pub fn compress(self, is_compressed: bool) -> Self {
        Self { is_compressed, ..self }
    }

    /// The time in which the client must answer. Without it, an answer is waited for until the client has left.
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout: Some(timeout), ..self }
    }

    /// Emits an event. See [`Socket::emit`].
    pub fn emit(self, name: &str, data: &(impl Serialize + ?Sized)) {
        match Args::encode(name, data) {
            Ok(args) => self.emit_args(args),
            Err(problem) => error!("an event is not emitted: {problem}"),
        }
    }

    /// Emits an event that is encoded already: a JSON array that begins with the name, with its attachments.
    pub fn emit_args(self, args: Args) {
        if !args.has_event_name() {
            return error!("{NO_NAME}");
        }
        let Self { socket, guarantee, is_compressed, .. } = self;
        socket.once_connected(move |socket| socket.send_event(args, guarantee, is_compressed));
    }

    /// Emits an event and waits for the client's answer. See [`Socket::emit_with_ack`].
    pub fn emit_with_ack<T: DeserializeOwned>(
        self,
        name: &str,
        data: &(impl Serialize + ?Sized),
    ) -> Answer<T> {
        let Self { socket, timeout, is_compressed, .. } = self;
        let args = match Args::encode(name, data) {
            Ok(args) => args,
            Err(problem) => return Answer::failed(socket, AckError::NotSent(problem)),
        };
        if !socket.can_be_asked() {
            return Answer::failed(socket, AckError::Disconnected);
        }
        let Some((id, answered)) = socket.0.awaited.expect(socket.0.desk.max_pending_acks) else {
            return Answer::failed(socket, AckError::TooMany);
        };
        socket.once_connected(move |socket| {
            socket.note_outgoing(&args);
            socket.behind_events(len_of(&args), move |socket| {
                socket.send_packet(&args, Some(id), is_compressed)
            });
        });
        Answer::of(socket, id, answered, timeout)
    }
}

impl<U: SocketData> Socket<U> {
    fn flagged(&self) -> SocketEmitter {
        SocketEmitter {
            socket: self.untyped(),
            guarantee: Guarantee::default(),
            is_compressed: true,
            timeout: None,
        }
    }

    /// Emits an event to the client. A tuple is several arguments, `()` none, any other value one;
    /// [`Bytes`](crate::socketio::Bytes) anywhere in them are sent as binary. An event that cannot be encoded, or has a
    /// name that the protocol reserves (such as `connect`), is logged as an error and not sent.
    ///
    /// It is written directly, so it may overtake events to rooms that were emitted just before, unless the server has
    /// connection state recovery, which keeps one order for all. Before the client is connected it waits for that.
    pub fn emit(&self, name: &str, data: &(impl Serialize + ?Sized)) {
        self.flagged().emit(name, data);
    }

    /// Emits an event that is encoded already, such as [`Event::args`](super::Event::args).
    pub fn emit_args(&self, args: Args) {
        self.flagged().emit_args(args);
    }

    /// Emits an event and returns the client's answer, which may be awaited. A tuple takes several arguments of the
    /// answer, another type the first one.
    pub fn emit_with_ack<T: DeserializeOwned>(
        &self,
        name: &str,
        data: &(impl Serialize + ?Sized),
    ) -> Answer<T> {
        self.flagged().emit_with_ack(name, data)
    }

    /// Drops the next event if the client's transport is not writable at the moment.
    pub fn volatile(&self) -> SocketEmitter {
        self.flagged().volatile()
    }

    /// Does not repeat the next event if the client is recovered and has missed it. The event may overtake events to rooms
    /// that were emitted just before.
    pub fn unrecorded(&self) -> SocketEmitter {
        self.flagged().unrecorded()
    }

    /// Whether a WebSocket compresses the next event, where compression is on.
    pub fn compress(&self, is_compressed: bool) -> SocketEmitter {
        self.flagged().compress(is_compressed)
    }

    /// The time in which the client must answer the next event.
    pub fn timeout(&self, timeout: Duration) -> SocketEmitter {
        self.flagged().timeout(timeout)
    }

    // ----- to others -----

    /// To all sockets of the namespace, this one included. What is emitted counts against this client's share of unhandled
    /// input until it is delivered.
    pub(super) fn everybody(&self) -> Emitter {
        let emitter = Emitter::new(self.0.desk.room_server.clone(), self.0.namespace.clone());
        emitter.charged_to(self.0.handle.intake())
    }

    /// To all other sockets of the namespace.
    pub fn broadcast(&self) -> Emitter {
        self.everybody().except(self.0.sid.clone())
    }

    /// To the other sockets in a room, or in any of several rooms.
    pub fn to(&self, rooms: impl IntoRooms) -> Emitter {
        self.broadcast().to(rooms)
    }

    /// See [`to`](Self::to).
    pub fn within(&self, rooms: impl IntoRooms) -> Emitter {
        self.to(rooms)
    }

    /// To the other sockets of the namespace that are in none of these rooms.
    pub fn except(&self, rooms: impl IntoRooms) -> Emitter {
        self.broadcast().except(rooms)
    }

    /// To the other sockets on this server, where several servers share the namespace.
    pub fn local(&self) -> Emitter {
        self.broadcast().local()
    }
}

impl Socket {
    /// Sends an event to the client, which is connected.
    fn send_event(&self, args: Args, guarantee: Guarantee, is_compressed: bool) {
        // A client takes the last text of an event for its offset, so one that ends with a text needs an offset.
        let is_direct = guarantee == Guarantee::Once && !args.ends_with_text();
        if self.0.pid.is_some() && !is_direct {
            // Through the room server, which keeps the event for recovery and puts it in order with events to rooms.
            self.note_event_on_its_way();
            let emitter = Emitter::new(self.0.desk.room_server.clone(), self.0.namespace.clone());
            return emitter
                .to(self.0.sid.clone())
                .direct()
                .guarantee(guarantee)
                .compress(is_compressed)
                .emit_args(args);
        }
        if guarantee == Guarantee::Volatile && !self.0.handle.is_writable() {
            return;
        }
        self.note_outgoing(&args);
        self.send_packet(&args, None, is_compressed);
    }

    /// Has the room server tell of events to the socket.
    pub(super) fn listen_for_outgoing(&self) {
        if self.0.definition.has_rooms {
            self.0.desk.room_server.do_send(Listen { socket: self.0.id });
        }
    }

    fn send_packet(&self, args: &Args, id: Option<u64>, is_compressed: bool) {
        let Args { json, attachments } = args;
        let packet = ServerPacket::Event { json, attachments: attachments.len(), id };
        if is_compressed {
            self.send(packet, attachments)
        } else {
            self.send_uncompressed(packet, attachments)
        }
    }

    /// Sends the ack of an event.
    pub(super) fn send_ack(&self, id: &str, args: &Args) {
        if self.0.phase.get() != Phase::Connected {
            return;
        }
        let (id, args) = (id.to_owned(), args.clone());
        self.behind_events(len_of(&args), move |socket| {
            let Args { json, attachments } = &args;
            socket.send(ServerPacket::Ack { id: &id, json, attachments: attachments.len() }, attachments);
        });
    }
}

/// The length of arguments in bytes, with their attachments.
fn len_of(args: &Args) -> usize {
    args.json.len() + args.attachments.iter().map(Bytes::len).sum::<usize>()
}
