//! The outgoing queue of a connection, for every door.
//!
//! A session on a WebSocket writes through its [`Wire`], and a worker's fan-out writes to it directly while nothing waits
//! ([`Outlet`]). What the socket does not take waits for the task that writes it: that of the response's
//! [body](super::body), or of the session. A session that polls has no wire: its client takes what waits by requests
//! ([`polls`]). All bounds on what waits are asked here.

use std::{
    cell::RefCell,
    io,
    rc::Rc,
    task::{Context, Poll, Waker, ready},
};

use bytes::{Bytes, BytesMut};
use prometheus::IntCounter;
use smallvec::SmallVec;
use tokio::sync::oneshot;

use self::queue::{Kind, Queue, Unwritten};
use super::wire::{MAX_PIECES, Slices, Wire};
use crate::{
    connection::{Backlog, Direct, FREE_SHARE, Lease, OutOfMemory},
    protocol::websocket::frame::OpCode,
};

pub use self::{bounds::Bounds, outlet::Outlet, polls::PollAnswer};

mod bounds;
mod closing;
mod outlet;
mod polls;
mod queue;

/// Largest number of packets in one poll response.
const MAX_POLL_PACKETS: usize = 16;

/// What waits for a connection. A session's actor, its readers and its outlets share it.
#[derive(Clone, Debug)]
pub struct Outbound(Rc<RefCell<State>>);

#[derive(Debug)]
struct State {
    queue: Queue,
    way: Way,
    bounds: Bounds,
    /// The client takes no binary frames.
    is_text_only: bool,
    /// Bytes that the socket has taken.
    taken: u64,
    /// The connection ends at once, without what waits.
    is_cut: bool,
    /// The client reads nothing more, so output is dropped. Its input is still read.
    is_deaf: bool,
    /// Charged for the session's own share: answers, and the overhead of pieces. Many sessions share the bytes of
    /// deliveries, and the broadcast that made them charges them.
    lease: Lease,
    /// The memory budget has no room for what waits: the session must end.
    is_refused: bool,
    /// Counts written bytes of answers. The fan-out counts bytes of deliveries.
    bytes_out: Option<IntCounter>,
    /// The inlet waits until fewer answers wait.
    holds_inlet: bool,
    /// Tasks that wait until at most this number of bytes of answers waits.
    drained: SmallVec<[(usize, Waker); 1]>,
    /// The session has ended: nothing more is queued.
    has_ended: bool,
    /// The task that writes is about to run.
    is_attended: bool,
    /// Wakes that task. Of a session that polls, it wakes the session.
    writer: Option<Waker>,
}

/// How the client takes what waits.
#[derive(Debug)]
enum Way {
    /// A socket.
    Wire(Rc<Wire>),
    /// By polls, of which at most one waits for its response.
    Polls(Option<oneshot::Sender<PollAnswer>>),
    /// The socket has been let go.
    Gone,
}

impl Outbound {
    /// An empty queue that writes to `wire`. What waits is charged to `lease`; `bytes_out` counts bytes of answers, if they
    /// are counted.
    pub(crate) fn on_wire(
        wire: Rc<Wire>,
        bounds: Bounds,
        lease: Lease,
        bytes_out: impl Into<Option<IntCounter>>,
    ) -> Self {
        Self::new(Way::Wire(wire), bounds, lease, bytes_out.into())
    }

    fn new(way: Way, bounds: Bounds, lease: Lease, bytes_out: Option<IntCounter>) -> Self {
        Self(Rc::new(RefCell::new(State {
            queue: Queue::new(Backlog::new(bounds.waiting)),
            way,
            bounds,
            is_text_only: false,
            taken: 0,
            is_cut: false,
            is_deaf: false,
            lease,
            is_refused: false,
            bytes_out,
            holds_inlet: false,
            drained: SmallVec::new(),
            has_ended: false,
            is_attended: false,
            writer: None,
        })))
    }

    /// Notes that the client takes no binary frames: binary messages are queued as base64.
    pub(crate) fn set_text_only(&self) {
        self.0.borrow_mut().is_text_only = true;
    }

    // ----- what waits -----

    /// Whether anything waits.
    pub fn has_waiting(&self) -> bool {
        !self.0.borrow().queue.is_empty()
    }

    /// Number of bytes that wait.
    pub(crate) fn waiting_bytes(&self) -> usize {
        self.0.borrow().queue.bytes()
    }

    /// The backlog of deliveries, which the fan-out adds to.
    pub fn backlog(&self) -> Backlog {
        self.0.borrow().queue.backlog().clone()
    }

