//! What the program's settings mean to the floors below, which know bounds and no flags.

use std::sync::Arc;

use crate::{
    config::Settings,
    connection::{admission::Admission, outbound::Bounds, rate::RateLimit, upload::UploadRate},
    socketio::{
        EngineSettings,
        rooms::{RoomLimits, recovery::RecoveryLimits},
    },
};

impl RateLimit {
    /// The limit of the settings, if they set one.
    pub fn of(settings: &Settings) -> Option<Self> {
        (settings.rates.rate > 0).then(|| Self {
            rate: settings.rates.rate.into(),
            burst: settings.rates.rate_burst.into(),
            patience: settings.rates.rate_patience.get(),
        })
    }
}

impl UploadRate {
    /// The rate of the settings.
    pub fn of(settings: &Settings) -> Self {
        Self {
            bytes_per_second: settings.rates.min_upload_rate as usize,
            patience: settings.rates.upload_patience.get(),
        }
    }
}

impl Bounds {
    /// The bounds of the settings.
    pub(crate) fn of(settings: &Settings) -> Self {
        Self {
            waiting: settings.limits.max_queue_bytes.get(),
            answer: settings.limits.max_message_size.get(),
        }
    }
}

impl Admission {
    /// No sessions yet, with the bounds of the settings.
    pub fn of(settings: &Settings) -> Arc<Self> {
        let admission = &settings.admission;
        Self::new(
            admission.max_sessions.get(),
            admission.max_sessions_per_address,
            admission.handshake_rate,
            admission.handshake_burst,
        )
    }
}

impl EngineSettings {
    /// The engine's part of the settings.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_of_a_library_has_the_defaults_of_the_program() {
        let of_program = EngineSettings::of(&Settings::default());
        assert_eq!(format!("{:#?}", EngineSettings::default()), format!("{of_program:#?}"));
    }
}
