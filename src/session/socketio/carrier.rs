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
    session::{FromPipe, PipeInbound, Probe},
};
use crate::{
    protocol::websocket::{Decoder, Limits, Message, frame::OpCode},
    session::{
        pipe::{Pipe, PipeBody},
        socket, websocket,
    },
};

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
    let mut response = websocket::shake_hands(req).map_err(CarrierError::Handshake)?;
    let pipe = Arc::new(Pipe::to(req, wants_base64));
    let entry = entry(Arc::clone(&pipe))?;
    let EngineSettings { max_payload, max_fragments, max_waiting, stall_timeout, .. } = engine.settings;
    let limits = Limits { message_size: max_payload, fragments: max_fragments };
    let carrier = Carrier { pipe: Arc::clone(&pipe), entry, max_waiting };
    let connection = socket::of(req);
    rt::spawn(async move {
        carrier.read(payload, Decoder::new(limits, None)).await;
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
}

impl Carrier {
    /// Hands on what comes, one message after the other, until the pipe is closed: the next is read when the session has
    /// dealt with the one before.
    async fn read(&self, mut payload: web::Payload, mut decoder: Decoder) {
        while let Some(Ok(chunk)) = self.unless_closed(payload.next()).await.flatten() {
            // A copy: it may have to wait, and is a part of a large buffer that other connections share.
            let mut chunk = Bytes::copy_from_slice(&chunk);
            loop {
                let inbound = match decoder.decode(&mut chunk) {
                    Ok(None) => break,
                    Ok(Some(Message::Ping(bytes))) => {
                        self.pipe.push(OpCode::Pong, &bytes);
                        PipeInbound::Frame(Message::Ping(bytes))
                    }
                    Ok(Some(message)) => PipeInbound::Frame(message),
                    Err(error) => PipeInbound::Broken(error),
                };
                let is_last =
                    matches!(inbound, PipeInbound::Broken(_) | PipeInbound::Frame(Message::Close(_)));
                match self.tell(inbound).await {
                    Ok(is_carrier) if !is_last => {
                        if self.unless_closed(self.until_open(is_carrier)).await.is_none() {
                            return;
                        }
                    }
                    Ok(_) => return,
                    // The session has ended, with its last word or before it heard of this WebSocket.
                    Err(_) => return self.pipe.end(),
                }
            }
        }
        if self.tell(PipeInbound::Lost).await.is_err() {
            self.pipe.end();
        }
    }

    async fn tell(&self, inbound: PipeInbound) -> Result<bool, MailboxError> {
        self.entry.session.send(FromPipe { pipe: Arc::clone(&self.pipe), inbound }).await
    }

    /// Waits until more may be read.
    async fn until_open(&self, is_carrier: bool) {
        poll_fn(|cx| self.pipe.poll_drained(self.max_waiting, cx)).await;
        // A post may wait for the gate while a WebSocket is tried; only one can.
        if is_carrier {
            poll_fn(|cx| self.entry.gate.poll_open(cx)).await;
        }
    }

    /// What comes of a future, or nothing if the pipe is closed before.
    async fn unless_closed<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        let mut future = pin!(future);
        poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
            Poll::Pending => self.pipe.poll_closed(cx).map(|()| None),
        })
        .await
    }
}
