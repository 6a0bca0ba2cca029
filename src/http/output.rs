//! The output of a connection: encodes and writes responses.

use std::{
    cell::RefCell,
    future::poll_fn,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use actix_http::{
    ConnectionType, Method, Response, ServiceConfig, StatusCode, Version,
    body::{BodySize, BoxBody, MessageBody},
    header::{CONNECTION, CONTENT_LENGTH, DATE, HeaderMap, TRANSFER_ENCODING, UPGRADE},
};
use bytes::{Buf as _, Bytes, BytesMut};

use super::pace::{Pace, Timer};
use crate::connection::{Lease, OutOfMemory, wire::Wire};

/// While this many bytes wait to be written, the body is not polled.
const MAX_UNWRITTEN: usize = 64 * 1024;

/// Bytes reserved for a head, so that it is allocated once.
const HEAD_CAPACITY: usize = 512;

/// The unwritten bytes of one connection.
pub(super) struct Output {
    wire: Rc<Wire>,
    config: ServiceConfig,
    /// Timeout for the client to take the unwritten bytes.
    patience: Duration,
    state: RefCell<State>,
}

struct State {
    bytes: BytesMut,
    lease: Lease,
    /// Set from the first blocked write until everything is written.
    pace: Option<Pace>,
    timer: Timer,
}

/// The properties of a request that its response depends on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    version: Version,
    /// The response has no body (`HEAD`).
    is_head: bool,
    /// The connection stays open for another request.
    keeps_alive: bool,
    /// A body of unknown length is sent in chunks; otherwise it ends with the connection.
    may_chunk: bool,
}

/// How the end of a body is marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    /// No body follows.
    Nothing,
    /// By its length; the number of bytes not sent yet.
    Length(u64),
    /// By an empty chunk.
    Chunks,
    /// By the end of the connection.
    End,
}

impl Terms {
    /// The terms of a request. The connection stays open if the client wants it.
    pub(super) fn of(method: &Method, version: Version, wants: ConnectionType) -> Self {
        let keeps_alive = match wants {
            ConnectionType::Close => false,
            ConnectionType::KeepAlive => true,
            // Without an upgrade, the default of the version applies.
            ConnectionType::Upgrade => version >= Version::HTTP_11,
        };
        let may_chunk = version >= Version::HTTP_11;
        Self { version, is_head: *method == Method::HEAD, keeps_alive, may_chunk }
    }

    /// The terms of a response to an invalid request.
    pub(super) fn of_refusal() -> Self {
        Self { version: Version::HTTP_11, is_head: false, keeps_alive: false, may_chunk: false }
    }

    /// The terms with the connection closed after the response.
    pub(super) fn closing(self) -> Self {
        Self { keeps_alive: false, ..self }
    }

    /// The terms of a rejected upgrade: the bytes after it may not be a request.
    pub(super) fn of_no_upgrade(self) -> Self {
        Self { keeps_alive: false, may_chunk: false, ..self }
    }
}

impl Output {
    pub(super) fn new(wire: Rc<Wire>, config: ServiceConfig, patience: Duration, lease: Lease) -> Rc<Self> {
        let state = State { bytes: BytesMut::new(), lease, pace: None, timer: Timer::default() };
        Rc::new(Self { wire, config, patience, state: RefCell::new(state) })
    }

    /// Appends bytes to the unwritten ones.
    pub(super) fn push(&self, bytes: &[u8]) {
        self.state.borrow_mut().bytes.extend_from_slice(bytes);
    }

    /// The unwritten bytes and the head of a response that upgrades the connection.
    pub(super) fn upgrade(&self, response: &Response<()>, terms: Terms) -> Bytes {
        let mut bytes = std::mem::take(&mut self.state.borrow_mut().bytes);
        self.encode_head(&mut bytes, response, BodySize::None, terms);
        bytes.freeze()
    }

    /// Sends a response; some of it may be unwritten when this returns. Returns whether another request may
    /// follow.
    ///
    /// # Errors
    /// The connection is broken, the client takes nothing for too long, the body failed, or the budget is
    /// used up.
    pub(super) async fn send(&self, response: Response<BoxBody>, terms: Terms) -> io::Result<bool> {
        let (response, mut body) = response.into_parts();
        let (mut coding, keeps_alive) =
            self.encode_head(&mut self.state.borrow_mut().bytes, &response, body.size(), terms);
        while coding != Coding::Nothing {
            if self.state.borrow().bytes.len() >= MAX_UNWRITTEN {
                poll_fn(|cx| self.poll_flush(cx)).await?;
            }
            let chunk = poll_fn(|cx| {
                let chunk = Pin::new(&mut body).poll_next(cx);
                if chunk.is_pending() {
                    // Write the encoded part while the body is pending.
                    let _ = self.poll_flush(cx)?;
                }
                chunk.map(Option::transpose).map_err(|error| io::Error::other(error.to_string()))
            });
            let chunk = chunk.await?;
            coding = coding.encode(chunk.as_deref(), &mut self.state.borrow_mut().bytes)?;
            drop(chunk);
            self.charge().await?;
        }
        Ok(keeps_alive)
    }

    /// Charges the unwritten bytes. If the budget has no room, the socket must take enough of them at once.
    async fn charge(&self) -> io::Result<()> {
        if self.state.borrow_mut().recount().is_ok() {
            return Ok(());
        }
        let _ = poll_fn(|cx| Poll::Ready(self.poll_flush(cx))).await;
        self.state.borrow_mut().recount().map_err(io::Error::other)
    }

