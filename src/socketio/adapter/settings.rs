//! The settings of the adapter.

use std::{fmt, time::Duration};

use bytestring::ByteString;

use crate::config::RedisUrl;

/// A format of the official adapters. All servers of a cluster have one format. Classic and streams must not have one key on
/// one Redis: they use one channel for different bodies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RedisFormat {
    /// That of `createAdapter` of `@socket.io/redis-adapter`, by `PUBLISH`. The one that `@socket.io/redis-emitter` speaks.
    #[default]
    Classic,
    /// That of `createShardedAdapter` of `@socket.io/redis-adapter`, by `SPUBLISH`. It needs Redis 7.0 or newer, or any Valkey,
    /// and no Redis Cluster.
    Sharded,
    /// That of `@socket.io/redis-streams-adapter`, by a stream. The only one by which a client recovers at another server.
    Streams,
}

impl fmt::Display for RedisFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Classic => "classic",
            Self::Sharded => "sharded",
            Self::Streams => "streams",
        })
    }
}

/// Which channels a server subscribes to in the format [`Sharded`](RedisFormat::Sharded). All servers of a cluster have one
/// mode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SubscriptionMode {
    /// Two for each namespace. Each server gets all events.
    Static,
    /// One more for each room with a socket of this server, except for rooms of single sockets. An event to one room reaches
    /// only the servers that have the room.
    #[default]
    Dynamic,
    /// One more for each room of a single socket, too.
    DynamicPrivate,
}

/// When a lost socket is stored for the other servers, in the format [`Streams`](RedisFormat::Streams).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeepSessions {
    /// When it is lost, or its server stops. The sockets of a server that is killed cannot be recovered.
    #[default]
    AtDisconnect,
    /// Also when it connects and when its rooms change, and twice in the time in which it can be recovered: one more request to
    /// Redis each time. Data that has changed is stored with the next of these.
    AtEveryChange,
}

/// The settings of the adapter's core, checked.
#[derive(Clone, Debug)]
pub(crate) struct AdapterSettings {
    /// The format.
    pub(crate) format: RedisFormat,
    /// What the names of channels begin with; the name of the stream, too.
    pub(crate) key: ByteString,
    /// How long answers of other servers are waited for.
    pub(crate) requests_timeout: Duration,
    /// Whether answers are published to the asking server's own channel, in the format Classic.
    pub(crate) has_specific_response_channel: bool,
    /// Which channels are subscribed to, in the format Sharded.
    pub(crate) subscription_mode: SubscriptionMode,
    /// Entries of the stream that are kept, about.
    pub(crate) stream_len: usize,
    /// Entries that are read at once.
    pub(crate) read_count: usize,
    /// What the keys of lost sockets begin with.
    pub(crate) session_prefix: ByteString,
    /// When lost sockets are stored.
    pub(crate) keep_sessions: KeepSessions,
    /// Requests of other servers that are answered at a time.
    pub(crate) max_requests: usize,
    /// Whether other servers are shown the headers of the requests of sockets.
    pub(crate) shows_headers: bool,
}

/// The settings of the thread with the connections to Redis, checked.
#[derive(Clone, Debug)]
pub(crate) struct RedisOptions {
    /// The address.
    pub(crate) url: RedisUrl,
    /// The format, for the log. Sharded does not go with a Redis Cluster.
    pub(crate) format: RedisFormat,
    /// Of a Redis Cluster, the master that has the slot of this key is used.
    pub(crate) home_key: ByteString,
    /// Entries of the stream that are read at once.
    pub(crate) read_count: usize,
    /// Bytes of requests that Redis has not answered, and bytes from Redis that this server has not handled; beyond, the
    /// connections are given up.
    pub(crate) max_unanswered_bytes: usize,
}
