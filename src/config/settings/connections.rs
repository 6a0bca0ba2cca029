//! Connections: their deadlines, number and compression.

use std::num::NonZeroUsize;

use clap::Args;

use super::{
    PerAddress, Period, SettingError, Switch,
    range::{self, MOST_OF_A_KIND},
    reading,
};

/// Connections beside the sessions if `--max-connections` is not set.
pub(super) const SPARE_CONNECTIONS: usize = 10_000;

/// Largest number of connections: all sessions, and the spare ones.
const MOST_CONNECTIONS: u64 = MOST_OF_A_KIND + SPARE_CONNECTIONS as u64;

/// The kernel counts `TCP_USER_TIMEOUT` in milliseconds, with 31 bits.
const LONGEST_STALL_MILLIS: u64 = 24 * 24 * 3600 * 1000;

/// How long a connection may take, how many there may be, and what is compressed on them.
#[derive(Args, Clone, Debug)]
pub struct Connections {
    /// How long a connection may take nothing of what is sent to it, or take its leave, before it is cut
    #[arg(long, env = "ECHOROOM_STALL_TIMEOUT", value_name = "TIME", default_value = "20s")]
    pub stall_timeout: Period,

    /// How long a connection may take to send the head of a request, from its first byte; of the first one, from the
    /// beginning of the connection
    #[arg(long, env = "ECHOROOM_HANDSHAKE_TIMEOUT", value_name = "TIME", default_value = "5s")]
    pub handshake_timeout: Period,

    /// How long a connection may take to send the body of a request; a second more for each 4 KiB that have come
    #[arg(long, env = "ECHOROOM_BODY_TIMEOUT", value_name = "TIME", default_value = "20s")]
    pub body_timeout: Period,

    /// How long a connection may be idle between an answer and the next request
    #[arg(long, env = "ECHOROOM_KEEP_ALIVE", value_name = "TIME", default_value = "75s")]
    pub keep_alive: Period,

    /// Connections at a time, whatever they carry; more get 503, but /health and /metrics are answered
    /// [default: --max-sessions and 10000 more]
    #[arg(long, env = "ECHOROOM_MAX_CONNECTIONS", value_name = "COUNT",
          value_parser = reading::count::<NonZeroUsize>)]
    pub max_connections: Option<NonZeroUsize>,

    /// Connections at a time from one address; as --max-sessions-per-address. Trusted proxies have no bound of their own
    #[arg(
        long,
        env = "ECHOROOM_MAX_CONNECTIONS_PER_ADDRESS",
        value_name = "COUNT",
        default_value = "public:2000"
    )]
    pub max_connections_per_address: PerAddress,

    /// Compression of large messages (permessage-deflate) for clients that offer it
    #[arg(long, env = "ECHOROOM_COMPRESSION", value_name = "SWITCH", default_value = "on")]
    pub compression: Switch,

    /// Compression (gzip) of answers over HTTP of 1 KiB and more, for clients that accept it: what Socket.IO clients poll,
    /// /rooms, /limits and /metrics. The page's files are compressed in any case
    #[arg(long, env = "ECHOROOM_HTTP_COMPRESSION", value_name = "SWITCH", default_value = "on")]
    pub http_compression: Switch,
}

impl Connections {
    /// Checks each of these settings alone.
    ///
    /// # Errors
    /// The first setting that is not valid.
    pub(super) fn check(&self) -> Result<(), SettingError> {
        range::timer_up_to("stall-timeout", self.stall_timeout, LONGEST_STALL_MILLIS)?;
        range::timer("handshake-timeout", self.handshake_timeout)?;
        range::timer("body-timeout", self.body_timeout)?;
        range::timer("keep-alive", self.keep_alive)?;
        range::count(
            "max-connections",
            self.max_connections.map_or(1, NonZeroUsize::get),
            1..=MOST_CONNECTIONS,
        )
    }
}
