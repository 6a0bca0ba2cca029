//! A client in one namespace.

use std::{
    any::Any,
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet},
    fmt,
    rc::Rc,
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use bytestring::ByteString;
use serde::Serialize;

use crate::{
    domain::SocketId,
    protocol::socketio::{Args, ServerPacket},
    socketio::{
        Ending,
        desk::Desk,
        emitter::Emitter,
        handle::SessionHandle,
        into_rooms::IntoRooms,
        rooms::{
            FIRST_SHARED_ACK,
            messages::{Answer, Disconnect, EnterRoom, QuitRoom, Recovered},
        },
    },
};

/// Largest number of acks that the server waits for per socket; one more drops the oldest.
const MAX_AWAITED: usize = 1024;

/// Sends the ack of one event. No ack is sent if it is dropped unused.
#[derive(Debug)]
pub struct AckTo {
    pub(super) id: ByteString,
    pub(super) socket: Socket,
}

impl AckTo {
    /// The ack's id, for [`Socket::ack`]. `None` if it does not fit 64 bits.
    pub fn number(&self) -> Option<u64> {
        self.id.parse().ok()
    }

    /// Sends the ack. `args` is a JSON array of its arguments.
    pub fn answer(self, args: &Args) {
        let Args { json, attachments } = args;
        self.socket
            .send(ServerPacket::Ack { id: &self.id, json, attachments: attachments.len() }, attachments);
    }
}

/// A client in one namespace. Clones refer to one socket and are cheap.
#[derive(Clone)]
pub struct Socket(Rc<State>);

struct State {
    id: SocketId,
    sid: ByteString,
    pid: Option<ByteString>,
    namespace: ByteString,
    handle: SessionHandle,
    desk: Desk,
    has_rooms: bool,
    /// Whether the client has sent an event or an ack.
    has_spoken: Cell<bool>,
    was_recovered: bool,
    next_ack: Cell<u64>,
    awaited: RefCell<BTreeMap<u64, OnAck>>,
    rooms: RefCell<BTreeSet<ByteString>>,
    /// Rooms that the room server has been asked to add the socket to, in order of the requests.
    entering: RefCell<Vec<(ByteString, Option<OnEntered>)>>,
    /// Rooms that the room server has been asked to take the socket out of, in order of the requests.
    leaving: RefCell<Vec<ByteString>>,
    is_out: Cell<bool>,
    was_lost: Cell<bool>,
}

/// Called with the ack.
type OnAck = Box<dyn FnOnce(&Args)>;

/// Called when the room server has added the socket to a room (true) or rejected that (false).
type OnEntered = Box<dyn FnOnce(&Socket, bool)>;

/// The data from which a socket is created.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) id: SocketId,
    pub(super) namespace: ByteString,
    pub(super) handle: SessionHandle,
    pub(super) desk: Desk,
    /// Whether the room server keeps the socket's rooms.
    pub(super) has_rooms: bool,
    /// The first ack id that the socket uses. It is above the ids of the session's former sockets.
    pub(super) first_ack: u64,
    /// Whether the client may recover the socket.
    pub(super) may_return: bool,
    /// The offset that the client brought. If recovery fails, it belongs to another socket or server.
    pub(super) foreign: Option<u64>,
}

/// A random id of 20 characters and 120 bits, which cannot be guessed.
pub(super) fn random_id() -> Result<ByteString, getrandom::Error> {
    let mut bytes = [0; 15];
    getrandom::fill(&mut bytes)?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(bytes).into())
}

impl Socket {
    pub(super) fn new(place: Place, sid: ByteString, pid: Option<ByteString>) -> Self {
        Self::with(place, pid, false, sid, &[])
    }

    /// Creates a recovered socket.
    pub(super) fn again(place: Place, pid: ByteString, state: &Recovered) -> Self {
        Self::with(place, Some(pid), true, state.sid.clone(), &state.rooms)
    }

    fn with(
        place: Place,
        pid: Option<ByteString>,
        was_recovered: bool,
        sid: ByteString,
        rooms: &[ByteString],
    ) -> Self {
        let Place { id, namespace, handle, desk, has_rooms, first_ack, .. } = place;
        Self(Rc::new(State {
            id,
            sid,
            pid,
            namespace,
            handle,
            desk,
            has_rooms,
            has_spoken: Cell::new(false),
            was_recovered,
            next_ack: Cell::new(first_ack),
            awaited: RefCell::default(),
            rooms: RefCell::new(rooms.iter().cloned().collect()),
            entering: RefCell::default(),
            leaving: RefCell::default(),
            is_out: Cell::new(false),
            was_lost: Cell::new(false),
        }))
    }

    /// The socket's id, unique per namespace. It is public: events can be emitted to it.
    pub fn sid(&self) -> &str {
        &self.0.sid
    }

    /// The name of the socket's namespace.
    pub fn namespace(&self) -> &str {
        &self.0.namespace
    }

    /// Whether this socket was recovered after its client was lost.
    pub fn was_recovered(&self) -> bool {
        self.0.was_recovered
    }

