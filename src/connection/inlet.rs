//! Bytes from the client of a session, decoded behind a gate.
//!
//! Incomplete messages, and bytes that wait behind the gate, are charged to the budget, and a message that
//! has begun must come at a minimum rate; a client that breaks either bound is ended.
//!
//! The gate is shut during a pause, and while the session has too many bytes accepted and not dealt with, has
//! too many bytes of its own answers unread, or sends faster than it may. A shut gate stops the decoder
//! between two messages; nothing is dropped, the bytes stay where they are, and TCP slows the client down.
//! The actor's mailbox and timers go on.

use std::{
    cell::Cell,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
    time::Instant,
};

use actix_web::{
    error::PayloadError,
    rt::time::{Sleep, sleep_until},
};
use bytes::Bytes;
use futures_core::Stream;
use prometheus::IntCounter;

use super::hold::Hold;
use super::{
    heartbeat::Signs,
    outlet::Outbox,
    rate::{RateLimit, TokenBucket, Verdict},
    upload::UploadWatch,
};
use crate::{
    connection::{Intake, Lease},
    protocol::websocket::{Decoder, Message, ProtocolError},
};

/// What the inlet yields.
#[derive(Debug)]
pub(crate) enum Inbound {
    /// A complete message.
    Message(Message),
    /// The bytes break the protocol or a limit; nothing more will come.
    Broken(ProtocolError),
    /// The client has exceeded its rate for too long; nothing more will come.
    Flood,
    /// A message comes in too slowly; nothing more will come.
    TooSlow,
    /// The budget has no more bytes for this client; nothing more will come.
    OutOfMemory,
    /// The connection ended; nothing more will come.
    Lost,
}

/// Decides whether the next message may be read.
#[derive(Debug)]
pub(crate) struct Gate {
    /// The bound on accepted messages.
    pub intake: Intake,
    /// The outgoing queue, where the session's own answers wait.
    pub outbox: Outbox,
    /// The most bytes of answers that may wait before the gate shuts.
    pub max_answer_bytes: usize,
    /// The gate is shut while this is on.
    pub hold: Hold,
    /// The bound on the rate of messages, if there is one; control frames have a bucket of their own, with
    /// these numbers.
    pub rate: Option<RateLimit>,
    /// Whether only control frames are bounded here: the session bounds its messages by itself.
    pub spares_messages: bool,
    /// Charged for the received bytes that the session holds.
    pub lease: Lease,
    /// Limits how slowly a message may come in.
    pub upload: UploadWatch,
    /// The bound on a message in bytes once the client has logged in; `None` if it does not change then.
    pub size_when_known: Option<usize>,
}

/// Signs of life, noted by the inlet and read by the heartbeat.
#[derive(Clone, Debug, Default)]
pub(crate) struct Life(Rc<LifeCells>);

#[derive(Debug, Default)]
struct LifeCells {
    heard: Cell<bool>,
    held_back: Cell<bool>,
}

impl Life {
    /// What was noted since the last call.
    pub(crate) fn take(&self) -> Signs {
        match (self.0.heard.take(), self.0.held_back.take()) {
            (true, _) => Signs::Heard,
            (false, true) => Signs::HeldBack,
            (false, false) => Signs::Silence,
        }
    }
}

/// A stream of the client's messages, for `StreamHandler`.
#[derive(Debug)]
pub(crate) struct Inlet<P> {
    payload: P,
    chunk: Bytes,
    /// Whether `chunk` has a buffer of its own.
    is_chunk_own: bool,
    decoder: Decoder,
    gate: Gate,
    buckets: Option<Buckets>,
    life: Life,
    bytes_in: IntCounter,
    ended: bool,
}

#[derive(Debug)]
struct Buckets {
    data: TokenBucket,
    control: TokenBucket,
    /// Runs while the rate limit keeps the gate shut.
    until_open: Option<Pin<Box<Sleep>>>,
}

impl<P> Inlet<P> {
    /// Decodes `payload` while `gate` is open, notes signs of life in `life`, and counts bytes in `bytes_in`.
    pub(crate) fn new(payload: P, decoder: Decoder, gate: Gate, life: Life, bytes_in: IntCounter) -> Self {
        let now = Instant::now();
        let buckets = gate.rate.map(|limit| Buckets {
            data: TokenBucket::new(limit, now),
            control: TokenBucket::new(limit, now),
            until_open: None,
        });
        Self {
            payload,
            chunk: Bytes::new(),
            is_chunk_own: true,
            decoder,
            gate,
            buckets,
            life,
            bytes_in,
            ended: false,
        }
    }

    /// Ready when the next message may be decoded; false if the client floods, and there will be none.
    fn poll_gate(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        if self.gate.outbox.holds_inlet(self.gate.max_answer_bytes) {
            // No waker is needed: the actor, and so this stream, is run when answers have left.
            return Poll::Pending;
        }
        ready!(self.gate.hold.poll_off(cx));
        ready!(self.gate.intake.poll_open(cx));
        self.buckets.as_mut().map_or(Poll::Ready(true), |buckets| buckets.poll_open(cx))
    }

