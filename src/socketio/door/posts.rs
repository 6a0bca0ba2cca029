//! Posts: packets from the client of a polling session.

use std::time::Duration;

use actix_web::{
    HttpRequest, HttpResponse,
    error::PayloadError,
    http::header::{CACHE_CONTROL, CONTENT_TYPE},
    rt::time::timeout,
    web,
};
use bytes::BytesMut;
use bytestring::ByteString;
use futures_util::StreamExt as _;

use super::{checks::bad_request, unavailable};
use crate::{
    connection::{Lease, OutOfMemory},
    socketio::{Ending, engine::Engine, requests::Entry},
};

/// Minimum bytes per second of a longer body.
const MIN_BYTES_PER_SECOND: usize = 4096;

/// Reads a posted payload up to its bound, and passes it to its session.
pub(super) async fn post(
    req: &HttpRequest,
    payload: web::Payload,
    engine: &Engine,
    body_timeout: Duration,
    session: &Entry,
) -> HttpResponse {
    let Some(posting) = session.begin_post() else {
        return bad_request();
    };
    let is_binary = req.headers().get(CONTENT_TYPE).is_some_and(|kind| kind == "application/octet-stream");
    // Held until the session has accepted the body's packets.
    let mut lease = engine.lease();
    // The connections of `http` have a stricter deadline; those of actix-http have none.
    let longest = Duration::from_secs((engine.settings.max_payload / MIN_BYTES_PER_SECOND) as u64);
    let body = read_body(payload, posting.max_size(&engine.settings), &mut lease);
    let body = match timeout(body_timeout + longest, body).await.unwrap_or(Err(BodyError::Broken)) {
        Ok(body) if !is_binary => body,
        // Unlike a broken body, one that is too large does not end the session.
        Ok(_) | Err(BodyError::Broken) => {
            session.end(Ending::ParseError);
            return HttpResponse::BadRequest().finish();
        }
        Err(BodyError::TooLarge) => return HttpResponse::PayloadTooLarge().finish(),
        Err(BodyError::OutOfMemory(error)) => return unavailable(&error),
    };
    let was_taken = session.post(&body).await;
    drop((posting, lease));
    if !was_taken {
        return bad_request();
    }
    HttpResponse::Ok().content_type("text/html").insert_header((CACHE_CONTROL, "no-store")).body("ok")
}

enum BodyError {
    TooLarge,
    Broken,
    OutOfMemory(OutOfMemory),
}

async fn read_body(
    mut payload: web::Payload,
    limit: usize,
    lease: &mut Lease,
) -> Result<ByteString, BodyError> {
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_: PayloadError| BodyError::Broken)?;
        if body.len() + chunk.len() > limit {
            return Err(BodyError::TooLarge);
        }
        body.extend_from_slice(&chunk);
        lease.hold(body.capacity()).map_err(BodyError::OutOfMemory)?;
    }
    ByteString::try_from(body.freeze()).map_err(|_| BodyError::Broken)
}
