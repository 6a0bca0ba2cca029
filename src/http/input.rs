//! The input of a connection: heads and bodies of requests, and their deadlines.

use std::{
    cell::RefCell,
    future::poll_fn,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
    time::Instant,
};

use actix_codec::Decoder as _;
use actix_http::{
    Payload, Request, ServiceConfig,
    error::{ParseError, PayloadError},
    h1::{Codec, Message, MessageType},
    header::HeaderMap,
};
use bytes::{Bytes, BytesMut};
use futures_core::Stream;

use super::{
    Patience,
    output::Output,
    pace::{Pace, Timer},
};
use crate::connection::{
    Lease, OutOfMemory,
    wire::{Arrivals, Wire},
};

/// Maximum bytes read ahead during a request: later requests, and the client's end of stream.
const MAX_AHEAD: usize = 64 * 1024;

/// The response to `Expect: 100-continue`.
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// The reason for no next request.
#[derive(Debug)]
pub(super) enum NoRequest {
    /// The client closed its side, or sent nothing until the deadline.
    Over,
    /// The head was not complete in time.
    Slow,
    /// The bytes are not a request.
    Malformed(ParseError),
    /// The connection is broken.
    Lost(io::Error),
    /// The budget has no room for the head.
    OutOfMemory(OutOfMemory),
}

/// The input of one connection. The body of a request reads from it while the routes hold that body.
pub(super) struct Input {
    wire: Rc<Wire>,
    output: Rc<Output>,
    patience: Patience,
    state: RefCell<State>,
}

struct State {
    codec: Codec,
    /// Bytes not decoded yet.
    bytes: BytesMut,
    /// Length in bytes of the current head, which the request's headers keep in memory.
    head_len: usize,
    /// Charges the head and the undecoded bytes. The route that reads a body charges it.
    lease: Lease,
    /// The client closed its side.
    has_ended: bool,
    body: Body,
    timer: Timer,
}

/// The body of the current request.
#[derive(Clone, Copy, Debug)]
enum Body {
    /// No body, or all of it has been read.
    Whole,
    /// More of the body is expected.
    Unread {
        /// The client waits for `100 Continue` before it sends the body.
        wants_continue: bool,
        /// Set when the route first waits for the body.
        pace: Option<Pace>,
    },
    /// The rest of the body cannot be read.
    Broken,
}

impl Input {
    pub(super) fn new(
        wire: Rc<Wire>,
        output: Rc<Output>,
        patience: Patience,
        config: ServiceConfig,
        lease: Lease,
    ) -> Rc<Self> {
        let state = State {
            codec: Codec::new(config),
            bytes: BytesMut::new(),
            head_len: 0,
            lease,
            has_ended: false,
            body: Body::Whole,
            timer: Timer::default(),
        };
        Rc::new(Self { wire, output, patience, state: RefCell::new(state) })
    }

    /// Waits for the next request; writes pending output while it waits.
    pub(super) async fn next_request(self: &Rc<Self>, is_first: bool) -> Result<Request, NoRequest> {
        let began = Instant::now();
        let idle = if is_first { self.patience.head } else { self.patience.keep_alive };
        // A head may have begun in the bytes after the last request.
        let mut head_began = (!self.state.borrow().bytes.is_empty()).then_some(began);
        loop {
            let decoded = self.state.borrow_mut().decode_head()?;
            if let Some(request) = decoded {
                return Ok(self.with_body(request));
            }
            if self.state.borrow().has_ended {
                return Err(NoRequest::Over);
            }
            poll_fn(|cx| self.output.poll_flush(cx)).await.map_err(NoRequest::Lost)?;
            let deadline = match head_began {
                Some(head_began) if !is_first => head_began + self.patience.head,
                _ => began + idle,
            };
            let has_read = poll_fn(|cx| {
                let state = &mut *self.state.borrow_mut();
                match state.poll_read(&self.wire, cx) {
                    Poll::Pending => state.timer.poll(deadline, cx).map(|()| Ok(None)),
                    Poll::Ready(outcome) => Poll::Ready(outcome.map(Some)),
                }
            });
            let has_read = has_read.await.map_err(NoRequest::Lost)?;
            self.state.borrow_mut().charge().map_err(NoRequest::OutOfMemory)?;
            match has_read {
                Some(_) => head_began = head_began.or_else(|| Some(Instant::now())),
                None if self.state.borrow().bytes.is_empty() => return Err(NoRequest::Over),
                None => return Err(NoRequest::Slow),
            }
        }
    }

