//! The engine of Socket.IO, as the program's settings want it.

use crate::{
    config::Settings,
    connection::{rate::RateLimit, upload::UploadRate},
    socketio::{
        EngineSettings,
        rooms::{RoomLimits, recovery::RecoveryLimits},
    },
};

/// The engine's part of the server's settings.
pub(super) fn settings_of(settings: &Settings) -> EngineSettings {
    EngineSettings {
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
        http_compression: settings.connections.http_compression,
        ..EngineSettings::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_without_settings_is_like_that_of_a_program_without_settings() {
        let (library, program) = (EngineSettings::default(), settings_of(&Settings::default()));
        assert_eq!(format!("{library:?}"), format!("{program:?}"));
    }
}