    /// The gate is shut: received bytes wait here.
    fn wait_for_gate(&mut self) -> Poll<Option<Inbound>> {
        self.life.0.held_back.set(true);
        self.gate.upload.reset();
        if !self.is_chunk_own && !self.chunk.is_empty() {
            // Copied, because it is a part of a large buffer that all of the thread's connections share.
            self.chunk = Bytes::copy_from_slice(&self.chunk);
            self.is_chunk_own = true;
        }
        self.is_within_memory(self.chunk.len())
    }

    /// Pending if the budget allows what the session holds, with `chunk` bytes that are not decoded;
    /// otherwise ends the stream.
    fn is_within_memory(&mut self, chunk: usize) -> Poll<Option<Inbound>> {
        match self.gate.lease.hold(self.decoder.held() + chunk) {
            Ok(()) => Poll::Pending,
            Err(_) => self.end(Inbound::OutOfMemory),
        }
    }

    fn end(&mut self, last: Inbound) -> Poll<Option<Inbound>> {
        self.ended = true;
        Poll::Ready(Some(last))
    }
}

impl Buckets {
    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        if self.data.has_token() && self.control.has_token() {
            self.until_open = None;
            return Poll::Ready(true);
        }
        loop {
            if let Some(until_open) = &mut self.until_open {
                ready!(until_open.as_mut().poll(cx));
                self.until_open = None;
            }
            let now = Instant::now();
            let until = match (self.data.check(now), self.control.check(now)) {
                (Verdict::Go, Verdict::Go) => return Poll::Ready(true),
                (Verdict::Flood, _) | (_, Verdict::Flood) => return Poll::Ready(false),
                (Verdict::Wait(until), Verdict::Go) | (Verdict::Go, Verdict::Wait(until)) => until,
                (Verdict::Wait(one), Verdict::Wait(other)) => one.max(other),
            };
            self.until_open = Some(Box::pin(sleep_until(until.into())));
        }
    }

    fn take(&mut self, message: &Message, spares_messages: bool) {
        let now = Instant::now();
        match message {
            Message::Text(_) | Message::Binary(_) if spares_messages => {}
            Message::Text(_) | Message::Binary(_) => self.data.take(now),
            Message::Ping(_) | Message::Pong(_) | Message::Close(_) => self.control.take(now),
        }
    }

    fn pause(&mut self) {
        self.data.pause();
        self.control.pause();
    }
}

impl<P> Stream for Inlet<P>
where
    P: Stream<Item = Result<Bytes, PayloadError>> + Unpin,
{
    type Item = Inbound;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Inbound>> {
        let this = &mut *self;
        if this.ended {
            return Poll::Ready(None);
        }
        if this.gate.outbox.is_refused() {
            return this.end(Inbound::OutOfMemory);
        }
        match this.poll_gate(cx) {
            Poll::Ready(true) => {}
            Poll::Ready(false) => return this.end(Inbound::Flood),
            Poll::Pending => return this.wait_for_gate(),
        }
        if let Some(size) = this.gate.size_when_known
            && this.gate.hold.is_known()
        {
            this.decoder.set_message_size(size);
            this.gate.size_when_known = None;
        }
        loop {
            match this.decoder.decode(&mut this.chunk) {
                Ok(Some(message)) => {
                    if matches!(message, Message::Text(_) | Message::Binary(_)) {
                        this.gate.upload.reset();
                    }
                    if let Some(buckets) = &mut this.buckets {
                        buckets.take(&message, this.gate.spares_messages);
                    }
                    return Poll::Ready(Some(Inbound::Message(message)));
                }
                // The chunk is used up, but may still refer to the buffer that the thread's connections
                // share.
                Ok(None) => {
                    this.chunk = Bytes::new();
                    if let Poll::Ready(refused) = this.is_within_memory(0) {
                        return Poll::Ready(refused);
                    }
                }
                Err(error) => return this.end(Inbound::Broken(error)),
            }
            match Pin::new(&mut this.payload).poll_next(cx) {
                Poll::Ready(Some(Ok(chunk))) => {
                    this.life.0.heard.set(true);
                    this.bytes_in.inc_by(chunk.len() as u64);
                    this.chunk = chunk;
                    this.is_chunk_own = false;
                }
                // The end of an upgraded connection comes as an incomplete payload.
                Poll::Ready(Some(Err(_)) | None) => return this.end(Inbound::Lost),
                Poll::Pending => {
                    if let Some(buckets) = &mut this.buckets {
                        buckets.pause();
                    }
                    if this.gate.upload.is_too_slow(this.decoder.unfinished(), cx) {
                        return this.end(Inbound::TooSlow);
                    }
                    return Poll::Pending;
                }
            }
        }
    }
}