    /// Number of bytes of answers that wait.
    pub fn answer_bytes(&self) -> usize {
        self.0.borrow().queue.answers()
    }

    /// Number of bytes that the client has taken. While it rises, the client reads.
    pub(crate) fn taken_bytes(&self) -> u64 {
        self.0.borrow().taken
    }

    /// Whether the memory budget had no room for what waits.
    pub fn is_refused(&self) -> bool {
        self.0.borrow().is_refused
    }

    // ----- in -----

    /// Queues answers: `write` appends finished frames. Ignored after the end.
    pub(crate) fn answer(&self, write: impl FnOnce(&mut BytesMut)) {
        self.queue(|queue| queue.push_small(Kind::Answer, write));
    }

    /// Queues one frame as an answer. A large payload is not copied. Ignored after the end.
    pub fn answer_frame(&self, opcode: OpCode, payload: Bytes) {
        self.queue(|queue| queue.push_frame(Kind::Answer, opcode, payload));
    }

    /// Queues a text frame before all frames that wait, so that a slow client can answer it in time. Ignored after the end.
    pub(crate) fn answer_first(&self, text: &str) {
        self.queue(|queue| queue.push_first(OpCode::Text, text.as_bytes()));
    }

    /// Queues a binary message as an answer, as base64 if the client takes no binary frames. Ignored after the end.
    pub(crate) fn answer_binary(&self, bytes: Bytes) {
        let is_text_only = self.0.borrow().is_text_only;
        match is_text_only {
            true => self.answer_frame(OpCode::Text, queue::base64(&bytes)),
            false => self.answer_frame(OpCode::Binary, bytes),
        }
    }

    /// Queues an event that the client missed while it was away: its text, and its attachments. It counts against no bound
    /// of the client, which reads it at its own speed. The session must end if the memory budget is used up. Ignored after
    /// the end.
    pub(crate) fn missed(&self, text: Bytes, attachments: &[Bytes]) {
        let is_text_only = self.0.borrow().is_text_only;
        self.queue(|queue| {
            queue.push_missed(OpCode::Text, text);
            for attachment in attachments {
                match is_text_only {
                    true => queue.push_frame(Kind::Missed, OpCode::Text, queue::base64(attachment)),
                    false => queue.push_missed(OpCode::Binary, attachment.clone()),
                }
            }
        });
        let state = &mut *self.0.borrow_mut();
        if state.lease.budget().is_full() && state.queue.bytes() > FREE_SHARE {
            state.refuse();
        }
    }

    fn queue(&self, push: impl FnOnce(&mut Queue)) {
        let state = &mut *self.0.borrow_mut();
        if state.has_ended {
            return;
        }
        let was_empty = state.queue.is_empty();
        push(&mut state.queue);
        state.charge();
        state.wake_writer(was_empty);
    }

    /// Takes frames that came through the session's mailbox. The fan-out has counted their bytes, and has asked the bound.
    pub fn take_mailed(&self, frames: &[Bytes], is_volatile: bool) {
        let bytes = frames.iter().map(Bytes::len).sum();
        let state = &mut *self.0.borrow_mut();
        state.queue.backlog().subtract(bytes);
        state.take_delivery(frames, bytes, is_volatile);
    }

    /// Drops frames that came through the session's mailbox, because their recipient has left.
    pub(crate) fn drop_mailed(&self, frames: &[Bytes]) {
        self.backlog().subtract(frames.iter().map(Bytes::len).sum());
    }

    /// Takes frames of a broadcast, `bytes` in total: writes them if nothing waits before them, and queues what the client
    /// does not take. Takes none but volatile ones if the backlog is over its bound.
    fn take_delivery(&self, frames: &[Bytes], bytes: usize, is_volatile: bool) -> Direct {
        let state = &mut *self.0.borrow_mut();
        // The backlog is shared. While nothing waits, it is not looked at, which a room of many members would notice.
        if !is_volatile && !state.queue.is_empty() && state.queue.backlog().is_over() {
            return Direct::Behind;
        }
        state.take_delivery(frames, bytes, is_volatile)
    }

    // ----- out -----

    /// Notes whether the task that writes is about to run. If not, it is woken for what is queued.
    pub(crate) fn set_attended(&self, is_attended: bool) {
        self.0.borrow_mut().is_attended = is_attended;
    }

