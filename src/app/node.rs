//! The node: the state shared by the workers of one process.

use std::{
    fs::File,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use actix_web::{rt, web};
use log::warn;
use tokio::sync::mpsc;

use super::descriptors::Room;
use super::{JournalStartError, StartError, sharing, socketio_server};
use crate::{
    broadcast::{DismissAll, FanOut, Outlets, ToFanOut},
    chat::{AvatarStore, ChatLimits, IdLimits, ShardId, Unstarted},
    config::{JournalKind, Settings, check::AVATARS_SHARE},
    connection::{Budget, LINGER, admission::Admission, connections::Connections, lease::report_counts},
    domain::WorkerId,
    journal::{
        Journal, Records, Retention,
        memory::MemoryJournal,
        sqlite::{self, SqliteJournal},
    },
    metrics::{Metrics, RedisFigures, Usage},
    nodes::{
        contract::Link,
        redis::link_thread::{RedisLink, Status},
    },
    parts::{Parts, Seconds},
    routes::host::Hosts,
    session::{Worker, lesson::Lessons},
    socketio::Server,
};

/// Interval of the checks whether all sessions have ended.
const DRAIN_STEP: Duration = Duration::from_millis(10);

/// Minimum time for closing the journal.
const MIN_JOURNAL_PATIENCE: Duration = Duration::from_secs(2);

/// The state shared by all workers of the process, with their one chat server.
///
/// [`Application`](super::Application) creates a node; another host of the routes, such as actix's test
/// server, creates its own.
#[derive(Debug)]
pub struct Node {
    pub(super) settings: Arc<Settings>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) parts: Arc<Parts>,
    pub(super) budget: Arc<Budget>,
    pub(super) admission: Arc<Admission>,
    pub(super) connections: Arc<Connections>,
    journal: Arc<dyn Journal>,
    /// The link to other nodes, if the rooms are shared with those.
    link: Option<RedisLink>,
    avatars: Arc<AvatarStore>,
    pub(super) io: Server,
    pub(super) lessons: Arc<Lessons>,
    pub(super) hosts: Arc<Hosts>,
    pub(super) chat: Unstarted,
    /// How many workers will be started, if that is known.
    workers: Option<usize>,
    pub(super) owner_key: Arc<OnceLock<String>>,
    /// The key file: its lock shows that this server runs.
    pub(super) key_file: OnceLock<File>,
    workers_started: AtomicUsize,
}

impl Node {
    /// Creates a node without workers.
    ///
    /// # Errors
    /// A setting is invalid, or the journal cannot be used.
    pub fn new(settings: Settings) -> Result<Self, StartError> {
        let room = Room::of(&settings, u64::MAX);
        Self::with_room(settings, room, None)
    }

    /// Creates a node for the connections of `room`, which may be fewer than the settings allow, and for this
    /// number of workers, if it is known.
    pub(super) fn with_room(
        mut settings: Settings,
        room: Room,
        workers: Option<usize>,
    ) -> Result<Self, StartError> {
        settings.check()?;
        let sharing = sharing::sharing(&settings)?;
        // The ids of Socket.IO sessions begin with it.
        settings.nodes.node = sharing.map(|sharing| sharing.node).or(settings.nodes.node);
        let budget = Budget::with(settings.max_memory().get(), settings.limits.max_intake_total.get());
        let metrics = Arc::new(Metrics::new());
        let parts = Arc::new(Parts::new(settings.operation.max_restarts));
        let shards = settings.listen.shard_count();
        let chat = Unstarted::new(chat_limits(&settings), Arc::clone(&budget), shards, sharing);
        let journal = open_journal(&settings, &parts)?;
        let link = match sharing {
            Some(sharing) => sharing::start(&settings, sharing, chat.shards().clone(), &parts)?,
            None => None,
        };
        let admission = Admission::of(&settings);
        let node = Self {
            journal,
            link,
            avatars: Arc::new(AvatarStore::new(settings.events.avatar_bytes.get())),
            io: socketio_server::of(&settings, &metrics, &budget, &parts, &admission)?,
            parts,
            budget,
            admission,
            connections: Connections::new(
                room.connections,
                settings.connections.max_connections_per_address,
                settings.admission.trusted_proxy.clone(),
                room.surplus,
            ),
            lessons: Lessons::new(
                settings.lessons.max_lessons.get(),
                settings.lessons.max_lessons_per_address,
            ),
            hosts: Arc::new(Hosts::of(&settings, Arc::clone(&metrics))),
            settings: Arc::new(settings),
            metrics,
            chat,
            workers,
            owner_key: Arc::default(),
            key_file: OnceLock::new(),
            workers_started: AtomicUsize::new(0),
        };
        node.watch_usage();
        node.watch_redis();
        let parts = Arc::clone(&node.parts);
        node.metrics.watch_parts(move || (parts.restarts(), parts.depths()));
        Ok(node)
    }

