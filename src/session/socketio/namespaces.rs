//! Socket.IO on an Engine.IO session: namespaces, events, acks.
//!
//! A program gives the server its [`Namespaces`]. A client that connects to one of them has a [`Socket`] there, and what
//! it sends goes to the [`SocketHandler`] that its [`Namespace`] made for it:
//!
//! ```ignore
//! struct Echo;
//!
//! impl Namespace for Echo {
//!     fn admit(&self, _auth: &str) -> Result<Box<dyn SocketHandler>, Refusal> {
//!         Ok(Box::new(Echo))
//!     }
//! }
//!
//! impl SocketHandler for Echo {
//!     fn event(&mut self, socket: &Socket, event: Event) {
//!         match event.ack {
//!             Some(ack) => ack.answer(&event.args.without_name()),
//!             None => socket.emit_args(&event.args.renamed("echo")),
//!         }
//!     }
//! }
//!
//! let namespaces = Namespaces::new(Limits::default()).with("/", Echo);
//! ```

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
    time::{Duration, Instant},
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use bytestring::ByteString;
use log::debug;
use serde::Serialize;

use super::{Carried, EndReason, downlink::Downlink};
use crate::{
    chat::Delivery,
    protocol::socketio::{self, Args, Body, Decoder, Packet, ServerPacket},
    session::conversation::Outcome,
};

/// Namespaces that one client may be in.
const MAX_JOINED: usize = 32;

/// Acks that a server may wait for from one socket; the oldest is forgotten for one more.
const MAX_AWAITED: usize = 1024;

/// A second CONNECT this soon after the first is the same one.
const ONE_BREATH: Duration = Duration::from_millis(10);

/// What one name stands for.
pub trait Namespace {
    /// Lets a client in, or not. `auth` is the JSON object it brought, `{}` if none.
    ///
    /// # Errors
    /// What the client is told.
    fn admit(&self, auth: &str) -> Result<Box<dyn SocketHandler>, Refusal>;
}

/// One client in a namespace. Lives on the client's thread.
pub trait SocketHandler {
    /// The client is in, and has been told so.
    fn connected(&mut self, _: &Socket) {}

    /// It emitted something.
    fn event(&mut self, socket: &Socket, event: Event);

    /// The chat server has something for it.
    fn delivered(&mut self, _: &Socket, _: Delivery) {}

    /// Something was read for it.
    fn have_read(&mut self, _: &Socket, _: Outcome) {}

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
}

/// An event's answer. One that is dropped is none.
#[derive(Debug)]
pub struct AckTo {
    id: ByteString,
    socket: Socket,
}

impl AckTo {
    /// The number that the answer must bear, for who answers by [`Socket::ack`].
    pub fn number(&self) -> Option<u64> {
        self.id.parse().ok()
    }

    /// Answers with these arguments, a JSON array.
    pub fn answer(self, args: &Args) {
        let Args { json, attachments } = args;
        self.socket
            .send(ServerPacket::Ack { id: &self.id, json, attachments: attachments.len() }, attachments);
    }
}

/// A client in a namespace, to speak to it. Cheap to clone.
#[derive(Clone)]
pub struct Socket(Rc<SocketState>);

struct SocketState {
    sid: String,
    namespace: ByteString,
    down: Downlink,
    since: Instant,
    next_ack: Cell<u64>,
    awaited: RefCell<HashMap<u64, OnAck>>,
    is_out: Cell<bool>,
}

/// What is done with an answer.
type OnAck = Box<dyn FnOnce(&Args)>;

