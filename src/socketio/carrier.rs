//! Reads one WebSocket connection of a Socket.IO session: decodes frames on the connection's thread and sends
//! them to the session's actor, which may run on another thread.

use std::{future::poll_fn, pin::pin, sync::Arc, task::Poll};

use actix::MailboxError;
use actix_web::{HttpRequest, HttpResponse, dev::Payload, rt, web};
use bytes::Bytes;
use futures_util::StreamExt as _;

use super::{
    Carried, Engine, EngineSettings, Visitor,
    engine::Entry,
    session::{FromPipe, Heard, PipeBatch, PipeInbound, Probe},
};
use crate::{
    connection::{
        Lease, handshake,
        pipe::{Pipe, PipeBody},
        upgraded::Upgraded,
        upload::UploadWatch,
    },
    protocol::websocket::{Decoder, Limits, Message},
};

/// Largest number of messages in a batch.
const MAX_BATCH: usize = 32;

/// A batch is full at this number of bytes; its last message may exceed it.
const MAX_BATCH_BYTES: usize = 4 * 1024;

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
    let wants_base64 = visitor.wants_base64;
    carry(req, payload, engine, wants_base64, |pipe| Ok(engine.begin_websocket(pipe, carried, visitor)?))
}

/// Accepts a checked upgrade request of a polling session. The client then probes the WebSocket. With
/// `wants_base64` the client takes no binary frames.
///
/// # Errors
/// The request is not a WebSocket handshake.
pub fn probe(
    req: &HttpRequest,
    payload: web::Payload,
    engine: &Arc<Engine>,
    entry: Entry,
    wants_base64: bool,
) -> Result<HttpResponse, CarrierError> {
    carry(req, payload, engine, wants_base64, |pipe| {
        // The probe is in the mailbox before any message from the WebSocket.
        let told = entry.session.send(Probe(Arc::clone(&pipe)));
        rt::spawn(async move {
            // A session that has just ended cannot close the WebSocket, so this task does.
            if told.await.is_err() {
                pipe.close(None);
            }
        });
        Ok(entry)
    })
}

fn carry(
    req: &HttpRequest,
    payload: web::Payload,
    engine: &Engine,
    wants_base64: bool,
    entry: impl FnOnce(Arc<Pipe>) -> Result<Entry, CarrierError>,
) -> Result<HttpResponse, CarrierError> {
    let response = handshake::agree(req).map_err(|error| CarrierError::Handshake(error.to_string()))?;
    let (upgraded, payload) = Upgraded::take(req, payload);
    let connection = Arc::clone(upgraded.wire().connection());
    let pipe = Arc::new(Pipe::to(Arc::clone(&connection), wants_base64, engine.budget()));
    let entry = entry(Arc::clone(&pipe))?;
    let EngineSettings { max_fragments, max_waiting, stall_timeout, .. } = engine.settings;
    let sizes = [false, true].map(|is_known| engine.settings.max_size(is_known));
    let limits = Limits { message_size: sizes[0], fragments: max_fragments };
    let mut carrier = Carrier {
        pipe: Arc::clone(&pipe),
        entry,
        max_waiting,
        sizes,
        decoder: Decoder::new(limits, None),
        lease: engine.lease(),
        upload: UploadWatch::new(engine.settings.upload),
    };
    rt::spawn(async move {
        carrier.read(payload).await;
        // Let the connection write what is left before checking its backlog.
        rt::task::yield_now().await;
        // Do not wait for a client that reads slowly: cut the connection after `stall_timeout`.
        if carrier.pipe.is_behind() {
            connection.cut_after(stall_timeout);
        }
    });
    Ok(upgraded.respond(response, PipeBody(pipe)))
}

/// One WebSocket that carries a session, or that the client of a polling session probes.
struct Carrier {
    pipe: Arc<Pipe>,
    entry: Entry,
    /// Limit on bytes that wait in the pipe; above it nothing is read.
    max_waiting: usize,
    /// Limits on message bytes: before the client is known, and after.
    sizes: [usize; 2],
    decoder: Decoder,
    /// The memory held for unfinished and undelivered input.
    lease: Lease,
    /// The upload rate of unfinished messages.
    upload: UploadWatch,
}

/// Messages that go to the session in one actor message.
struct Batch {
    inbound: PipeBatch,
    /// Bytes of these messages.
    bytes: usize,
    /// No message follows this batch.
    is_last: bool,
}

/// Why an unfinished message ends the reading.
enum Unfinished {
    TooSlow,
    OutOfMemory,
}

