//! Socket.IO on an Engine.IO session: namespaces, events, acks, rooms.
//!
//! A program gives the server its [`Namespaces`]. A client that connects to one of them has a [`Socket`] there, and what
//! it sends goes to the [`SocketHandler`] that its [`Namespace`] made for it:
//!
//! ```
//! use echoroom::socketio::namespaces::{Event, Namespace, Namespaces, Refusal, Socket, SocketHandler};
//!
//! /// Everybody in a room hears what is said in it.
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
//! `examples/socketio_conformance.rs` is a whole program. What is emitted to rooms is encoded once, and in one order for
//! all of a namespace; what a socket emits to its own client goes there at once, so it may overtake that, unless the
//! namespace [recovers](Namespace::recovers).

use std::{any::Any, collections::HashMap, rc::Rc};

use bytestring::ByteString;
use serde::Serialize;

use self::client::Client;
use super::{Carried, Engine, engine::Desk};
use crate::{
    connection::Accepted,
    protocol::socketio::{self, Args},
};

pub use self::{
    emitter::Emitter,
    socket::{AckTo, Socket},
};

mod client;
mod emitter;
mod socket;

/// What one name stands for.
pub trait Namespace {
    /// Lets a client in, or not. `auth` is the JSON object it brought, `{}` if none. A client that comes back is asked
    /// again.
    ///
    /// # Errors
    /// What the client is told.
    fn admit(&self, auth: &str) -> Result<Box<dyn SocketHandler>, Refusal>;

    /// Whether its sockets may be in rooms and be emitted to together; one that has rooms of its own kind does without.
    fn has_rooms(&self) -> bool {
        true
    }

    /// Whether a client that was lost may come back as the socket that it was, within the engine's
    /// [`RecoveryLimits`](crate::socketio::hub::recovery::RecoveryLimits), and is given what it missed: connection state recovery. Every
    /// event has an offset as one more argument then, but for those that ask for an ack; and the answer to CONNECT has a
    /// `pid`. A client that brings `{"recovery": false}` in its `auth` has neither, and does not come back; nor does
    /// anybody if the limits have no window.
    fn recovers(&self) -> bool {
        false
    }
}

/// One client in a namespace. Lives on the client's thread.
pub trait SocketHandler {
    /// The client is in, and has been told so. One that [was recovered](Socket::was_recovered) is in its rooms.
    fn connected(&mut self, _: &Socket) {}

    /// It emitted something.
    fn event(&mut self, socket: &Socket, event: Event);

    /// A task that it [spawned](Socket::spawn) is done, with this outcome; or a server of rooms that it has joined by itself
    /// tells it something.
    fn notified(&mut self, _: &Socket, _: Box<dyn Any>) {}

    /// Whether it may send messages of any size: one of which nothing is known yet may send small ones.
    fn is_known(&self) -> bool {
        true
    }

    /// It is out. Called once; `why` is in the words of the reference.
    fn disconnected(&mut self, _: &Socket, _why: &str) {}
}

/// Why a client is not let in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// For people.
    pub message: String,
    /// For programs, if there is something.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<serde_json::Value>,
}

impl Refusal {
    /// With words alone.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), data: None }
    }
}

/// Something a client emitted.
#[derive(Debug)]
pub struct Event {
    /// Its name.
    pub name: ByteString,
    /// The name and what came with it.
    pub args: Args,
    /// How it is to be answered, if it is.
    pub ack: Option<AckTo>,
    /// Its share of what may be under way for the client: until this is dropped it is not dealt with.
    pub accepted: Accepted,
}

/// What a server has behind its names.
#[derive(Clone, Default)]
pub struct Namespaces {
    limits: socketio::Limits,
    by_name: HashMap<String, Rc<dyn Namespace>>,
    /// Whether the engine keeps anything for clients that come back.
    can_recover: bool,
}

impl Namespaces {
    /// None yet.
    pub fn new(limits: socketio::Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// One more. Names begin with a slash; `/` is the one of clients that name none.
    #[must_use]
    pub fn with(mut self, name: &str, namespace: impl Namespace + 'static) -> Self {
        self.by_name.insert(name.to_owned(), Rc::new(namespace));
        self
    }

    /// What the sessions of `engine` on this worker carry: each a client of these namespaces. To be called on the
    /// worker's own thread.
    pub fn carried(self, engine: &Engine) -> impl Fn() -> Box<dyn Carried> + 'static {
        self.carried_at(engine, engine.desk())
    }

    /// What the sessions of `engine` carry on the worker of this desk.
    pub(crate) fn carried_at(self, engine: &Engine, desk: Desk) -> impl Fn() -> Box<dyn Carried> + 'static {
        let can_recover = !engine.settings.hub.recovery.window.is_zero();
        let namespaces = Rc::new(Self { can_recover, ..self });
        let rate = engine.settings.rate;
        let metrics = engine.metrics.protocol("socketio");
        move || Box::new(Client::new(Rc::clone(&namespaces), desk.clone(), rate, metrics.messages_in.clone()))
    }
}

impl std::fmt::Debug for Namespaces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.by_name.keys()).finish()
    }
}
