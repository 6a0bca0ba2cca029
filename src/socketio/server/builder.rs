//! The settings of a server.

use std::{sync::Arc, time::Duration};

use super::{Server, Shared};
use crate::{
    config::{NetworkError, Switch},
    connection::{Budget, rate::RateLimit},
    metrics::Metrics,
    protocol::socketio::Limits,
    socketio::{
        ByteString, Cookie, Cors, EngineHandler, EngineServer, GenerateId, Hooks, Origins, Request,
        Transport,
        door::Policy,
        engine::Engine,
        namespace::{Bounds, Core, Table},
        redis_options::Redis,
        settings::{self, EngineSettings, SettingsError},
    },
};

/// Memory in bytes for what clients sent and what waits for them, without a setting.
const MEMORY: usize = 256 << 20;

/// Namespaces of one client at a time, without a setting.
const MAX_NAMESPACES: usize = 100;

/// The most that makes sense for that.
const MOST_MEMORY: usize = 1 << 46;

/// Namespaces of dynamic ones at a time, without a setting.
const MAX_CHILDREN: usize = 10_000;

/// The settings of a [`Server`], each with the default of the reference server where it has one.
#[derive(Clone, Debug)]
#[must_use = "a builder is not a server"]
pub struct Builder {
    pub(super) engine: EngineSettings,
    pub(super) policy: Policy,
    node_name: Option<String>,
    path: String,
    limits: Limits,
    memory: usize,
    children: Bounds,
    skips_admission: bool,
    max_namespaces: usize,
    metrics: Option<Arc<Metrics>>,
    pub(super) redis: Option<Redis>,
}

/// Connection state recovery: a client that was lost and comes back in time has its id, its data, its rooms, and the events
/// that it missed.
#[derive(Clone, Debug)]
pub struct Recovery {
    /// How long a lost client is waited for. Default: 2 minutes.
    pub max_disconnection_duration: Duration,
    /// Bytes of events that are kept for lost clients, of each namespace. Default: 16 MiB.
    pub max_bytes: usize,
    /// Lost clients that are waited for, of each namespace. Default: 10,000.
    pub max_sockets: usize,
    /// Whether a recovered client is neither [admitted](super::Namespace::admit) nor seen by
    /// [middlewares](super::Namespace::middleware) again. Where servers keep lost sockets together, a namespace with an
    /// admission needs [`share_data`](super::Namespace::share_data) for that. Default: true.
    pub skip_middlewares: bool,
}

impl Default for Recovery {
    fn default() -> Self {
        Self {
            max_disconnection_duration: Duration::from_secs(120),
            max_bytes: 16 << 20,
            max_sockets: 10_000,
            skip_middlewares: true,
        }
    }
}

impl Default for Builder {
    fn default() -> Self {
        let mut engine = EngineSettings::default();
        engine.rooms.recovery.window = Duration::ZERO;
        Self {
            engine,
            policy: Policy::default(),
            node_name: None,
            path: "/socket.io".to_owned(),
            limits: Limits::default(),
            memory: MEMORY,
            children: Bounds { max_children: MAX_CHILDREN, removes_empty: true },
            skips_admission: true,
            max_namespaces: MAX_NAMESPACES,
            metrics: None,
            redis: None,
        }
    }
}

impl Builder {
    // ----- where, and for whom -----

    /// The path: letters and digits of ASCII, and `-._~!$&'()*+,;=:@/`. Default: `/socket.io`.
    pub fn path(mut self, path: &str) -> Self {
        self.path = format!("/{}", path.trim_matches('/'));
        self
    }

    /// The pages that may begin a session, over either transport. Default: pages of this server
    /// ([`Origins::Same`]).
    pub fn origins(mut self, origins: Origins) -> Self {
        self.policy.origins = origins;
        self
    }

    /// The pages of other origins that may read answers over polling. Default: none.
    pub fn cors(mut self, cors: Cors) -> Self {
        self.policy.cors = cors;
        self
    }

    /// The program's code around HTTP requests: whether a request may begin a session, more headers of responses, and news
    /// of refused requests. Default: none.
    pub fn hooks(mut self, hooks: Hooks) -> Self {
        self.engine.hooks = hooks;
        self
    }

