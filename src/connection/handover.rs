//! Hands the socket of an upgraded connection over to a session that does not run in the task of the connection: a
//! session of Socket.IO, which may be on another thread.

use std::{
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use actix_web::dev::Payload;
use bytes::Bytes;
use futures_core::Stream;
use log::debug;

use super::{detached::Socket, wire::Wire};

/// The body of a response that hands the connection's socket over, once the response's head has been written.
pub(super) struct HandOver {
    wire: Rc<Wire>,
    payload: Payload,
    take: Option<Box<dyn FnOnce(Socket)>>,
}

impl HandOver {
    /// Hands the socket of `wire` to `take`, with the bytes that `payload` has read from it.
    pub(super) fn new(wire: Rc<Wire>, payload: Payload, take: Box<dyn FnOnce(Socket)>) -> Self {
        Self { wire, payload, take: Some(take) }
    }
}

impl Stream for HandOver {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if !self.wire.is_open() {
            // No waker is needed: the body is polled again right after the handshake.
            return Poll::Pending;
        }
        if let Some(take) = self.take.take() {
            let early = match Pin::new(&mut self.payload).poll_next(cx) {
                // Copied, because it is a part of a buffer that the connections of this thread share.
                Poll::Ready(Some(Ok(bytes))) => Bytes::copy_from_slice(&bytes),
                // If the client is gone, the session will see that.
                Poll::Ready(Some(Err(_)) | None) | Poll::Pending => Bytes::new(),
            };
            match self.wire.detach(early) {
                Ok(socket) => take(socket),
                Err(error) => debug!("a connection ended before its session had it: {error}"),
            }
        }
        Poll::Ready(None)
    }
}