    /// Registers the state of the link to other nodes for `/metrics`.
    fn watch_redis(&self) {
        if let (Some(link), Some(node)) = (self.link.clone(), self.settings.nodes.node) {
            self.metrics.watch_redis(move || {
                let Status { is_up, partitions, losses, .. } = link.status();
                RedisFigures { node: node.to_string(), is_up, partitions, losses }
            });
        }
    }

    /// Registers the usage of each bound for `/health` and `/metrics`.
    fn watch_usage(&self) {
        let usage = |what, used: usize, bound: usize, needed: usize| Usage {
            what,
            used: used as u64,
            bound: bound as u64,
            needed: needed as u64,
        };
        let (admission, max_sessions) =
            (Arc::clone(&self.admission), self.settings.admission.max_sessions.get());
        self.metrics.watch(move || usage("sessions", admission.sessions(), max_sessions, 1));
        let connections = Arc::clone(&self.connections);
        self.metrics.watch(move || usage("connections", connections.used(), connections.bound(), 1));
        let (rooms, max_rooms) =
            (self.metrics.kept_rooms_gauge(), self.settings.rooms.max_rooms.get() as u64);
        self.metrics.watch(move || Usage {
            what: "rooms",
            used: rooms.get().unsigned_abs(),
            bound: max_rooms,
            needed: 0,
        });
        let (budget, largest) = (Arc::clone(&self.budget), self.settings.largest_message().get());
        self.metrics
            .watch(move || usage("memory", budget.used(), budget.bound(), Budget::needed_for(largest)));
        let (budget, most) = (Arc::clone(&self.budget), self.settings.limits.max_intake_total.get());
        self.metrics.watch(move || usage("intake", budget.accepted(), most, 0));
        let avatars = Arc::clone(&self.avatars);
        self.metrics.watch(move || usage("avatars", avatars.used(), avatars.bound(), 0));
        if self.settings.journal.kind == JournalKind::Sqlite && self.link.is_none() {
            let (folder, bound) =
                (self.settings.journal.data_dir.clone(), self.settings.journal.max_data_size.get() as u64);
            let used = move || sqlite::size_of(&folder);
            self.metrics.watch(move || Usage { what: "disk", used: used(), bound, needed: 0 });
        }
    }

    /// Starts the actors of a worker. Must be called on the worker's own thread; the first call also starts
    /// the chat server there.
    pub fn start_worker(&self) -> web::Data<Worker> {
        let settings = &self.settings;
        let id = WorkerId(self.workers_started.fetch_add(1, Ordering::Relaxed));
        let chat = self.chat.shards().clone();
        // Who hosts the routes may start any number of workers; then all shards are on the first one's thread.
        let is_here = |ShardId(shard)| match self.workers {
            Some(workers) => shard % workers == id.0 % workers,
            None => true,
        };
        let link = self.link.clone().map(|link| Arc::new(link) as Arc<dyn Link>);
        self.chat.start(is_here, &self.journal, link.as_ref(), &self.metrics, &self.parts);
        if let (Some(link), WorkerId(0)) = (&self.link, id) {
            sharing::tell_sizes(link.clone(), chat.clone());
        }
        if let (Some(link), Some(after), WorkerId(0)) = (&self.link, settings.nodes.isolation_timeout(), id) {
            sharing::close_when_isolated(link.clone(), chat.clone(), after);
        }
        Seconds::start(&self.parts, report_counts);
        let before_cut = settings.connections.stall_timeout.get();
        let outlets = Outlets::default();
        let name = format!("fan-out-{}", id.0);
        let fanout = FanOut::start(&self.parts, name, before_cut, outlets.clone(), Arc::clone(&self.metrics));
        chat.add_worker(id, &(Arc::new(fanout.clone()) as Arc<dyn ToFanOut>));
        web::Data::new(Worker {
            id,
            chat,
            fanout,
            outlets,
            records: self.records(),
            link: self.link.clone(),
            #[cfg(test)]
            journal: Arc::clone(&self.journal),
            avatars: Arc::clone(&self.avatars),
            io: self.io.clone(),
            budget: Arc::clone(&self.budget),
            admission: Arc::clone(&self.admission),
            lessons: Arc::clone(&self.lessons),
            settings: Arc::clone(settings),
            metrics: Arc::clone(&self.metrics),
            parts: Arc::clone(&self.parts),
            owner_key: Arc::clone(&self.owner_key),
            inflater: Default::default(),
            deflaters: Default::default(),
        })
    }

