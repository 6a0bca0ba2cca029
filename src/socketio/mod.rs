//! A Socket.IO server for actix-web: Socket.IO 5 on Engine.IO 4, over HTTP long-polling and WebSockets. It serves the
//! official clients from version 3 on.
//!
//! ```no_run
//! use actix_web::{App, HttpServer};
//! use echoroom::socketio::{Ack, Bytes, Server, Socket};
//!
//! #[actix_web::main]
//! async fn main() -> std::io::Result<()> {
//!     let io = Server::builder().build();
//!     io.namespace("/")
//!         .connect(async |socket: Socket| {
//!             socket.join("tea");
//!             socket.emit("welcome", socket.id());
//!         })
//!         .on("message", async |socket: Socket, (text, picture): (String, Bytes)| {
//!             socket.to("tea").emit("message", &(text, picture));
//!         })
//!         .on("sum", async |_: Socket, (a, b): (f64, f64), ack: Ack| ack.send(&(a + b)));
//!     HttpServer::new(move || App::new().configure(io.routes())).bind(("127.0.0.1", 3000))?.run().await
//! }
//! ```
//!
//! # Its parts
//!
//! - A [`Server`] has the namespaces and the sessions of all worker threads. It is made once, outside of the closure that makes
//!   each worker's `App`; [`Server::routes`] mounts it there. Its settings are the methods of [`Builder`].
//! - A [`Namespace`] takes the handlers, and reaches its sockets from routes, jobs and other threads. [`Server::dynamic`] is a
//!   family of namespaces by a pattern.
//! - A [`Socket`] is a client in one namespace, as its handlers see it. It stays on the thread of its session. From elsewhere
//!   a client is reached by its [`id`](Socket::id), which is a room, or as a [`RemoteSocket`].
//! - An [`Emitter`] selects sockets: those in rooms, or all except some. It emits to them, asks them for acks, looks them up,
//!   moves them between rooms, or disconnects them.
//!
//! # Arguments
//!
//! | type | as arguments of an event or an ack |
//! |---|---|
//! | a tuple | several |
//! | `()` | none |
//! | any other type that serde knows | one |
//! | [`Bytes`], anywhere in them | a binary attachment, in both directions |
//! | [`Value`], [`Arguments`] | one of any type; all, however many |
//!
//! An argument that is missing is read as `null`, and those that are too many are ignored. If the arguments do not fit a
//! handler, it is not called: see [`Namespace::on`].
//!
//! # Who may connect
//!
//! [`Namespace::admit`] sees the client's HTTP request and its `auth`, and may wait. What it returns is the socket's
//! [data](Socket::data); a [`Refusal`] is the client's `connect_error`. [`Namespace::middleware`] sees the socket before it is
//! connected. Which pages may open a session at all is set by [`Builder::origins`]: pages of the server itself, unless set
//! otherwise.
//!
//! ```
//! use actix_web::{App, test};
//! use echoroom::socketio::{Handshake, Refusal, Server, Socket};
//!
//! struct User {
//!     name: String,
//! }
//!
//! async fn user_of(session: &str) -> Option<User> {
//!     // A look-up in a database.
//!     (session == "7f3a").then(|| User { name: "Ada".to_owned() })
//! }
//!
//! let io = Server::builder().build();
//! io.namespace("/")
//!     .admit(async |handshake: &Handshake| {
//!         let session = handshake.cookie("session").ok_or("there is no session")?;
//!         user_of(session).await.ok_or(Refusal::new("the session has ended"))
//!     })
//!     .on("message", async |socket: Socket<User>, text: String| {
//!         socket.broadcast().emit("message", &(&socket.data().name, text));
//!     });
//!
//! # #[actix_web::main]
//! # async fn open(io: Server) {
//! let app = test::init_service(App::new().configure(io.routes())).await;
//! let open = test::TestRequest::with_uri("/socket.io/?EIO=4&transport=polling").to_request();
//! let session = test::call_and_read_body(&app, open).await;
//! assert!(session.starts_with(b"0{\"sid\":"), "{session:?}");
//! # }
//! # open(io);
//! ```
//!
//! # Order, failures and bounds
//!
//! The handlers of a socket start in the order of its events. While one waits, later ones run, as in Node;
//! [`Namespace::sequential`] has them run one after another. A handler that panics ends its socket, with a line in the log. A
//! handler that waits for long stops no other socket.
//!
//! What a client can make the server hold is bounded: each bound is a setting of [`Builder`]. A client that sends faster than
//! its handlers take is read more slowly, and one that does not read what it is sent is disconnected.
//!
//! # Several servers
//!
//! Servers of a cluster share namespaces. What a [`Server`], a [`Namespace`] or an [`Emitter`] does holds for the sockets of all
//! of them, unless it is [local](Emitter::local). A result of several servers tells how many did not answer
//! ([`Sockets::missing_servers`], [`AllRooms`], [`ServerAnswers`], [`MissingAcks`]) and has what came.
//! [`Namespace::share_data`] shows the data of sockets to other servers; [`Namespace::server_side_emit`] tells their listeners
//! of an event; [`Namespace::in_one_order`] has all hear one order. A server alone does all of it by itself.
//!
//! With the feature `redis`, `Builder::redis` makes a server one of a cluster. It speaks the formats of the official adapters
//! for Redis, so servers of Node may be in the cluster: `docs/beside-node.md` describes how an application moves over.
//!
//! # What it does not do
//!
//! Clients of Socket.IO 2 (`EIO=3`) are refused. There is no parser but the default one, no WebTransport, and no adapter for
//! anything but Redis.
//!
//! Programs to start from are in `examples/`: `embed`, `chat`, `whiteboard`, `admission` and `socketio_cluster`.

