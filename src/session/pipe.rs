//! A WebSocket that is written to from elsewhere, perhaps from another thread: under a Socket.IO session, or a lesson.
//!
//! What is to be written waits in a [`Pipe`]; the connection's response body is a [`PipeBody`] that takes it from there.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use actix_web::error::ErrorInternalServerError;
use bytes::{Bytes, BytesMut};
use futures_core::Stream;

use crate::{
    protocol::{
        close::CloseReason,
        websocket::{
            close as close_frame,
            frame::{self, OpCode},
        },
    },
    session::linger,
};

/// Frames that wait for a connection. The session writes, the connection takes.
#[derive(Debug, Default)]
pub struct Pipe(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    frames: VecDeque<Bytes>,
    bytes: usize,
    is_closed: bool,
    is_broken: bool,
    /// The connection, while it waits.
    taker: Option<Waker>,
}

impl Pipe {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a frame. Nothing is queued behind the end.
    pub fn push(&self, opcode: OpCode, payload: &[u8]) {
        let mut out = BytesMut::with_capacity(payload.len() + 10);
        frame::write(&mut out, opcode, payload);
        self.push_bytes(out.freeze());
    }

    /// Queues finished frames.
    pub fn push_bytes(&self, bytes: Bytes) {
        let mut state = self.state();
        if !state.is_closed {
            state.bytes += bytes.len();
            state.frames.push_back(bytes);
            state.wake();
        }
    }

    /// Bytes that wait.
    pub fn waiting_bytes(&self) -> usize {
        self.state().bytes
    }

    /// Ends the connection behind what waits, with a close frame. Harmless when called twice.
    pub fn close(&self, reason: Option<CloseReason>) {
        let frame = reason.map_or_else(|| close_frame::encode_reply(None), close_frame::encode);
        self.push_bytes(Bytes::copy_from_slice(&frame));
        self.end();
    }

    /// Ends the connection behind what waits, without a word.
    pub fn end(&self) {
        let mut state = self.state();
        state.is_closed = true;
        state.wake();
    }

    /// Ends the connection at once, as one that has failed: its socket is closed.
    pub fn fail(&self) {
        let mut state = self.state();
        state.is_broken = true;
        state.wake();
    }
}

impl State {
    fn wake(&mut self) {
        if let Some(taker) = self.taker.take() {
            taker.wake();
        }
    }
}

/// The response body of a connection: what its pipe holds, until that is closed.
#[derive(Debug)]
pub struct PipeBody(pub Arc<Pipe>);

impl Stream for PipeBody {
    type Item = Result<Bytes, actix_web::Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut state = self.0.state();
        if state.is_broken {
            return Poll::Ready(Some(Err(ErrorInternalServerError("the connection was to fail"))));
        }
        if let Some(frame) = state.frames.pop_front() {
            state.bytes -= frame.len();
            return Poll::Ready(Some(Ok(frame)));
        }
        if state.is_closed {
            linger::wake_when_over(cx.waker().clone());
            return Poll::Ready(None);
        }
        state.taker = Some(cx.waker().clone());
        Poll::Pending
    }
}
