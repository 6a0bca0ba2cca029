//! The settings of Engine.IO sessions.

use std::time::Duration;

use super::rooms::{RoomLimits, recovery::RecoveryLimits};
use crate::{
    config::{LONGEST_TIMER_MILLIS, NodeName, Switch},
    connection::{outbound::Bounds, rate::RateLimit, upload::UploadRate},
};

/// Settings of an [`Engine`](super::Engine) and its sessions.
#[derive(Clone, Debug)]
pub struct EngineSettings {
    /// Name that the ids of sessions begin with; a random one if it is `None`.
    pub node: Option<NodeName>,
    /// Time between pings.
    pub ping_interval: Duration,
    /// Time in which a client must answer a ping.
    pub ping_timeout: Duration,
    /// Largest message or payload in bytes that is accepted, and largest poll response in bytes that has more
    /// than one packet.
    pub max_payload: usize,
    /// Time in which an upgrade must finish.
    pub upgrade_timeout: Duration,
    /// Time in which a client must join a namespace.
    pub connect_timeout: Duration,
    /// Time in which a polling client must make its second request.
    pub polling_open_timeout: Duration,
    /// Time in which a connection must finish its last writes before it is cut.
    pub stall_timeout: Duration,
    /// Largest number of frames in one WebSocket message.
    pub max_fragments: usize,
    /// Largest number of ended sessions kept for polling clients that have not learned of the end; one more
    /// drops the oldest.
    pub max_ended_sessions: usize,
    /// Limit on bytes of deliveries that wait for a client. A session above it is ended at the next delivery.
    pub max_waiting: usize,
    /// Limit on bytes that a client sent and that are not dealt with yet; at this limit reading stops.
    pub max_intake: usize,
    /// Largest message, and largest event with attachments, in bytes, while the client is not known.
    pub max_unknown: usize,
    /// Lowest rate at which a message must arrive after its start.
    pub upload: UploadRate,
    /// Limit on packets that are not events. Events are counted by the namespaces.
    pub rate: Option<RateLimit>,
    /// Limits on rooms and on what recovery keeps.
    pub rooms: RoomLimits,
    /// Whether responses to polls of at least 1024 bytes are compressed for clients that accept it. On by default.
    pub http_compression: Switch,
    /// Answers that the server waits for of one socket.
    pub max_pending_acks: usize,
}

/// A setting of a server that is wrong, alone or with another one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {}

impl EngineSettings {
    pub(crate) fn check(&self) -> Result<(), SettingsError> {
        Ok(())
    }

    /// Largest message or payload in bytes from a client that is known, or is not known yet.
    pub(crate) fn max_size(&self, is_known: bool) -> usize {
        if is_known { self.max_payload } else { self.max_unknown.min(self.max_payload) }
    }

    /// The bounds on what waits for a client.
    pub(super) fn bounds(&self) -> Bounds {
        Bounds { waiting: self.max_waiting, answer: self.max_payload }
    }

    /// Ping interval and ping timeout in milliseconds, as the handshake tells clients. A client waits for
    /// their sum, so the sum must fit its timer.
    pub(super) fn advertised_pings(&self) -> (u64, u64) {
        let millis = |period: Duration| u64::try_from(period.as_millis()).unwrap_or(u64::MAX);
        let timeout = millis(self.ping_timeout).min(LONGEST_TIMER_MILLIS);
        (millis(self.ping_interval).min(LONGEST_TIMER_MILLIS - timeout), timeout)
    }
}

impl Default for EngineSettings {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            node: None,
            ping_interval: seconds(25),
            ping_timeout: seconds(20),
            max_payload: 1_000_000,
            upgrade_timeout: seconds(10),
            connect_timeout: seconds(45),
            polling_open_timeout: seconds(10),
            stall_timeout: seconds(20),
            max_fragments: 1024,
            max_ended_sessions: 1000,
            max_waiting: 1 << 20,
            max_intake: 256 << 10,
            max_unknown: 64 << 10,
            upload: UploadRate { bytes_per_second: 1024, patience: seconds(10) },
            rate: Some(RateLimit { rate: 30.0, burst: 60.0, patience: seconds(10) }),
            rooms: RoomLimits {
                max_rooms: 10_000,
                recovery: RecoveryLimits { window: seconds(120), bytes: 16 << 20, sockets: 10_000 },
            },
            http_compression: Switch::On,
            max_pending_acks: 1024,
        }
    }
}