use std::{any::Any, rc::Rc, sync::Arc, time::Duration};

use serde::Serialize;

use self::handle::SessionHandle;
use crate::{
    connection::{Ending, Lease, admission::Admitted},
    domain::SocketId,
};

#[cfg(feature = "redis")]
pub use self::adapter::settings::{KeepSessions, RedisFormat, SubscriptionMode};
#[cfg(feature = "redis")]
pub use self::redis_options::Redis;
pub use self::{
    acks::{AckError, AckStream, MissingAcks},
    cookie::{Cookie, CookieError, SameSite},
    emitter::{DEFAULT_ACK_TIMEOUT, Emitter, MAX_ACK_TIMEOUT},
    engine_server::{EngineHandler, EngineServer, EngineSocket, Message},
    hooks::{ConnectionError, Hooks},
    ids::{GenerateId, IdError},
    into_rooms::IntoRooms,
    lookup::{AllRooms, Gone, Sockets},
    namespace::{Namespace, ServerEmitError},
    origins::{Cors, Origins},
    remote::RemoteSocket,
    request::Request,
    server::{Builder, Recovery, Server},
    server_event::{ServerAnswers, ServerEvent},
    settings::SettingsError,
    socket::{
        Ack, Answer, Event, EventError, EventHandler, Handshake, Joining, Listener, NotJoined, Reason,
        Socket, SocketData, SocketEmitter, shape,
    },
    transport::Transport,
};
pub use crate::{
    config::{AllowedOrigin, NetworkError, NodeNameError, OriginError, RedisUrlError},
    protocol::socketio::{Args, Arguments, DecodeError, EncodeError, Value},
};
pub use bytes::Bytes;
pub use bytestring::ByteString;

mod accept;
mod acks;
pub(crate) mod adapter;
mod carrier;
mod client;
mod cluster;
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
mod lookup;
mod namespace;
mod origins;
mod redis_options;
mod registry;
mod remote;
mod request;
mod requests;
mod rooms;
mod server;
mod server_event;
mod session;
mod settings;
mod shown;
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
