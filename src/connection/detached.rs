//! A socket that belongs to no thread, between the task of its connection and its session.

use std::{
    io::{IoSlice, Write as _},
    net::TcpStream,
    task::{Context, Waker},
};

use bytes::Bytes;

use super::{host::HostStream, permits::Permit};
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