    /// Writes to the wire. Ready when nothing is left to write to it.
    pub(crate) fn poll_write(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let state = &mut *self.0.borrow_mut();
        if state.writer.as_ref().is_none_or(|writer| !writer.will_wake(cx.waker())) {
            state.writer = Some(cx.waker().clone());
        }
        if state.is_cut {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        loop {
            if state.write()? {
                return Poll::Ready(Ok(()));
            }
            match &state.way {
                Way::Wire(wire) => ready!(wire.poll_writable(cx))?,
                Way::Polls(_) | Way::Gone => return Poll::Ready(Ok(())),
            }
        }
    }
}

impl State {
    /// See [`Outbound::take_delivery`].
    fn take_delivery(&mut self, frames: &[Bytes], bytes: usize, is_volatile: bool) -> Direct {
        if self.has_ended {
            return Direct::Gone;
        }
        if is_volatile && !self.is_writable() {
            return Direct::Skipped;
        }
        if self.must_not_wait(bytes) {
            self.refuse();
            return Direct::Gone;
        }
        match self.is_text_only.then(|| queue::text_only(frames)).flatten() {
            Some(text) => {
                let bytes = text.len();
                self.write_or_queue(&[text], bytes, true);
            }
            None => self.write_or_queue(frames, bytes, false),
        }
        Direct::Taken
    }

    /// Notes that the memory budget has no room for what the client needs.
    fn refuse(&mut self) {
        self.lease.budget().note_refusal();
        self.is_refused = true;
        self.wake_writer(true);
    }

    /// Writes frames of a broadcast if nothing waits before them, and queues what the socket does not take.
    fn write_or_queue(&mut self, frames: &[Bytes], bytes: usize, is_own: bool) {
        let was_empty = self.queue.is_empty();
        let written = if was_empty && frames.len() <= MAX_PIECES { self.write_through(frames) } else { 0 };
        if written == bytes {
            return;
        }
        self.queue.push_delivery(frames, is_own);
        self.queue.advance(written);
        self.charge();
        // After a part the socket is asked again, so that it is known to be blocked. What waits only for its turn is written
        // before a client is evicted for it: a client is slow only if its socket takes nothing.
        if written > 0 || self.queue.backlog().is_over() {
            let _ = self.write();
        }
        // The task that writes also learns whether the connection has failed.
        self.wake_writer(was_empty);
    }

    /// Writes frames while nothing waits. Returns how many bytes the socket has taken. If the connection has failed, the
    /// next write reports it.
    fn write_through(&mut self, frames: &[Bytes]) -> usize {
        let Way::Wire(wire) = &self.way else {
            return 0;
        };
        let outcome = match frames {
            [frame] => wire.try_write_one(frame),
            frames => {
                let slices: Slices<'_> = frames.iter().map(|frame| io::IoSlice::new(frame)).collect();
                wire.try_write(&slices)
            }
        };
        let written = outcome.unwrap_or(0);
        self.taken += written as u64;
        written
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
        self.lease.hold(self.queue.memory())
    }

    /// Wakes the task that writes, if it does not run anyway: it writes all that waits, so it is woken for the first frame
    /// only, and to end the session if there is no memory.
    fn wake_writer(&self, is_first: bool) {
        if (is_first && !self.is_attended || self.is_refused)
            && let Some(writer) = &self.writer
        {
            writer.wake_by_ref();
        }
    }

    fn drop_all(&mut self) {
        self.queue.drop_all();
        let _ = self.recount();
        self.wake_drained();
    }

    /// Writes to the wire until it blocks. Returns whether everything is written.
    fn write(&mut self) -> io::Result<bool> {
        if self.is_deaf {
            self.drop_all();
        }
        while !self.queue.is_empty() {
            let Way::Wire(wire) = &self.way else {
                return Ok(false);
            };
            let outcome = match self.queue.unwritten() {
                Unwritten::One(bytes) => wire.try_write_one(bytes),
                Unwritten::Many(slices) => wire.try_write(&slices),
            };
            match outcome {
                Ok(written) => self.take_written(written),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    fn take_written(&mut self, written: usize) {
        self.taken += written as u64;
        let answers = self.queue.advance(written);
        self.count(answers);
        self.settle();
    }

    /// Counts bytes of answers that were taken.
    fn count(&self, answers: usize) {
        if let Some(bytes_out) = &self.bytes_out {
            bytes_out.inc_by(answers as u64);
        }
    }

    /// Charges what is left after something was taken, and wakes tasks whose limit is met.
    fn settle(&mut self) {
        // The amount shrank, but may exceed what was charged: the caller that queued it checks that.
        let _ = self.recount();
        self.wake_drained();
    }

    fn wake_drained(&mut self) {
        let answers = self.queue.answers();
        self.drained.retain(|(limit, waker)| {
            let is_met = answers <= *limit;
            if is_met {
                waker.wake_by_ref();
            }
            !is_met
        });
    }
}

#[cfg(test)]
mod tests;
