//! One WebSocket of a Socket.IO session: the one that carries it, or one that its client probes.

use std::{
    cell::Cell,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use actix_web::rt;
use bytes::Bytes;

use crate::{
    connection::outlet::{Deliveries, Outbox},
    protocol::{
        close::CloseReason,
        engineio,
        websocket::{CloseFrame, Message, ProtocolError, close as close_frame, frame::OpCode},
    },
};

/// The number of WebSockets whose sessions have ended, and whose last bytes are still written.
#[derive(Clone, Debug, Default)]
pub(super) struct Finishing(Arc<AtomicUsize>);

impl Finishing {
    pub(super) fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    fn enter(&self) -> Finisher {
        self.0.fetch_add(1, Ordering::SeqCst);
        Finisher(Arc::clone(&self.0))
    }
}

/// Counts one WebSocket until it is dropped.
struct Finisher(Arc<AtomicUsize>);

impl Drop for Finisher {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A WebSocket of a session. Clones are the same WebSocket.
#[derive(Clone, Debug)]
pub(super) struct Carrier(Rc<State>);

#[derive(Debug)]
struct State {
    outbox: Outbox,
    wants_base64: bool,
    /// Whether it carries the session: it is not, or not only, probed.
    carries: Cell<bool>,
    is_closed: Cell<bool>,
    /// Whether the link is about to be polled again, which writes what is queued.
    is_attended: Cell<bool>,
    /// Bytes that may wait when the session is told that it may queue more; `None` if it has no more.
    more_at: Cell<Option<usize>>,
    stall_timeout: Duration,
    finishing: Finishing,
}

impl Carrier {
    /// A WebSocket that is written by `outbox`. With `wants_base64` its client takes no binary frames. A client that does
    /// not take its last bytes within `stall_timeout` is cut.
    pub(super) fn new(
        outbox: Outbox,
        wants_base64: bool,
        stall_timeout: Duration,
        finishing: Finishing,
    ) -> Self {
        Self(Rc::new(State {
            outbox,
            wants_base64,
            carries: Cell::new(false),
            is_closed: Cell::new(false),
            is_attended: Cell::new(false),
            more_at: Cell::new(None),
            stall_timeout,
            finishing,
        }))
    }

    /// Whether both are the same WebSocket.
    pub(super) fn is(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }

    /// Notes that it carries the session now.
    pub(super) fn carry(&self) {
        self.0.carries.set(true);
    }

    /// Whether it carries the session, and is not only probed.
    pub(super) fn carries(&self) -> bool {
        self.0.carries.get()
    }

    /// Whether it has been closed.
    pub(super) fn is_closed(&self) -> bool {
        self.0.is_closed.get()
    }

    /// Notes whether the link is about to be polled again.
    pub(super) fn set_attended(&self, is_attended: bool) {
        self.0.is_attended.set(is_attended);
    }

    /// Whether the session is to be told now that it may queue more; true once.
    pub(super) fn takes_more(&self) -> bool {
        let is_due = self.0.more_at.get().is_some_and(|bytes| self.waiting_bytes() <= bytes);
        if is_due {
            self.0.more_at.set(None);
        }
        is_due
    }

    /// The outgoing queue.
    pub(super) fn outbox(&self) -> &Outbox {
        &self.0.outbox
    }

    /// Whether the client wants binary messages as base64 in text frames.
    pub(super) fn wants_base64(&self) -> bool {
        self.0.wants_base64
    }

    /// Queues a frame. Ignored once it is closed.
    pub(super) fn frame(&self, opcode: OpCode, payload: Bytes) {
        let State { outbox, is_closed, is_attended, .. } = &*self.0;
        if is_closed.get() {
            return;
        }
        // The first of several frames wakes the task, and the task writes all of them.
        if !is_attended.get() && !outbox.has_waiting() {
            outbox.wake();
        }
        outbox.answer_frame(opcode, payload);
    }

    /// Has the session told ([`Inbound::Drained`]) when at most `bytes` bytes wait.
    pub(super) fn tell_at(&self, bytes: usize) {
        self.0.more_at.set(Some(bytes));
        if !self.0.is_attended.get() {
            self.0.outbox.wake();
        }
    }

    /// Queues a text frame.
    pub(super) fn text(&self, text: Bytes) {
        self.frame(OpCode::Text, text);
    }

    /// Queues a binary message, as base64 if the client wants that.
    pub(super) fn binary(&self, bytes: Bytes) {
        if self.0.wants_base64 {
            let mut text = String::with_capacity(engineio::binary_len(bytes.len()));
            engineio::push_binary(&mut text, &bytes);
            return self.text(Bytes::from(text));
        }
        self.frame(OpCode::Binary, bytes);
    }

    /// Writes or queues finished frames of a room.
    pub(super) fn deliver(&self, frames: &[Bytes], bytes: usize) {
        if !self.0.is_closed.get() {
            self.0.outbox.deliver_now(frames, bytes);
        }
    }

    /// The backlog in bytes.
    pub(super) fn waiting_bytes(&self) -> usize {
        self.0.outbox.waiting_bytes()
    }

    /// The backlog of frames of rooms.
    pub(super) fn deliveries(&self) -> Deliveries {
        self.0.outbox.deliveries()
    }

    /// Drops the backlog, except the rest of a frame that is partly written.
    pub(super) fn clear(&self) {
        self.0.outbox.clear();
    }

    /// Ends the connection after the backlog, with a close frame. The first end counts.
    pub(super) fn close(&self, reason: Option<CloseReason>) {
        self.close_with(&reason.map_or_else(|| close_frame::encode_reply(None), close_frame::encode));
    }

    /// Ends the connection after the backlog, with the answer to the client's close frame.
    pub(super) fn answer_close(&self, received: Option<&CloseFrame>) {
        self.close_with(&close_frame::encode_reply(received));
    }

    /// Ends the connection after the backlog, with this finished close frame.
    pub(super) fn close_with(&self, frame: &[u8]) {
        if self.0.is_closed.replace(true) {
            return;
        }
        let outbox = &self.0.outbox;
        outbox.answer(|out| out.extend_from_slice(frame));
        outbox.end();
        let (outbox, patience, finisher) = (outbox.clone(), self.0.stall_timeout, self.0.finishing.enter());
        rt::spawn(async move {
            outbox.finish(patience).await;
            drop(finisher);
        });
    }
}

impl Drop for State {
    /// A session that ends without a word, because its task is dropped, must not keep the socket open.
    fn drop(&mut self) {
        if !self.is_closed.get() {
            self.outbox.release();
        }
    }
}

/// What comes on a WebSocket.
#[derive(Debug)]
pub(super) struct Heard {
    /// The WebSocket.
    pub carrier: Carrier,
    /// What came.
    pub inbound: Inbound,
}

/// One item from a WebSocket.
#[derive(Debug)]
pub(super) enum Inbound {
    /// A data message or a control frame.
    Frame(Message),
    /// The frames broke the protocol or a limit; the last item.
    Broken(ProtocolError),
    /// An unfinished message arrived too slowly; the last item.
    TooSlow,
    /// The memory budget has no room for an unfinished message; the last item.
    OutOfMemory,
    /// The connection ended; the last item.
    Lost,
    /// The client has taken most of what was queued.
    Drained,
    /// The memory budget has no room for what waits.
    Refused,
}

/// WebSockets of tests.
#[cfg(test)]
pub(super) mod testing {
    use std::task::Context;

    use super::*;
    use crate::connection::{Budget, Lease, host::HostEnd, wire::Wire};

    /// The client of a WebSocket, in memory. It takes nothing until it is asked.
    pub(in crate::socketio) struct Client {
        carrier: Carrier,
        wire: Rc<Wire>,
        end: HostEnd,
    }

    /// A WebSocket and its client.
    pub(in crate::socketio) fn carrier(wants_base64: bool) -> (Carrier, Client) {
        let (wire, end) = Wire::in_memory();
        let outbox = Outbox::new(Rc::clone(&wire), Lease::new(Budget::new(1 << 24)), None);
        let carrier = Carrier::new(outbox, wants_base64, Duration::ZERO, Finishing::default());
        (carrier.clone(), Client { carrier, wire, end })
    }

    impl Client {
        /// Takes everything.
        pub(in crate::socketio) fn take(&mut self) -> Vec<u8> {
            self.wire.open();
            let mut taken = Vec::new();
            loop {
                let _ = self.carrier.outbox().poll_write(&mut Context::from_waker(std::task::Waker::noop()));
                let more = self.end.taken();
                if more.is_empty() {
                    return taken;
                }
                taken.extend(more);
            }
        }

        /// Notes whether its socket takes nothing.
        pub(in crate::socketio) fn set_blocked(&self, is_blocked: bool) {
            self.wire.connection().set_blocked(is_blocked);
        }
    }
}