    /// Ready when everything is written.
    ///
    /// # Errors
    /// The connection is broken, or the client takes nothing for too long.
    pub(super) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let State { bytes, lease, pace, timer } = &mut *self.state.borrow_mut();
        while !bytes.is_empty() {
            match self.wire.write(|stream| stream.try_write(bytes)) {
                Ok(written) => {
                    bytes.advance(written);
                    if let Some(pace) = pace {
                        pace.moved(written);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let pace = pace.get_or_insert_with(|| Pace::new(self.patience, Instant::now()));
                    match self.wire.poll_socket_writable(cx) {
                        Poll::Ready(ready) => ready?,
                        Poll::Pending => {
                            let is_late = timer.poll(pace.deadline(), cx).is_ready();
                            return if is_late {
                                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
                            } else {
                                Poll::Pending
                            };
                        }
                    }
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        // An idle connection has no buffer.
        *bytes = BytesMut::new();
        *pace = None;
        let _ = lease.hold(0);
        Poll::Ready(Ok(()))
    }

    /// Encodes a head; returns the coding of the body, and whether another request may follow.
    fn encode_head(
        &self,
        out: &mut BytesMut,
        response: &Response<()>,
        size: BodySize,
        terms: Terms,
    ) -> (Coding, bool) {
        let (head, status) = (response.head(), response.status());
        out.reserve(HEAD_CAPACITY);
        let version = if terms.version < Version::HTTP_11 { "HTTP/1.0 " } else { "HTTP/1.1 " };
        for part in [version, status.as_str(), " ", head.reason(), "\r\n"] {
            out.extend_from_slice(part.as_bytes());
        }
        let coding = encode_length(out, status, size, terms);
        let keeps_alive = terms.keeps_alive
            && coding != Coding::End
            && head.connection_type() != ConnectionType::Close
            && !response.upgrade();
        encode_connection(out, response, terms, keeps_alive);
        encode_headers(out, &head.headers, status == StatusCode::NOT_MODIFIED);
        if !head.headers.contains_key(DATE) {
            self.config.write_date_header(out, false);
        }
        out.extend_from_slice(b"\r\n");
        (if terms.is_head { Coding::Nothing } else { coding }, keeps_alive)
    }
}

impl State {
    fn recount(&mut self) -> Result<(), OutOfMemory> {
        self.lease.hold(self.bytes.len())
    }
}

/// Encodes the header for the length or coding of the body.
fn encode_length(out: &mut BytesMut, status: StatusCode, size: BodySize, terms: Terms) -> Coding {
    // RFC 9110, section 8.6: these have no body and no length; a 304 may have the length of the 200 response.
    if status.is_informational() || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        return Coding::Nothing;
    }
    match size {
        BodySize::None if terms.is_head => Coding::Nothing,
        BodySize::None | BodySize::Sized(0) => {
            out.extend_from_slice(b"content-length: 0\r\n");
            Coding::Nothing
        }
        BodySize::Sized(length) => {
            out.extend_from_slice(format!("content-length: {length}\r\n").as_bytes());
            Coding::Length(length)
        }
        BodySize::Stream if !terms.may_chunk => Coding::End,
        BodySize::Stream => {
            out.extend_from_slice(b"transfer-encoding: chunked\r\n");
            Coding::Chunks
        }
    }
}

/// Encodes the `connection` header, where it differs from the default.
fn encode_connection(out: &mut BytesMut, response: &Response<()>, terms: Terms, keeps_alive: bool) {
    // The header `upgrade` must be listed here too (RFC 9110, section 7.8).
    let upgrade = response.upgrade() || response.headers().contains_key(UPGRADE);
    let fate = match (keeps_alive || response.upgrade(), terms.version < Version::HTTP_11) {
        (true, true) => Some("keep-alive"),
        (false, false) => Some("close"),
        (true, false) | (false, true) => None,
    };
    let line = match (fate, upgrade) {
        (None, false) => return,
        (None, true) => "connection: upgrade\r\n".to_owned(),
        (Some(fate), false) => format!("connection: {fate}\r\n"),
        (Some(fate), true) => format!("connection: {fate}, upgrade\r\n"),
    };
    out.extend_from_slice(line.as_bytes());
}

fn encode_headers(out: &mut BytesMut, headers: &HeaderMap, may_tell_length: bool) {
    for (name, value) in headers {
        let is_ours = *name == CONNECTION
            || *name == TRANSFER_ENCODING
            || (*name == CONTENT_LENGTH && !may_tell_length);
        if !is_ours {
            out.extend_from_slice(name.as_str().as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(value.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
    }
}

impl Coding {
    /// Encodes a chunk of a body, or its end for `None`; returns what remains.
    fn encode(self, chunk: Option<&[u8]>, out: &mut BytesMut) -> io::Result<Self> {
        match (self, chunk) {
            (Self::Length(missing), Some(chunk)) => {
                // Surplus bytes would be parsed as the next response.
                let missing = missing.checked_sub(chunk.len() as u64);
                let missing = missing.ok_or_else(|| io::Error::other("a body is longer than announced"))?;
                out.extend_from_slice(chunk);
                Ok(if missing == 0 { Self::Nothing } else { Self::Length(missing) })
            }
            (Self::Length(_), None) => Err(io::Error::other("a body is shorter than announced")),
            (Self::Chunks, Some([])) | (Self::End, Some([])) => Ok(self),
            (Self::Chunks, Some(chunk)) => {
                out.extend_from_slice(format!("{:X}\r\n", chunk.len()).as_bytes());
                out.extend_from_slice(chunk);
                out.extend_from_slice(b"\r\n");
                Ok(self)
            }
            (Self::Chunks, None) => {
                out.extend_from_slice(b"0\r\n\r\n");
                Ok(Self::Nothing)
            }
            (Self::End, Some(chunk)) => {
                out.extend_from_slice(chunk);
                Ok(self)
            }
            (Self::End, None) | (Self::Nothing, _) => Ok(Self::Nothing),
        }
    }
}
