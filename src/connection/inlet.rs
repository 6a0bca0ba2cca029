//! Decodes the bytes from a session's client, behind a gate.
//!
//! Incomplete messages, and bytes that wait behind the gate, are charged to the budget. An incomplete message
//! must arrive at a minimum rate. A client that breaks either limit is disconnected.
//!
//! The gate is shut during a pause, while the session has too many bytes that are accepted and not dealt
//! with, while too many bytes of its answers wait, and while the client exceeds its message rate. A shut gate
//! stops the decoder between two messages. Nothing is dropped: the bytes stay in their buffers, and TCP slows
//! the client down. The actor's mailbox and timers continue.

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

use super::pause::Pause;
use super::{
    heartbeat::Signs,
    outbound::Outbound,
    rate::{RateLimit, TokenBucket, Verdict},
    upload::UploadWatch,
};
use crate::{
    connection::{Ending, Intake, Lease},
    protocol::websocket::{Decoder, Message},
};

/// An item of the inlet's stream.
#[derive(Debug)]
pub(crate) enum Inbound {
    /// A complete message.
    Message(Message),
    /// The session ends for this reason; the last item.
    End(Ending),
}

/// Decides whether the next message may be read.
#[derive(Debug)]
pub(crate) struct Gate {
    /// The bound on accepted messages.
    pub intake: Intake,
    /// The outgoing queue. The gate is shut while too many of the session's own answers wait in it.
    pub outbound: Outbound,
    /// The gate is shut while this is on.
    pub pause: Pause,
    /// Limit on messages per second; control frames have a separate bucket with equal numbers. `None`
    /// disables both.
    pub rate: Option<RateLimit>,
    /// Whether the limit applies only to control frames, because the session counts its messages itself.
    pub spares_messages: bool,
    /// Charged for the received bytes that the session holds.
    pub lease: Lease,
    /// Minimum rate of an incomplete message.
    pub upload: UploadWatch,
    /// Largest message in bytes after the client has logged in; `None` if the limit does not change.
    pub size_when_known: Option<usize>,
}

/// Signs of life. The inlet notes them; the heartbeat reads them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Life(Rc<LifeCells>);

#[derive(Debug, Default)]
struct LifeCells {
    heard: Cell<bool>,
    held_back: Cell<bool>,
}

impl Life {
    /// Returns the signs since the last call.
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
    /// Whether `chunk` owns its buffer.
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
    /// Decodes `payload` while `gate` is open, notes signs of life in `life`, and counts received bytes in
    /// `bytes_in`.
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

    /// Ready with true when the next message may be decoded. Ready with false if the client floods: no
    /// message follows.
    fn poll_gate(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        if self.gate.outbound.holds_inlet() {
            // No waker is needed: the actor, and so this stream, is run when answers have left.
            return Poll::Pending;
        }
        ready!(self.gate.pause.poll_off(cx));
        ready!(self.gate.intake.poll_open(cx));
        self.buckets.as_mut().map_or(Poll::Ready(true), |buckets| buckets.poll_open(cx))
    }

    /// Keeps received bytes while the gate is shut.
    fn wait_for_gate(&mut self) -> Poll<Option<Inbound>> {
        self.life.0.held_back.set(true);
        self.gate.upload.reset();
        if !self.is_chunk_own && !self.chunk.is_empty() {
            // Copy the chunk: it is a slice of a large buffer that all connections of the thread share.
            self.chunk = Bytes::copy_from_slice(&self.chunk);
            self.is_chunk_own = true;
        }
        self.is_within_memory(self.chunk.len())
    }

    /// Charges the decoder's bytes and `chunk` undecoded bytes. Pending if the budget allows them; otherwise
    /// ends the stream.
    fn is_within_memory(&mut self, chunk: usize) -> Poll<Option<Inbound>> {
        match self.gate.lease.hold(self.decoder.held() + chunk) {
            Ok(()) => Poll::Pending,
            Err(_) => self.end(Ending::OutOfMemory),
        }
    }

    fn end(&mut self, ending: Ending) -> Poll<Option<Inbound>> {
        self.ended = true;
        Poll::Ready(Some(Inbound::End(ending)))
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
        if this.gate.outbound.is_refused() {
            return this.end(Ending::OutOfMemory);
        }
        match this.poll_gate(cx) {
            Poll::Ready(true) => {}
            Poll::Ready(false) => return this.end(Ending::Flood),
            Poll::Pending => return this.wait_for_gate(),
        }
        if let Some(size) = this.gate.size_when_known
            && this.gate.pause.is_known()
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
                // The chunk is empty, but may still keep the shared buffer of the thread's connections alive.
                Ok(None) => {
                    this.chunk = Bytes::new();
                    if let Poll::Ready(refused) = this.is_within_memory(0) {
                        return Poll::Ready(refused);
                    }
                }
                Err(error) => return this.end(Ending::Broken(error)),
            }
            match Pin::new(&mut this.payload).poll_next(cx) {
                Poll::Ready(Some(Ok(chunk))) => {
                    this.life.0.heard.set(true);
                    this.bytes_in.inc_by(chunk.len() as u64);
                    this.chunk = chunk;
                    this.is_chunk_own = false;
                }
                // The end of an upgraded connection appears as an incomplete payload.
                Poll::Ready(Some(Err(_)) | None) => return this.end(Ending::Lost),
                Poll::Pending => {
                    if let Some(buckets) = &mut this.buckets {
                        buckets.pause();
                    }
                    if this.gate.upload.is_too_slow(this.decoder.unfinished(), cx) {
                        return this.end(Ending::TooSlow);
                    }
                    return Poll::Pending;
                }
            }
        }
    }
}