    /// Whether the client was lost: it did not leave, and was not disconnected for its behavior.
    pub fn was_lost(&self) -> bool {
        self.0.was_lost.get()
    }

    pub(super) fn lost(&self) {
        self.0.was_lost.set(true);
    }

    pub(super) fn pid(&self) -> Option<&str> {
        self.0.pid.as_deref()
    }

    /// Runs a future on the session's thread. Its output goes to
    /// [`notified`](super::SocketHandler::notified), unless the socket has left by then.
    pub fn spawn<T: Any>(&self, task: impl Future<Output = T> + 'static) {
        self.0.handle.spawn(self.0.id, Box::pin(async { Box::new(task.await) as Box<dyn Any> }));
    }

    /// The outgoing queue of the session, shared by its sockets.
    pub fn handle(&self) -> &SessionHandle {
        &self.0.handle
    }

    // ----- to the client -----

    /// Emits the event `name` with one argument to the client.
    pub fn emit(&self, name: &str, data: &impl Serialize) {
        self.emit_args(&Args::event(name, data));
    }

    /// Emits the event `name` without repetition after recovery, and directly, so it may overtake events to
    /// rooms. With recovery an event whose last argument is a text goes through the room server instead and gets
    /// an offset: a client takes the last text of an event for its offset.
    pub fn emit_once(&self, name: &str, data: &impl Serialize) {
        let args = Args::event(name, data);
        if self.0.pid.is_some() && args.ends_with_text() {
            return self.everybody().to(self.0.sid.clone()).once().emit_args(args);
        }
        self.send_event(&args);
    }

    /// Emits an event to the client. `args` is a JSON array that begins with the event's name, with its
    /// attachments.
    pub fn emit_args(&self, args: &Args) {
        if self.0.pid.is_some() {
            // Through the room server, which keeps the event for recovery and puts it in order with events to
            // rooms.
            return self.everybody().to(self.0.sid.clone()).emit_args(args.clone());
        }
        self.send_event(args);
    }

    fn send_event(&self, args: &Args) {
        self.send(
            ServerPacket::Event { json: &args.json, attachments: args.attachments.len(), id: None },
            &args.attachments,
        );
    }

    /// Emits an event only if the client is writable.
    pub fn emit_volatile(&self, args: &Args) {
        if self.0.pid.is_some() {
            return self.everybody().to(self.0.sid.clone()).volatile().emit_args(args.clone());
        }
        if self.0.handle.is_writable() {
            self.send_event(args);
        }
    }

    /// Emits an event that asks for an ack. `on_ack` is called at most once, when the ack arrives.
    pub fn emit_with_ack(&self, args: &Args, on_ack: impl FnOnce(&Args) + 'static) {
        if self.0.is_out.get() {
            return;
        }
        let id = self.0.next_ack.replace(self.0.next_ack.get() + 1);
        let mut awaited = self.0.awaited.borrow_mut();
        if awaited.len() >= MAX_AWAITED {
            awaited.pop_first();
        }
        awaited.insert(id, Box::new(on_ack));
        self.send(
            ServerPacket::Event { json: &args.json, attachments: args.attachments.len(), id: Some(id) },
            &args.attachments,
        );
    }

    /// Sends the ack of the event with this ack id. `json` is an array of the ack's arguments.
    pub fn ack(&self, id: u64, json: &str) {
        self.send(ServerPacket::Ack { id: &id.to_string(), json, attachments: 0 }, &[]);
    }

    /// Disconnects the socket. With `close`, ends the whole session.
    pub fn disconnect(&self, close: bool) {
        self.send(ServerPacket::Disconnect, &[]);
        self.0.is_out.set(true);
        if close {
            self.0.handle.end(Ending::ClosedByServer);
        }
    }

    pub(super) fn send(&self, packet: ServerPacket<'_>, attachments: &[Bytes]) {
        if self.0.is_out.get() {
            return;
        }
        self.0.handle.packet(packet.to_message(&self.0.namespace));
        for attachment in attachments {
            self.0.handle.binary(attachment.clone());
        }
    }

    // ----- to others -----

    /// An emitter to all sockets in the namespace, this one included.
    pub fn everybody(&self) -> Emitter {
        Emitter::new(self.0.desk.room_server.clone(), self.0.namespace.clone())
    }

    /// An emitter to all other sockets in the namespace.
    pub fn broadcast(&self) -> Emitter {
        self.everybody().except(self.0.sid.clone())
    }

    /// An emitter to all other sockets in any of these rooms.
    pub fn to(&self, rooms: impl IntoRooms) -> Emitter {
        self.broadcast().to(rooms)
    }

    // ----- rooms -----

    /// Joins a room, which is created if it does not exist. Idempotent.
    pub fn join(&self, room: impl Into<ByteString>) {
        self.enter(room.into(), None);
    }

    /// Joins a room and calls `on_entered` with the result: false if there are too many rooms.
    pub fn join_and(&self, room: impl Into<ByteString>, on_entered: impl FnOnce(&Self, bool) + 'static) {
        self.enter(room.into(), Some(Box::new(on_entered)));
    }

