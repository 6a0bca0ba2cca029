//! A client in a namespace, to speak to it.

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

use super::Emitter;
use crate::{
    domain::SessionId,
    protocol::socketio::{Args, ServerPacket},
    socketio::{
        EndReason,
        downlink::Downlink,
        engine::Desk,
        hub::{
            FIRST_SHARED_ACK,
            messages::{Answer, Disconnect, EnterRoom, Keep, QuitRoom, Recovered},
        },
    },
};

/// Acks that a server may wait for from one socket; the oldest is forgotten for one more.
const MAX_AWAITED: usize = 1024;

/// An event's answer. One that is dropped is none.
#[derive(Debug)]
pub struct AckTo {
    pub(super) id: ByteString,
    pub(super) socket: Socket,
}

impl AckTo {
    /// The number that the answer must bear, for who answers by [`Socket::ack`].
    pub fn number(&self) -> Option<u64> {
        self.id.parse().ok()
    }

    /// Answers with these arguments, a JSON array.
    pub fn answer(self, args: &Args) {
        let Args { json, attachments } = args;
        self.socket
            .send(ServerPacket::Ack { id: &self.id, json, attachments: attachments.len() }, attachments);
    }
}

/// A client in a namespace, to speak to it. Cheap to clone.
#[derive(Clone)]
pub struct Socket(Rc<State>);

struct State {
    id: SessionId,
    sid: ByteString,
    pid: Option<ByteString>,
    namespace: ByteString,
    down: Downlink,
    desk: Desk,
    in_hub: bool,
    /// Whether its client has sent it anything.
    has_spoken: Cell<bool>,
    was_recovered: bool,
    next_ack: Cell<u64>,
    awaited: RefCell<BTreeMap<u64, OnAck>>,
    rooms: RefCell<BTreeSet<ByteString>>,
    /// Rooms that the hub has been asked to put it into, in that order.
    entering: RefCell<Vec<(ByteString, Option<OnEntered>)>>,
    kept: RefCell<ByteString>,
    is_out: Cell<bool>,
    was_lost: Cell<bool>,
}

/// What is done with an answer.
type OnAck = Box<dyn FnOnce(&Args)>;

/// What is done when a socket is in a room, or cannot be.
type OnEntered = Box<dyn FnOnce(&Socket, bool)>;

/// A new socket's place.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) id: SessionId,
    pub(super) namespace: ByteString,
    pub(super) down: Downlink,
    pub(super) desk: Desk,
    /// Whether the hub knows it.
    pub(super) in_hub: bool,
    /// The number of the first ack that it asks for: above those of the sockets before it.
    pub(super) first_ack: u64,
    /// Whether its client may come back if it is lost.
    pub(super) may_return: bool,
    /// The offset that its client brought; from another place, if it cannot be what it was.
    pub(super) foreign: Option<u64>,
}

/// An id that nobody can guess, of twenty characters.
pub(super) fn random_id() -> Result<ByteString, getrandom::Error> {
    let mut bytes = [0; 15];
    getrandom::fill(&mut bytes)?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(bytes).into())
}

impl Socket {
    pub(super) fn new(place: Place, sid: ByteString, pid: Option<ByteString>) -> Self {
        Self::with(place, pid, false, &Recovered { sid, ..Recovered::default() })
    }

    /// The socket that a client was before it was lost.
    pub(super) fn again(place: Place, pid: ByteString, state: &Recovered) -> Self {
        Self::with(place, Some(pid), true, state)
    }

    fn with(place: Place, pid: Option<ByteString>, was_recovered: bool, state: &Recovered) -> Self {
        let Place { id, namespace, down, desk, in_hub, first_ack, .. } = place;
        Self(Rc::new(State {
            id,
            sid: state.sid.clone(),
            pid,
            namespace,
            down,
            desk,
            in_hub,
            has_spoken: Cell::new(false),
            was_recovered,
            next_ack: Cell::new(first_ack),
            awaited: RefCell::default(),
            rooms: RefCell::new(state.rooms.iter().cloned().collect()),
            entering: RefCell::default(),
            kept: RefCell::new(state.kept.clone()),
            is_out: Cell::new(false),
            was_lost: Cell::new(false),
        }))
    }

