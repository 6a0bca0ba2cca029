//! A Socket.IO server on Engine.IO 4. It does not depend on the chat, which is one of its namespaces.
//!
//! One [`SocketIoSession`] actor serves one client over any transport: HTTP long-polling, a WebSocket, or
//! first polling and then a WebSocket. HTTP requests look up the session by its id in the [`Engine`]. The
//! session passes messages to a [`Carried`], which interprets them: in production a client of [`namespaces`].
//! The actor in [`rooms`] keeps the rooms of all namespaces.

use std::{any::Any, rc::Rc, sync::Arc, time::Duration};

use bytes::Bytes;
use bytestring::ByteString;

use crate::{
    connection::{Lease, admission::Admitted},
    domain::SocketId,
};

pub use self::{
    cookie::{Cookie, CookieError, SameSite},
    desk::Desk,
    door::{Door, Policy, configure as configure_door},
    engine::Engine,
    handle::SessionHandle,
    hooks::{ConnectionError, Hooks},
    ids::{GenerateId, IdError},
    origins::{Cors, Origins},
    registry::{Registry, Sid},
    request::Request,
    requests::Entry,
    session::SocketIoSession,
    settings::{EngineSettings, SettingsError},
    transport::Transport,
};
pub use crate::{
    config::{AllowedOrigin, OriginError},
    connection::{Ending, outbound::PollAnswer},
    protocol::socketio::{Args, Limits},
};

pub mod accept;
mod carrier;
mod cookie;
mod deflating;
mod desk;
mod door;
pub mod engine;
pub mod gate;
pub mod handle;
mod hooks;
mod ids;
mod link;
pub mod namespaces;
mod origins;
mod registry;
pub mod relay;
mod request;
mod requests;
pub mod rooms;
pub mod session;
mod settings;
mod transport;

/// The client that starts a session.
#[derive(Debug, Default)]
pub struct Visitor {
    /// The request that begins the session.
    pub request: Arc<Request>,
    /// Charged for the request beyond a free share of 4 KiB, if it is.
    pub lease: Option<Lease>,
    /// The client's share of the session limit, if sessions are counted.
    pub admitted: Option<Admitted>,
    /// Whether the client takes base64 text frames instead of binary frames.
    pub wants_base64: bool,
    /// A value of the worker, for the session's handle.
    pub state: Option<Rc<dyn Any>>,
}

/// Interprets the messages of one session. Each session has its own value, on the session's thread.
pub trait Carried {
    /// Called once, when the session starts.
    fn opened(&mut self, _: &SessionHandle) {}

    /// The client has upgraded from polling to a WebSocket.
    fn upgraded(&mut self, _: &SessionHandle) {}

    /// The client sent a text message.
    fn text(&mut self, text: ByteString, handle: &SessionHandle);

    /// The client sent a binary message.
    fn binary(&mut self, bytes: Bytes, handle: &SessionHandle);

    /// News from outside for a socket of the session, or the result of a task that the socket spawned.
    fn notified(&mut self, _socket: SocketId, _: Box<dyn Any>, _: &SessionHandle) {}

    /// Whether the client has joined something. A client that has not joined before the connect timeout is
    /// disconnected.
    fn is_joined(&self) -> bool {
        true
    }

    /// Whether the client may send messages of up to `max_payload` bytes. The limit before that is
    /// `max_unknown`.
    fn is_known(&self) -> bool {
        self.is_joined()
    }

    /// Bytes of a message that the client has begun and not finished.
    fn unfinished(&self) -> usize {
        0
    }

    /// Whether an unfinished message is older than `patience`. Called before each ping.
    fn is_stuck(&self, _patience: Duration) -> bool {
        false
    }

    /// The session has ended. Called once.
    fn closed(&mut self, why: &Ending);
}
