//! What a program mounts that serves routes of its own by actix-web.

pub use crate::{
    connection::{Budget, rate::RateLimit, socket::on_connect},
    metrics::Metrics,
    parts::Parts,
    routes::configure,
    socketio::{Door, configure_door},
};
