//! The outgoing queue of a session.
//!
//! It has the session's [`Wire`] and can write to it directly, so a worker's fan-out needs no message to the session while
//! its socket takes everything ([`DirectOutlet`]). What the socket does not take waits for the task that writes it: that of
//! the response's [body](super::body), or of the session.

use std::{
    cell::RefCell,
    collections::VecDeque,
    future::poll_fn,
    io::{self, IoSlice},
    mem,
    rc::Rc,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use bytes::{Buf as _, Bytes, BytesMut};
use prometheus::IntCounter;

use super::wire::{MAX_PIECES, Slices, Wire};
use crate::{
    connection::{Direct, DirectOutlet, FREE_SHARE, Lease, OutOfMemory, Waiting},
    protocol::websocket::frame::{self, OpCode},
};

/// Payloads of this size or larger are queued without copying. Smaller ones are copied behind the answers
/// before them, so that many small answers are one piece.
const COPY_BELOW: usize = 2048;

/// With more bytes of deliveries waiting than this, the session is not writable and volatile frames are
/// dropped.
const WRITABLE_BYTES: usize = 16 * 1024;

/// With more waiting pieces than this, deliveries are refused, whatever their size: a piece takes memory
/// beside its bytes.
pub(crate) const MAX_WAITING_PIECES: usize = 1024;

/// Memory of a waiting piece beside its bytes.
const PIECE_BYTES: usize = 2 * size_of::<Piece>();

/// Finished frames that wait for the socket. A session's actor, inlet and outlet share it.
#[derive(Clone, Debug)]
pub(crate) struct Outbox(Rc<RefCell<Queue>>);

#[derive(Debug)]
struct Queue {
    /// The socket; `None` after the end of the session.
    wire: Option<Rc<Wire>>,
    pieces: VecDeque<Piece>,
    /// Answers behind the last piece, one after another.
    tail: BytesMut,
    /// Written bytes of the first piece, or of `tail` if there are no pieces.
    written: usize,
    /// Bytes of answers in `pieces` and `tail`.
    answers: usize,
    /// Bytes of a frame that was partly written when the queue was cleared.
    rest: usize,
    /// That frame is of a broadcast, which has charged its bytes.
    is_rest_shared: bool,
    /// Bytes that the socket has taken.
    taken: u64,
    /// The memory budget had no room for that frame, so the connection must be cut.
    is_cut: bool,
    /// The client reads nothing more, so output is dropped. Its input is still read.
    is_deaf: bool,
    /// Bytes of deliveries in `pieces` and in the mailbox.
    waiting: Waiting,
    /// Charged for the session's own share: answers, and the overhead of pieces. Many sessions share the
    /// bytes of deliveries, and the broadcast that made them charges them.
    lease: Lease,
    /// The memory budget has no room for what waits: the session must end.
    is_refused: bool,
    /// Counts bytes of answers. The fan-out counts bytes of deliveries.
    bytes_out: Option<IntCounter>,
    /// The inlet waits until fewer answers wait.
    holds_inlet: bool,
    /// A task that waits until at most this number of bytes of answers waits.
    drained: Option<(usize, Waker)>,
    /// The session has ended; deliveries are dropped.
    has_ended: bool,
    /// Messages in the session's mailbox. Direct delivery must not overtake them.
    mail: usize,
    /// Wakes the session's task when a delivery must wait for the socket.
    session: Option<Waker>,
}

/// The backlog of deliveries in a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Deliveries {
    /// Length of the frames in bytes.
    pub bytes: usize,
    /// Number of pieces in the queue.
    pub pieces: usize,
    /// Whether the socket is blocked. If not, the frames wait only until the session's task runs.
    pub are_blocked: bool,
}

#[derive(Debug)]
enum Piece {
    /// Frames that the session sends to its own client.
    Answer(Bytes),
    /// The payload of an answer; its header is the end of the piece before.
    Payload(Bytes),
    /// Frames of a broadcast.
    Delivery(Bytes),
    /// The rest of a frame that was partly written when the queue was cleared.
    Rest(Bytes),
}

impl Piece {
    fn bytes(&self) -> &Bytes {
        match self {
            Self::Answer(bytes) | Self::Payload(bytes) | Self::Delivery(bytes) | Self::Rest(bytes) => bytes,
        }
    }
}

