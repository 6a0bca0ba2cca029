//! The settings of Engine.IO sessions.

use std::time::Duration;

use super::rooms::{RecoveryLimits, RoomLimits};
use crate::{
    config::{LONGEST_TIMER_MILLIS, NodeName, Settings},
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
}

impl EngineSettings {
    /// The engine's part of the server's settings.
    pub fn of(settings: &Settings) -> Self {
        Self {
            node: settings.nodes.node,
            ping_interval: settings.heartbeat.ping_interval.get(),
            ping_timeout: settings.heartbeat.ping_timeout.get(),
            max_payload: settings.events.max_payload.get(),
            upgrade_timeout: settings.socketio.upgrade_timeout.get(),
            connect_timeout: settings.login.connect_timeout.get(),
            polling_open_timeout: settings.socketio.polling_open_timeout.get(),
            stall_timeout: settings.connections.stall_timeout.get(),
            max_fragments: settings.limits.max_fragments.get(),
            max_ended_sessions: settings.socketio.max_ended_sessions,
            max_waiting: settings.limits.max_queue_bytes.get(),
            max_intake: settings.limits.max_intake_bytes.get(),
            max_unknown: settings.max_login_size().get(),
            upload: UploadRate::of(settings),
            rate: RateLimit::of(settings),
            rooms: RoomLimits {
                max_rooms: settings.rooms.max_rooms.get(),
                recovery: RecoveryLimits {
                    window: settings.socketio.recovery_window.get(),
                    bytes: settings.socketio.recovery_bytes.get(),
                    sockets: settings.socketio.recovery_sockets.get(),
                },
            },
        }
    }
}

impl EngineSettings {
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
        Self::of(&Settings::default())
    }
}