    /// Attaches the body to a request.
    fn with_body(self: &Rc<Self>, mut request: Request) -> Request {
        let state = &mut *self.state.borrow_mut();
        *request.payload() = match state.codec.message_type() {
            MessageType::None => Payload::None,
            MessageType::Payload => {
                state.body = Body::Unread { wants_continue: request.head().expect(), pace: None };
                Payload::Stream { payload: Box::pin(Incoming(Rc::clone(self))) }
            }
            MessageType::Stream => {
                // A copy, so that the buffer is freed.
                let early = Bytes::copy_from_slice(&std::mem::take(&mut state.bytes));
                Payload::Stream { payload: Box::pin(Arrivals::new(Rc::clone(&self.wire), early)) }
            }
        };
        request
    }

    /// The current request is answered: releases the charge for its head.
    pub(super) fn end_request(&self) {
        let state = &mut *self.state.borrow_mut();
        state.head_len = 0;
        // Cannot fail: the charge shrinks.
        let _ = state.charge();
    }

    /// Whether the current request may upgrade: then all bytes after its head belong to it.
    pub(super) fn is_upgrade(&self) -> bool {
        self.state.borrow().codec.message_type() == MessageType::Stream
    }

    /// Whether the current request has a body.
    pub(super) fn has_body(&self) -> bool {
        self.state.borrow().codec.message_type() == MessageType::Payload
    }

    /// Whether the client closed its side and all its requests have been read.
    pub(super) fn is_last(&self) -> bool {
        let state = self.state.borrow();
        state.has_ended && state.bytes.is_empty()
    }

    /// Drops the received part of a body that the routes did not read; returns whether that was all of it.
    pub(super) fn skip_body(&self) -> bool {
        let state = &mut *self.state.borrow_mut();
        while let Body::Unread { .. } = state.body {
            match state.codec.decode(&mut state.bytes) {
                Ok(Some(Message::Chunk(Some(_)))) => {}
                Ok(Some(Message::Chunk(None))) => state.body = Body::Whole,
                Ok(Some(Message::Item(_)) | None) | Err(_) => return false,
            }
        }
        matches!(state.body, Body::Whole)
    }

