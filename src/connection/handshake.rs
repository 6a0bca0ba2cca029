//! The server's half of the WebSocket handshake (RFC 6455, section 4.2.2).

use actix_http::ws::{HandshakeError, hash_key, verify_handshake};
use actix_web::{
    HttpRequest, HttpResponse, HttpResponseBuilder,
    http::{
        StatusCode,
        header::{SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY},
    },
};

/// Starts the 101 response to an upgrade request. `routes` has checked the request before.
///
/// # Errors
/// The request is not a WebSocket handshake of version 13.
pub(crate) fn agree(req: &HttpRequest) -> Result<HttpResponseBuilder, HandshakeError> {
    verify_handshake(req.head())?;
    let key = req.headers().get(SEC_WEBSOCKET_KEY).ok_or(HandshakeError::BadWebsocketKey)?;
    let mut response = HttpResponse::build(StatusCode::SWITCHING_PROTOCOLS);
    response.upgrade("websocket");
    response.insert_header((SEC_WEBSOCKET_ACCEPT, &hash_key(key.as_bytes())[..]));
    Ok(response)
}
