//! A WebSocket connection that carries a Socket.IO session: decoded here, on the connection's thread, and handed to the
//! session's actor, wherever that lives.

use std::{future::poll_fn, pin::pin, sync::Arc, task::Poll};

use actix::MailboxError;
use actix_web::{HttpRequest, HttpResponse, rt, web};
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
        socket,
        upload::UploadWatch,
    },
    protocol::websocket::{Decoder, Limits, Message},
};

/// Messages in a batch at most.
const MAX_BATCH: usize = 32;

/// A batch with this many bytes or more is full.
const MAX_BATCH_BYTES: usize = 4 * 1024;

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
pub enum CarrierError {
    /// The request is no handshake.
    #[error("the request is no WebSocket handshake: {0}")]
    Handshake(String),
    /// No id can be made.
    #[error("no random numbers: {0}")]
    Random(#[from] getrandom::Error),
}

/// Answers a checked upgrade request with a new session.
///
/// # Errors
/// The request is no handshake, or the system has no random numbers.
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

/// Answers a checked upgrade request of a session that polls, which tries it. With `wants_base64` its client takes no
/// binary frames.
///
/// # Errors
/// The request is no handshake.
pub fn probe(
    req: &HttpRequest,
    payload: web::Payload,
    engine: &Arc<Engine>,
    entry: Entry,
    wants_base64: bool,
) -> Result<HttpResponse, CarrierError> {
    carry(req, payload, engine, wants_base64, |pipe| {
        // It is in the mailbox from here on, before what comes over the WebSocket.
        let told = entry.session.send(Probe(Arc::clone(&pipe)));
        rt::spawn(async move {
            // A session that has just ended takes no WebSocket, and closes none.
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
    let mut response = handshake::agree(req).map_err(|error| CarrierError::Handshake(error.to_string()))?;
    let pipe = Arc::new(Pipe::to(req, wants_base64, engine.budget()));
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
    let connection = socket::of(req);
    rt::spawn(async move {
        carrier.read(payload).await;
        // The connection has its turn first, with what was left for it.
        rt::task::yield_now().await;
        // A client that takes that too slowly, a byte now and then, is not waited for.
        if let Some(connection) = connection.filter(|_| carrier.pipe.is_behind()) {
            connection.cut_after(stall_timeout);
        }
    });
    Ok(response.streaming(PipeBody(pipe)))
}

/// One WebSocket, and the session that it carries or wants to.
struct Carrier {
    pipe: Arc<Pipe>,
    entry: Entry,
    /// Bytes that may wait in the pipe; with more nothing is read.
    max_waiting: usize,
    /// Bytes that a message may have before the client is known, and then.
    sizes: [usize; 2],
    decoder: Decoder,
    /// What is held of what the client sends.
    lease: Lease,
    /// How fast it comes.
    upload: UploadWatch,
}

/// Messages that are handed on together.
struct Batch {
    inbound: PipeBatch,
    /// Bytes of these messages.
    bytes: usize,
    /// Nothing comes behind them.
    is_last: bool,
}

/// What ends the reading of a message that is not whole.
enum Unfinished {
    TooSlow,
    OutOfMemory,
}

impl Carrier {
    /// Hands on what comes, one message after the other, until the pipe is closed: the next is read when the session has
    /// dealt with the one before.
    async fn read(&mut self, mut payload: web::Payload) {
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

    /// What comes next, if anything does; nothing at all if the pipe is closed before.
    async fn next_chunk(&mut self, payload: &mut web::Payload) -> Option<Result<Option<Bytes>, Unfinished>> {
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

    /// Hands on the messages that end in a chunk; nothing if there will be no more.
    async fn hand_on(&mut self, chunk: Bytes) -> Option<()> {
        // A copy: it may have to wait, and is a part of a large buffer that other connections share.
        let mut chunk = Bytes::copy_from_slice(&chunk);
        loop {
            let Batch { mut inbound, bytes, mut is_last } = self.next_batch(&mut chunk);
            if inbound.is_empty() {
                return Some(());
            }
            // The gate may close between two messages of a batch.
            while !inbound.is_empty() {
                if self.lease.hold(self.decoder.held() + chunk.len() + bytes).is_err() {
                    (inbound, is_last) = (PipeBatch::from_iter([PipeInbound::OutOfMemory]), true);
                }
                let heard = match self.tell(inbound).await {
                    Ok(heard) => heard,
                    // The session has ended, with its last word or before it heard of this WebSocket.
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

    /// The next messages that are handed on together: one, or small ones of a client that is known.
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

    /// Waits until more may be read.
    async fn until_open(&self, is_carrier: bool) {
        poll_fn(|cx| self.pipe.poll_drained(self.max_waiting, cx)).await;
        // A post may wait for the gate while a WebSocket is tried; only one can.
        if is_carrier {
            poll_fn(|cx| self.entry.gate.poll_open(cx)).await;
        }
    }
}

/// What comes of a future, or nothing if the pipe is closed before.
async fn unless_closed<T>(pipe: &Pipe, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
        Poll::Pending => pipe.poll_closed(cx).map(|()| None),
    })
    .await
}
