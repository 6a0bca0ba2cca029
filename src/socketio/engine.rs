//! A Socket.IO server at one address: starts its sessions, and has the rooms of its sockets.

use std::{
    fmt,
    ops::Deref,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytestring::ByteString;

use super::{
    Carried, Visitor,
    desk::Desk,
    emitter::Emitter,
    gate::Gate,
    link::Incoming,
    namespaces::Namespaces,
    registry::{Registry, Sid},
    requests::Entry,
    rooms::{RoomServer, messages::NamespaceEmptied},
    session::SocketIoSession,
    settings::EngineSettings,
};
use crate::{
    broadcast::{AddWorker, EndBroadcasts, FanOut, Outlets},
    connection::{Budget, Intake},
    domain::WorkerId,
    metrics::Metrics,
    parts::{Mailbox, Parts},
};

/// All sessions at one address, on all workers, and the rooms of their sockets.
pub struct Engine {
    registry: Arc<Registry>,
    /// Started at first use.
    room_server: OnceLock<Mailbox<RoomServer>>,
    emptied: Arc<OnceLock<NamespaceEmptied>>,
    parts: Arc<Parts>,
    desks: AtomicUsize,
}

impl Deref for Engine {
    type Target = Registry;

    fn deref(&self) -> &Registry {
        &self.registry
    }
}

impl Engine {
    /// Creates an engine without sessions. Input that is not dealt with, and output that waits, are charged to `budget`. The
    /// engine's actors are registered in `parts`.
    pub fn new(
        settings: EngineSettings,
        metrics: Arc<Metrics>,
        budget: Arc<Budget>,
        parts: Arc<Parts>,
    ) -> Arc<Self> {
        let registry = Registry::new(settings, metrics, budget);
        Arc::new(Self {
            registry,
            room_server: OnceLock::new(),
            emptied: Arc::default(),
            parts,
            desks: AtomicUsize::new(0),
        })
    }

    /// Has `emptied` called with the name of each namespace that has become empty: it has no sockets, and no client can
    /// recover one. It is called on the thread of the room server, so it must be short and must not wait. A
    /// socket may be on its way into the namespace meanwhile. Ignored after the first call.
    pub fn when_emptied(&self, emptied: impl Fn(&str) + Send + Sync + 'static) {
        // Only the first one is called.
        let _ = self.emptied.set(Box::new(emptied));
    }

    /// What the sessions share.
    pub(super) fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// The room server. The first call starts it on its own thread.
    pub fn room_server(&self) -> &Mailbox<RoomServer> {
        self.room_server.get_or_init(|| {
            let emptied = Arc::clone(&self.emptied);
            self.parts.start_counted("socketio-rooms", |supervisor, waiting| {
                RoomServer::new(self.settings.rooms, self.budget(), supervisor, waiting, emptied)
            })
        })
    }

    /// Waits until all events that were emitted before are on their way to the fan-outs.
    pub(crate) async fn end_broadcasts(&self) {
        if let Some(room_server) = self.room_server.get() {
            // A room server that has ended has nothing to send.
            let _ = room_server.address().send(EndBroadcasts).await;
        }
    }

    /// Emits to the sockets of a namespace from any thread: to all sockets, or to some rooms.
    pub fn namespace(&self, name: impl Into<ByteString>) -> Emitter {
        Emitter::new(self.room_server().clone(), name.into())
    }

    /// Adds a worker with its own fan-out to the room server. Call once per worker, on its thread.
    pub fn desk(&self) -> Desk {
        let outlets = Outlets::default();
        let name = format!("socketio-fan-out-{}", self.desks.load(Ordering::Relaxed));
        let before_cut = self.settings.stall_timeout;
        let fanout = FanOut::start(&self.parts, name, before_cut, outlets.clone(), Arc::clone(&self.metrics));
        self.desk_at(fanout, outlets)
    }

    /// Adds a worker whose fan-out takes the outlets of its sockets from `outlets`.
    pub fn desk_at(&self, fanout: Mailbox<FanOut>, outlets: Outlets) -> Desk {
        let worker = WorkerId(self.desks.fetch_add(1, Ordering::Relaxed));
        let room_server = self.room_server().clone();
        room_server.do_send(AddWorker { worker, fanout: Arc::new(fanout) });
        Desk { room_server, worker, outlets }
    }

    /// Starts a polling session. Returns the open packet, the response to the first request.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub fn begin_polling(
        &self,
        carried: Box<dyn Carried>,
        visitor: Visitor,
    ) -> Result<String, getrandom::Error> {
        let (sid, open) = self.open_packet(&["websocket"])?;
        self.start(sid, None, carried, visitor);
        Ok(open)
    }

    /// Starts a session on a WebSocket, on which its open packet is queued.
    pub(super) fn start_on_websocket(
        &self,
        sid: Sid,
        incoming: Incoming,
        carried: Box<dyn Carried>,
        visitor: Visitor,
    ) {
        self.start(sid, Some(incoming), carried, visitor);
    }

    /// Starts a session: on a WebSocket, or polling.
    fn start(&self, sid: Sid, incoming: Option<Incoming>, carried: Box<dyn Carried>, visitor: Visitor) {
        let gate = Arc::new(Gate::new(Intake::new(self.settings.max_intake, self.budget())));
        gate.set_polling(incoming.is_none());
        let registry = Arc::clone(&self.registry);
        let session =
            SocketIoSession::start(registry, Arc::clone(&sid), incoming, carried, visitor, Arc::clone(&gate));
        self.registry.add(sid, Entry::new(session.recipient(), gate));
    }
}

impl Namespaces {
    /// Returns a factory of [`Carried`] for the sessions of `engine` on this worker. Call once per worker, on its thread.
    pub fn carried(self, engine: &Engine) -> impl Fn() -> Box<dyn Carried> + 'static {
        self.carried_at(engine, engine.desk())
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("sessions", &self.count()).finish_non_exhaustive()
    }
}
