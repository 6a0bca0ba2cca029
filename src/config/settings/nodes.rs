//! Several nodes that share their rooms by way of one Redis.

use std::{
    fmt,
    num::{NonZeroU8, NonZeroUsize},
    str::FromStr,
    time::Duration,
};

use clap::Args;

use super::{
    ByteSize, NodeName, Period, PeriodOrOff, RedisUrl, SettingError, SocketIoAdapter, SocketIoKey, Switch,
    range::{self, Bounds, MOST_BYTES_OF_ALL, MOST_OF_A_KIND},
    reading,
};

/// Window without a setting. A node heals the rooms that it has open within it; see `docs/nodes.md`.
const WINDOW: Duration = Duration::from_millis(700);

/// Lease without a setting.
const LEASE: Duration = Duration::from_secs(15);

/// Bytes of Socket.IO that may wait for Redis, without a setting.
const SOCKETIO_REDIS_BYTES: usize = 64 << 20;

/// Requests of other Socket.IO servers that are answered at a time, without a setting.
const SOCKETIO_REDIS_REQUESTS: usize = 10_000;

/// Shortest window: below this, nodes do not notice in time that Redis has begun anew.
const SHORTEST_WINDOW: Duration = Duration::from_millis(100);

/// Longest window: so long a room is silent after Redis has begun anew.
const LONGEST_WINDOW: Duration = Duration::from_secs(60);

/// Shortest lease. A node renews it three times within it, and a second is what a busy machine may lose.
const SHORTEST_LEASE: Duration = Duration::from_secs(3);

/// Longest lease: so long the users of a node that died seem to be there.
const LONGEST_LEASE: Duration = Duration::from_secs(3600);

/// Most replicas to wait for.
const MOST_REPLICAS: u8 = 16;

/// How several nodes share their rooms.
#[derive(Args, Clone, Debug)]
pub struct Nodes {
    /// Name of this server among several: 4 letters, digits, - or _. The ids of Socket.IO sessions begin with it, so
    /// that a proxy can tell whose they are; random if it is not set
    #[arg(long, env = "ECHOROOM_NODE", value_name = "NAME")]
    pub node: Option<NodeName>,

    /// Redis in which the rooms are, for several servers that share them, or any server of a Redis Cluster:
    /// redis://user:password@host:port/database, rediss:// for TLS, or unix: and the path of a socket
    #[arg(long, env = "ECHOROOM_REDIS", global = true, hide_env_values = true, value_name = "URL")]
    pub redis: Option<RedisUrl>,

    /// When a message is acked: once Redis has it and this server has heard it (heard), or once N replicas have it too
    /// (replicas:N) [default: heard]
    #[arg(long, env = "ECHOROOM_REDIS_ACKS", value_name = "WHEN")]
    pub redis_acks: Option<RedisAcks>,

    /// How long nothing is appended after Redis has begun anew, so that all nodes give back what it has lost
    /// [default: 700ms]
    #[arg(long, env = "ECHOROOM_REDIS_WINDOW", value_name = "TIME")]
    pub redis_window: Option<Period>,

    /// How long a node may be silent before the others take its users out of the rooms [default: 15s]
    #[arg(long, env = "ECHOROOM_NODE_LEASE", value_name = "TIME")]
    pub node_lease: Option<Period>,

    /// Whether a Redis that may evict rooms when its memory is full (maxmemory-policy allkeys-…) is used [default: off]
    #[arg(long, env = "ECHOROOM_REDIS_EVICTION", value_name = "SWITCH")]
    pub redis_eviction: Option<Switch>,

    /// How long Redis may be away before this server closes its sessions, so that they come back at another one; 0: it
    /// keeps them [default: 0]
    #[arg(long, env = "ECHOROOM_ISOLATION_TIMEOUT", value_name = "TIME")]
    pub isolation_timeout: Option<PeriodOrOff>,

    /// How servers share Socket.IO namespaces, as an official adapter for Redis does: classic, sharded or streams. All servers
    /// with one key need one format [default: classic]
    #[arg(long, env = "ECHOROOM_SOCKETIO_ADAPTER", value_name = "FORMAT")]
    pub socketio_adapter: Option<SocketIoAdapter>,

    /// What the channels for that begin with, or the name of the stream [default: socket.io]
    #[arg(long, env = "ECHOROOM_SOCKETIO_KEY", value_name = "NAME")]
    pub socketio_key: Option<SocketIoKey>,

    /// Bytes of Socket.IO that may wait for Redis, and bytes from Redis that may wait for this server; with more of either,
    /// it connects anew [default: 64m]
    #[arg(long, env = "ECHOROOM_SOCKETIO_REDIS_BYTES", value_name = "BYTES")]
    pub socketio_redis_bytes: Option<ByteSize>,

    /// Requests of other Socket.IO servers, such as look-ups, that this one answers at a time; one more is not answered
    /// [default: 10000]
    #[arg(long, env = "ECHOROOM_SOCKETIO_REDIS_REQUESTS", value_name = "COUNT",
          value_parser = reading::count::<NonZeroUsize>)]
    pub socketio_redis_requests: Option<NonZeroUsize>,
}

