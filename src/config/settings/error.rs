//! Why settings are refused: each error is one sentence that names the setting.

use std::{fmt, net::SocketAddr};

use super::{ByteSize, LONGEST_TIMER_MILLIS, Period, socketio_path};

/// The name of a setting, shown as its flag and its variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key(pub &'static str);

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "--{} (ECHOROOM_{})", self.0, self.0.replace('-', "_").to_ascii_uppercase())
    }
}

/// A number with its unit, displayed as a setting is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// A number of things.
    Count(u64),
    /// Bytes.
    Bytes(u64),
    /// Milliseconds.
    Millis(u64),
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Bytes(bytes) => ByteSize(usize::try_from(bytes).unwrap_or(usize::MAX)).fmt(f),
            Self::Millis(millis) => Period(std::time::Duration::from_millis(millis)).fmt(f),
        }
    }
}

/// Why settings are refused. The message is one sentence that names each setting it is about.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// `--socketio-path` is not a valid path.
    #[error("{key}: {0}", key = Key("socketio-path"))]
    SocketIoPath(#[from] socketio_path::PathError),
    /// `--path-prefix` is not a valid path.
    #[error("{key}: {0}", key = Key("path-prefix"))]
    PathPrefix(socketio_path::PathError),
    /// `--socketio-path` begins with `--path-prefix`.
    #[error(
        "{} is {path:?} and {} is {prefix:?}: the prefix is taken away before, so leave it out of the path",
        Key("socketio-path"),
        Key("path-prefix")
    )]
    PathWithPrefix {
        /// The value of `--socketio-path`.
        path: String,
        /// The value of `--path-prefix`.
        prefix: String,
    },
    /// A value is too small or too large.
    #[error("{key} is {value}, but it is at least {least} and at most {most}")]
    OutOfRange {
        /// The setting.
        key: Key,
        /// Its value.
        value: Amount,
        /// The smallest value allowed.
        least: Amount,
        /// The largest value allowed.
        most: Amount,
    },
    /// The largest allowed picture does not fit into the largest event.
    #[error(
        "{key} is {size}, but the largest event, {} of {payload} bytes, has room for {room} bytes: lower the one or raise \
         the other",
        Key("max-payload")
    )]
    LargerThanPayload {
        /// The setting.
        key: Key,
        /// Its value.
        size: ByteSize,
        /// The value of `--max-payload`, in bytes.
        payload: usize,
        /// The bytes of it that a picture may have.
        room: usize,
    },
    /// The largest message does not fit into the journal.
    #[error("{key} is {size}, but {} is {total}: not one such message could be kept", Key("max-data-size"))]
    LargerThanJournal {
        /// The setting.
        key: Key,
        /// Its value.
        size: ByteSize,
        /// The value of `--max-data-size`.
        total: ByteSize,
    },
    /// The largest avatar does not fit into the bytes of all avatars.
    #[error("{key} is {size}, but all avatars together have {room}, by {}", Key("avatar-bytes"))]
    LargerThanRoom {
        /// The setting.
        key: Key,
        /// Its value.
        size: ByteSize,
        /// The value of `--avatar-bytes`.
        room: ByteSize,
    },
    /// The largest avatar does not fit into the avatars' share of the journal.
    #[error(
        "{key} is {size}, but all avatars together have a quarter of {}, which is {total}: lower the one or raise the other",
        Key("max-data-size")
    )]
    LargerThanShare {
        /// The setting.
        key: Key,
        /// Its value.
        size: ByteSize,
        /// The value of `--max-data-size`.
        total: ByteSize,
    },
    /// The largest message does not fit into the memory for all clients.
    #[error("{key} is {size}, but {} is {total}: it is at least four such messages", Key("max-memory"))]
    LargerThanMemory {
        /// The setting.
        key: Key,
        /// Its value.
        size: ByteSize,
        /// The value of `--max-memory`.
        total: ByteSize,
    },
    /// A timer of JavaScript cannot wait for the interval and the timeout of pings together.
    #[error(
        "{} is {interval} and {} is {timeout}: together they are at most {LONGEST_TIMER_MILLIS}ms (24 days), for a timer \
         of JavaScript waits no longer",
        Key("ping-interval"),
        Key("ping-timeout")
    )]
    PingsTooRare {
        /// The value of `--ping-interval`.
        interval: Period,
        /// The value of `--ping-timeout`.
        timeout: Period,
    },
    /// One user may have more remembered ids than all users together.
    #[error(
        "{} is {each}, but {} is {all}: one user cannot have more than all",
        Key("remembered-ids"),
        Key("max-remembered-ids")
    )]
    MoreIdsThanAll {
        /// The value of `--remembered-ids`.
        each: usize,
        /// The value of `--max-remembered-ids`.
        all: usize,
    },
    /// A setting that has a meaning only with `--redis` is set without it.
    #[error(
        "{key} is set without {}: it has no meaning for a server that shares its rooms with no other",
        Key("redis")
    )]
    WithoutRedis {
        /// The setting.
        key: Key,
    },
    /// Messages cannot be kept both in Redis and in memory.
    #[error(
        "{} is memory, but with {} messages are kept in Redis: leave one of them out",
        Key("journal"),
        Key("redis")
    )]
    MemoryBesideRedis,
    /// The server and its metrics would listen on one address.
    #[error(
        "{} is {metrics}, which the server itself listens on ({server}, by {} and {}): metrics need a port of their own",
        Key("metrics-bind"),
        Key("bind"),
        Key("port")
    )]
    MetricsOnOwnPort {
        /// The value of `--metrics-bind`.
        metrics: SocketAddr,
        /// What `--bind` and `--port` make.
        server: SocketAddr,
    },
    /// No browser sends this origin. Only an embedding program can set it: the command line refuses it earlier.
    #[error("{key}: {origin:?} is not an origin as browsers write it, such as https://example.com")]
    NotAnOrigin {
        /// The setting.
        key: Key,
        /// The text.
        origin: String,
    },
}

/// Why reading the command line gives no settings.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The text for `--help` or `--version`, to be printed; the program then exits with success.
    #[error("{0}")]
    Answer(String),
    /// The command line or a variable is wrong: one sentence that names the key.
    #[error("{0}")]
    Invalid(String),
}