    /// The socket's own id, another one in each namespace. It is no secret: others may address it by that.
    pub fn sid(&self) -> &str {
        &self.0.sid
    }

    /// The namespace it is in.
    pub fn namespace(&self) -> &str {
        &self.0.namespace
    }

    /// Whether its client was lost and has come back as what it was.
    pub fn was_recovered(&self) -> bool {
        self.0.was_recovered
    }

    /// Whether its client was lost, neither leaving nor sent away for what it did.
    pub fn was_lost(&self) -> bool {
        self.0.was_lost.get()
    }

    pub(super) fn lost(&self) {
        self.0.was_lost.set(true);
    }

    pub(super) fn pid(&self) -> Option<&str> {
        self.0.pid.as_deref()
    }

    /// Runs a future on the client's thread. Its outcome goes to [`notified`](super::SocketHandler::notified), unless the client
    /// has left by then.
    pub fn spawn<T: Any>(&self, task: impl Future<Output = T> + 'static) {
        self.0.down.spawn(self.0.id, Box::pin(async { Box::new(task.await) as Box<dyn Any> }));
    }

    /// What goes down to the client, of all its namespaces.
    pub fn downlink(&self) -> &Downlink {
        &self.0.down
    }

    // ----- to the client -----

    /// Emits an event with one argument.
    pub fn emit(&self, name: &str, data: &impl Serialize) {
        self.emit_args(&Args::event(name, data));
    }

    /// The same at once, past what others emit, and not again if the client is lost. If the client may come back, a text
    /// goes in its place among what others emit, with an offset behind it: the client takes the last text of an event for
    /// its offset.
    pub fn emit_once(&self, name: &str, data: &impl Serialize) {
        let args = Args::event(name, data);
        if self.0.pid.is_some() && args.ends_with_text() {
            return self.everybody().to(self.0.sid.clone()).once().emit_args(args);
        }
        self.send_event(&args);
    }

