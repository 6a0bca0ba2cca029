//! Reads and writes a WebSocket in its session's task.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_core::Stream;

use super::{
    carrier::{Carrier, Heard, Inbound},
    deflating,
    gate::Gate,
    registry::Registry,
    requests::Takes,
};
use crate::{
    connection::{
        Ending, Lease,
        detached::Socket,
        outbound::Outbound,
        upload::UploadWatch,
        wire::{Arrivals, Wire},
    },
    protocol::websocket::{Decoder, Limits, Message, deflate::Agreement},
};

/// After this number of items from the client, what is queued is written before the next one is read.
const MAX_UNWRITTEN: usize = 32;

/// A WebSocket that has been handed over.
pub(super) struct Incoming {
    pub carrier: Carrier,
    /// The compression that was agreed on, if any.
    pub compression: Option<Agreement>,
    arrivals: Arrivals,
}

impl Incoming {
    /// Attaches a socket to this thread, which carries a session if `carries`, and is probed otherwise. Its client
    /// takes what `takes` says.
    ///
    /// # Errors
    /// The client is gone.
    pub(super) fn new(socket: Socket, takes: Takes, carries: bool, registry: &Registry) -> io::Result<Self> {
        let (wire, arrivals) = Wire::attach(socket)?;
        let lease = Lease::of_waiting(registry.budget());
        let outbound =
            Outbound::on_wire(wire, registry.settings.bounds(), lease, registry.metrics.bytes_sent());
        if takes.base64 {
            outbound.set_text_only();
        }
        let carrier = if carries { Carrier::carrying(outbound) } else { Carrier::probed(outbound) };
        Ok(Self { carrier, compression: takes.compression, arrivals })
    }

    #[cfg(test)]
    pub(super) fn of(carrier: Carrier, arrivals: Arrivals) -> Self {
        Self { carrier, compression: None, arrivals }
    }

    /// What reads and writes the WebSocket for a session with this gate.
    pub(super) fn link(self, registry: &Registry, gate: Arc<Gate>) -> Link {
        let sizes = [false, true].map(|is_known| registry.settings.max_size(is_known));
        let limits = Limits { message_size: sizes[0], fragments: registry.settings.max_fragments };
        Link {
            carrier: self.carrier,
            arrivals: self.arrivals,
            gate,
            chunk: Bytes::new(),
            is_chunk_own: true,
            sizes,
            decoder: Decoder::new(limits, self.compression.map(|_| deflating::inflater())),
            lease: registry.lease(),
            upload: UploadWatch::new(registry.settings.upload),
            has_ended: false,
            has_told_refusal: false,
            unwritten: 0,
        }
    }
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
    /// Items since something was written.
    unwritten: usize,
}

impl Link {
    /// Ready when the next message may be read.
    fn poll_open(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.carrier.outbound().holds_reading() {
            // No waker is needed: what is written is written here, too.
            return Poll::Pending;
        }
        // During a probe a post may wait for the gate, so the probed WebSocket does not.
        if self.carrier.carries() { self.gate.poll_open(cx) } else { Poll::Ready(()) }
    }

    /// Keeps received bytes while nothing may be read.
    fn keep(&mut self) -> Poll<Option<Inbound>> {
        // Nothing is read from the client meanwhile.
        self.upload.reset();
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
            Err(_) => self.end(Ending::OutOfMemory),
        }
    }

    fn end(&mut self, ending: Ending) -> Poll<Option<Inbound>> {
        self.has_ended = true;
        Poll::Ready(Some(Inbound::End(ending)))
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
                Err(error) => return self.end(Ending::Broken(error)),
            }
            if let Poll::Ready(refused) = self.charge(0) {
                return Poll::Ready(refused);
            }
            match Pin::new(&mut self.arrivals).poll_next(cx) {
                Poll::Ready(Some(Ok(chunk))) => (self.chunk, self.is_chunk_own) = (chunk, false),
                Poll::Ready(Some(Err(_)) | None) => return self.end(Ending::Lost),
                Poll::Pending if self.upload.is_too_slow(self.decoder.unfinished(), cx) => {
                    return self.end(Ending::TooSlow);
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
        // The session's queue, once the WebSocket carries it.
        let outbound = this.carrier.outbound();
        outbound.set_attended(true);
        let inbound = loop {
            if outbound.has_ended() {
                // A task of its own writes the rest.
                return Poll::Ready(None);
            }
            if this.unwritten < MAX_UNWRITTEN
                && let Poll::Ready(Some(inbound)) = this.poll_read(cx)
            {
                this.unwritten += 1;
                break inbound;
            }
            let must_read_on = std::mem::take(&mut this.unwritten) >= MAX_UNWRITTEN;
            let was_held = outbound.holds_reading();
            if let Poll::Ready(Err(_)) = outbound.poll_write(cx) {
                // What the client sent before the failure is still read; then the session ends.
                outbound.drop_all();
            }
            if outbound.is_refused() && !std::mem::replace(&mut this.has_told_refusal, true) {
                break Inbound::End(Ending::OutOfMemory);
            }
            // If enough has been written now, more may be read.
            if !must_read_on && (!was_held || outbound.holds_reading()) {
                outbound.set_attended(false);
                return Poll::Pending;
            }
        };
        let carrier = this.carrier.clone();
        Poll::Ready(Some(Heard { carrier, inbound }))
    }
}

impl Drop for Link {
    /// A session that ends without a word, because its task is dropped, must not keep the socket open.
    fn drop(&mut self) {
        let outbound = self.carrier.outbound();
        if !outbound.has_ended() {
            outbound.release();
        }
    }
}
