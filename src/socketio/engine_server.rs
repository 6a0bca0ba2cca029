//! Engine.IO without Socket.IO: sessions that exchange texts and bytes.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use actix_web::web::ServiceConfig;
use log::error;

use super::{
    ByteString, Bytes, Carried, Ending, Reason, Request, Transport, door, engine::Engine,
    handle::SessionHandle,
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

    /// The session's id. It is a secret: a request with it acts for the session.
    pub fn id(&self) -> &str {
        self.0.sid()
    }

    /// The revision of Engine.IO that the client speaks, always 4.
    pub fn protocol(&self) -> u8 {
        self.0.protocol()
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

/// Handles the sessions of an [`EngineServer`], on their threads; it must not wait. A function of the socket and a message
/// is a handler of messages.
pub trait EngineHandler: Send + Sync + 'static {
    /// The client sent a message.
    fn message(&self, socket: &EngineSocket<'_>, message: Message);

    /// The session has begun.
    fn opened(&self, _: &EngineSocket<'_>) {}

    /// The session goes on over a WebSocket.
    fn upgraded(&self, _: &EngineSocket<'_>) {}

    /// The session has ended.
    fn closed(&self, _: &EngineSocket<'_>, _: &Reason) {}
}

impl<F: Fn(&EngineSocket<'_>, Message) + Send + Sync + 'static> EngineHandler for F {
    fn message(&self, socket: &EngineSocket<'_>, message: Message) {
        self(socket, message);
    }
}

/// A server of Engine.IO sessions without Socket.IO on them, made by
/// [`Builder::build_engine`](super::Builder::build_engine).
#[derive(Clone)]
pub struct EngineServer {
    engine: Arc<Engine>,
    policy: Policy,
    path: String,
    handler: Arc<dyn EngineHandler>,
}

impl EngineServer {
    pub(super) fn new(
        engine: Arc<Engine>,
        policy: Policy,
        path: String,
        handler: Arc<dyn EngineHandler>,
    ) -> Self {
        Self { engine, policy, path, handler }
    }

    /// The routes of the server, for [`App::configure`](actix_web::App::configure) or that of a scope.
    pub fn routes(&self) -> impl FnOnce(&mut ServiceConfig) + 'static {
        let Self { engine, policy, path, handler } = self.clone();
        move |cfg| {
            let begin = move || -> Box<dyn Carried> { Box::new(Session(Arc::clone(&handler))) };
            door::configure(cfg, &path, Door::new(engine, begin).with_policy(policy));
        }
    }

    /// The number of sessions.
    pub fn clients_count(&self) -> usize {
        self.engine.count()
    }

    /// Bytes in use of [`Builder::memory`](super::Builder::memory).
    pub fn memory_used(&self) -> usize {
        self.engine.budget().used()
    }

    /// Ends all sessions (`server shutting down`) and refuses new ones. Ready when all have ended.
    pub fn close(&self) -> impl Future<Output = ()> + 'static {
        let engine = Arc::clone(&self.engine);
        async move { engine.close().await }
    }
}

impl fmt::Debug for EngineServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineServer").field("path", &self.path).finish_non_exhaustive()
    }
}

struct Session(Arc<dyn EngineHandler>);

impl Session {
    /// Has the handler act. Its panic ends this session, and no other.
    fn act(&self, handle: &SessionHandle, act: impl FnOnce(&dyn EngineHandler, &EngineSocket<'_>)) {
        let acted = catch_unwind(AssertUnwindSafe(|| act(&*self.0, &EngineSocket(handle))));
        if acted.is_err() {
            error!("the handler of an Engine.IO session panicked; the session ends");
            handle.end(Ending::ClosedByServer);
        }
    }
}

impl Carried for Session {
    fn opened(&mut self, handle: &SessionHandle) {
        self.act(handle, |handler, socket| handler.opened(socket));
    }

    fn upgraded(&mut self, handle: &SessionHandle) {
        self.act(handle, |handler, socket| handler.upgraded(socket));
    }

    fn text(&mut self, text: ByteString, handle: &SessionHandle) {
        self.act(handle, |handler, socket| handler.message(socket, Message::Text(text)));
    }

    fn binary(&mut self, bytes: Bytes, handle: &SessionHandle) {
        self.act(handle, |handler, socket| handler.message(socket, Message::Binary(bytes)));
    }

    fn closed(&mut self, why: &Ending, handle: &SessionHandle) {
        self.act(handle, |handler, socket| handler.closed(socket, &Reason::of_session(why)));
    }
}