    /// Emits an event: a JSON array that begins with its name, and its attachments.
    pub fn emit_args(&self, args: &Args) {
        if self.0.pid.is_some() {
            // By the hub, so that it can be given again, and keeps its place among what others emit.
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

    /// The same, but only if the client takes it at once.
    pub fn emit_volatile(&self, args: &Args) {
        if self.0.pid.is_some() {
            return self.everybody().to(self.0.sid.clone()).volatile().emit_args(args.clone());
        }
        if self.0.down.is_writable() {
            self.send_event(args);
        }
    }

    /// The same, and `on_ack` gets the answer, once and if it comes.
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

    /// Answers the event with this number, with a JSON array.
    pub fn ack(&self, id: u64, json: &str) {
        self.send(ServerPacket::Ack { id: &id.to_string(), json, attachments: 0 }, &[]);
    }

    /// Puts the client out of the namespace; with `close`, ends its whole session.
    pub fn disconnect(&self, close: bool) {
        self.send(ServerPacket::Disconnect, &[]);
        self.0.is_out.set(true);
        if close {
            self.0.down.end(EndReason::ForcedClose);
        }
    }

    pub(super) fn send(&self, packet: ServerPacket<'_>, attachments: &[Bytes]) {
        if self.0.is_out.get() {
            return;
        }
        self.0.down.packet(packet.to_message(&self.0.namespace));
        for attachment in attachments {
            self.0.down.binary(attachment.clone());
        }
    }

    // ----- to others -----

    /// To everybody in the namespace, itself included.
    pub fn everybody(&self) -> Emitter {
        Emitter::new(self.0.desk.hub.clone(), self.0.namespace.clone())
    }

    /// To everybody else in the namespace.
    pub fn broadcast(&self) -> Emitter {
        self.everybody().except(self.0.sid.clone())
    }

    /// To everybody else in a room.
    pub fn to(&self, room: impl Into<ByteString>) -> Emitter {
        self.broadcast().to(room)
    }

    // ----- rooms -----

    /// Enters a room, which is made if it is not there. Harmless if it is in it.
    pub fn join(&self, room: impl Into<ByteString>) {
        self.enter(room.into(), None);
    }

    /// The same, and `on_entered` is told whether it is in: it is not if the room would be one too many.
    pub fn join_and(&self, room: impl Into<ByteString>, on_entered: impl FnOnce(&Self, bool) + 'static) {
        self.enter(room.into(), Some(Box::new(on_entered)));
    }

    fn enter(&self, room: ByteString, on_entered: Option<OnEntered>) {
        if self.0.is_out.get() {
            return;
        }
        self.0.rooms.borrow_mut().insert(room.clone());
        self.0.desk.hub.do_send(EnterRoom { session: self.0.id, room: room.clone() });
        self.0.entering.borrow_mut().push((room, on_entered));
    }

    /// Leaves a room. Harmless if it is not in it.
    pub fn leave(&self, room: impl Into<ByteString>) {
        let room = room.into();
        self.0.rooms.borrow_mut().remove(&room);
        self.0.desk.hub.do_send(QuitRoom { session: self.0.id, room });
    }

    /// The rooms it is in.
    pub fn rooms(&self) -> Vec<ByteString> {
        self.0.rooms.borrow().iter().cloned().collect()
    }

    /// What was kept with the socket.
    pub fn kept(&self) -> ByteString {
        self.0.kept.borrow().clone()
    }

    /// Keeps something with the socket, for when its client comes back.
    pub fn keep(&self, kept: impl Into<ByteString>) {
        let kept = kept.into();
        self.0.kept.replace(kept.clone());
        self.0.desk.hub.do_send(Keep { session: self.0.id, kept });
    }

    // ----- for who holds it -----

    pub(crate) fn id(&self) -> SessionId {
        self.0.id
    }

    /// The number of the next ack that it would ask for.
    pub(super) fn next_ack(&self) -> u64 {
        self.0.next_ack.get()
    }

    /// Its client has sent it something. A client does that once it has read that it is in.
    pub(super) fn note_speech(&self) {
        self.0.has_spoken.set(true);
    }

    pub(super) fn has_spoken(&self) -> bool {
        self.0.has_spoken.get()
    }

    pub(super) fn is_out(&self) -> bool {
        self.0.is_out.get()
    }

    /// It is out: nothing more goes to its client, nor to the socket from others. Its client may come back if it was
    /// lost.
    pub(super) fn gone(&self, may_return: bool) {
        self.0.is_out.set(true);
        self.forget_callbacks();
        self.0.down.close_outlet(self.0.id);
        if self.0.in_hub {
            self.0.desk.outlets.take(self.0.id);
            self.0.desk.hub.do_send(Disconnect { session: self.0.id, may_return });
        }
    }

    /// What waits for an answer waits no longer. Callbacks often own a clone of the socket: kept by the socket itself, they
    /// would keep each other for ever.
    fn forget_callbacks(&self) {
        // Dropped when nothing is borrowed: a callback may own what uses the socket as it goes.
        drop(self.0.awaited.take());
        drop(self.0.entering.take());
    }

    /// The client answered, in so many bytes; whether something waited for that. The hub says whether many were asked.
    pub(super) fn acked(&self, id: &str, args: Args, len: usize) -> bool {
        let Ok(id) = id.parse::<u64>() else {
            return false;
        };
        if id >= FIRST_SHARED_ACK && self.0.in_hub {
            let accepted = self.0.down.intake().accept(len);
            self.0.desk.hub.do_send(Answer { session: self.0.id, id, args, accepted });
            return true;
        }
        // Not while it is borrowed: the answer may lead to another event.
        let on_ack = self.0.awaited.borrow_mut().remove(&id);
        let was_awaited = on_ack.is_some();
        if let Some(on_ack) = on_ack {
            on_ack(&args);
        }
        was_awaited
    }

    /// The hub says whether it is in a room that it wanted to enter.
    pub(super) fn entered(&self, room: &ByteString, is_in: bool) {
        let (on_entered, is_asked_again) = {
            let mut entering = self.0.entering.borrow_mut();
            let place = entering.iter().position(|(entering, _)| entering == room);
            let on_entered = place.and_then(|place| entering.remove(place).1);
            (on_entered, entering.iter().any(|(entering, _)| entering == room))
        };
        // If it is, the last answer decides.
        if !is_in && !is_asked_again {
            self.0.rooms.borrow_mut().remove(room);
        }
        if let Some(on_entered) = on_entered {
            on_entered(self, is_in);
        }
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket").field("namespace", &self.0.namespace).finish_non_exhaustive()
    }
}