    /// The transports that clients may use. Default: both.
    pub fn transports(mut self, transports: impl IntoIterator<Item = Transport>) -> Self {
        self.engine.transports = transports.into_iter().collect();
        self
    }

    /// Whether clients that poll are told that they may upgrade to a WebSocket. Default: true.
    pub fn allow_upgrades(mut self, is_on: bool) -> Self {
        self.engine.allow_upgrades = is_on;
        self
    }

    /// A cookie with the id of the session, for balancers that send all requests of one session to one server. Default:
    /// none.
    pub fn cookie(mut self, cookie: Cookie) -> Self {
        self.engine.cookie = Some(cookie);
        self
    }

    /// The name of this server among several: 4 characters of letters and digits of ASCII, `-` and `_`. The ids of its sessions
    /// begin with it, unless [`generate_id`](Self::generate_id) makes them, so that a proxy can send each request of a client
    /// that polls to the server that has its session. Default: a random name.
    pub fn node_name(mut self, name: impl Into<String>) -> Self {
        self.node_name = Some(name.into());
        self
    }

    /// Makes the ids of sessions. An id must be hard to guess: a request with it acts for the session. Default: 20
    /// characters, 96 bits of them random.
    pub fn generate_id(mut self, generate: impl Fn(&Request) -> String + Send + Sync + 'static) -> Self {
        self.engine.generate_id = Some(GenerateId::new(generate));
        self
    }

    /// A text message of Engine.IO that each client gets first. Clients of Socket.IO expect none. Default: none.
    pub fn initial_packet(mut self, message: impl Into<ByteString>) -> Self {
        self.engine.initial_packet = Some(message.into());
        self
    }

    /// Compresses answers to polls of at least so many bytes with gzip, for clients that accept it; `None` for never.
    /// Default: from 1,024 bytes.
    pub fn http_compression(mut self, from_bytes: Option<usize>) -> Self {
        self.engine.http_compression = if from_bytes.is_some() { Switch::On } else { Switch::Off };
        self.engine.http_compression_threshold = from_bytes.unwrap_or(self.engine.http_compression_threshold);
        self
    }

    /// Whether messages on WebSockets are compressed (permessage-deflate, RFC 7692), for clients that offer it and from
    /// 1,024 bytes on. Default: false, as it costs CPU time and memory.
    pub fn per_message_deflate(mut self, is_on: bool) -> Self {
        self.engine.per_message_deflate = if is_on { Switch::On } else { Switch::Off };
        self
    }

    /// Time in which the body of a post must arrive; longer bodies may take longer. Default: 20 seconds.
    pub fn body_timeout(mut self, timeout: Duration) -> Self {
        self.policy.body_timeout = timeout;
        self
    }

    /// Time in which a polling client must make its second request. Default: 10 seconds.
    pub fn polling_open_timeout(mut self, timeout: Duration) -> Self {
        self.engine.polling_open_timeout = timeout;
        self
    }

    /// Time in which a connection must finish its last writes before it is cut. Default: 20 seconds.
    pub fn stall_timeout(mut self, timeout: Duration) -> Self {
        self.engine.stall_timeout = timeout;
        self
    }

    /// Whether the server has the project's client script, at `socket.io.js` below its path. Default: true.
    pub fn serve_client(mut self, is_on: bool) -> Self {
        self.policy.serve_client = if is_on { Switch::On } else { Switch::Off };
        self
    }

    /// Networks of proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` headers count, such as `10.0.0.0/8`. Default:
    /// none.
    ///
    /// # Errors
    /// A text is not a network. The message has it.
    pub fn trusted_proxies<T: AsRef<str>>(
        mut self,
        networks: impl IntoIterator<Item = T>,
    ) -> Result<Self, NetworkError> {
        let networks = networks.into_iter().map(|network| network.as_ref().parse());
        self.policy.trusted_proxies = networks.collect::<Result<_, _>>()?;
        Ok(self)
    }

    // ----- heartbeats and timeouts -----