impl Outbox {
    /// Creates an empty queue that writes to `wire`. What waits is charged to `lease`; `bytes_out` counts bytes of
    /// answers, if they are counted.
    pub(crate) fn new(wire: Rc<Wire>, lease: Lease, bytes_out: impl Into<Option<IntCounter>>) -> Self {
        Self(Rc::new(RefCell::new(Queue {
            wire: Some(wire),
            pieces: VecDeque::new(),
            tail: BytesMut::new(),
            written: 0,
            answers: 0,
            rest: 0,
            is_rest_shared: false,
            taken: 0,
            is_cut: false,
            is_deaf: false,
            waiting: Waiting::default(),
            lease,
            is_refused: false,
            bytes_out: bytes_out.into(),
            holds_inlet: false,
            drained: None,
            has_ended: false,
            mail: 0,
            session: None,
        })))
    }

    /// Whether anything waits to be written.
    pub(crate) fn has_waiting(&self) -> bool {
        !self.0.borrow().is_empty()
    }

    /// Whether the memory budget had no room for what waits.
    pub(crate) fn is_refused(&self) -> bool {
        self.0.borrow().is_refused
    }

    /// The count of delivered bytes, which the fan-out adds to.
    pub(crate) fn waiting(&self) -> Waiting {
        self.0.borrow().waiting.clone()
    }

    /// The outlet for direct delivery.
    pub(crate) fn direct(&self) -> Rc<dyn DirectOutlet> {
        Rc::clone(&self.0) as Rc<dyn DirectOutlet>
    }

    /// Whether the connection ends at once, without what waits.
    pub(super) fn is_cut(&self) -> bool {
        self.0.borrow().is_cut
    }

    /// Number of bytes that wait.
    pub(crate) fn waiting_bytes(&self) -> usize {
        self.0.borrow().waiting_bytes()
    }

    /// Number of bytes that the socket has taken. While it rises, the client reads.
    pub(crate) fn taken_bytes(&self) -> u64 {
        self.0.borrow().taken
    }

    /// The backlog of deliveries.
    pub(crate) fn deliveries(&self) -> Deliveries {
        let queue = self.0.borrow();
        Deliveries {
            bytes: queue.waiting.bytes(),
            pieces: queue.pieces.len(),
            are_blocked: queue.is_blocked(),
        }
    }

    /// Whether the socket takes something now: it was not blocked when it was last written to, and at most
    /// `max_waiting` bytes wait.
    pub(crate) fn is_writable(&self, max_waiting: usize) -> bool {
        let queue = self.0.borrow();
        !queue.has_ended && !queue.is_blocked() && queue.waiting_bytes() <= max_waiting
    }

