//! Why settings are refused: each error is one sentence that names the setting.

use std::{fmt, net::SocketAddr};

use super::{ByteSize, Period, socketio_path, values::LONGEST_TIMER_MILLIS};

/// The name of a setting, shown as its flag and its variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key(pub &'static str);

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "--{} (ECHOROOM_{})", self.0, self.0.replace('-', "_").to_ascii_uppercase())
    }
}

/// A number with its unit, written as it may be written in a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// Things.
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

/// Why a server does not start with its settings: one sentence that names them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// The path of Socket.IO cannot be one.
    #[error("{key}: {0}", key = Key("socketio-path"))]
    SocketIoPath(#[from] socketio_path::PathError),
    /// The path before all addresses cannot be one.
    #[error("{key}: {0}", key = Key("path-prefix"))]
    PathPrefix(socketio_path::PathError),
    /// The path of Socket.IO has the prefix in itself.
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
        /// The smallest one.
        least: Amount,
        /// The largest one.
        most: Amount,
    },
    /// A picture would be allowed that no event has room for.
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
        /// What of it a picture can have, in bytes.
        room: usize,
    },
    /// A message would be dropped as soon as it is kept.
    #[error("{key} is {size}, but {} is {total}: not one such message could be kept", Key("max-data-size"))]
    LargerThanJournal {
        /// The setting.
        key: Key,
        /// Its value.
        size: ByteSize,
        /// The value of `--max-data-size`.
        total: ByteSize,
    },
    /// No picture of the largest size could be worn.
    #[error("{key} is {size}, but all avatars together have {room}, by {}", Key("avatar-bytes"))]
    LargerThanRoom {
        /// The setting.
        key: Key,
        /// Its value.
        size: ByteSize,
        /// The value of `--avatar-bytes`.
        room: ByteSize,
    },
    /// No picture of the largest size could be kept.
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
    /// A message could not come in.
    #[error("{key} is {size}, but {} is {total}: it is at least four such messages", Key("max-memory"))]
    LargerThanMemory {
        /// The setting.
        key: Key,
        /// Its value.
        size: ByteSize,
        /// The value of `--max-memory`.
        total: ByteSize,
    },
    /// Clients of Socket.IO in JavaScript could not wait for a ping.
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
    /// One user's ids would be more than those of all.
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
    /// Two listeners want one address.
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
    /// An origin that no browser sends; it can only come from a program that makes its own settings.
    #[error("{key}: {origin:?} is not an origin as browsers write it, such as https://example.com")]
    NotAnOrigin {
        /// The setting.
        key: Key,
        /// The text.
        origin: String,
    },
}

/// Why the command line gives no settings.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// `--help` or `--version`: print it and be content.
    #[error("{0}")]
    Answer(String),
    /// One sentence that names the key.
    #[error("{0}")]
    Invalid(String),
}