    /// Time between pings. Default: 25 seconds.
    pub fn ping_interval(mut self, interval: Duration) -> Self {
        self.engine.ping_interval = interval;
        self
    }

    /// Time in which a client must answer a ping. Default: 20 seconds.
    pub fn ping_timeout(mut self, timeout: Duration) -> Self {
        self.engine.ping_timeout = timeout;
        self
    }

    /// Time in which an upgrade to a WebSocket must finish. Default: 10 seconds.
    pub fn upgrade_timeout(mut self, timeout: Duration) -> Self {
        self.engine.upgrade_timeout = timeout;
        self
    }

    /// Time in which a client must join a namespace. Default: 45 seconds.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.engine.connect_timeout = timeout;
        self
    }

    // ----- recovery and dynamic namespaces -----

    /// Switches connection state recovery on. Default: off.
    pub fn connection_state_recovery(mut self, recovery: Recovery) -> Self {
        let Recovery { max_disconnection_duration, max_bytes, max_sockets, skip_middlewares } = recovery;
        let limits = &mut self.engine.rooms.recovery;
        (limits.window, limits.bytes, limits.sockets) = (max_disconnection_duration, max_bytes, max_sockets);
        self.skips_admission = skip_middlewares;
        self
    }

    /// Whether a namespace of a [dynamic](Server::dynamic) one is removed when its last client leaves. Default: true,
    /// unlike the reference, because clients choose the names.
    pub fn cleanup_empty_child_namespaces(mut self, is_on: bool) -> Self {
        self.children.removes_empty = is_on;
        self
    }

    /// Namespaces of dynamic ones at a time; clients beyond are refused. Default: 10,000.
    pub fn max_child_namespaces(mut self, max: usize) -> Self {
        self.children.max_children = max;
        self
    }

    /// Namespaces that one client may be connected to at a time; it is refused at the next one. Default: 100.
    pub fn max_namespaces_per_client(mut self, max: usize) -> Self {
        self.max_namespaces = max;
        self
    }

    // ----- bounds -----

    /// Largest message or payload in bytes that a client may send (`maxHttpBufferSize`). Default: 1,000,000.
    pub fn max_payload(mut self, bytes: usize) -> Self {
        self.engine.max_payload = bytes;
        self.limits.attachment_bytes = bytes;
        self
    }

    /// Largest message in bytes before a client is connected to a namespace. Default: 65,536.
    pub fn max_payload_before_connect(mut self, bytes: usize) -> Self {
        self.engine.max_unknown = bytes;
        self
    }

    /// Binary values in one event or ack (`maxAttachments`). Default: 10.
    pub fn max_attachments(mut self, max: usize) -> Self {
        self.limits.attachments = max;
        self
    }

    /// Bytes that may wait for a client; one that is behind by more is ended (`slow consumer`). Default: 1 MiB.
    pub fn max_waiting_bytes(mut self, bytes: usize) -> Self {
        self.engine.max_waiting = bytes;
        self
    }

    /// Bytes of a client's events that may be in the hands of handlers or on their way to others; then no more is read from
    /// it. Default: 262,144.
    pub fn max_unhandled_bytes(mut self, bytes: usize) -> Self {
        self.engine.max_intake = bytes;
        self
    }

    /// Answers that the server waits for of one client; [`emit_with_ack`](crate::socketio::Socket::emit_with_ack) fails beyond.
    /// Default: 1,024.
    pub fn max_pending_acks(mut self, max: usize) -> Self {
        self.engine.max_pending_acks = max;
        self
    }

    /// Frames in one WebSocket message. Default: 1,024.
    pub fn max_fragments(mut self, max: usize) -> Self {
        self.engine.max_fragments = max;
        self
    }

    /// Ended sessions that are kept for polling clients that have not learned of the end; one more drops the oldest.
    /// Default: 1,000.
    pub fn max_ended_sessions(mut self, max: usize) -> Self {
        self.engine.max_ended_sessions = max;
        self
    }

    /// Rooms at a time, in all namespaces together. Default: 10,000.
    pub fn max_rooms(mut self, max: usize) -> Self {
        self.engine.rooms.max_rooms = max;
        self
    }

    /// Bytes of all clients together that may wait in the server, at least twice `max_payload`: incomplete messages and what
    /// waits for clients may take three quarters of them, events that are not handled yet one quarter. Default: 256 MiB.
    pub fn memory(mut self, bytes: usize) -> Self {
        self.memory = bytes;
        self
    }

    /// Packets of a client without a meaning, such as acks that nothing waits for: `per_second` in the long run, and
    /// `burst` at once; more than that for 10 seconds ends the session (`flood`). `None` for no bound. Default: 30 and 60.
    pub fn max_idle_packets(mut self, limit: Option<(f64, f64)>) -> Self {
        let patience = Duration::from_secs(10);
        self.engine.rate = limit.map(|(rate, burst)| RateLimit { rate, burst, patience });
        self
    }

    // ----- the end -----

    /// Makes the server.
    ///
    /// # Panics
    /// A setting is wrong, alone or with another one. [`try_build`](Self::try_build) returns the error instead.
    pub fn build(self) -> Server {
        match self.try_build() {
            Ok(server) => server,
            Err(error) => panic!("the settings of a Socket.IO server are wrong: {error}"),
        }
    }

    /// Makes the server.
    ///
    /// # Errors
    /// A setting is wrong, alone or with another one. The message names it.
    pub fn try_build(self) -> Result<Server, SettingsError> {
        let engine = self.engine()?;
        self.on(engine)
    }

    /// Makes a server of Engine.IO sessions without Socket.IO on them. Settings of Socket.IO have no effect.
    ///
    /// # Errors
    /// A setting is wrong, alone or with another one. The message names it.
    pub fn build_engine(self, handler: impl EngineHandler) -> Result<EngineServer, SettingsError> {
        let engine = self.engine()?;
        Ok(EngineServer::new(engine, self.policy, self.path, Arc::new(handler)))
    }

    fn engine(&self) -> Result<Arc<Engine>, SettingsError> {
        self.engine.check()?;
        self.policy.check()?;
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/".contains(&byte);
        if !self.path.bytes().all(is_allowed) {
            return Err(SettingsError::Path(self.path.clone()));
        }
        // An incomplete message may take three quarters of it.
        settings::number("memory", self.memory, 2 * self.engine.max_payload..=MOST_MEMORY)?;
        settings::number("max_child_namespaces", self.children.max_children, 1..=MAX_CHILDREN * 100)?;
        settings::number("max_namespaces_per_client", self.max_namespaces, 1..=1_000_000)?;
        settings::number("max_attachments", self.limits.attachments, 0..=1_000_000)?;
        self.redis.as_ref().map(Redis::check).transpose()?;
        let metrics = self.metrics.clone().unwrap_or_default();
        // A quarter for input that is not dealt with, as the program has it.
        let budget = Budget::with(self.memory, self.memory / 4);
        let mut engine = self.engine.clone();
        if let Some(name) = &self.node_name {
            engine.node = Some(name.parse()?);
        }
        Ok(Engine::new(engine, metrics, budget, Arc::default()))
    }

    /// Makes the server on an engine that exists.
    ///
    /// # Errors
    /// A setting of Redis is wrong, or the system cannot start the thread for it.
    pub(super) fn on(self, engine: Arc<Engine>) -> Result<Server, SettingsError> {
        let table = Arc::new(Table::new(self.children, !engine.settings.rooms.recovery.window.is_zero()));
        #[cfg(feature = "redis")]
        if let Some(redis) = &self.redis {
            let (settings, options) = redis.check()?;
            let started = crate::socketio::adapter::start::start(settings, options, &engine, &table);
            let figures = started.map_err(|error| SettingsError::Adapter(error.to_string()))?;
            engine.metrics.watch_socketio_redis(move || figures.shown());
        }
        Ok(Server(Arc::new(Shared {
            rate: engine.settings.rate,
            core: Core { engine, table },
            policy: self.policy,
            path: self.path,
            limits: self.limits,
            skips_admission: self.skips_admission,
            max_namespaces: self.max_namespaces,
        })))
    }
}
