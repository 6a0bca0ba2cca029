//! One WebSocket of a Socket.IO session: the one that carries it, or one that its client probes.
//!
//! The request is answered on the thread of its connection; then the socket is handed over to the session, which reads
//! it and writes it in its own task ([`Link`]).

use std::{
    cell::Cell,
    pin::Pin,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use actix_web::{HttpRequest, HttpResponse, rt, web};
use bytes::Bytes;
use futures_core::Stream;
use log::debug;

use super::{Carried, Engine, EngineSettings, Visitor, engine::Entry, gate::Gate, session::Probe};
use crate::{
    connection::{
        Lease,
        detached::Socket,
        handshake,
        outlet::{Deliveries, Outbox},
        upgraded::Upgraded,
        upload::UploadWatch,
        wire::{Arrivals, Wire},
    },
    protocol::{
        close::CloseReason,
        engineio,
        websocket::{
            CloseFrame, Decoder, Limits, Message, ProtocolError, close as close_frame, frame::OpCode,
        },
    },
};

/// Why an upgrade request was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum CarrierError {
    /// The request is not a WebSocket handshake.
    #[error("the request is no WebSocket handshake: {0}")]
    Handshake(String),
    /// The system has no random numbers for a session id.
    #[error("no random numbers: {0}")]
    Random(#[from] getrandom::Error),
}

/// Accepts a checked upgrade request and starts a new session on the WebSocket.
///
/// # Errors
/// The request is not a WebSocket handshake, or the system has no random numbers.
pub fn begin(
    req: &HttpRequest,
    payload: web::Payload,
    engine: &Arc<Engine>,
    carried: Box<dyn Carried>,
    visitor: Visitor,
) -> Result<HttpResponse, CarrierError> {
    let (sid, open) = engine.open_packet(&[])?;
    let engine = Arc::clone(engine);
    hand_over(req, payload, move |socket| match Incoming::new(socket, visitor.wants_base64, &engine) {
        Ok(incoming) => {
            incoming.carrier.text(open.into());
            engine.start_on_websocket(sid, incoming, carried, visitor);
        }
        Err(error) => debug!("a client is gone before its session has begun: {error}"),
    })
}

/// Accepts a checked upgrade request of a polling session. The client then probes the WebSocket. With
/// `wants_base64` the client takes no binary frames.
///
/// # Errors
/// The request is not a WebSocket handshake.
pub fn probe(
    req: &HttpRequest,
    payload: web::Payload,
    entry: Entry,
    wants_base64: bool,
) -> Result<HttpResponse, CarrierError> {
    hand_over(req, payload, move |socket| entry.session.do_send(Probe { socket, wants_base64 }))
}

fn hand_over(
    req: &HttpRequest,
    payload: web::Payload,
    take: impl FnOnce(Socket) + 'static,
) -> Result<HttpResponse, CarrierError> {
    let response = handshake::agree(req).map_err(|error| CarrierError::Handshake(error.to_string()))?;
    let (upgraded, payload) = Upgraded::take(req, payload);
    Ok(upgraded.hand_over(response, payload, take))
}

/// A WebSocket that has been handed over.
pub(super) struct Incoming {
    pub carrier: Carrier,
    arrivals: Arrivals,
}

impl Incoming {
    /// Attaches a socket to this thread. With `wants_base64` its client takes no binary frames.
    ///
    /// # Errors
    /// The client is gone.
    pub(super) fn new(socket: Socket, wants_base64: bool, engine: &Arc<Engine>) -> std::io::Result<Self> {
        let (wire, arrivals) = Wire::attach(socket)?;
        Ok(Self { carrier: Carrier::new(wire, wants_base64, engine), arrivals })
    }

    /// What reads and writes the WebSocket for a session with this gate.
    pub(super) fn link(self, engine: &Engine, gate: Arc<Gate>) -> Link {
        let EngineSettings { max_fragments, max_waiting, .. } = engine.settings;
        let sizes = [false, true].map(|is_known| engine.settings.max_size(is_known));
        let limits = Limits { message_size: sizes[0], fragments: max_fragments };
        Link {
            carrier: self.carrier,
            arrivals: self.arrivals,
            gate,
            chunk: Bytes::new(),
            is_chunk_own: true,
            max_waiting,
            sizes,
            decoder: Decoder::new(limits, None),
            lease: engine.lease(),
            upload: UploadWatch::new(engine.settings.upload),
            has_ended: false,
            has_told_refusal: false,
        }
    }
}

/// The number of WebSockets whose sessions have ended, and whose last bytes are still written.
#[derive(Clone, Debug, Default)]
pub(super) struct Finishing(Arc<AtomicUsize>);

impl Finishing {
    pub(super) fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    fn enter(&self) -> Finisher {
        self.0.fetch_add(1, Ordering::SeqCst);
        Finisher(Arc::clone(&self.0))
    }
}

/// Counts one WebSocket until it is dropped.
struct Finisher(Arc<AtomicUsize>);

impl Drop for Finisher {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A WebSocket of a session. Clones are the same WebSocket.
#[derive(Clone, Debug)]
pub(super) struct Carrier(Rc<State>);

#[derive(Debug)]
struct State {
    outbox: Outbox,
    wants_base64: bool,
    /// Whether it carries the session: it is not, or not only, probed.
    carries: Cell<bool>,
    is_closed: Cell<bool>,
    /// Whether the link is about to be polled again, which writes what is queued.
    is_attended: Cell<bool>,
    /// Bytes that may wait when the session is told that it may queue more; `None` if it has no more.
    more_at: Cell<Option<usize>>,
    stall_timeout: Duration,
    finishing: Finishing,
}

impl Carrier {
    fn new(wire: Rc<Wire>, wants_base64: bool, engine: &Engine) -> Self {
        let lease = Lease::of_waiting(engine.budget());
        // Packets are not counted as bytes sent.
        let outbox = Outbox::new(wire, lease, None);
        Self::on(outbox, wants_base64, engine.settings.stall_timeout, engine.finishing())
    }

    fn on(outbox: Outbox, wants_base64: bool, stall_timeout: Duration, finishing: Finishing) -> Self {
        Self(Rc::new(State {
            outbox,
            wants_base64,
            carries: Cell::new(false),
            is_closed: Cell::new(false),
            is_attended: Cell::new(false),
            more_at: Cell::new(None),
            stall_timeout,
            finishing,
        }))
    }

    /// Whether both are the same WebSocket.
    pub(super) fn is(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }

    /// Notes that it carries the session now.
    pub(super) fn carry(&self) {
        self.0.carries.set(true);
    }

    /// The outgoing queue.
    pub(super) fn outbox(&self) -> &Outbox {
        &self.0.outbox
    }

    /// Whether the client wants binary messages as base64 in text frames.
    pub(super) fn wants_base64(&self) -> bool {
        self.0.wants_base64
    }

    /// Queues a frame. Ignored once it is closed.
    pub(super) fn frame(&self, opcode: OpCode, payload: Bytes) {
        let State { outbox, is_closed, is_attended, .. } = &*self.0;
        if is_closed.get() {
            return;
        }
        // The first of several frames wakes the task, and the task writes all of them.
        if !is_attended.get() && !outbox.has_waiting() {
            outbox.wake();
        }
        outbox.answer_frame(opcode, payload);
    }

    /// Has the session told ([`Inbound::Drained`]) when at most `bytes` bytes wait.
    pub(super) fn tell_at(&self, bytes: usize) {
        self.0.more_at.set(Some(bytes));
        if !self.0.is_attended.get() {
            self.0.outbox.wake();
        }
    }

    /// Queues a text frame.
    pub(super) fn text(&self, text: Bytes) {
        self.frame(OpCode::Text, text);
    }

    /// Queues a binary message, as base64 if the client wants that.
    pub(super) fn binary(&self, bytes: Bytes) {
        if self.0.wants_base64 {
            let mut text = String::with_capacity(engineio::binary_len(bytes.len()));
            engineio::push_binary(&mut text, &bytes);
            return self.text(Bytes::from(text));
        }
        self.frame(OpCode::Binary, bytes);
    }

    /// Writes or queues finished frames of a room.
    pub(super) fn deliver(&self, frames: &[Bytes], bytes: usize) {
        if !self.0.is_closed.get() {
            self.0.outbox.deliver_now(frames, bytes);
        }
    }

    /// The backlog in bytes.
    pub(super) fn waiting_bytes(&self) -> usize {
        self.0.outbox.waiting_bytes()
    }

    /// The backlog of frames of rooms.
    pub(super) fn deliveries(&self) -> Deliveries {
        self.0.outbox.deliveries()
    }

    /// Drops the backlog, except the rest of a frame that is partly written.
    pub(super) fn clear(&self) {
        self.0.outbox.clear();
    }

    /// Ends the connection after the backlog, with a close frame. The first end counts.
    pub(super) fn close(&self, reason: Option<CloseReason>) {
        self.close_with(&reason.map_or_else(|| close_frame::encode_reply(None), close_frame::encode));
    }

    /// Ends the connection after the backlog, with the answer to the client's close frame.
    pub(super) fn answer_close(&self, received: Option<&CloseFrame>) {
        self.close_with(&close_frame::encode_reply(received));
    }

    /// Ends the connection after the backlog, with this finished close frame.
    pub(super) fn close_with(&self, frame: &[u8]) {
        if self.0.is_closed.replace(true) {
            return;
        }
        let outbox = &self.0.outbox;
        outbox.answer(|out| out.extend_from_slice(frame));
        outbox.end();
        let (outbox, patience, finisher) = (outbox.clone(), self.0.stall_timeout, self.0.finishing.enter());
        rt::spawn(async move {
            outbox.finish(patience).await;
            drop(finisher);
        });
    }
}

impl Drop for State {
    /// A session that ends without a word, because its task is dropped, must not keep the socket open.
    fn drop(&mut self) {
        if !self.is_closed.get() {
            self.outbox.release();
        }
    }
}

/// What comes on a WebSocket.
#[derive(Debug)]
pub(super) struct Heard {
    /// The WebSocket.
    pub carrier: Carrier,
    /// What came.
    pub inbound: Inbound,
}

/// One item from a WebSocket.
#[derive(Debug)]
pub(super) enum Inbound {
    /// A data message or a control frame.
    Frame(Message),
    /// The frames broke the protocol or a limit; the last item.
    Broken(ProtocolError),
    /// An unfinished message arrived too slowly; the last item.
    TooSlow,
    /// The memory budget has no room for an unfinished message; the last item.
    OutOfMemory,
    /// The connection ended; the last item.
    Lost,
    /// The client has taken most of what was queued.
    Drained,
    /// The memory budget has no room for what waits.
    Refused,
}

/// Reads a WebSocket for its session, one message at a time, while the session's gate is open, and writes what the session
/// has queued. What is answered to several messages of one turn is written together.
pub(super) struct Link {
    carrier: Carrier,
    arrivals: Arrivals,
    gate: Arc<Gate>,
    /// Received bytes that are not decoded yet.
    chunk: Bytes,
    /// Whether `chunk` owns its buffer.
    is_chunk_own: bool,
    /// Limit on bytes that wait to be written; above it nothing is read.
    max_waiting: usize,
    /// Limits on message bytes: before the client is known, and after.
    sizes: [usize; 2],
    decoder: Decoder,
    /// The memory held for unfinished and undecoded input.
    lease: Lease,
    /// The upload rate of unfinished messages.
    upload: UploadWatch,
    /// Nothing more is read.
    has_ended: bool,
    has_told_refusal: bool,
}

impl Link {
    /// Ready when the next message may be read.
    fn poll_open(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.carrier.waiting_bytes() > self.max_waiting {
            // No waker is needed: what is written is written here, too.
            return Poll::Pending;
        }
        // During a probe a post may wait for the gate, so the probed WebSocket does not.
        if self.carrier.0.carries.get() { self.gate.poll_open(cx) } else { Poll::Ready(()) }
    }

    /// Keeps received bytes while nothing may be read.
    fn keep(&mut self) -> Poll<Option<Inbound>> {
        if !self.is_chunk_own && !self.chunk.is_empty() {
            // Copied: it is a slice of a large buffer that all connections of the thread share.
            self.chunk = Bytes::copy_from_slice(&self.chunk);
            self.is_chunk_own = true;
        }
        self.charge(self.chunk.len())
    }

    /// Charges the decoder's bytes and `chunk` undecoded bytes. Pending if the budget allows them.
    fn charge(&mut self, chunk: usize) -> Poll<Option<Inbound>> {
        match self.lease.hold(self.decoder.held() + chunk) {
            Ok(()) => Poll::Pending,
            Err(_) => self.end(Inbound::OutOfMemory),
        }
    }

    fn end(&mut self, last: Inbound) -> Poll<Option<Inbound>> {
        self.has_ended = true;
        Poll::Ready(Some(last))
    }

    /// The next item from the client. Pending after the last one, too.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Option<Inbound>> {
        if self.has_ended {
            return Poll::Pending;
        }
        if self.poll_open(cx).is_pending() {
            return self.keep();
        }
        self.decoder.set_message_size(self.sizes[usize::from(self.gate.is_known())]);
        loop {
            match self.decoder.decode(&mut self.chunk) {
                Ok(Some(message)) => {
                    match message {
                        Message::Text(_) | Message::Binary(_) => self.upload.reset(),
                        Message::Close(_) => self.has_ended = true,
                        Message::Ping(_) | Message::Pong(_) => {}
                    }
                    return Poll::Ready(Some(Inbound::Frame(message)));
                }
                // The chunk is empty, but may still keep the shared buffer of the thread's connections alive.
                Ok(None) => self.chunk = Bytes::new(),
                Err(error) => return self.end(Inbound::Broken(error)),
            }
            if let Poll::Ready(refused) = self.charge(0) {
                return Poll::Ready(refused);
            }
            match Pin::new(&mut self.arrivals).poll_next(cx) {
                Poll::Ready(Some(Ok(chunk))) => (self.chunk, self.is_chunk_own) = (chunk, false),
                Poll::Ready(Some(Err(_)) | None) => return self.end(Inbound::Lost),
                Poll::Pending if self.upload.is_too_slow(self.decoder.unfinished(), cx) => {
                    return self.end(Inbound::TooSlow);
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

impl Stream for Link {
    type Item = Heard;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Heard>> {
        let this = &mut *self;
        let carrier = this.carrier.clone();
        carrier.0.is_attended.set(true);
        let inbound = loop {
            if carrier.0.is_closed.get() {
                // A task of its own writes the rest.
                return Poll::Ready(None);
            }
            if let Poll::Ready(Some(inbound)) = this.poll_read(cx) {
                break inbound;
            }
            let outbox = carrier.outbox();
            let before = outbox.waiting_bytes();
            if let Poll::Ready(Err(_)) = outbox.poll_write(cx) {
                // What the client sent before the failure is still read; then the session ends.
                outbox.drop_all();
            }
            let waiting = outbox.waiting_bytes();
            if outbox.is_refused() && !std::mem::replace(&mut this.has_told_refusal, true) {
                break Inbound::Refused;
            }
            if carrier.0.more_at.get().is_some_and(|bytes| waiting <= bytes) {
                carrier.0.more_at.set(None);
                break Inbound::Drained;
            }
            // If enough has been written now, more may be read.
            if before <= this.max_waiting || waiting > this.max_waiting {
                carrier.0.is_attended.set(false);
                return Poll::Pending;
            }
        };
        Poll::Ready(Some(Heard { carrier, inbound }))
    }
}

/// WebSockets of tests.
#[cfg(test)]
pub(super) mod testing {
    use super::*;
    use crate::connection::{Budget, host::HostEnd};

    /// The client of a WebSocket, in memory. It takes nothing until it is asked.
    pub(in crate::socketio) struct Client {
        carrier: Carrier,
        wire: Rc<Wire>,
        end: HostEnd,
    }

    /// A WebSocket and its client.
    pub(in crate::socketio) fn carrier(wants_base64: bool) -> (Carrier, Client) {
        let (wire, end) = Wire::in_memory();
        let outbox = Outbox::new(Rc::clone(&wire), Lease::new(Budget::new(1 << 24)), None);
        let carrier = Carrier::on(outbox, wants_base64, Duration::ZERO, Finishing::default());
        (carrier.clone(), Client { carrier, wire, end })
    }

    impl Client {
        /// Takes everything.
        pub(in crate::socketio) fn take(&mut self) -> Vec<u8> {
            self.wire.open();
            let mut taken = Vec::new();
            loop {
                let _ = self.carrier.outbox().poll_write(&mut Context::from_waker(std::task::Waker::noop()));
                let more = self.end.taken();
                if more.is_empty() {
                    return taken;
                }
                taken.extend(more);
            }
        }

        /// Notes whether its socket takes nothing.
        pub(in crate::socketio) fn set_blocked(&self, is_blocked: bool) {
            self.wire.connection().set_blocked(is_blocked);
        }
    }
}
