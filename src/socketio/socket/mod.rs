//! A client in one namespace, as handlers see it.

use std::{
    any::Any,
    cell::{Cell, OnceCell, RefCell},
    collections::BTreeSet,
    fmt,
    marker::PhantomData,
    rc::Rc,
    sync::{Arc, Mutex, PoisonError},
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use bytestring::ByteString;

pub use self::{
    acks::Answer,
    emitting::SocketEmitter,
    event::{Ack, Event, EventError},
    handlers::{EventHandler, shape},
    handshake::Handshake,
    local::Listener,
    reason::Reason,
    rooms::{Joining, NotJoined},
};
use self::{
    acks::Awaited,
    behind::Behind,
    local::Local,
    rooms::{Entering, Leaving},
    turns::Turns,
};
pub(crate) use self::{
    definition::Definition,
    program::seat,
    shared_data::{SharedData, from_json},
    turns::Turn,
};
use super::{
    Refusal, Transport,
    desk::Desk,
    handle::SessionHandle,
    rooms::messages::{Recovered, Revive},
};
use crate::{domain::SocketId, protocol::socketio::ServerPacket};

mod acks;
mod behind;
mod definition;
mod emitting;
mod event;
pub(crate) mod handlers;
mod handshake;
mod life;
mod local;
mod program;
mod reason;
mod rooms;
mod shared_data;
mod turns;

/// The data of a socket, whatever its type.
pub(crate) type Data = Arc<dyn Any + Send + Sync>;

/// What a program may keep for each socket: any value that can be looked at from other threads. `()` without an admission.
pub trait SocketData: Send + Sync + 'static {}

impl<T: Send + Sync + 'static> SocketData for T {}

/// Keeps a namespace of a dynamic one until it is dropped.
pub(crate) type Keeper = Arc<dyn Any + Send + Sync>;

/// What the room server keeps of a socket for look-ups from other threads, and for recovery.
pub(crate) struct SocketInfo {
    pub(crate) handshake: Handshake,
    pub(crate) data: Data,
    /// How other servers see the data, if they do.
    shared_data: Option<Arc<SharedData>>,
    /// A lost socket keeps its namespace as long as its client may come back.
    keeper: Mutex<Option<Keeper>>,
}

impl SocketInfo {
    /// The data as other servers see it: JSON, `{}` if the namespace does not share its data.
    pub(crate) fn data_json(&self) -> ByteString {
        match &self.shared_data {
            Some(shared) => shared.show(&self.data),
            None => ByteString::from_static("{}"),
        }
    }

    /// The socket has left for good: it does not keep its namespace any more.
    fn let_namespace_go(&self) {
        let keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner).take();
        // Dropped without the lock.
        drop(keeper);
    }
}

/// A client in one namespace. Clones are cheap and refer to one socket. It stays on the thread of its session; from other
/// threads a client is reached by its [`id`](Self::id), which is a room with only that client, or as a
/// [`RemoteSocket`](crate::socketio::RemoteSocket).
///
/// `U` is the type of [`data`](Self::data), which the namespace's
/// [admission](crate::socketio::Namespace::admit) has returned.
pub struct Socket<U = ()>(Rc<State>, PhantomData<fn() -> U>);

/// What is to be done with a socket once it is connected.
type Action = Box<dyn FnOnce(&Socket)>;

struct State {
    id: SocketId,
    sid: ByteString,
    pid: Option<ByteString>,
    namespace: ByteString,
    handshake: Handshake,
    definition: Arc<Definition>,
    child: RefCell<Option<Keeper>>,
    data: OnceCell<Data>,
    /// What the room server has of the socket.
    info: OnceCell<Arc<SocketInfo>>,
    handle: SessionHandle,
    desk: Desk,
    was_recovered: bool,
    /// Its events to rooms have no offsets, where those of others have.
    opts_out: bool,
    /// Whether the client has sent an event or an ack.
    has_spoken: Cell<bool>,
    phase: Cell<Phase>,
    /// Its handlers are told that it leaves.
    is_leaving: Cell<bool>,
    /// The server has disconnected it.
    was_put_out: Cell<bool>,
    /// Its listeners of outgoing events run.
    is_told_of_outgoing: Cell<bool>,
    /// What is to be done once the socket is connected.
    waiting: RefCell<Vec<Action>>,
    awaited: Awaited,
    /// The rooms beside the one of its id.
    rooms: RefCell<BTreeSet<ByteString>>,
    entering: Entering,
    leaving: Leaving,
    behind: Behind,
    turns: Turns,
    local: Local,
    local_data: RefCell<Option<Rc<dyn Any>>>,
    is_trusted: Cell<bool>,
}

