//! What a session gives to the code that interprets its messages: its outgoing queue, and requests to the session itself.

use std::{
    any::Any,
    cell::{Cell, OnceCell, RefCell},
    fmt,
    net::IpAddr,
    rc::Rc,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake},
};

use actix::{Message, Recipient};
use bytes::Bytes;
use bytestring::ByteString;
use smallvec::SmallVec;

use super::{Ending, deflating, registry::Sid, request::Request, transport::Transport};
use crate::{
    broadcast::Delivery,
    connection::{
        Backlog, DirectOutlet, Intake, Lease,
        outbound::{Outbound, Outlet},
    },
    domain::SocketId,
    protocol::websocket::{
        deflate::{Agreement, FULL_WINDOW},
        frame::OpCode,
    },
};

/// Asks the session to do what was requested outside its turn.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(super) struct Flush;

/// A session, for its [`Carried`](super::Carried). Clones are the same session.
#[derive(Clone)]
pub(crate) struct SessionHandle(Rc<Shared>);

/// What is known of a session when it begins.
pub(super) struct Facts {
    /// Its id.
    pub sid: Sid,
    /// The HTTP request that began it.
    pub request: Arc<Request>,
    /// Charged for the request.
    pub _lease: Option<Lease>,
    /// A value of the worker.
    pub state: Option<Rc<dyn Any>>,
}

/// The only supported revision of Engine.IO.
const PROTOCOL: u8 = 4;

/// Usually a client has one socket.
type SocketOutlets = SmallVec<[(SocketId, Rc<Outlet>); 1]>;

struct Shared {
    outbound: Outbound,
    /// The session's intake limit.
    intake: Intake,
    facts: Facts,
    /// The reason to end the session, once one is set.
    ending: OnceCell<Ending>,
    /// The outlets by which fan-outs reach the sockets.
    outlets: RefCell<SocketOutlets>,
    /// Where the chat server, the room server and the fan-outs send deliveries by message.
    address: RefCell<Option<Recipient<Delivery>>>,
    flusher: Arc<Flusher>,
    /// The compression of the WebSocket that carries the session.
    compression: Cell<Option<Agreement>>,
}

/// Makes a session flush, once for all requests between two turns of it.
#[derive(Debug, Default)]
pub(super) struct Flusher {
    session: OnceLock<Recipient<Flush>>,
    /// The session will flush by itself, or has been asked to.
    is_due: AtomicBool,
}

impl Wake for Flusher {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.is_due.swap(true, Ordering::SeqCst)
            && let Some(session) = self.session.get()
        {
            session.do_send(Flush);
        }
    }
}

impl SessionHandle {
    /// A session that writes to `outbound`. `intake` is its intake limit.
    pub(super) fn new(outbound: Outbound, intake: Intake, facts: Facts, flusher: Arc<Flusher>) -> Self {
        Self(Rc::new(Shared {
            outbound,
            intake,
            facts,
            ending: OnceCell::new(),
            outlets: RefCell::default(),
            address: RefCell::default(),
            flusher,
            compression: Cell::default(),
        }))
    }

    /// The session's intake limit. Charge it for input that is not dealt with.
    pub(crate) fn intake(&self) -> Intake {
        self.0.intake.clone()
    }

    /// The client's IP address, if known.
    pub(crate) fn client_address(&self) -> Option<IpAddr> {
        self.0.facts.request.address()
    }

    /// The HTTP request that began the session.
    pub(crate) fn request(&self) -> &Arc<Request> {
        &self.0.facts.request
    }

    /// Has the session call [`Carried::woken`](super::Carried::woken) soon.
    pub(crate) fn wake(&self) {
        self.0.flusher.wake_by_ref();
    }

    /// The value of the worker that its [`Door`](super::Door) gives to its sessions.
    pub(crate) fn state(&self) -> Option<&Rc<dyn Any>> {
        self.0.facts.state.as_ref()
    }

    /// The session's id in Engine.IO. It is a secret: a request with this id acts for the session.
    pub(crate) fn sid(&self) -> &Sid {
        &self.0.facts.sid
    }

    /// The transport that carries the session now.
    pub(crate) fn transport(&self) -> Transport {
        if self.0.outbound.is_polling() { Transport::Polling } else { Transport::WebSocket }
    }

    /// The revision of Engine.IO, the query parameter `EIO`.
    pub(crate) fn protocol(&self) -> u8 {
        PROTOCOL
    }

    // ----- packets -----

    /// Queues a packet with its type digit.
    pub(crate) fn packet(&self, packet: impl Into<ByteString>) {
        self.frame(OpCode::Text, packet.into().into_bytes(), true);
    }

    /// Queues a packet with its type digit that a WebSocket does not compress.
    pub(crate) fn packet_uncompressed(&self, packet: impl Into<ByteString>) {
        self.frame(OpCode::Text, packet.into().into_bytes(), false);
    }

