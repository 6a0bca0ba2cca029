//! The engine of Socket.IO, as the program's settings want it.

use std::sync::Arc;

use crate::{
    config::{Settings, Switch},
    connection::{Budget, admission::Admission, rate::RateLimit, upload::UploadRate},
    metrics::Metrics,
    parts::Parts,
    session::{chat_socket, relay},
    socketio::{Cors, Engine, EngineSettings, Origins, Policy, RecoveryLimits, RoomLimits, Server},
};

/// The program's server of Socket.IO: the chat in the main namespace, and the relay if that is on.
pub(super) fn server_of(
    settings: &Settings,
    metrics: &Arc<Metrics>,
    budget: &Arc<Budget>,
    parts: &Arc<Parts>,
    admission: &Arc<Admission>,
) -> Server {
    let engine =
        Engine::new(settings_of(settings), Arc::clone(metrics), Arc::clone(budget), Arc::clone(parts));
    let io = Server::builder()
        .path(&settings.socketio.socketio_path)
        .max_payload(settings.events.max_payload.get())
        .max_attachments(settings.socketio.max_attachments.get())
        .policy(policy_of(settings, admission))
        .on(engine);
    chat_socket::serve(&io);
    if settings.socketio.relay == Switch::On {
        relay::serve(&io, RateLimit::of(settings));
    }
    io
}

/// The checks of this server's other doors: origins, sessions in total and per address.
fn policy_of(settings: &Settings, admission: &Arc<Admission>) -> Policy {
    let cors = Origins::List(settings.socketio.cors_origin.clone());
    Policy {
        origins: Origins::List(settings.origins.allow_origin.clone()),
        cors: Cors { credentials: true, ..Cors::of(cors) },
        trusted_proxies: settings.admission.trusted_proxy.clone(),
        admission: Some(Arc::clone(admission)),
        body_timeout: settings.connections.body_timeout.get(),
        ..Policy::default()
    }
}

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
