//! The server's half of the WebSocket handshake (RFC 6455, section 4.2.2).

use actix_http::ws::{HandshakeError, hash_key, verify_handshake};
use actix_web::{
    HttpRequest, HttpResponse, HttpResponseBuilder,
    http::{
        StatusCode,
        header::{HeaderMap, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY},
    },
};

use crate::protocol::websocket::deflate::Agreement;

/// The first acceptable offer of compression in all headers that make one (RFC 7692, section 5).
pub(crate) fn compression(headers: &HeaderMap) -> Option<Agreement> {
    let offers = headers.get_all(SEC_WEBSOCKET_EXTENSIONS).filter_map(|offers| offers.to_str().ok());
    offers.filter_map(Agreement::negotiate).next()
}

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
