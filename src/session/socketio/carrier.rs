//! A WebSocket connection that carries a Socket.IO session: decoded here, on the connection's thread, and handed to the
//! session's actor, wherever that lives.

use std::{future::poll_fn, sync::Arc};

use actix_web::{HttpRequest, HttpResponse, rt, web};
use bytes::Bytes;
use futures_util::StreamExt as _;

use super::{
    Carried, Engine, Visitor,
    engine::Entry,
    session::{FromPipe, PipeInbound, Probe},
};
use crate::{
    protocol::websocket::{Decoder, Limits, Message, frame::OpCode},
    session::{
        pipe::{Pipe, PipeBody},
        websocket,
    },
};

/// Frames that one message may come in.
const MAX_FRAGMENTS: usize = 1024;

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
/// The system has no random numbers.
pub fn begin(
    req: &HttpRequest,
    payload: web::Payload,
    engine: &Arc<Engine>,
    carried: Box<dyn Carried>,
    visitor: Visitor,
) -> Result<HttpResponse, CarrierError> {
    carry(req, payload, engine, |pipe| Ok(engine.begin_websocket(pipe, carried, visitor)?))
}

/// Answers a checked upgrade request of a session that polls, which tries it.
///
/// # Errors
/// The request is no handshake.
pub fn probe(
    req: &HttpRequest,
    payload: web::Payload,
    engine: &Arc<Engine>,
    entry: Entry,
) -> Result<HttpResponse, CarrierError> {
    carry(req, payload, engine, |pipe| {
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
    entry: impl FnOnce(Arc<Pipe>) -> Result<Entry, CarrierError>,
) -> Result<HttpResponse, CarrierError> {
    let mut response = websocket::shake_hands(req).map_err(CarrierError::Handshake)?;
    let pipe = Arc::new(Pipe::default());
    let entry = entry(Arc::clone(&pipe))?;
    let limits = Limits { message_size: engine.settings.max_payload, fragments: MAX_FRAGMENTS };
    rt::spawn(read(payload, Decoder::new(limits, None), Arc::clone(&pipe), entry));
    Ok(response.streaming(PipeBody(pipe)))
}

/// Hands on what comes, one message after the other: the next is read when the session has dealt with the one before.
async fn read(
    mut payload: web::Payload,
    mut decoder: Decoder,
    pipe: Arc<Pipe>,
    Entry { session, intake, .. }: Entry,
) {
    let tell = async |inbound| session.send(FromPipe { pipe: Arc::clone(&pipe), inbound }).await;
    while let Some(Ok(chunk)) = payload.next().await {
        // A copy: it may have to wait, and is a part of a large buffer that other connections share.
        let mut chunk = Bytes::copy_from_slice(&chunk);
        loop {
            let inbound = match decoder.decode(&mut chunk) {
                Ok(None) => break,
                Ok(Some(Message::Ping(bytes))) => {
                    pipe.push(OpCode::Pong, &bytes);
                    PipeInbound::Frame(Message::Ping(bytes))
                }
                Ok(Some(message)) => PipeInbound::Frame(message),
                Err(error) => PipeInbound::Broken(error),
            };
            let is_last = matches!(inbound, PipeInbound::Broken(_) | PipeInbound::Frame(Message::Close(_)));
            match tell(inbound).await {
                Ok(is_carrier) if !is_last => {
                    // A post may wait for the gate while a WebSocket is tried; only one can.
                    if is_carrier {
                        poll_fn(|cx| intake.poll_open(cx)).await;
                    }
                }
                Ok(_) => return,
                // The session has ended, with its last word or before it heard of this WebSocket.
                Err(_) => return pipe.end(),
            }
        }
    }
    if tell(PipeInbound::Lost).await.is_err() {
        pipe.end();
    }
}