    /// The history that sessions read.
    fn records(&self) -> Arc<dyn Records> {
        match &self.link {
            Some(link) => Arc::new(link.clone()),
            None => Arc::clone(&self.journal) as Arc<dyn Records>,
        }
    }

    /// Dismisses all members of rooms behind all that was said before. Waits until the deadline at most.
    async fn dismiss_all(&self, deadline: Instant) {
        let left = || deadline.saturating_duration_since(Instant::now());
        let has_ended = rt::time::timeout(left(), self.io.end_broadcasts()).await.is_ok();
        if self.workers_started.load(Ordering::Relaxed) == 0 {
            return;
        }
        let (all_told, mut told) = mpsc::channel(1);
        // Half of the time, so that the sessions can be told in the other half.
        let has_ended = has_ended & self.chat.shards().dismiss_all(DismissAll { all_told }, left() / 2).await;
        // Nothing comes: the channel ends when the last fan-out has dismissed its members.
        if rt::time::timeout(left(), told.recv()).await.is_err() || !has_ended {
            warn!("the members of rooms could not be told in time that the server stops");
        }
    }

    /// The server of Socket.IO, whose main namespace, `/`, is the chat. A program may add namespaces of its own.
    pub fn socketio(&self) -> &Server {
        &self.io
    }

    /// Rejects new sessions, closes every session with 1012, waits for their end, at most
    /// `--shutdown-timeout`, and closes the journal. An [`Application`](super::Application) does this when it
    /// is stopped; another host of the routes does it before it stops its server.
    pub async fn end_sessions(&self) {
        self.admission.drain();
        self.lessons.end_all();
        let deadline = Instant::now() + self.settings.operation.shutdown_timeout.get();
        self.dismiss_all(deadline).await;
        // Those that are in no room.
        self.io.end_all();
        let left = || self.admission.sessions() + self.io.count_finishing();
        while left() > 0 && Instant::now() < deadline {
            rt::time::sleep(DRAIN_STEP).await;
        }
        match left() {
            // The last bytes are in the kernel, or with a host's actix-http; the connections still have to be closed.
            0 => rt::time::sleep(LINGER).await,
            left => warn!("{left} sessions did not leave in time"),
        }
        if self.workers_started.load(Ordering::Relaxed) > 0 {
            let patience = deadline.saturating_duration_since(Instant::now()).max(MIN_JOURNAL_PATIENCE);
            if rt::time::timeout(patience, self.chat.shards().close_journal(patience / 2)).await.is_err() {
                warn!("the journal could not be closed in time");
            }
        }
        self.io.leave_cluster().await;
        if let Some(link) = &self.link {
            link.stop();
            link.ended().await;
        }
    }
}

fn chat_limits(settings: &Settings) -> ChatLimits {
    ChatLimits {
        max_rooms: settings.rooms.max_rooms.get(),
        max_new_rooms: settings.rooms.max_new_rooms_per_minute,
        name_hold: settings.login.name_hold.get(),
        name_reservation: settings.login.name_reservation.get(),
        max_held_names: settings.login.max_held_names.get(),
        ids: IdLimits {
            per_user: settings.journal.remembered_ids.get(),
            age: settings.journal.remember_ids_for.get(),
            total: settings.journal.max_remembered_ids.get(),
        },
        tail_bytes: settings.journal.tail_bytes.get(),
        commit_delay: settings.journal.commit_delay.get(),
    }
}

fn open_journal(settings: &Settings, parts: &Arc<Parts>) -> Result<Arc<dyn Journal>, JournalStartError> {
    let retention = Retention {
        messages: settings.journal.history.get() as u64,
        bytes: settings.journal.history_bytes.get() as u64,
        age: settings.journal.history_age.get(),
        total_bytes: settings.journal.max_data_size.get() as u64,
        names: settings.login.max_reserved_names.get() as u64,
        avatar_bytes: (settings.events.avatar_bytes.get() as u64)
            .min((settings.journal.max_data_size.get() / AVATARS_SHARE) as u64),
    };
    Ok(match settings.journal.kind {
        // Messages are kept in Redis.
        _ if settings.nodes.redis.is_some() => Arc::new(MemoryJournal::new(retention)?),
        JournalKind::Sqlite => Arc::new(SqliteJournal::open(&settings.journal.data_dir, retention, parts)?),
        JournalKind::Memory => Arc::new(MemoryJournal::new(retention)?),
    })
}
