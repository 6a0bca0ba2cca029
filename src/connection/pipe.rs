//! The outgoing queue of a WebSocket that is written to from elsewhere, perhaps from another thread: by a
//! Socket.IO session, or a lesson.
//!
//! What is to be written waits in a [`Pipe`]; the connection's response body is a [`PipeBody`], which takes it
//! from there.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use actix_web::error::ErrorInternalServerError;
use bytes::{Bytes, BytesMut};
use futures_core::Stream;

use super::socket::Connection;
use crate::{
    connection::{Budget, counted, counted_anew},
    protocol::{
        close::CloseReason,
        engineio,
        websocket::{
            CloseFrame, close as close_frame,
            frame::{self, OpCode},
        },
    },
};

/// Payloads of at least this many bytes are queued behind their header without a copy.
const COPY_BELOW: usize = 1024;

/// Frames that wait for a connection. The session writes, the connection takes.
#[derive(Debug, Default)]
pub struct Pipe {
    state: Mutex<State>,
    /// The socket, of which the wire notes whether it is blocked.
    socket: Arc<Connection>,
    /// Whether the client wants binary messages as base64 in text frames.
    wants_base64: bool,
    /// Charged for what waits, here and on its way to the socket; deliveries have been charged before.
    budget: Option<Arc<Budget>>,
}

/// The backlog of frames from a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deliveries {
    /// Length of the frames in bytes.
    pub bytes: usize,
    /// Number of pieces in the queue.
    pub pieces: usize,
    /// Whether the socket is blocked. If not, the frames wait only until the connection is polled.
    pub are_blocked: bool,
}

#[derive(Debug, Default)]
struct State {
    pieces: VecDeque<Piece>,
    bytes: usize,
    /// The bytes of deliveries in `bytes`, and the number of their pieces.
    delivered: usize,
    delivered_pieces: usize,
    /// Bytes that the connection has taken so far.
    taken: u64,
    is_closed: bool,
    is_broken: bool,
    /// The connection's task, while it waits.
    taker: Option<Waker>,
    /// Tasks, each with the most bytes that may wait when it is woken.
    drained: Vec<(usize, Waker)>,
    /// The task that reads from the client, to be told of the end.
    reader: Option<Waker>,
}

#[derive(Debug)]
struct Piece {
    bytes: Bytes,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Frames for this client alone, or the header of one.
    Own,
    /// The payload of the frame whose header is the piece before.
    Payload,
    /// Frames of a room.
    Delivery,
}