    fn enter(&self, room: ByteString, on_entered: Option<OnEntered>) {
        if self.0.is_out.get() {
            return;
        }
        self.0.rooms.borrow_mut().insert(room.clone());
        self.0.desk.room_server.do_send(EnterRoom { socket: self.0.id, room: room.clone() });
        self.0.entering.borrow_mut().push((room, on_entered));
    }

    /// Leaves a room. Idempotent.
    pub fn leave(&self, room: impl Into<ByteString>) {
        let room = room.into();
        if self.0.is_out.get() {
            return;
        }
        self.0.rooms.borrow_mut().remove(&room);
        self.0.leaving.borrow_mut().push(room.clone());
        self.0.desk.room_server.do_send(QuitRoom { socket: self.0.id, room });
    }

    /// Names of the socket's rooms, including those that the room server has not confirmed yet.
    pub fn rooms(&self) -> Vec<ByteString> {
        self.0.rooms.borrow().iter().cloned().collect()
    }

    // ----- for the session -----

    pub(crate) fn id(&self) -> SocketId {
        self.0.id
    }

    /// The ack id that the next event would use.
    pub(super) fn next_ack(&self) -> u64 {
        self.0.next_ack.get()
    }

    /// Notes an event or an ack. A client sends one only after it has read the reply to CONNECT.
    pub(super) fn note_speech(&self) {
        self.0.has_spoken.set(true);
    }

    pub(super) fn has_spoken(&self) -> bool {
        self.0.has_spoken.get()
    }

    pub(super) fn is_out(&self) -> bool {
        self.0.is_out.get()
    }

    /// Disconnects the socket: nothing more goes to its client or comes from the room server. `may_return`
    /// keeps it for recovery.
    pub(super) fn gone(&self, may_return: bool) {
        self.0.is_out.set(true);
        self.forget_callbacks();
        self.0.handle.close_outlet(self.0.id);
        if self.0.has_rooms {
            self.0.desk.outlets.take(self.0.id.member());
            self.0.desk.room_server.do_send(Disconnect { socket: self.0.id, may_return });
        }
    }

    /// Drops the callbacks. They often own a clone of the socket, and the cycle would never be freed.
    fn forget_callbacks(&self) {
        // `take` ends the borrow first: a callback's destructor may use the socket.
        drop(self.0.awaited.take());
        drop(self.0.entering.take());
    }

    /// Takes an ack of `len` bytes. Returns whether it was expected. Ids for many sockets are left to the
    /// room server, which says [`SocketNews::NotAsked`](crate::socketio::rooms::messages::SocketNews) if it was
    /// not.
    pub(super) fn acked(&self, id: &str, args: Args, len: usize) -> bool {
        let Ok(id) = id.parse::<u64>() else {
            return false;
        };
        if id >= FIRST_SHARED_ACK && self.0.has_rooms {
            let accepted = self.0.handle.intake().accept(len);
            self.0.desk.room_server.do_send(Answer { socket: self.0.id, id, args, accepted });
            return true;
        }
        // End the borrow first: the callback may emit another event.
        let on_ack = self.0.awaited.borrow_mut().remove(&id);
        let was_awaited = on_ack.is_some();
        if let Some(on_ack) = on_ack {
            on_ack(&args);
        }
        was_awaited
    }

    /// The room server's reply to a request to join a room.
    pub(super) fn entered(&self, room: &ByteString, is_in: bool) {
        let (on_entered, is_asked_again) = {
            let mut entering = self.0.entering.borrow_mut();
            let place = entering.iter().position(|(entering, _)| entering == room);
            let on_entered = place.and_then(|place| entering.remove(place).1);
            (on_entered, entering.iter().any(|(entering, _)| entering == room))
        };
        // If the room was requested again, the last reply decides.
        if !is_in && !is_asked_again {
            self.0.rooms.borrow_mut().remove(room);
        }
        if let Some(on_entered) = on_entered {
            on_entered(self, is_in);
        }
    }

    /// The room server's reply to a request to leave a room.
    pub(super) fn left(&self, room: &ByteString) {
        let mut leaving = self.0.leaving.borrow_mut();
        if let Some(place) = leaving.iter().position(|leaving| leaving == room) {
            leaving.remove(place);
        }
    }

    /// Others have put the socket into these rooms. Its own requests to leave them, which the room server has not
    /// answered yet, come later and decide.
    pub(super) fn put_into(&self, rooms: Vec<ByteString>) {
        let leaving = self.0.leaving.borrow();
        let stays = |room: &ByteString| *room != self.0.sid && !leaving.contains(room);
        self.0.rooms.borrow_mut().extend(rooms.into_iter().filter(stays));
    }

    /// Others have taken the socket out of these rooms. Its own requests to join them, which the room server has
    /// not answered yet, come later and decide.
    pub(super) fn taken_out(&self, rooms: &[ByteString]) {
        let entering = self.0.entering.borrow();
        let returns = |room: &ByteString| entering.iter().any(|(entering, _)| entering == room);
        let mut own = self.0.rooms.borrow_mut();
        rooms.iter().filter(|room| !returns(room)).for_each(|room| _ = own.remove(room));
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket").field("namespace", &self.0.namespace).finish_non_exhaustive()
    }
}
