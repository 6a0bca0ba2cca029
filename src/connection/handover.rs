//! Hands the socket of an upgraded connection over to a session that does not run in the task of the connection: a
//! session of Socket.IO, which may be on another thread.

use std::{
    io::{self, IoSlice, Write as _},
    net::TcpStream,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use actix_web::dev::Payload;
use bytes::Bytes;
use futures_core::Stream;
use log::debug;

use super::{host::HostStream, permits::Permit, wire::Wire};
use crate::protocol::websocket::close;

/// A socket on its way to a session. If it is dropped on the way, its client gets a close frame.
#[derive(Debug)]
pub(crate) struct Socket {
    stream: Option<Loose>,
    /// Bytes that have been read from it.
    pub(super) early: Bytes,
    /// The connection's place among the connections.
    pub(super) place: Option<Permit>,
}

/// A stream of bytes that belongs to no thread.
#[derive(Debug)]
pub(super) enum Loose {
    Tcp(TcpStream),
    Host(HostStream),
}

impl Socket {
    pub(super) fn new(stream: Loose, early: Bytes, place: Option<Permit>) -> Self {
        Self { stream: Some(stream), early, place }
    }

    /// Takes the stream out.
    pub(super) fn take(&mut self) -> Option<Loose> {
        self.stream.take()
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let frame = close::encode_reply(None);
        // Nothing has been written since the handshake was answered, so there is room. If not, the client learns of the
        // end without the frame.
        match self.stream.take() {
            Some(Loose::Tcp(mut stream)) => drop(stream.write(&frame)),
            Some(Loose::Host(mut stream)) => {
                let _ = stream.try_write(&[IoSlice::new(&frame)]);
                let _ = stream.poll_shutdown(&mut Context::from_waker(Waker::noop()));
            }
            None => {}
        }
    }
}

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
