//! The server of Socket.IO, as the program's settings want it.

use std::sync::Arc;

use crate::{
    config::{Nodes, Settings, SocketIoAdapter, Switch},
    connection::{Budget, admission::Admission, rate::RateLimit, upload::UploadRate},
    metrics::Metrics,
    parts::Parts,
    session::{chat_socket, relay},
    socketio::{Builder, Cors, Origins, Recovery, Redis, RedisFormat, Server, SettingsError},
};

/// Responses to polls below this size in bytes are not compressed.
const LEAST_COMPRESSED: usize = 1024;

/// The program's server of Socket.IO: the chat in the main namespace, and the relay if that is on.
///
/// # Errors
/// A setting of Redis is wrong, or the system cannot start the thread for it.
pub(super) fn of(
    settings: &Settings,
    metrics: &Arc<Metrics>,
    budget: &Arc<Budget>,
    parts: &Arc<Parts>,
    admission: &Arc<Admission>,
) -> Result<Server, SettingsError> {
    let builder = with_sessions(with_door(Server::builder(), settings), settings);
    let builder = with_redis(builder.admission(Arc::clone(admission)), &settings.nodes);
    let io = builder.build_on(Arc::clone(metrics), Arc::clone(budget), Arc::clone(parts))?;
    chat_socket::serve(&io);
    if settings.socketio.relay == Switch::On {
        relay::serve(&io, RateLimit::of(settings));
    }
    Ok(io)
}

/// Sets where the server is, and the checks of this server's other doors.
fn with_door(builder: Builder, settings: &Settings) -> Builder {
    let cors = Origins::List(settings.socketio.cors_origin.clone());
    let is_compressed = settings.connections.http_compression == Switch::On;
    builder
        .path(&settings.socketio.socketio_path)
        .origins(Origins::List(settings.origins.allow_origin.clone()))
        .cors(Cors { credentials: true, ..Cors::of(cors) })
        .proxies(settings.admission.trusted_proxy.clone())
        .body_timeout(settings.connections.body_timeout.get())
        .http_compression(is_compressed.then_some(LEAST_COMPRESSED))
}

/// Sets the timeouts and the bounds of sessions.
fn with_sessions(builder: Builder, settings: &Settings) -> Builder {
    builder
        .node(settings.nodes.node)
        .ping_interval(settings.heartbeat.ping_interval.get())
        .ping_timeout(settings.heartbeat.ping_timeout.get())
        .upgrade_timeout(settings.socketio.upgrade_timeout.get())
        .connect_timeout(settings.login.connect_timeout.get())
        .polling_open_timeout(settings.socketio.polling_open_timeout.get())
        .stall_timeout(settings.connections.stall_timeout.get())
        .max_payload(settings.events.max_payload.get())
        .max_payload_before_connect(settings.max_login_size().get())
        .max_attachments(settings.socketio.max_attachments.get())
        .max_fragments(settings.limits.max_fragments.get())
        .max_ended_sessions(settings.socketio.max_ended_sessions)
        .max_waiting_bytes(settings.limits.max_queue_bytes.get())
        .max_unhandled_bytes(settings.limits.max_intake_bytes.get())
        .rates(UploadRate::of(settings), RateLimit::of(settings))
        .max_rooms(settings.rooms.max_rooms.get())
        .connection_state_recovery(Recovery {
            max_disconnection_duration: settings.socketio.recovery_window.get(),
            max_bytes: settings.socketio.recovery_bytes.get(),
            max_sockets: settings.socketio.recovery_sockets.get(),
            ..Recovery::default()
        })
}

/// Sets with which servers the namespaces are shared.
fn with_redis(builder: Builder, nodes: &Nodes) -> Builder {
    let Some(url) = nodes.redis.clone() else { return builder };
    let format = match nodes.socketio_adapter() {
        SocketIoAdapter::Classic => RedisFormat::Classic,
        SocketIoAdapter::Sharded => RedisFormat::Sharded,
        SocketIoAdapter::Streams => RedisFormat::Streams,
    };
    let redis = Redis::at(url)
        .format(format)
        .key(nodes.socketio_key().as_str())
        .max_unanswered_bytes(nodes.socketio_redis_bytes().get())
        .max_requests(nodes.socketio_redis_requests());
    builder.redis(redis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_without_settings_is_like_that_of_a_program_without_settings() {
        let library = Server::builder().connection_state_recovery(Recovery::default());
        let settings = Settings::default();
        let program = with_sessions(with_door(Server::builder(), &settings), &settings);
        assert_eq!(library.shown(), program.shown());
    }
}