    /// Whether the session has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.0.borrow().has_ended
    }

    /// Takes frames that the fan-out has not counted: writes them if nothing waits before them, and queues what the
    /// socket does not take.
    pub(crate) fn deliver_now(&self, frames: &[Bytes], bytes: usize) {
        self.0.borrow_mut().take_delivery(frames, bytes);
    }

    /// Wakes the task that writes, for an answer that was queued outside of it.
    pub(crate) fn wake(&self) {
        if let Some(session) = &self.0.borrow().session {
            session.wake_by_ref();
        }
    }

    /// Ends the connection at once and closes its socket, as after an error.
    pub(crate) fn fail(&self) {
        self.0.borrow_mut().is_cut = true;
        self.wake();
    }

    /// Writes what is left after the end, and closes the connection. A client that does not take it within
    /// `patience` is cut.
    pub(crate) async fn finish(self, patience: Duration) {
        let Some(wire) = self.0.borrow().wire.clone() else {
            return;
        };
        // On a host the last bytes may leave this queue before its client takes them.
        let mut is_patient = true;
        if wire.connection().is_on_host() {
            is_patient = false;
            wire.connection().cut_after(patience);
        }
        let outcome = poll_fn(|cx| {
            let outcome = self.poll_write(cx);
            if outcome.is_pending() && mem::take(&mut is_patient) {
                wire.connection().cut_after(patience);
            }
            outcome
        });
        if outcome.await.is_ok() {
            wire.linger().await;
        }
        self.release();
        wire.close();
    }

    /// Lets the socket go.
    pub(crate) fn release(&self) {
        let queue = &mut *self.0.borrow_mut();
        queue.has_ended = true;
        queue.wire = None;
        queue.session = None;
    }

    /// Number of bytes of answers that wait.
    pub(crate) fn answer_bytes(&self) -> usize {
        self.0.borrow().answers
    }

    /// Whether more than `max_answer_bytes` bytes of answers wait. If so, the outlet polls the inlet again
    /// when fewer wait.
    pub(crate) fn holds_inlet(&self, max_answer_bytes: usize) -> bool {
        let queue = &mut *self.0.borrow_mut();
        queue.holds_inlet = queue.answers > max_answer_bytes;
        queue.holds_inlet
    }

    /// Ready when at most `max_answer_bytes` bytes of answers wait; otherwise wakes the task when that is so.
    /// Only one task may wait.
    pub(crate) fn poll_drained(&self, max_answer_bytes: usize, cx: &mut Context<'_>) -> Poll<()> {
        let queue = &mut *self.0.borrow_mut();
        if queue.answers <= max_answer_bytes {
            return Poll::Ready(());
        }
        queue.drained = Some((max_answer_bytes, cx.waker().clone()));
        Poll::Pending
    }

    /// Queues answers: `write` appends finished frames.
    pub(crate) fn answer(&self, write: impl FnOnce(&mut BytesMut)) {
        let queue = &mut *self.0.borrow_mut();
        let before = queue.tail.len();
        write(&mut queue.tail);
        queue.answers += queue.tail.len() - before;
        queue.charge();
    }

    /// Queues one frame as an answer. A large payload is not copied.
    pub(crate) fn answer_frame(&self, opcode: OpCode, payload: Bytes) {
        if payload.len() < COPY_BELOW {
            return self.answer(|out| frame::write(out, opcode, &payload));
        }
        self.answer(|out| frame::write_header(out, opcode, payload.len()));
        let queue = &mut *self.0.borrow_mut();
        queue.answers += payload.len();
        queue.flush_tail();
        queue.pieces.push_back(Piece::Payload(payload));
        queue.charge();
    }

    /// Queues volatile frames from the mailbox, or drops them if the session is not writable.
    pub(crate) fn deliver_volatile(&self, frames: &[Bytes]) {
        let bytes: usize = frames.iter().map(Bytes::len).sum();
        let waiting = self.waiting();
        if waiting.bytes() > WRITABLE_BYTES + bytes {
            return waiting.subtract(bytes);
        }
        self.deliver(frames);
    }

    /// Queues frames from the mailbox. The fan-out has counted them already.
    pub(crate) fn deliver(&self, frames: &[Bytes]) {
        let queue = &mut *self.0.borrow_mut();
        let is_behind = !queue.is_empty();
        queue.queue_delivery(frames);
        if is_behind && queue.must_not_wait(0) {
            queue.is_refused = true;
        }
    }

    /// Notes that the session took a message from its mailbox.
    pub(crate) fn take_mail(&self) {
        let queue = &mut *self.0.borrow_mut();
        queue.mail = queue.mail.saturating_sub(1);
    }

    /// Refuses deliveries from now on.
    pub(crate) fn end(&self) {
        self.0.borrow_mut().has_ended = true;
    }

    /// Drops the waiting frames, except the rest of a frame that is partly written: otherwise the client
    /// would read later bytes as part of it. Cuts the connection if the memory budget has no room for that
    /// rest.
    pub(crate) fn clear(&self) {
        let queue = &mut *self.0.borrow_mut();
        queue.flush_tail();
        let delivered = queue.pieces.iter().map(|piece| match piece {
            Piece::Delivery(bytes) => bytes.len(),
            Piece::Answer(_) | Piece::Payload(_) | Piece::Rest(_) => 0,
        });
        queue.waiting.subtract(delivered.sum());
        if let Some(piece) = queue.pieces.front() {
            queue.is_rest_shared = match piece {
                Piece::Delivery(_) => true,
                Piece::Rest(_) => queue.is_rest_shared,
                Piece::Answer(_) | Piece::Payload(_) => false,
            };
        }
        let kept = queue.frame_under_way();
        queue.pieces.clear();
        queue.written = 0;
        queue.answers = 0;
        queue.rest = kept.iter().map(Bytes::len).sum();
        queue.pieces.extend(kept.into_iter().map(Piece::Rest));
        if queue.recount().is_err() {
            queue.pieces.clear();
            (queue.rest, queue.is_cut) = (0, true);
        }
    }

    /// Writes to the wire. Ready when nothing is left to write to it.
    pub(crate) fn poll_write(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let queue = &mut *self.0.borrow_mut();
        if queue.session.as_ref().is_none_or(|session| !session.will_wake(cx.waker())) {
            queue.session = Some(cx.waker().clone());
        }
        if queue.is_cut {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        loop {
            if queue.write()? {
                return Poll::Ready(Ok(()));
            }
            match &queue.wire {
                Some(wire) => ready!(wire.poll_writable(cx))?,
                None => return Poll::Ready(Ok(())),
            }
        }
    }

    /// Drops what waits and all later output: the client reads nothing more.
    pub(crate) fn drop_all(&self) {
        let queue = &mut *self.0.borrow_mut();
        queue.is_deaf = true;
        queue.drop_all();
    }

    /// Whether the inlet waited and answers have been written since there were `before` bytes.
    pub(super) fn lets_inlet_go_on(&self, before: usize) -> bool {
        let queue = self.0.borrow();
        queue.holds_inlet && queue.answers < before
    }
}