impl Socket {
    fn new(namespace: ByteString, down: Downlink) -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 15];
        getrandom::fill(&mut bytes)?;
        Ok(Self(Rc::new(SocketState {
            sid: BASE64_URL_SAFE_NO_PAD.encode(bytes),
            namespace,
            down,
            since: Instant::now(),
            next_ack: Cell::new(0),
            awaited: RefCell::default(),
            is_out: Cell::new(false),
        })))
    }

    /// The socket's own id, another one in each namespace.
    pub fn sid(&self) -> &str {
        &self.0.sid
    }

    /// The namespace it is in.
    pub fn namespace(&self) -> &str {
        &self.0.namespace
    }

    /// Emits an event with one argument.
    pub fn emit(&self, name: &str, data: &impl Serialize) {
        let json = serde_json::to_string(&(name, data)).expect("what is emitted is JSON");
        self.emit_args(&Args { json: json.into(), attachments: Vec::new() });
    }

    /// Emits an event: a JSON array that begins with its name, and its attachments.
    pub fn emit_args(&self, args: &Args) {
        self.send(
            ServerPacket::Event { json: &args.json, attachments: args.attachments.len(), id: None },
            &args.attachments,
        );
    }

    /// The same, but only if the client takes it at once.
    pub fn emit_volatile(&self, args: &Args) {
        if !self.0.down.is_busy() {
            self.emit_args(args);
        }
    }

    /// The same, and `on_ack` gets the answer, once and if it comes.
    pub fn emit_with_ack(&self, args: &Args, on_ack: impl FnOnce(&Args) + 'static) {
        let id = self.0.next_ack.replace(self.0.next_ack.get() + 1);
        let mut awaited = self.0.awaited.borrow_mut();
        if awaited.len() >= MAX_AWAITED
            && let Some(oldest) = awaited.keys().min().copied()
        {
            awaited.remove(&oldest);
        }
        awaited.insert(id, Box::new(on_ack));
        self.send(
            ServerPacket::Event { json: &args.json, attachments: args.attachments.len(), id: Some(id) },
            &args.attachments,
        );
    }

    /// What goes down to the client, of all its namespaces.
    pub fn downlink(&self) -> &Downlink {
        &self.0.down
    }

    /// Answers the event with this number, with a JSON array.
    pub fn ack(&self, id: u64, json: &str) {
        self.send(ServerPacket::Ack { id: &id.to_string(), json, attachments: 0 }, &[]);
    }

    /// Puts the client out of the namespace; with `close`, ends its whole session.
    pub fn disconnect(&self, close: bool) {
        self.send(ServerPacket::Disconnect, &[]);
        self.0.is_out.set(true);
        if close {
            self.0.down.end(EndReason::ForcedClose);
        }
    }

    fn send(&self, packet: ServerPacket<'_>, attachments: &[Bytes]) {
        if self.0.is_out.get() {
            return;
        }
        self.0.down.packet(packet.to_message(&self.0.namespace));
        for attachment in attachments {
            self.0.down.binary(attachment.clone());
        }
    }

    fn acked(&self, id: &str, args: &Args) {
        // Unknown ones are passed over, as the reference does.
        let on_ack = id.parse().ok().and_then(|id: u64| self.0.awaited.borrow_mut().remove(&id));
        if let Some(on_ack) = on_ack {
            on_ack(args);
        }
    }
}

impl std::fmt::Debug for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Socket").field("namespace", &self.0.namespace).finish_non_exhaustive()
    }
}

/// What a server has behind its names.
#[derive(Clone)]
pub struct Namespaces {
    limits: socketio::Limits,
    by_name: HashMap<String, Rc<dyn Namespace>>,
}

impl Namespaces {
    /// None yet.
    pub fn new(limits: socketio::Limits) -> Self {
        Self { limits, by_name: HashMap::new() }
    }

    /// One more. Names begin with a slash; `/` is the one of clients that name none.
    #[must_use]
    pub fn with(mut self, name: &str, namespace: impl Namespace + 'static) -> Self {
        self.by_name.insert(name.to_owned(), Rc::new(namespace));
        self
    }

    /// What an [`Engine`](super::Engine)'s sessions carry: each a client of these namespaces.
    pub fn carried(self) -> impl Fn() -> Box<dyn Carried> + 'static {
        let namespaces = Rc::new(self);
        move || Box::new(Client::new(Rc::clone(&namespaces)))
    }
}

impl std::fmt::Debug for Namespaces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.by_name.keys()).finish()
    }
}

/// The Socket.IO side of one session.
struct Client {
    namespaces: Rc<Namespaces>,
    decoder: Decoder,
    joined: HashMap<ByteString, (Socket, Box<dyn SocketHandler>)>,
    has_joined: bool,
}

/// The client broke the protocol: the session is to end.
struct Broken;

impl Client {
    fn new(namespaces: Rc<Namespaces>) -> Self {
        let decoder = Decoder::new(namespaces.limits);
        Self { namespaces, decoder, joined: HashMap::new(), has_joined: false }
    }