    /// Reads ahead during a request. Ready once the client closed its side.
    ///
    /// # Errors
    /// The connection is broken, or the budget has no room for the bytes.
    pub(super) fn poll_end(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let state = &mut *self.state.borrow_mut();
        while !state.has_ended {
            // Only the route reads the rest of a body.
            if !matches!(state.body, Body::Whole) || state.bytes.len() >= MAX_AHEAD {
                return Poll::Pending;
            }
            ready!(state.poll_read(&self.wire, cx))?;
            state.charge().map_err(io::Error::other)?;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_body(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, PayloadError>>> {
        let state = &mut *self.state.borrow_mut();
        loop {
            let Body::Unread { wants_continue, pace } = &mut state.body else {
                let is_broken = matches!(state.body, Body::Broken);
                return Poll::Ready(is_broken.then_some(Err(PayloadError::Incomplete(None))));
            };
            let error = match state.codec.decode(&mut state.bytes) {
                Ok(Some(Message::Chunk(Some(bytes)))) => return Poll::Ready(Some(Ok(bytes))),
                Ok(Some(Message::Chunk(None))) => {
                    state.body = Body::Whole;
                    return Poll::Ready(None);
                }
                Ok(Some(Message::Item(_))) | Err(_) => PayloadError::EncodingCorrupted,
                Ok(None) if state.has_ended => PayloadError::Incomplete(None),
                Ok(None) => {
                    if std::mem::take(wants_continue) {
                        self.output.push(CONTINUE);
                    }
                    // If it cannot be written now, the response follows it.
                    let _ = self.output.poll_flush(cx);
                    let mut waited =
                        *pace.get_or_insert_with(|| Pace::new(self.patience.body, Instant::now()));
                    match state.poll_read(&self.wire, cx) {
                        Poll::Ready(Ok(read)) => {
                            waited.moved(read);
                            if let Body::Unread { pace, .. } = &mut state.body {
                                *pace = Some(waited);
                            }
                            continue;
                        }
                        Poll::Ready(Err(error)) => PayloadError::Incomplete(Some(error)),
                        Poll::Pending => {
                            ready!(state.timer.poll(waited.deadline(), cx));
                            PayloadError::Incomplete(Some(io::ErrorKind::TimedOut.into()))
                        }
                    }
                }
            };
            state.body = Body::Broken;
            return Poll::Ready(Some(Err(error)));
        }
    }
}

impl State {
    fn decode_head(&mut self) -> Result<Option<Request>, NoRequest> {
        if self.bytes.is_empty() {
            return Ok(None);
        }
        let len = self.bytes.len();
        match self.codec.decode(&mut self.bytes) {
            Ok(Some(Message::Item(mut request))) => {
                fit(&mut request.head_mut().headers);
                self.body = Body::Whole;
                self.head_len = len - self.bytes.len();
                Ok(Some(request))
            }
            Ok(None) => Ok(None),
            // Unreachable: the preceding body was read to its end.
            Ok(Some(Message::Chunk(_))) => Err(NoRequest::Malformed(ParseError::Incomplete)),
            Err(error) => Err(NoRequest::Malformed(error)),
        }
    }

    /// Charges the head and the undecoded bytes.
    fn charge(&mut self) -> Result<(), OutOfMemory> {
        self.lease.hold(self.head_len + self.bytes.len())
    }

    /// Reads once; returns the number of bytes.
    fn poll_read(&mut self, wire: &Wire, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let bytes = ready!(wire.poll_read(cx))?;
        if bytes.is_empty() {
            self.has_ended = true;
        } else if self.bytes.is_empty() {
            // The old buffer may still be in use by earlier requests, so take a new one.
            self.bytes = BytesMut::from(&*bytes);
        } else {
            self.bytes.extend_from_slice(&bytes);
        }
        Poll::Ready(Ok(bytes.len()))
    }
}

/// Gives the headers a table of their size. A request may wait for its response for long (a poll), and a new head has a table
/// of 7 KiB. Heads are used again, and their tables then have the right size mostly.
fn fit(headers: &mut HeaderMap) {
    let count = headers.len_keys();
    if headers.capacity() < 2 * count.next_power_of_two().max(8) {
        return;
    }
    let mut fitting = HeaderMap::with_capacity(count);
    let mut name = None;
    for (next, value) in headers.drain() {
        name = next.or(name);
        if let Some(name) = &name {
            fitting.append(name.clone(), value);
        }
    }
    *headers = fitting;
}

/// The body of a request, as a stream for the routes.
struct Incoming(Rc<Input>);

impl Stream for Incoming {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_body(cx)
    }
}

#[cfg(test)]
mod tests {
    use actix_http::header::{ACCEPT, COOKIE, HOST, HeaderValue};

    use super::*;

    #[test]
    fn the_table_of_headers_becomes_as_small_as_they_are_and_loses_none() {
        let mut headers = HeaderMap::with_capacity(16);
        for (name, value) in [(HOST, "a"), (COOKIE, "b"), (ACCEPT, "c"), (COOKIE, "d")] {
            headers.append(name, HeaderValue::from_static(value));
        }
        let before = headers.capacity();
        fit(&mut headers);
        assert!(headers.capacity() < before / 2, "{} of {before}", headers.capacity());
        let values = |name| headers.get_all(name).map(HeaderValue::as_bytes).collect::<Vec<_>>();
        assert_eq!((values(HOST), values(ACCEPT)), (vec![&b"a"[..]], vec![&b"c"[..]]));
        assert_eq!((values(COOKIE), headers.len()), (vec![&b"b"[..], b"d"], 4));
        let fitting = headers.capacity();
        fit(&mut headers);
        assert_eq!(headers.capacity(), fitting);
    }
}
