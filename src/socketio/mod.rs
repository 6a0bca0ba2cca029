//! A Socket.IO server for actix-web: Socket.IO 5 on Engine.IO 4, over HTTP long-polling and WebSockets.

use std::{any::Any, rc::Rc, sync::Arc, time::Duration};

use serde::Serialize;

use self::handle::SessionHandle;
use crate::{
    connection::{Ending, Lease, admission::Admitted},
    domain::SocketId,
};

pub use self::{
    acks::{AckError, AckStream, MissingAcks},
    cookie::{Cookie, CookieError, SameSite},
    emitter::{DEFAULT_ACK_TIMEOUT, Emitter, MAX_ACK_TIMEOUT},
    engine_server::{EngineHandler, EngineServer, EngineSocket, Message},
    hooks::{ConnectionError, Hooks},
    ids::{GenerateId, IdError},
    into_rooms::IntoRooms,
    namespace::Namespace,
    origins::{Cors, Origins},
    remote::{Gone, RemoteSocket},
    request::Request,
    server::{Builder, Recovery, Server},
    settings::SettingsError,
    socket::{
        Ack, Answer, Event, EventError, EventHandler, Handshake, Joining, Listener, NotJoined, Reason,
        Socket, SocketData, SocketEmitter, shape,
    },
    transport::Transport,
};
#[cfg(feature = "program")]
pub(crate) use self::{
    door::{Door, Policy, configure as configure_door},
    engine::Engine,
    rooms::{RecoveryLimits, RoomLimits},
    settings::EngineSettings,
};
pub use crate::{
    config::{AllowedOrigin, NetworkError, OriginError},
    protocol::socketio::{Args, Arguments, DecodeError, EncodeError, Value},
};
pub use bytes::Bytes;
pub use bytestring::ByteString;

mod accept;
mod acks;
mod carrier;
mod client;
mod cookie;
mod deflating;
mod desk;
mod door;
mod emitter;
mod engine;
mod engine_server;
mod gate;
mod handle;
mod hooks;
mod ids;
mod into_rooms;
mod link;
mod namespace;
mod origins;
mod registry;
mod remote;
mod request;
mod requests;
mod rooms;
mod server;
mod session;
mod settings;
mod socket;
mod transport;

/// Why a client is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// A sentence for people; the `message` of the client's error.
    pub message: String,
    /// Details for programs; the `data` of the client's error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<serde_json::Value>,
}

impl Refusal {
    /// A refusal without `data`.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), data: None }
    }

    /// A refusal with `data`.
    pub fn with_data(message: impl Into<String>, data: impl Into<serde_json::Value>) -> Self {
        Self { message: message.into(), data: Some(data.into()) }
    }
}

impl From<&str> for Refusal {
    fn from(message: &str) -> Self {
        Self::new(message)
    }
}

impl From<String> for Refusal {
    fn from(message: String) -> Self {
        Self::new(message)
    }
}

/// The client that starts a session.
#[derive(Debug, Default)]
pub(crate) struct Visitor {
    /// The request that begins the session.
    pub(crate) request: Arc<Request>,
    /// Charged for the request beyond a free share of 4 KiB, if it is.
    pub(crate) lease: Option<Lease>,
    /// The client's share of the session limit, if sessions are counted.
    pub(crate) admitted: Option<Admitted>,
    /// Whether the client takes base64 text frames instead of binary frames.
    pub(crate) wants_base64: bool,
    /// A value of the worker, for the session's handle.
    pub(crate) state: Option<Rc<dyn Any>>,
}

/// Interprets the messages of one session. Each session has its own value, on the session's thread.
pub(crate) trait Carried {
    /// The session has begun.
    fn opened(&mut self, _: &SessionHandle) {}

    /// The client sent a text message.
    fn text(&mut self, text: ByteString, handle: &SessionHandle);

    /// The client sent a binary message.
    fn binary(&mut self, bytes: Bytes, handle: &SessionHandle);

    /// News from outside for a socket of the session.
    fn notified(&mut self, _socket: SocketId, _: Box<dyn Any>, _: &SessionHandle) {}

    /// The session was woken by its [`SessionHandle`].
    fn woken(&mut self, _: &SessionHandle) {}

    /// The session goes on over a WebSocket.
    fn upgraded(&mut self, _: &SessionHandle) {}

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
    fn closed(&mut self, why: &Ending, handle: &SessionHandle);
}