impl Queue {
    fn is_empty(&self) -> bool {
        self.pieces.is_empty() && self.tail.is_empty()
    }

    fn waiting_bytes(&self) -> usize {
        self.answers + self.rest + self.waiting.bytes()
    }

    fn is_blocked(&self) -> bool {
        self.wire.as_ref().is_some_and(|wire| wire.connection().is_blocked())
    }

    /// Writes frames if nothing waits before them, and queues what the socket does not take.
    fn take_delivery(&mut self, frames: &[Bytes], bytes: usize) {
        let was_empty = self.is_empty();
        if was_empty && frames.len() <= MAX_PIECES && self.write_through(frames, bytes) {
            return;
        }
        self.waiting.add(bytes);
        self.push_delivery(frames);
        // Noted before it is charged, because that may write.
        let written = mem::take(&mut self.written);
        if was_empty {
            self.take_written(written);
        } else {
            self.written = written;
        }
        self.charge();
        if (was_empty || self.is_refused)
            && let Some(session) = &self.session
        {
            // The session's task writes the rest. It also learns there whether the connection has failed.
            session.wake_by_ref();
        }
    }

    fn queue_delivery(&mut self, frames: &[Bytes]) {
        self.push_delivery(frames);
        self.charge();
    }

    /// Queues frames that are counted as waiting. The caller must call [`charge`](Self::charge).
    fn push_delivery(&mut self, frames: &[Bytes]) {
        if self.has_ended {
            return self.waiting.subtract(frames.iter().map(Bytes::len).sum());
        }
        self.flush_tail();
        self.pieces.extend(frames.iter().cloned().map(Piece::Delivery));
    }

    /// Charges what waits now. If there is no room, tries to write some of it first.
    fn charge(&mut self) {
        if self.recount().is_err() {
            // If the connection has failed, the next write reports it.
            let _ = self.write();
            self.is_refused |= self.recount().is_err();
        }
    }

    fn recount(&mut self) -> Result<(), OutOfMemory> {
        let rest = if self.is_rest_shared { 0 } else { self.rest };
        self.lease.hold(self.answers + rest + self.pieces.len() * PIECE_BYTES)
    }

    /// Whether the memory budget is used up and this session's backlog with `bytes` more exceeds
    /// [`FREE_SHARE`].
    fn must_not_wait(&self, bytes: usize) -> bool {
        self.lease.budget().is_full() && self.waiting.bytes() + bytes > FREE_SHARE
    }

    fn flush_tail(&mut self) {
        if !self.tail.is_empty() {
            self.pieces.push_back(Piece::Answer(mem::take(&mut self.tail).freeze()));
        }
    }

    fn drop_all(&mut self) {
        self.flush_tail();
        for piece in mem::take(&mut self.pieces) {
            self.settle(&piece);
        }
        self.written = 0;
        let _ = self.recount();
    }

