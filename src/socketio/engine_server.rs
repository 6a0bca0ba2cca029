//! Engine.IO without Socket.IO: sessions that exchange texts and bytes.

use std::{fmt, sync::Arc};

use actix_web::web::ServiceConfig;

use super::{
    ByteString, Bytes, Carried, Ending, Request, Transport, door, engine::Engine, handle::SessionHandle,
};
use crate::socketio::door::{Door, Policy};

/// A message of an Engine.IO session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A text.
    Text(ByteString),
    /// Bytes.
    Binary(Bytes),
}

/// A session of an [`EngineServer`].
#[derive(Clone, Copy, Debug)]
pub struct EngineSocket<'a>(&'a SessionHandle);

impl EngineSocket<'_> {
    /// Sends a message to the client.
    pub fn send(&self, message: Message) {
        match message {
            Message::Text(text) => self.0.packet(format!("4{text}")),
            Message::Binary(bytes) => self.0.binary(bytes),
        }
    }

    /// Ends the session after what waits.
    pub fn close(&self) {
        self.0.end(Ending::ClosedByServer);
    }

    /// The request that began the session.
    pub fn request(&self) -> &Request {
        self.0.request()
    }

    /// The transport that the session has now.
    pub fn transport(&self) -> Transport {
        self.0.transport()
    }
}

/// Handles the messages of sessions.
type OnMessage = dyn Fn(&EngineSocket<'_>, Message) + Send + Sync;

/// A server of Engine.IO sessions without Socket.IO on them, made by
/// [`Builder::build_engine`](super::Builder::build_engine).
#[derive(Clone)]
pub struct EngineServer {
    engine: Arc<Engine>,
    policy: Policy,
    path: String,
    on_message: Arc<OnMessage>,
}

impl EngineServer {
    pub(super) fn new(engine: Arc<Engine>, policy: Policy, path: String, on_message: Arc<OnMessage>) -> Self {
        Self { engine, policy, path, on_message }
    }

    /// The routes of the server, for [`App::configure`](actix_web::App::configure) or that of a scope.
    pub fn routes(&self) -> impl FnOnce(&mut ServiceConfig) + 'static {
        let Self { engine, policy, path, on_message } = self.clone();
        move |cfg| {
            let begin =
                move || -> Box<dyn Carried> { Box::new(Session { on_message: Arc::clone(&on_message) }) };
            door::configure(cfg, &path, Door::new(engine, begin).with_policy(policy));
        }
    }
}

impl fmt::Debug for EngineServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineServer").field("path", &self.path).finish_non_exhaustive()
    }
}

struct Session {
    on_message: Arc<OnMessage>,
}

impl Carried for Session {
    fn text(&mut self, text: ByteString, handle: &SessionHandle) {
        (self.on_message)(&EngineSocket(handle), Message::Text(text));
    }

    fn binary(&mut self, bytes: Bytes, handle: &SessionHandle) {
        (self.on_message)(&EngineSocket(handle), Message::Binary(bytes));
    }

    fn closed(&mut self, _: &Ending) {}
}