    /// Queues a binary message that a WebSocket does not compress.
    pub(crate) fn binary_uncompressed(&self, bytes: Bytes) {
        self.frame(OpCode::Binary, bytes, false);
    }

    fn frame(&self, opcode: OpCode, payload: Bytes, may_compress: bool) {
        let outbound = &self.0.outbound;
        let queued = match self.0.compression.get().filter(|_| may_compress) {
            Some(agreed) => deflating::answer(outbound, agreed, opcode, payload),
            None => Err(payload),
        };
        match queued {
            Ok(()) => {}
            Err(plain) if opcode == OpCode::Binary => outbound.answer_binary(plain),
            Err(plain) => outbound.answer_frame(opcode, plain),
        }
        self.check_overrun();
    }

    /// Notes the compression that was agreed on for the WebSocket that carries the session.
    pub(super) fn set_compression(&self, compression: Option<Agreement>) {
        self.0.compression.set(compression);
    }

    /// Whether the client takes messages compressed with the full window, as broadcasts are.
    pub(crate) fn takes_compressed(&self) -> bool {
        self.0.compression.get().is_some_and(|agreed| agreed.window_bits() == FULL_WINDOW)
    }

    /// Queues a binary message.
    pub(crate) fn binary(&self, bytes: Bytes) {
        self.frame(OpCode::Binary, bytes, true);
    }

    /// Has the session end if too many bytes of answers wait.
    fn check_overrun(&self) {
        if self.0.outbound.is_overrun() {
            self.0.flusher.wake_by_ref();
        }
    }

    /// Queues an event that the client missed while it was away. It counts against no limit of the session: the client
    /// reads it at its own speed.
    pub(crate) fn missed(&self, packet: Bytes, attachments: &[Bytes]) {
        self.0.outbound.missed(packet, attachments);
    }

    /// Whether the transport takes an event now; a volatile event is queued only then.
    pub(crate) fn is_writable(&self) -> bool {
        self.0.outbound.is_writable()
    }

    /// Ready when at most `max_answers` bytes of answers wait, or for a polling client a few polls' worth; otherwise wakes
    /// the task when that is so.
    pub(crate) fn poll_drained(&self, max_answers: usize, cx: &mut Context<'_>) -> Poll<()> {
        self.0.outbound.poll_drained(max_answers, cx)
    }

    // ----- the session -----

    /// Ends the session after the waiting packets. The first reason counts.
    pub(crate) fn end(&self, why: Ending) {
        if self.0.ending.set(why).is_ok() {
            self.0.flusher.wake_by_ref();
        }
    }

    /// The reason to end the session, if one is set.
    pub(super) fn ending(&self) -> Option<Ending> {
        self.0.ending.get().cloned()
    }

    /// Notes whether the session flushes by itself after this turn.
    pub(super) fn set_flush_due(&self, is_due: bool) {
        self.0.flusher.is_due.store(is_due, Ordering::SeqCst);
    }

    /// The session has started, with these addresses.
    pub(super) fn set_address(&self, address: Recipient<Delivery>, flush: Recipient<Flush>) {
        self.0.address.replace(Some(address));
        let _ = self.0.flusher.session.set(flush);
    }

    /// The session has ended.
    pub(super) fn close(&self) {
        self.0.outlets.take().into_iter().for_each(|(_, outlet)| outlet.close());
    }

    // ----- sockets -----

    /// Where deliveries to the session go, once it has started.
    pub(crate) fn address(&self) -> Option<Recipient<Delivery>> {
        self.0.address.borrow().clone()
    }

    /// The session's backlog of deliveries.
    pub(crate) fn backlog(&self) -> Backlog {
        self.0.outbound.backlog()
    }

    /// Opens the outlet of a new socket. Fan-outs on this thread deliver to it.
    pub(crate) fn open_outlet(&self, socket: SocketId) -> Rc<dyn DirectOutlet> {
        let outlet = self.0.outbound.open_outlet();
        self.0.outlets.borrow_mut().push((socket, Rc::clone(&outlet)));
        outlet
    }

    /// Closes the outlet of a socket that has left. Idempotent.
    pub(super) fn close_outlet(&self, socket: SocketId) {
        self.0.outlets.borrow_mut().retain(|(its, outlet)| {
            if *its == socket {
                outlet.close();
            }
            *its != socket
        });
    }

    /// Notes that the session took a message for `socket` from its mailbox. Returns whether the socket still exists.
    pub(super) fn take_mail(&self, socket: SocketId) -> bool {
        let outlets = self.0.outlets.borrow();
        let outlet = outlets.iter().find(|(its, _)| *its == socket);
        if let Some((_, outlet)) = outlet {
            outlet.take_mail();
        }
        outlet.is_some()
    }
}

impl fmt::Debug for SessionHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionHandle").field("outbound", &self.0.outbound).finish_non_exhaustive()
    }
}