/// How far a socket is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Its client waits for the reply to CONNECT.
    Joining,
    /// Its client has been told that it is connected.
    Connected,
    /// The server has disconnected it. Its client is told behind the events that are on their way.
    Leaving,
    /// Its client has been told that the server has disconnected it, and its session has not removed it yet.
    SentAway,
    /// It has left.
    Gone,
}

/// The data from which a socket is created.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) id: SocketId,
    pub(crate) namespace: ByteString,
    pub(crate) handshake: Handshake,
    pub(crate) definition: Arc<Definition>,
    /// Dropped when the socket leaves.
    pub(crate) child: Option<Keeper>,
    pub(crate) handle: SessionHandle,
    pub(crate) desk: Desk,
    /// The first ack id that the socket uses. It is above the ids of the session's former sockets.
    pub(crate) first_ack: u64,
    /// Whether the client may recover the socket.
    pub(crate) may_return: bool,
    /// Whether the client has asked for no recovery, where others have it.
    pub(crate) opts_out: bool,
    /// The offset that the client brought. If recovery fails, it belongs to another socket or server.
    pub(crate) foreign: Option<u64>,
}

impl Place {
    /// Makes what the room server keeps of a socket of which another server has shown the data.
    pub(crate) fn revive(&self) -> Revive {
        let (handshake, shared_data) = (self.handshake.clone(), self.definition.shared_data.clone());
        let keeper = self.child.clone();
        Revive(Arc::new(move |json| {
            let data = match &shared_data {
                Some(shared) => shared.read(json)?,
                None => Arc::new(()),
            };
            let (handshake, shared_data) = (handshake.clone(), shared_data.clone());
            let keeper = Mutex::new(keeper.clone());
            Some(Arc::new(SocketInfo { handshake, data, shared_data, keeper }))
        }))
    }
}

/// A random id of 20 characters and 120 bits, which cannot be guessed.
pub(crate) fn random_id() -> Result<ByteString, getrandom::Error> {
    let mut bytes = [0; 15];
    getrandom::fill(&mut bytes)?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(bytes).into())
}

impl<U> Clone for Socket<U> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0), PhantomData)
    }
}

impl Socket {
    /// A socket whose client waits for the reply to CONNECT.
    pub(crate) fn new(place: Place, sid: ByteString, pid: Option<ByteString>) -> Self {
        Self::with(place, sid, pid, false, Vec::new())
    }

    /// A recovered socket, which has its former data and is in its former rooms.
    pub(crate) fn again(place: Place, pid: ByteString, state: &Recovered) -> Self {
        Self::with(place, state.sid.clone(), Some(pid), true, state.rooms.clone())
    }

    fn with(
        place: Place,
        sid: ByteString,
        pid: Option<ByteString>,
        was_recovered: bool,
        rooms: Vec<ByteString>,
    ) -> Self {
        let Place { id, namespace, handshake, definition, child, handle, desk, first_ack, opts_out, .. } =
            place;
        let is_trusted = Cell::new(definition.trusts);
        let state = State {
            id,
            sid,
            pid,
            namespace,
            handshake,
            definition,
            child: RefCell::new(child),
            data: OnceCell::new(),
            info: OnceCell::new(),
            handle,
            desk,
            was_recovered,
            opts_out,
            has_spoken: Cell::new(false),
            phase: Cell::new(Phase::Joining),
            is_leaving: Cell::new(false),
            was_put_out: Cell::new(false),
            is_told_of_outgoing: Cell::new(false),
            waiting: RefCell::default(),
            awaited: Awaited::from(first_ack),
            rooms: RefCell::new(rooms.into_iter().collect()),
            entering: Entering::default(),
            leaving: Leaving::default(),
            behind: Behind::default(),
            turns: Turns::default(),
            local: Local::default(),
            local_data: RefCell::default(),
            is_trusted,
        };
        Self(Rc::new(state), PhantomData)
    }

    /// The socket for handlers of this type of data; `None` if its data has another type. Handlers without an interest in
    /// the data take any.
    pub(crate) fn typed<U: SocketData>(&self) -> Option<Socket<U>> {
        let any: &dyn Any = &();
        let fits = any.is::<U>() || self.0.data.get().is_some_and(|data| data.is::<U>());
        fits.then(|| Socket(Rc::clone(&self.0), PhantomData))
    }
}

impl<U: SocketData> Socket<U> {
    /// The socket without its type of data.
    pub(crate) fn untyped(&self) -> Socket {
        Socket(Rc::clone(&self.0), PhantomData)
    }

    /// What the namespace's admission returned for this client.
    ///
    /// # Panics
    /// Never: a handler is only called with sockets whose data has the handler's type.
    pub fn data(&self) -> &U {
        let unit: &dyn Any = &();
        let data = self.0.data.get().and_then(|data| data.downcast_ref());
        data.or_else(|| unit.downcast_ref()).expect("sockets are typed by their data")
    }

