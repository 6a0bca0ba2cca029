//! Responses to polls.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use actix_web::{
    HttpRequest, HttpResponse,
    body::{BodySize, MessageBody},
    http::{
        Version,
        header::{CACHE_CONTROL, CONTENT_ENCODING},
    },
};
use bytes::Bytes;

use crate::{
    connection::Lease,
    socketio::engine::Engine,
    web::gzip::{self, Gzip},
};

/// The response to a poll. Its packets have left the session's outgoing queue and wait here for the
/// connection.
pub(super) fn packets(req: &HttpRequest, payload: String, engine: &Engine) -> HttpResponse {
    let (least, len) = (engine.settings.least_compressed(), payload.len());
    let mut response = HttpResponse::Ok();
    response.content_type("text/plain; charset=UTF-8").insert_header((CACHE_CONTROL, "no-store"));
    gzip::vary(&mut response, least, len);
    let mut body = PollBody { rest: payload.into(), lease: engine.lease(), gzip: None, has_waited: true };
    if gzip::is_due(req, least, len) {
        if len <= gzip::PIECE {
            if let Some(packed) = gzip::pack(&body.rest) {
                body.rest = packed;
                response.insert_header((CONTENT_ENCODING, "gzip"));
            }
        } else if req.version() >= Version::HTTP_11 {
            body.gzip = Some(Gzip::default());
            response.insert_header((CONTENT_ENCODING, "gzip"));
        }
    }
    body.lease.take_over(body.rest.len());
    response.body(body)
}

/// The body of the response to a poll: passed to the connection in pieces, and charged until the last one is
/// passed.
struct PollBody {
    rest: Bytes,
    lease: Lease,
    /// Set if the body is compressed in pieces: its length is then unknown.
    gzip: Option<Gzip>,
    /// Whether other tasks ran since the last piece was compressed.
    has_waited: bool,
}

impl PollBody {
    /// Bytes of a piece: small beside the connection's own buffer.
    const PIECE: usize = 16 * 1024;

    fn next(&mut self, len: usize) -> Bytes {
        let piece = self.rest.split_to(self.rest.len().min(len));
        self.lease.take_over(self.rest.len());
        piece
    }
}

impl MessageBody for PollBody {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        if self.gzip.is_some() { BodySize::Stream } else { BodySize::Sized(self.rest.len() as u64) }
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        let body = &mut *self;
        if body.rest.is_empty() {
            return Poll::Ready(None);
        }
        let Some(mut gzip) = body.gzip.take() else {
            return Poll::Ready(Some(Ok(body.next(Self::PIECE))));
        };
        body.has_waited = !body.has_waited;
        if body.has_waited {
            body.gzip = Some(gzip);
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let piece = body.next(gzip::PIECE);
        let mut packed = Vec::new();
        gzip.pack(&piece, body.rest.is_empty(), &mut packed);
        body.gzip = Some(gzip);
        Poll::Ready(Some(Ok(packed.into())))
    }
}
