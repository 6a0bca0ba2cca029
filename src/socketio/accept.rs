//! Accepts the WebSockets of clients: each begins a session, or is probed by the client of a polling session.
//!
//! The request is answered on the thread of its connection; then the socket is handed over to the session.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, http::header::SEC_WEBSOCKET_EXTENSIONS, web};
use log::debug;

use super::{
    Carried, Visitor,
    engine::Engine,
    ids::IdError,
    link::Incoming,
    requests::{Entry, Probe, Takes},
    transport::Transport,
};
use crate::{
    config::Switch,
    connection::{detached::Socket, handshake, upgraded::Upgraded},
    protocol::websocket::{close as close_frame, frame::OpCode},
};

/// Why an upgrade request was not accepted.
#[derive(Debug, thiserror::Error)]
pub(super) enum AcceptError {
    /// The request is not a WebSocket handshake.
    #[error("the request is not a WebSocket handshake: {0}")]
    Handshake(String),
    /// The session has no id.
    #[error(transparent)]
    Id(#[from] IdError),
}

/// Accepts a checked upgrade request and starts a new session on the WebSocket.
///
/// # Errors
/// The request is not a WebSocket handshake, or the session has no id.
pub(super) fn begin(
    req: &HttpRequest,
    payload: web::Payload,
    engine: &Arc<Engine>,
    carried: Box<dyn Carried>,
    visitor: Visitor,
) -> Result<HttpResponse, AcceptError> {
    let reserved = engine.registry().reserve(&visitor.request)?;
    let takes = agree_on(req, engine, visitor.wants_base64);
    let engine = Arc::clone(engine);
    hand_over(req, payload, takes, move |socket| {
        match Incoming::new(socket, takes, true, engine.registry()) {
            Ok(incoming) => {
                let outbound = incoming.carrier.outbound();
                let open = engine.open_packet(reserved.sid(), Transport::WebSocket);
                outbound.answer_frame(OpCode::Text, open.into());
                if let Some(packet) = engine.settings.first_message() {
                    outbound.answer_frame(OpCode::Text, packet.into());
                }
                engine.start_on_websocket(reserved, incoming, carried, visitor);
            }
            Err(error) => debug!("a client is gone before its session has begun: {error}"),
        }
    })
}

/// Accepts a checked upgrade request of a polling session. The client then probes the WebSocket. With
/// `wants_base64` the client takes no binary frames.
///
/// # Errors
/// The request is not a WebSocket handshake.
pub(super) fn probe(
    req: &HttpRequest,
    payload: web::Payload,
    engine: &Arc<Engine>,
    entry: Entry,
    wants_base64: bool,
) -> Result<HttpResponse, AcceptError> {
    let takes = agree_on(req, engine, wants_base64);
    let engine = Arc::clone(engine);
    hand_over(req, payload, takes, move |socket| {
        let Err(Probe { socket, .. }) = entry.probe(Probe { socket, takes }) else {
            return;
        };
        match Incoming::new(socket, takes, false, engine.registry()) {
            Ok(incoming) => {
                engine.closing().close(&incoming.carrier.outbound(), &close_frame::encode_reply(None))
            }
            Err(error) => debug!("a client is gone before it has probed its websocket: {error}"),
        }
    })
}

/// What the client takes, as far as the settings allow it. What is base64 anyway is not compressed.
fn agree_on(req: &HttpRequest, engine: &Engine, base64: bool) -> Takes {
    let is_on = engine.settings.per_message_deflate == Switch::On && !base64;
    Takes { base64, compression: handshake::compression(req.headers()).filter(|_| is_on) }
}

fn hand_over(
    req: &HttpRequest,
    payload: web::Payload,
    takes: Takes,
    take: impl FnOnce(Socket) + 'static,
) -> Result<HttpResponse, AcceptError> {
    let mut response = handshake::agree(req).map_err(|error| AcceptError::Handshake(error.to_string()))?;
    if let Some(compression) = takes.compression {
        response.insert_header((SEC_WEBSOCKET_EXTENSIONS, compression.to_string()));
    }
    let (upgraded, payload) = Upgraded::take(req, payload);
    Ok(upgraded.hand_over(response, payload, take))
}
