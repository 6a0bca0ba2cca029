//! Socket.IO on an Engine.IO session: namespaces, events, acks, rooms.
//!
//! A program registers its [`Namespaces`]. A client that connects to one of them gets a [`Socket`], and its
//! events go to the [`SocketHandler`] that the [`Namespace`] created for it:
//!
//! ```
//! use echoroom::socketio::namespaces::{Event, Namespace, Namespaces, Refusal, Socket, SocketHandler};
//!
//! /// Passes events on to all readers except editors.
//! struct News;
//!
//! impl Namespace for News {
//!     fn admit(&self, _auth: &str) -> Result<Box<dyn SocketHandler>, Refusal> {
//!         Ok(Box::new(News))
//!     }
//! }
//!
//! impl SocketHandler for News {
//!     fn connected(&mut self, socket: &Socket) {
//!         socket.join("readers");
//!         socket.emit("welcome", &socket.sid());
//!     }
//!
//!     fn event(&mut self, socket: &Socket, event: Event) {
//!         if let Some(ack) = event.ack {
//!             ack.answer(&event.args.without_name());
//!         }
//!         socket.to("readers").except("editors").emit_args(event.args.renamed("news"));
//!     }
//! }
//!
//! let namespaces = Namespaces::default().with("/news", News);
//! ```
//!
//! `examples/socketio_conformance.rs` is a complete program. An event to rooms is encoded once, and all
//! events to rooms of one namespace have one order. An event that a socket emits to its own client is sent
//! directly, so it may overtake events to rooms, unless the namespace [recovers](Namespace::recovers).

use std::{any::Any, collections::HashMap, rc::Rc};

use bytestring::ByteString;
use serde::Serialize;

use self::client::Client;
use super::{Carried, desk::Desk, registry::Registry};
use crate::{
    connection::Accepted,
    protocol::socketio::{self, Args},
};

pub use self::socket::{AckTo, Socket};

mod client;
mod socket;

/// Application code behind one namespace name.
pub trait Namespace {
    /// Accepts or rejects a client. `auth` is the JSON object that the client sent with CONNECT, or `{}`.
    /// Called again when a client comes back.
    ///
    /// # Errors
    /// The client is rejected: the error becomes a `CONNECT_ERROR` packet.
    fn admit(&self, auth: &str) -> Result<Box<dyn SocketHandler>, Refusal>;

    /// Whether sockets may join rooms and get events to many. Return false if the namespace keeps its own
    /// rooms.
    fn has_rooms(&self) -> bool {
        true
    }

    /// Whether lost sockets can be recovered with the events they missed (connection state recovery), within
    /// the engine's [`RecoveryLimits`](crate::socketio::RecoveryLimits). With recovery each
    /// event has its offset as an extra last argument, except events that ask for an ack, and the reply to
    /// CONNECT has a `pid`. A client that sends `{"recovery": false}` in its `auth` gets neither and cannot
    /// recover. A recovery window of zero disables recovery for all.
    fn recovers(&self) -> bool {
        false
    }
}

/// Handles the events of one socket, on its session's thread.
pub trait SocketHandler {
    /// The socket has connected, and its client has been told. A [recovered](Socket::was_recovered) socket is
    /// in its former rooms.
    fn connected(&mut self, _: &Socket) {}

    /// The client emitted an event.
    fn event(&mut self, socket: &Socket, event: Event);

    /// A task from [`Socket::spawn`] has finished with this output, or a server outside the room server, such as
    /// the chat server, sent news.
    fn notified(&mut self, _: &Socket, _: Box<dyn Any>) {}

    /// Whether the client may send messages of up to `max_payload` bytes. The limit before that is lower.
    fn is_known(&self) -> bool {
        true
    }

    /// The socket has disconnected. Called once. `why` is a disconnect reason of the reference server, or one
    /// of Echoroom's own.
    fn disconnected(&mut self, _: &Socket, _why: &str) {}
}

/// Reason for the rejection of a client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// A sentence for people.
    pub message: String,
    /// Details for programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<serde_json::Value>,
}

impl Refusal {
    /// Creates a reason without `data`.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), data: None }
    }
}

/// An event from a client.
#[derive(Debug)]
pub struct Event {
    /// The event's name.
    pub name: ByteString,
    /// The name and the arguments, as a JSON array, with attachments.
    pub args: Args,
    /// Sends the ack, if the client asked for one.
    pub ack: Option<AckTo>,
    /// The event's share of the client's intake limit, until it is dropped.
    pub accepted: Accepted,
}

/// The namespaces of a server, by name.
#[derive(Clone, Default)]
pub struct Namespaces {
    limits: socketio::Limits,
    by_name: HashMap<String, Rc<dyn Namespace>>,
    /// Whether the engine has a recovery window.
    can_recover: bool,
}

impl Namespaces {
    /// Creates a server without namespaces. `limits` bound the packets of a client.
    pub fn new(limits: socketio::Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Adds a namespace. Its name begins with a slash; `/` is the default of clients.
    #[must_use]
    pub fn with(mut self, name: &str, namespace: impl Namespace + 'static) -> Self {
        self.by_name.insert(name.to_owned(), Rc::new(namespace));
        self
    }

    /// Returns a factory of [`Carried`] for the sessions of `registry` on the worker of `desk`.
    pub(crate) fn carried_at(
        self,
        registry: &Registry,
        desk: Desk,
    ) -> impl Fn() -> Box<dyn Carried> + 'static {
        let can_recover = !registry.settings.rooms.recovery.window.is_zero();
        let namespaces = Rc::new(Self { can_recover, ..self });
        let rate = registry.settings.rate;
        let metrics = registry.metrics.protocol("socketio");
        move || Box::new(Client::new(Rc::clone(&namespaces), desk.clone(), rate, metrics.messages_in.clone()))
    }
}

impl std::fmt::Debug for Namespaces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.by_name.keys()).finish()
    }
}