    /// Writes to the wire until it blocks. Returns whether everything is written.
    fn write(&mut self) -> io::Result<bool> {
        if self.is_deaf {
            self.drop_all();
        }
        while !self.is_empty() {
            let Some(wire) = &self.wire else {
                return Ok(false);
            };
            let outcome = if self.pieces.is_empty() {
                wire.try_write_one(&self.tail[self.written..])
            } else {
                let pieces = self.pieces.iter().map(|piece| &**piece.bytes()).chain([&*self.tail]);
                let mut slices: Slices<'_> = pieces.map(IoSlice::new).take(MAX_PIECES).collect();
                slices[0].advance(self.written);
                wire.try_write(&slices)
            };
            match outcome {
                Ok(written) => self.take_written(written),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Writes frames directly while the queue is empty. Returns whether all is written; otherwise `written`
    /// has the number of bytes.
    fn write_through(&mut self, frames: &[Bytes], bytes: usize) -> bool {
        let Some(wire) = &self.wire else {
            return false;
        };
        let outcome = match frames {
            [frame] => wire.try_write_one(frame),
            frames => {
                let slices: Slices<'_> = frames.iter().map(|frame| IoSlice::new(frame)).collect();
                wire.try_write(&slices)
            }
        };
        match outcome {
            Ok(written) if written == bytes => {
                self.taken += written as u64;
                true
            }
            Ok(written) => {
                self.written = written;
                false
            }
            Err(_) => false,
        }
    }

    /// Removes `written` more bytes from the queue.
    fn take_written(&mut self, written: usize) {
        self.taken += written as u64;
        self.written += written;
        while let Some(piece) = self.pieces.front().filter(|piece| piece.bytes().len() <= self.written) {
            self.written -= piece.bytes().len();
            if let Some(piece) = self.pieces.pop_front() {
                self.settle(&piece);
            }
        }
        if self.pieces.is_empty() && self.written == self.tail.len() {
            self.count_answer(self.written);
            // Free the buffers of an idle session.
            self.tail = BytesMut::new();
            self.written = 0;
            if self.pieces.capacity() > MAX_PIECES {
                self.pieces = VecDeque::new();
            }
        }
        // The amount shrank, but may exceed what was charged: the caller that queued it checks that.
        let _ = self.recount();
    }

    /// Subtracts a piece that was written or dropped from the counts.
    fn settle(&mut self, piece: &Piece) {
        match piece {
            Piece::Answer(bytes) | Piece::Payload(bytes) => self.count_answer(bytes.len()),
            Piece::Delivery(bytes) => self.waiting.subtract(bytes.len()),
            Piece::Rest(bytes) => self.rest -= bytes.len(),
        }
    }

    fn count_answer(&mut self, bytes: usize) {
        self.answers -= bytes;
        if let Some(bytes_out) = &self.bytes_out {
            bytes_out.inc_by(bytes as u64);
        }
        if let Some((_, waker)) = self.drained.take_if(|(limit, _)| self.answers <= *limit) {
            waker.wake();
        }
    }

    /// The unwritten rest of a partly written frame.
    fn frame_under_way(&self) -> Vec<Bytes> {
        match self.pieces.front() {
            // The frame's header is written already.
            Some(Piece::Payload(payload)) => vec![payload.slice(self.written..)],
            Some(Piece::Rest(_)) => {
                let rests = self.pieces.iter().map_while(|piece| match piece {
                    Piece::Rest(rest) => Some(rest.clone()),
                    _ => None,
                });
                let mut kept: Vec<Bytes> = rests.collect();
                kept[0].advance(self.written);
                kept
            }
            Some(Piece::Answer(frames) | Piece::Delivery(frames)) if self.written > 0 => {
                let end = frame::end_of_frame(frames, self.written);
                let mut kept = vec![frames.slice(self.written..end.min(frames.len()))];
                if end > frames.len()
                    && let Some(Piece::Payload(payload)) = self.pieces.get(1)
                {
                    kept.push(payload.clone());
                }
                kept
            }
            _ => Vec::new(),
        }
    }
}

impl DirectOutlet for RefCell<Queue> {
    fn deliver(&self, frames: &[Bytes], bytes: usize, is_volatile: bool) -> Direct {
        let queue = &mut *self.borrow_mut();
        if is_volatile && queue.waiting.bytes() > WRITABLE_BYTES {
            return Direct::Skipped;
        }
        if queue.mail > 0 {
            return Direct::BehindMail;
        }
        if queue.has_ended {
            return Direct::Gone;
        }
        if queue.pieces.len() > MAX_WAITING_PIECES {
            return Direct::Full;
        }
        // If nothing waits, the frames are written, and what the socket has begun to take must be kept.
        if !queue.is_empty() && queue.must_not_wait(bytes) {
            queue.lease.budget().note_refusal();
            // The session's task ends the session for it.
            queue.is_refused = true;
            if let Some(session) = &queue.session {
                session.wake_by_ref();
            }
            return Direct::Gone;
        }
        queue.take_delivery(frames, bytes);
        Direct::Taken
    }

    fn note_mail(&self) {
        self.borrow_mut().mail += 1;
    }
}

#[cfg(test)]
mod tests;
