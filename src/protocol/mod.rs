//! Codecs of all protocols. No module here uses an actor, a socket or a clock: it could be a crate of its
//! own.

#[cfg(feature = "program")]
pub(crate) mod chat;
pub mod close;
pub(crate) mod engineio;
pub(crate) mod json;
#[cfg(feature = "program")]
pub(crate) mod plain;
pub(crate) mod retry;
pub(crate) mod socketio;
pub mod websocket;
