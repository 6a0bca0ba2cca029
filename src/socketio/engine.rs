//! A Socket.IO server at one address: starts its sessions, and has the rooms of its sockets.

use std::{
    fmt,
    ops::Deref,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::sync::oneshot;

use super::{
    Carried, Visitor,
    cluster::Order,
    desk::Desk,
    gate::Gate,
    ids::IdError,
    link::Incoming,
    registry::{Registry, Reserved, Sid},
    requests::Entry,
    rooms::{InCluster, RoomServer},
    session::SocketIoSession,
    settings::EngineSettings,
    transport::Transport,
};
use crate::{
    broadcast::{AddWorker, EndBroadcasts, FanOut, Outlets},
    connection::{Budget, Intake, lease::report_counts},
    domain::WorkerId,
    logging,
    metrics::Metrics,
    parts::{Mailbox, Parts, Seconds},
    protocol::engineio,
};

/// All sessions at one address, on all workers, and the rooms of their sockets.
pub(crate) struct Engine {
    registry: Arc<Registry>,
    /// Started at first use.
    room_server: Arc<OnceLock<Mailbox<RoomServer>>>,
    /// The cluster that the server is part of, if it is.
    cluster: OnceLock<InCluster>,
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
    pub(crate) fn new(
        settings: EngineSettings,
        metrics: Arc<Metrics>,
        budget: Arc<Budget>,
        parts: Arc<Parts>,
    ) -> Arc<Self> {
        let registry = Registry::new(settings, metrics, budget);
        Arc::new(Self {
            registry,
            room_server: Arc::default(),
            cluster: OnceLock::new(),
            parts,
            desks: AtomicUsize::new(0),
        })
    }

    /// What the sessions share.
    pub(super) fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// The room server. The first call starts it on its own thread.
    pub(crate) fn room_server(&self) -> &Mailbox<RoomServer> {
        self.room_server.get_or_init(|| {
            self.parts.start_counted("socketio-rooms", |supervisor, waiting| {
                let cluster = self.cluster.get().cloned();
                RoomServer::new(self.settings.rooms, self.budget(), supervisor, waiting, cluster)
            })
        })
    }

    /// The place of the room server, which is empty until it is started.
    pub(super) fn place_of_rooms(&self) -> Arc<OnceLock<Mailbox<RoomServer>>> {
        Arc::clone(&self.room_server)
    }

    /// The shared parts of the process.
    pub(super) fn parts(&self) -> &Arc<Parts> {
        &self.parts
    }

    /// Has the server be part of a cluster, before the room server is started.
    pub(super) fn join_cluster(&self, cluster: InCluster) {
        // A server is part of one cluster, and this is called once.
        let _ = self.cluster.set(cluster);
    }

    /// Whether the cluster keeps lost sockets.
    pub(super) fn keeps_sessions(&self) -> bool {
        self.cluster.get().is_some_and(|cluster| cluster.adapter.keeps_sessions())
    }

    /// Leaves the cluster behind all that was said before. Ready when the others have been told.
    pub(super) async fn leave_cluster(&self) {
        let Some(cluster) = self.cluster.get() else {
            return;
        };
        // What sockets have said before is behind this message.
        self.end_broadcasts().await;
        let (done, ended) = oneshot::channel();
        cluster.adapter.order(Order::Stop { done });
        // The adapter drops it at its end.
        let _ = ended.await;
    }

    /// Waits until all events that were emitted before are on their way to the fan-outs.
    pub(crate) async fn end_broadcasts(&self) {
        if let Some(room_server) = self.room_server.get() {
            // A room server that has ended has nothing to send.
            let _ = room_server.address().send(EndBroadcasts).await;
        }
    }

    /// Adds a worker with its own fan-out to the room server. Call once per worker, on its thread.
    pub(crate) fn desk(&self) -> Desk {
        let outlets = Outlets::default();
        let name = format!("socketio-fan-out-{}", self.desks.load(Ordering::Relaxed));
        let before_cut = self.settings.stall_timeout;
        let fanout = FanOut::start(&self.parts, name, before_cut, outlets.clone(), Arc::clone(&self.metrics));
        Seconds::start(&self.parts, each_second);
        self.desk_at(fanout, outlets)
    }

    /// Adds a worker whose fan-out takes the outlets of its sockets from `outlets`.
    pub(crate) fn desk_at(&self, fanout: Mailbox<FanOut>, outlets: Outlets) -> Desk {
        let worker = WorkerId(self.desks.fetch_add(1, Ordering::Relaxed));
        let room_server = self.room_server().clone();
        room_server.do_send(AddWorker { worker, fanout: Arc::new(fanout) });
        Desk { room_server, worker, outlets, max_pending_acks: self.settings.max_pending_acks }
    }

    /// Starts a polling session. Returns its id and its first packets, the response to the first request.
    ///
    /// # Errors
    /// The session has no id.
    pub(crate) fn begin_polling(
        &self,
        carried: Box<dyn Carried>,
        visitor: Visitor,
    ) -> Result<(Sid, String), IdError> {
        let reserved = self.registry.reserve(&visitor.request)?;
        let sid = Arc::clone(reserved.sid());
        let mut payload = self.open_packet(&sid, Transport::Polling);
        if let Some(packet) = self.settings.first_message() {
            engineio::push_text(&mut payload, &packet);
        }
        self.start(reserved, None, carried, visitor);
        Ok((sid, payload))
    }

    /// Starts a session on a WebSocket, on which its first packets are queued.
    pub(super) fn start_on_websocket(
        &self,
        reserved: Reserved,
        incoming: Incoming,
        carried: Box<dyn Carried>,
        visitor: Visitor,
    ) {
        self.start(reserved, Some(incoming), carried, visitor);
    }

    /// Starts a session: on a WebSocket, or polling.
    fn start(
        &self,
        reserved: Reserved,
        incoming: Option<Incoming>,
        carried: Box<dyn Carried>,
        visitor: Visitor,
    ) {
        let sid = Arc::clone(reserved.sid());
        let gate = Arc::new(Gate::new(Intake::new(self.settings.max_intake, self.budget())));
        gate.set_polling(incoming.is_none());
        let registry = Arc::clone(&self.registry);
        let session =
            SocketIoSession::start(registry, Arc::clone(&sid), incoming, carried, visitor, Arc::clone(&gate));
        self.registry.add(sid, Entry::new(session.recipient(), gate));
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("sessions", &self.count()).finish_non_exhaustive()
    }
}

/// What a worker without the program around it does once a second.
fn each_second() {
    report_counts();
    logging::report_left_out();
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::*;
    use crate::connection::counted;

    #[actix_web::test]
    async fn a_worker_tells_the_budget_also_the_little_that_it_has_counted() {
        let budget = Budget::new(1 << 20);
        let settings = EngineSettings::default();
        let engine = Engine::new(settings, Arc::default(), Arc::clone(&budget), Arc::default());
        let _desk = engine.desk();
        let bytes = counted(BytesMut::zeroed(100), &budget);
        assert_eq!(budget.used(), 0);
        // The worker's first report is a task that has been spawned.
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        assert!(budget.used() >= 100);
        drop(bytes);
    }
}