impl Carrier {
    /// Reads until the pipe is closed. The next batch is read only after the session has dealt with the one
    /// before.
    async fn read(&mut self, mut payload: Payload) {
        let last = loop {
            let chunk = match self.next_chunk(&mut payload).await {
                None => return,
                Some(Ok(Some(chunk))) => chunk,
                Some(Ok(None)) => break PipeInbound::Lost,
                Some(Err(Unfinished::TooSlow)) => break PipeInbound::TooSlow,
                Some(Err(Unfinished::OutOfMemory)) => break PipeInbound::OutOfMemory,
            };
            if self.hand_on(chunk).await.is_none() {
                return;
            }
        };
        if self.tell(PipeBatch::from_iter([last])).await.is_err() {
            self.pipe.end();
        }
    }

    /// Reads the next chunk; `Ok(None)` at the end of the connection. `None` if the pipe closes first.
    async fn next_chunk(&mut self, payload: &mut Payload) -> Option<Result<Option<Bytes>, Unfinished>> {
        let Self { pipe, decoder, upload, lease, .. } = self;
        let unfinished = decoder.unfinished();
        if lease.hold(decoder.held()).is_err() {
            return Some(Err(Unfinished::OutOfMemory));
        }
        let chunk = poll_fn(|cx| match payload.poll_next_unpin(cx) {
            Poll::Pending if upload.is_too_slow(unfinished, cx) => Poll::Ready(Err(Unfinished::TooSlow)),
            chunk => chunk.map(|chunk| Ok(chunk.and_then(Result::ok))),
        });
        unless_closed(pipe, chunk).await
    }

    /// Sends the messages that end in `chunk` to the session. `None` if reading must stop.
    async fn hand_on(&mut self, chunk: Bytes) -> Option<()> {
        // Copy the chunk: it may wait, and it is a slice of a large buffer that other connections share.
        let mut chunk = Bytes::copy_from_slice(&chunk);
        loop {
            let Batch { mut inbound, bytes, mut is_last } = self.next_batch(&mut chunk);
            if inbound.is_empty() {
                return Some(());
            }
            // The session returns the rest of a batch if the gate closes between two messages.
            while !inbound.is_empty() {
                if self.lease.hold(self.decoder.held() + chunk.len() + bytes).is_err() {
                    (inbound, is_last) = (PipeBatch::from_iter([PipeInbound::OutOfMemory]), true);
                }
                let heard = match self.tell(inbound).await {
                    Ok(heard) => heard,
                    // The session's actor has stopped, maybe before it learned of this WebSocket.
                    Err(_) => {
                        self.pipe.end();
                        return None;
                    }
                };
                inbound = heard.rest;
                if is_last && inbound.is_empty() {
                    return None;
                }
                unless_closed(&self.pipe, self.until_open(heard.is_carrier)).await?;
            }
        }
    }

    /// Decodes the next batch: one message, or several small ones if the client is known.
    fn next_batch(&mut self, chunk: &mut Bytes) -> Batch {
        let is_known = self.entry.gate.is_known();
        self.decoder.set_message_size(self.sizes[usize::from(is_known)]);
        let mut batch = Batch { inbound: PipeBatch::new(), bytes: 0, is_last: false };
        loop {
            let inbound = match self.decoder.decode(chunk) {
                Ok(None) => return batch,
                Ok(Some(message)) => {
                    if let Message::Text(_) | Message::Binary(_) = &message {
                        self.upload.reset();
                    }
                    batch.bytes += message.payload_len();
                    PipeInbound::Frame(message)
                }
                Err(error) => PipeInbound::Broken(error),
            };
            batch.is_last = matches!(inbound, PipeInbound::Broken(_) | PipeInbound::Frame(Message::Close(_)));
            batch.inbound.push(inbound);
            let is_full = batch.inbound.len() >= MAX_BATCH || batch.bytes >= MAX_BATCH_BYTES;
            if !is_known || is_full || batch.is_last {
                return batch;
            }
        }
    }

    async fn tell(&self, batch: PipeBatch) -> Result<Heard, MailboxError> {
        self.entry.session.send(FromPipe { pipe: Arc::clone(&self.pipe), batch }).await
    }

    /// Waits until the pipe has room and the session's gate is open.
    async fn until_open(&self, is_carrier: bool) {
        poll_fn(|cx| self.pipe.poll_drained(self.max_waiting, cx)).await;
        // During a probe a post may wait for the gate, so the probed WebSocket does not.
        if is_carrier {
            poll_fn(|cx| self.entry.gate.poll_open(cx)).await;
        }
    }
}

/// Returns the output of `future`, or `None` if the pipe closes first.
async fn unless_closed<T>(pipe: &Pipe, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
        Poll::Pending => pipe.poll_closed(cx).map(|()| None),
    })
    .await
}