impl Pipe {
    /// A pipe to a connection; `wants_base64` if its client takes no binary frames. What waits is charged to `budget`.
    pub(crate) fn to(socket: Arc<Connection>, wants_base64: bool, budget: Arc<Budget>) -> Self {
        Self { state: Mutex::default(), socket, wants_base64, budget: Some(budget) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the client wants binary messages as base64 in text frames.
    pub fn wants_base64(&self) -> bool {
        self.wants_base64
    }

    /// Queues a frame. Ignored once the pipe is closed.
    pub fn push(&self, opcode: OpCode, payload: &[u8]) {
        let mut out = BytesMut::with_capacity(payload.len() + 10);
        frame::write(&mut out, opcode, payload);
        let bytes = match &self.budget {
            Some(budget) => counted(out, budget),
            None => out.freeze(),
        };
        self.push_bytes(bytes);
    }

    /// Queues a frame; a large payload is not copied.
    pub fn push_shared(&self, opcode: OpCode, payload: Bytes) {
        if payload.len() < COPY_BELOW {
            return self.push(opcode, &payload);
        }
        let mut header = BytesMut::with_capacity(10);
        frame::write_header(&mut header, opcode, payload.len());
        let payload = match &self.budget {
            Some(budget) => counted_anew(payload, budget),
            None => payload,
        };
        let mut state = self.state();
        state.push(header.freeze(), Kind::Own);
        state.push(payload, Kind::Payload);
    }

    /// Queues a binary message, as base64 if the client wants that.
    pub fn push_binary(&self, bytes: Bytes) {
        if self.wants_base64 {
            let mut text = String::with_capacity(engineio::binary_len(bytes.len()));
            engineio::push_binary(&mut text, &bytes);
            return self.push_shared(OpCode::Text, Bytes::from(text));
        }
        self.push_shared(OpCode::Binary, bytes);
    }

    /// Queues finished frames.
    pub fn push_bytes(&self, bytes: Bytes) {
        self.state().push(bytes, Kind::Own);
    }

    /// Queues finished frames of a room, which are counted separately.
    pub fn deliver(&self, bytes: Bytes) {
        self.state().push(bytes, Kind::Delivery);
    }

    /// The backlog in bytes.
    pub fn waiting_bytes(&self) -> usize {
        self.state().bytes
    }

    /// The backlog of frames from a room.
    pub fn waiting_deliveries(&self) -> Deliveries {
        let state = self.state();
        Deliveries {
            bytes: state.delivered,
            pieces: state.delivered_pieces,
            are_blocked: self.socket.is_blocked(),
        }
    }

    /// Bytes that the connection has taken so far: while this number rises, its client reads.
    pub fn taken_bytes(&self) -> u64 {
        self.state().taken
    }

    /// Whether the client is writable: at most `max_waiting` bytes wait, and those only until the connection
    /// is polled.
    pub fn is_writable(&self, max_waiting: usize) -> bool {
        let state = self.state();
        !self.socket.is_blocked() && state.bytes <= max_waiting && !state.is_closed
    }

    /// Ready when at most `max_waiting` bytes wait, or the pipe is closed; wakes the task then.
    pub fn poll_drained(&self, max_waiting: usize, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state();
        if state.bytes <= max_waiting || state.is_closed {
            return Poll::Ready(());
        }
        if !state.drained.iter().any(|(limit, waker)| *limit == max_waiting && waker.will_wake(cx.waker())) {
            state.drained.push((max_waiting, cx.waker().clone()));
        }
        Poll::Pending
    }

    /// Ready when the pipe is closed; wakes the task then. One task may wait.
    pub fn poll_closed(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state();
        if state.is_closed {
            return Poll::Ready(());
        }
        if state.reader.as_ref().is_none_or(|reader| !reader.will_wake(cx.waker())) {
            state.reader = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Whether the socket has not taken everything yet.
    pub fn is_behind(&self) -> bool {
        self.waiting_bytes() > 0 || self.socket.is_blocked()
    }

    /// Drops the backlog, except the payload of a frame whose header has been taken.
    pub fn clear(&self) {
        self.state().clear();
    }

    /// Ends the connection after the backlog, with a close frame. The first end counts.
    pub fn close(&self, reason: Option<CloseReason>) {
        self.close_with(reason.map_or_else(|| close_frame::encode_reply(None), close_frame::encode));
    }

    /// Ends the connection after the backlog, with the answer to the client's close frame.
    pub fn answer_close(&self, received: Option<&CloseFrame>) {
        self.close_with(close_frame::encode_reply(received));
    }

    /// Ends the connection after the backlog, with this finished close frame.
    pub fn close_with(&self, frame: Bytes) {
        self.push_bytes(frame);
        self.end();
    }

    /// Ends the connection after the backlog, without a close frame.
    pub fn end(&self) {
        self.state().end();
    }

    /// Ends the connection at once and closes its socket, as after an error.
    pub fn fail(&self) {
        let mut state = self.state();
        state.is_broken = true;
        state.wake_taker();
    }
}

impl State {
    fn push(&mut self, bytes: Bytes, kind: Kind) {
        if self.is_closed {
            return;
        }
        self.bytes += bytes.len();
        if kind == Kind::Delivery {
            self.delivered += bytes.len();
            self.delivered_pieces += 1;
        }
        self.pieces.push_back(Piece { bytes, kind });
        self.wake_taker();
    }

    fn take(&mut self) -> Option<Bytes> {
        let Piece { bytes, kind } = self.pieces.pop_front()?;
        self.bytes -= bytes.len();
        self.taken += bytes.len() as u64;
        if kind == Kind::Delivery {
            self.delivered -= bytes.len();
            self.delivered_pieces -= 1;
        }
        self.wake_drained();
        Some(bytes)
    }

    fn clear(&mut self) {
        let begun = self.pieces.pop_front().filter(|piece| piece.kind == Kind::Payload);
        self.pieces = begun.into_iter().collect();
        self.bytes = self.pieces.iter().map(|piece| piece.bytes.len()).sum();
        (self.delivered, self.delivered_pieces) = (0, 0);
        self.wake_drained();
    }

    fn end(&mut self) {
        self.is_closed = true;
        self.wake_taker();
        self.wake_drained();
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }

    fn wake_taker(&mut self) {
        if let Some(taker) = self.taker.take() {
            taker.wake();
        }
    }

    fn wake_drained(&mut self) {
        let (bytes, is_closed) = (self.bytes, self.is_closed);
        for (_, waker) in self.drained.extract_if(.., |(limit, _)| bytes <= *limit || is_closed) {
            waker.wake();
        }
    }
}

/// The response body of a connection: yields what its pipe holds, until the pipe is closed.
#[derive(Debug)]
pub(crate) struct PipeBody(pub Arc<Pipe>);

impl Drop for PipeBody {
    /// The connection has ended: closes the pipe and drops the backlog.
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.end();
        state.clear();
    }
}

impl Stream for PipeBody {
    type Item = Result<Bytes, actix_web::Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut state = self.0.state();
        if state.is_broken {
            return Poll::Ready(Some(Err(ErrorInternalServerError("the connection was to fail"))));
        }
        if let Some(frames) = state.take() {
            return Poll::Ready(Some(Ok(frames)));
        }
        if state.is_closed {
            return Poll::Ready(None);
        }
        state.taker = Some(cx.waker().clone());
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt as _, StreamExt as _};
    use std::future::poll_fn;

    use super::*;
    use crate::protocol::close;

    const LARGE: usize = 4 * COPY_BELOW;

    fn pipe() -> (Arc<Pipe>, PipeBody) {
        let pipe = Arc::new(Pipe::default());
        (Arc::clone(&pipe), PipeBody(pipe))
    }

    /// Takes what the body yields now.
    fn taken(body: &mut PipeBody) -> Vec<Bytes> {
        std::iter::from_fn(|| body.next().now_or_never().flatten())
            .map(|piece| piece.expect("frames"))
            .collect()
    }

    #[actix_web::test]
    async fn a_pipe_is_writable_while_its_socket_is_not_blocked_and_little_waits() {
        let (pipe, _body) = pipe();
        for _ in 0..3 {
            assert!(pipe.is_writable(LARGE));
            pipe.push(OpCode::Text, b"42[\"typing\"]");
        }
        assert!(!pipe.is_writable(10), "more than so many bytes wait");
        pipe.socket.set_blocked(true);
        assert!(!pipe.is_writable(LARGE));
        pipe.socket.set_blocked(false);
        assert!(pipe.is_writable(LARGE));
        pipe.close(None);
        assert!(!pipe.is_writable(LARGE));
    }

    #[actix_web::test]
    async fn what_waits_is_counted_until_it_is_taken_and_who_waits_is_woken() {
        let (pipe, mut body) = pipe();
        pipe.push_shared(OpCode::Binary, vec![7; LARGE].into());
        pipe.deliver(Bytes::from_static(b"\x81\x01a"));
        assert_eq!((pipe.waiting_bytes(), pipe.waiting_deliveries().bytes), (LARGE + 4 + 3, 3));
        let mut drained = Box::pin(poll_fn(|cx| pipe.poll_drained(3, cx)));
        assert_eq!(drained.as_mut().now_or_never(), None);
        assert_eq!(taken(&mut body).concat().len(), LARGE + 4 + 3);
        assert_eq!(drained.as_mut().now_or_never(), Some(()));
        assert_eq!((pipe.waiting_bytes(), pipe.waiting_deliveries().bytes), (0, 0));
        assert_eq!(pipe.taken_bytes(), (LARGE + 4 + 3) as u64);
        assert!(pipe.state().drained.len() <= 1);
    }

    #[actix_web::test]
    async fn what_is_dropped_leaves_whole_frames_behind() {
        for pieces_taken in 0..=2 {
            let (pipe, mut body) = pipe();
            pipe.push_shared(OpCode::Binary, vec![7; LARGE].into());
            pipe.deliver(Bytes::from_static(b"\x81\x01a"));
            let mut out = Vec::new();
            for _ in 0..pieces_taken {
                out.extend(body.next().now_or_never().flatten().expect("a piece").expect("frames"));
            }
            pipe.clear();
            pipe.close(Some(close::SLOW_CONSUMER));
            out.extend(taken(&mut body).concat());
            let close = close_frame::encode(close::SLOW_CONSUMER);
            let frame = if pieces_taken == 0 { 0 } else { LARGE + 4 };
            assert_eq!(out.len(), frame + close.len(), "{pieces_taken} pieces were taken");
            assert!(out.ends_with(&close));
        }
    }

    #[actix_web::test]
    async fn the_first_end_counts_and_nothing_follows_it() {
        let (pipe, mut body) = pipe();
        pipe.answer_close(Some(&CloseFrame { code: 4001, reason: "x".into() }));
        pipe.close(None);
        pipe.push(OpCode::Text, b"late");
        assert_eq!(taken(&mut body).concat(), b"\x88\x02\x0f\xa1");
    }

    #[actix_web::test]
    async fn a_connection_that_has_ended_holds_up_nobody() {
        let (pipe, body) = pipe();
        pipe.push(OpCode::Text, &[b'x'; LARGE]);
        drop(body);
        assert_eq!(poll_fn(|cx| pipe.poll_drained(0, cx)).now_or_never(), Some(()));
        assert_eq!(poll_fn(|cx| pipe.poll_closed(cx)).now_or_never(), Some(()));
        assert_eq!(pipe.waiting_bytes(), 0);
    }
}
