//! Codecs of all protocols. No module here uses an actor, a socket or a clock: it could be a crate of its
//! own.

pub mod chat;
pub mod close;
pub mod engineio;
pub mod json;
pub mod plain;
pub mod retry;
pub mod socketio;
pub mod websocket;
