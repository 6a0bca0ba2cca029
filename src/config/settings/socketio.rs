//! Socket.IO: its path, its sessions, and `/relay` with its recovery.

use std::num::NonZeroUsize;

use clap::Args;

use super::{
    AllowedOrigin, ByteSize, Period, PeriodOrOff, SettingError, Switch,
    origins::are_origins,
    range::{self, MOST_BYTES_OF_ALL, MOST_OF_A_KIND},
    reading, socketio_path,
};

/// Largest number of binary attachments of one event.
const MOST_ATTACHMENTS: u64 = 1_000_000;

/// How Socket.IO is served.
#[derive(Args, Clone, Debug)]
pub struct SocketIo {
    /// Path of Socket.IO
    #[arg(long, env = "ECHOROOM_SOCKETIO_PATH", value_name = "PATH", default_value = "/socket.io")]
    pub socketio_path: String,

    /// Web origin whose pages may use Socket.IO over polling besides our own, or * for all; repeatable. For WebSockets
    /// there is --allow-origin
    #[arg(long, env = "ECHOROOM_CORS_ORIGIN", value_name = "ORIGIN", value_delimiter = ',')]
    pub cors_origin: Vec<AllowedOrigin>,

    /// How long a Socket.IO session may take to upgrade from polling to a WebSocket
    #[arg(long, env = "ECHOROOM_UPGRADE_TIMEOUT", value_name = "TIME", default_value = "10s")]
    pub upgrade_timeout: Period,

    /// How long a Socket.IO client that polls may take to make its second request; then its session is gone
    #[arg(long, env = "ECHOROOM_POLLING_OPEN_TIMEOUT", value_name = "TIME", default_value = "10s")]
    pub polling_open_timeout: Period,

    /// Socket.IO sessions that the server has ended and whose clients, which poll, have not come to hear of it within 30
    /// seconds; the oldest is forgotten for one more
    #[arg(long, env = "ECHOROOM_MAX_ENDED_SESSIONS", value_name = "COUNT", default_value = "1000",
          value_parser = reading::count_or_zero::<usize>)]
    pub max_ended_sessions: usize,

    /// Binary attachments that one Socket.IO event may have; more end its session
    #[arg(long, env = "ECHOROOM_MAX_ATTACHMENTS", value_name = "COUNT", default_value = "10",
          value_parser = reading::count::<NonZeroUsize>)]
    pub max_attachments: NonZeroUsize,

    /// Whether the Socket.IO namespace /relay is open: whatever a client there emits goes to the others in its room
    #[arg(long, env = "ECHOROOM_RELAY", value_name = "SWITCH", default_value = "off")]
    pub relay: Switch,

    /// How long what a client of /relay misses while it is away is kept for it, and its place in its room. 0 switches
    /// that off: events then have no argument more than their sender gave them
    #[arg(long, env = "ECHOROOM_RECOVERY_WINDOW", value_name = "TIME", default_value = "120s")]
    pub recovery_window: PeriodOrOff,

    /// Bytes of events that are kept for that; the oldest go
    #[arg(long, env = "ECHOROOM_RECOVERY_BYTES", value_name = "BYTES", default_value = "16m",
          value_parser = reading::recovery_bytes)]
    pub recovery_bytes: ByteSize,

    /// Clients that are away and whose places are kept; the oldest go
    #[arg(long, env = "ECHOROOM_RECOVERY_SOCKETS", value_name = "COUNT", default_value = "10000",
          value_parser = reading::recovery_sockets)]
    pub recovery_sockets: NonZeroUsize,
}

impl SocketIo {
    /// Checks each of these settings alone.
    ///
    /// # Errors
    /// The first setting that is not valid.
    pub(super) fn check(&self) -> Result<(), SettingError> {
        socketio_path::check(&self.socketio_path)?;
        are_origins("cors-origin", &self.cors_origin)?;
        range::timer("upgrade-timeout", self.upgrade_timeout)?;
        range::timer("polling-open-timeout", self.polling_open_timeout)?;
        // 0: none of them is kept.
        range::count("max-ended-sessions", self.max_ended_sessions, 0..=MOST_OF_A_KIND)?;
        range::count("max-attachments", self.max_attachments.get(), 1..=MOST_ATTACHMENTS)?;
        range::bytes("recovery-bytes", self.recovery_bytes, 1..=MOST_BYTES_OF_ALL)?;
        range::count("recovery-sockets", self.recovery_sockets.get(), 1..=MOST_OF_A_KIND)
    }
}
