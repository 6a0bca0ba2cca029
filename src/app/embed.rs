//! What a program mounts that serves routes of its own by actix-web.

pub use crate::{connection::socket::on_connect, routes::configure};