    /// What the namespace's admission returned for this client, to keep or to send to another thread.
    pub fn shared_data(&self) -> Arc<U> {
        let unit: Data = Arc::new(());
        let data = self.0.data.get().cloned().filter(|data| data.is::<U>()).unwrap_or(unit);
        data.downcast().unwrap_or_else(|_| unreachable!("sockets are typed by their data"))
    }

    /// The socket's id: 20 characters, unique among all sockets. It is public: events can be emitted
    /// [to](crate::socketio::Namespace::to) it. It is another one than the id of the session.
    pub fn id(&self) -> &str {
        &self.0.sid
    }

    /// The name of the socket's namespace.
    pub fn namespace(&self) -> &str {
        &self.0.namespace
    }

    /// What the client brought when it connected.
    pub fn handshake(&self) -> &Handshake {
        &self.0.handshake
    }

    /// The transport that the session has now.
    pub fn transport(&self) -> Transport {
        self.0.handle.transport()
    }

    /// The id of the session, which is the id of Engine.IO. It is a secret: a request with it acts for the session.
    pub fn session_id(&self) -> &str {
        self.0.handle.sid()
    }

    /// The revision of Engine.IO that the client speaks, always 4.
    pub fn protocol(&self) -> u8 {
        self.0.handle.protocol()
    }

    /// Whether the client is connected: false during its admission, and once either side has disconnected it.
    pub fn is_connected(&self) -> bool {
        self.0.phase.get() == Phase::Connected
    }

    /// Whether the client was lost and came back as this socket, with its id, its data, its rooms and the events that it
    /// missed (connection state recovery).
    pub fn is_recovered(&self) -> bool {
        self.0.was_recovered
    }

    /// The value that the worker's routes were given, if it has this type.
    /// See [`Server::routes_with`](crate::socketio::Server::routes_with).
    pub fn state<T: Any>(&self) -> Option<&T> {
        self.0.handle.state()?.downcast_ref()
    }

    /// Keeps a value for this socket on its thread, unlike [`data`](Self::data), which other threads may see. It replaces
    /// the one before, and is dropped when the socket has left and its handlers of that are done. Nothing is kept later.
    pub fn set_local_data<T: Any>(&self, value: T) {
        if self.0.local.is_closed() {
            return;
        }
        let former = self.0.local_data.replace(Some(Rc::new(value)));
        drop(former);
    }

    /// The value that [`set_local_data`](Self::set_local_data) keeps, if it has this type.
    pub fn local_data<T: Any>(&self) -> Option<Rc<T>> {
        self.0.local_data.borrow().clone()?.downcast().ok()
    }

    /// Disconnects the client from the namespace. With `close`, the whole session ends, with all its namespaces.
    pub fn disconnect(&self, close: bool) {
        match self.0.phase.get() {
            Phase::Connected | Phase::Leaving if !self.0.is_leaving.get() => {
                self.0.phase.set(Phase::Leaving);
                self.0.was_put_out.set(true);
                self.untyped().behind_events(0, move |socket| socket.send_away(close));
            }
            Phase::Joining | Phase::Connected | Phase::Leaving => self.untyped().send_away(close),
            Phase::SentAway | Phase::Gone => {}
        }
    }

    /// Whether packets to the client are written.
    fn is_reachable(&self) -> bool {
        matches!(self.0.phase.get(), Phase::Connected | Phase::Leaving)
    }

    /// Writes a packet with its attachments to the client, unless it has left.
    fn send(&self, packet: ServerPacket<'_>, attachments: &[Bytes]) {
        if !self.is_reachable() {
            return;
        }
        self.0.handle.packet(packet.to_message(&self.0.namespace));
        for attachment in attachments {
            self.0.handle.binary(attachment.clone());
        }
    }

    /// Writes a packet with its attachments to the client, which no WebSocket compresses, unless it has left.
    fn send_uncompressed(&self, packet: ServerPacket<'_>, attachments: &[Bytes]) {
        if self.is_reachable() {
            self.0.handle.packet_uncompressed(packet.to_message(&self.0.namespace));
            attachments.iter().for_each(|attachment| self.0.handle.binary_uncompressed(attachment.clone()));
        }
    }

    /// Does something once the client has been told that it is connected: now, if it has.
    fn once_connected(&self, action: impl FnOnce(&Socket) + 'static) {
        match self.0.phase.get() {
            Phase::Joining => self.0.waiting.borrow_mut().push(Box::new(action)),
            Phase::Connected => action(&self.untyped()),
            Phase::Leaving | Phase::SentAway | Phase::Gone => {}
        }
    }
}

impl<U> fmt::Debug for Socket<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket").field("namespace", &self.0.namespace).finish_non_exhaustive()
    }
}
