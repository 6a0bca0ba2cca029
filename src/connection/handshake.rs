//! The answer to a WebSocket handshake (RFC 6455, 4.2.2).

use actix_http::ws::{HandshakeError, hash_key, verify_handshake};
use actix_web::{
    HttpRequest, HttpResponse, HttpResponseBuilder,
    http::{
        StatusCode,
        header::{SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY},
    },
};

/// The answer to an upgrade request, which `routes` has checked.
///
/// # Errors
/// The request is no handshake.
pub(crate) fn agree(req: &HttpRequest) -> Result<HttpResponseBuilder, HandshakeError> {
    verify_handshake(req.head())?;
    let key = req.headers().get(SEC_WEBSOCKET_KEY).ok_or(HandshakeError::BadWebsocketKey)?;
    let mut response = HttpResponse::build(StatusCode::SWITCHING_PROTOCOLS);
    response.upgrade("websocket");
    response.insert_header((SEC_WEBSOCKET_ACCEPT, &hash_key(key.as_bytes())[..]));
    Ok(response)
}
