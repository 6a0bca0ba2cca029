//! A WebSocket connection that carries a Socket.IO session: decoded here, on the connection's thread, and handed to the
//! session's actor, wherever that lives.

use std::sync::Arc;

use actix::Addr;
use actix_web::{HttpRequest, HttpResponse, rt, web};
use futures_util::StreamExt as _;

use super::{
    Carried, Engine, FromPipe, PipeInbound, Probe, SocketIoSession,
    pipe::{Pipe, PipeBody},
};
use crate::{
    protocol::websocket::{Decoder, Limits, Message, frame::OpCode},
    session::{admission::Admitted, websocket},
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
    admitted: Option<Admitted>,
) -> Result<HttpResponse, CarrierError> {
    carry(req, payload, engine, |pipe| Ok(engine.begin_websocket(pipe, carried, admitted)?))
}

/// Answers a checked upgrade request of a session that polls, which tries it.
///
/// # Errors
/// The request is no handshake.
pub fn probe(
    req: &HttpRequest,
    payload: web::Payload,
    engine: &Arc<Engine>,
    session: Addr<SocketIoSession>,
) -> Result<HttpResponse, CarrierError> {
    carry(req, payload, engine, |pipe| {
        session.do_send(Probe(pipe));
        Ok(session)
    })
}

fn carry(
    req: &HttpRequest,
    payload: web::Payload,
    engine: &Engine,
    session: impl FnOnce(Arc<Pipe>) -> Result<Addr<SocketIoSession>, CarrierError>,
) -> Result<HttpResponse, CarrierError> {
    let mut response = websocket::shake_hands(req).map_err(CarrierError::Handshake)?;
    let pipe = Arc::new(Pipe::default());
    let session = session(Arc::clone(&pipe))?;
    let limits = Limits { message_size: engine.settings.max_payload, fragments: MAX_FRAGMENTS };
    rt::spawn(read(payload, Decoder::new(limits, None), Arc::clone(&pipe), session));
    Ok(response.streaming(PipeBody(pipe)))
}

/// Hands on what comes, one message after the other: the next is read when the session has dealt with the one before.
async fn read(
    mut payload: web::Payload,
    mut decoder: Decoder,
    pipe: Arc<Pipe>,
    session: Addr<SocketIoSession>,
) {
    let tell = async |inbound| session.send(FromPipe { pipe: Arc::clone(&pipe), inbound }).await.is_ok();
    while let Some(Ok(mut chunk)) = payload.next().await {
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
            if !tell(inbound).await || is_last {
                return;
            }
        }
    }
    tell(PipeInbound::Lost).await;
}