impl Nodes {
    /// Checks each of these settings alone.
    ///
    /// # Errors
    /// The first setting that is not valid.
    pub(super) fn check(&self) -> Result<(), SettingError> {
        let window = Bounds { least: SHORTEST_WINDOW, most: LONGEST_WINDOW };
        range::time("redis-window", self.redis_window(), window)?;
        let lease = Bounds { least: SHORTEST_LEASE, most: LONGEST_LEASE };
        range::time("node-lease", self.node_lease(), lease)?;
        range::bytes("socketio-redis-bytes", self.socketio_redis_bytes(), 1..=MOST_BYTES_OF_ALL)?;
        range::count("socketio-redis-requests", self.socketio_redis_requests(), 1..=MOST_OF_A_KIND)
    }

    /// The first setting that has no meaning without `--redis` and is set.
    pub(super) fn needs_redis(&self) -> Option<&'static str> {
        // No `..`: a new setting does not compile until it is considered here.
        let Self {
            node: _,
            redis: _,
            redis_acks,
            redis_window,
            node_lease,
            redis_eviction,
            isolation_timeout,
            socketio_adapter,
            socketio_key,
            socketio_redis_bytes,
            socketio_redis_requests,
        } = self;
        [
            ("redis-acks", redis_acks.is_some()),
            ("redis-window", redis_window.is_some()),
            ("node-lease", node_lease.is_some()),
            ("redis-eviction", redis_eviction.is_some()),
            ("isolation-timeout", isolation_timeout.is_some()),
            ("socketio-adapter", socketio_adapter.is_some()),
            ("socketio-key", socketio_key.is_some()),
            ("socketio-redis-bytes", socketio_redis_bytes.is_some()),
            ("socketio-redis-requests", socketio_redis_requests.is_some()),
        ]
        .into_iter()
        .find_map(|(flag, is_set)| is_set.then_some(flag))
    }

    /// When a message is acked: `--redis-acks`, or `heard`.
    pub fn redis_acks(&self) -> RedisAcks {
        self.redis_acks.unwrap_or(RedisAcks::Heard)
    }

    /// How long nothing is appended after Redis has begun anew: `--redis-window`, or 700 ms.
    pub fn redis_window(&self) -> Duration {
        self.redis_window.map_or(WINDOW, Period::get)
    }

    /// How long a node may be silent: `--node-lease`, or 15 s.
    pub fn node_lease(&self) -> Duration {
        self.node_lease.map_or(LEASE, Period::get)
    }

    /// Whether a Redis that evicts any key is used: `--redis-eviction`, or not.
    pub fn redis_eviction(&self) -> Switch {
        self.redis_eviction.unwrap_or(Switch::Off)
    }

    /// How long Redis may be away before sessions are closed: `--isolation-timeout`; `None` if they are kept.
    pub fn isolation_timeout(&self) -> Option<Duration> {
        self.isolation_timeout.map(PeriodOrOff::get).filter(|timeout| !timeout.is_zero())
    }

    /// How namespaces of Socket.IO are shared: `--socketio-adapter`, or `classic`.
    pub fn socketio_adapter(&self) -> SocketIoAdapter {
        self.socketio_adapter.unwrap_or(SocketIoAdapter::Classic)
    }

    /// What the channels for that begin with: `--socketio-key`, or `socket.io`.
    pub fn socketio_key(&self) -> SocketIoKey {
        self.socketio_key.clone().unwrap_or_default()
    }

    /// Bytes that may wait for Redis or have come from it: `--socketio-redis-bytes`, or 64 MiB.
    pub fn socketio_redis_bytes(&self) -> ByteSize {
        self.socketio_redis_bytes.unwrap_or(ByteSize(SOCKETIO_REDIS_BYTES))
    }

    /// Requests of other servers that are answered at a time: `--socketio-redis-requests`, or 10,000.
    pub fn socketio_redis_requests(&self) -> usize {
        self.socketio_redis_requests.map_or(SOCKETIO_REDIS_REQUESTS, NonZeroUsize::get)
    }
}

/// When a message is acked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RedisAcks {
    /// `heard`: Redis has it, and the node has heard it.
    Heard,
    /// `replicas:N`: so many replicas of Redis have it, too.
    Replicas(NonZeroU8),
}

/// Parse error of [`RedisAcks`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is heard, or replicas:N for a number of replicas from 1 to {MOST_REPLICAS}, such as replicas:1")]
pub struct RedisAcksError;

impl FromStr for RedisAcks {
    type Err = RedisAcksError;

    fn from_str(text: &str) -> Result<Self, RedisAcksError> {
        if text == "heard" {
            return Ok(Self::Heard);
        }
        let digits =
            text.strip_prefix("replicas:").filter(|digits| digits.bytes().all(|d| d.is_ascii_digit()));
        let count = digits.and_then(|digits| digits.parse::<NonZeroU8>().ok());
        count.filter(|count| count.get() <= MOST_REPLICAS).map(Self::Replicas).ok_or(RedisAcksError)
    }
}

impl fmt::Display for RedisAcks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Heard => f.write_str("heard"),
            Self::Replicas(count) => write!(f, "replicas:{count}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acks_are_written_as_heard_or_with_a_number_of_replicas() {
        for text in ["heard", "replicas:1", "replicas:16"] {
            assert_eq!(text.parse::<RedisAcks>().map(|acks| acks.to_string()), Ok(text.to_owned()));
        }
        for text in
            ["", "Heard", "replicas", "replicas:", "replicas:0", "replicas:17", "replicas:+1", "replicas:x"]
        {
            assert_eq!(text.parse::<RedisAcks>(), Err(RedisAcksError), "{text}");
        }
    }
}