    fn take(&mut self, packet: Result<Option<Packet>, socketio::PacketError>, down: &Downlink) {
        let outcome = match packet {
            Ok(None) => Ok(()),
            Ok(Some(packet)) => self.dispatch(packet, down),
            Err(error) => {
                debug!("a socket.io client broke the protocol: {error}");
                Err(Broken)
            }
        };
        if outcome.is_err() {
            down.end(EndReason::ParseError);
        }
        self.let_go("server namespace disconnect");
    }

    fn dispatch(&mut self, Packet { namespace, body }: Packet, down: &Downlink) -> Result<(), Broken> {
        if let Body::Connect(auth) = body {
            return self.connect(namespace, auth.as_deref().unwrap_or("{}"), down);
        }
        let (socket, handler) = self.joined.get_mut(&namespace).ok_or(Broken)?;
        match body {
            Body::Event { name, args, id } => {
                let ack = id.map(|id| AckTo { id, socket: socket.clone() });
                handler.event(socket, Event { name, args, ack });
            }
            Body::Ack { id, args } => socket.acked(&id, &args),
            Body::Disconnect => {
                if let Some((socket, mut handler)) = self.joined.remove(&namespace) {
                    socket.0.is_out.set(true);
                    handler.disconnected(&socket, "client namespace disconnect");
                }
            }
            Body::Connect(_) | Body::Nothing => {}
        }
        Ok(())
    }

    fn connect(&mut self, namespace: ByteString, auth: &str, down: &Downlink) -> Result<(), Broken> {
        if let Some((socket, _)) = self.joined.get(&namespace) {
            // The official client says it twice in one breath when it is told to connect while it does so by itself.
            return if socket.0.since.elapsed() < ONE_BREATH { Ok(()) } else { Err(Broken) };
        }
        if self.joined.len() >= MAX_JOINED {
            return Err(Broken);
        }
        let admitted = match self.namespaces.by_name.get(&*namespace) {
            Some(behind) => behind.admit(auth),
            None => Err(Refusal::new("Invalid namespace")),
        };
        let mut handler = match admitted {
            Ok(handler) => handler,
            Err(refusal) => {
                let json = serde_json::to_string(&refusal).expect("a refusal is JSON");
                down.packet(ServerPacket::ConnectError { json: &json }.to_message(&namespace));
                return Ok(());
            }
        };
        let socket = Socket::new(namespace.clone(), down.clone()).map_err(|_| Broken)?;
        socket.send(ServerPacket::Connect { sid: socket.sid(), pid: None }, &[]);
        self.has_joined = true;
        handler.connected(&socket);
        self.joined.insert(namespace, (socket, handler));
        Ok(())
    }

    /// Lets go of sockets that the server has put out.
    fn let_go(&mut self, why: &str) {
        let out: Vec<_> = self
            .joined
            .iter()
            .filter(|(_, (socket, _))| socket.0.is_out.get())
            .map(|(name, _)| name.clone())
            .collect();
        for name in out {
            if let Some((socket, mut handler)) = self.joined.remove(&name) {
                handler.disconnected(&socket, why);
            }
        }
    }
}

impl Carried for Client {
    fn text(&mut self, text: ByteString, down: &Downlink) {
        let packet = self.decoder.text(&text);
        self.take(packet, down);
    }

    fn binary(&mut self, bytes: Bytes, down: &Downlink) {
        let packet = self.decoder.binary(bytes);
        self.take(packet, down);
    }

    fn delivered(&mut self, delivery: Delivery, _: &Downlink) {
        if let Some((socket, handler)) = self.joined.get_mut(socketio::MAIN) {
            handler.delivered(socket, delivery);
        }
        self.let_go("server namespace disconnect");
    }

    fn have_read(&mut self, outcome: Outcome, _: &Downlink) {
        if let Some((socket, handler)) = self.joined.get_mut(socketio::MAIN) {
            handler.have_read(socket, outcome);
        }
    }

    fn is_joined(&self) -> bool {
        self.has_joined
    }

    fn closed(&mut self, why: EndReason) {
        for (_, (socket, mut handler)) in self.joined.drain() {
            socket.0.is_out.set(true);
            handler.disconnected(&socket, &why.to_string());
        }
    }
}
