//! What goes down to one client, until its transport takes it.

use std::{
    any::Any,
    cell::RefCell,
    collections::VecDeque,
    fmt,
    net::IpAddr,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use actix::Recipient;
use bytes::Bytes;
use bytestring::ByteString;
use smallvec::SmallVec;
use tokio::sync::oneshot;

use super::{
    EndReason, PollAnswer,
    outlet::{OutletState, SocketOutlet},
    session::Flush,
};
use crate::{
    broadcast::Delivery,
    connection::{
        Direct, DirectOutlet, FREE_SHARE, Intake, Lease, Waiting,
        outlet::MAX_WAITING_PIECES,
        pipe::{Deliveries, Pipe},
    },
    domain::SessionId,
    protocol::{
        engineio,
        websocket::frame::{self, OpCode},
    },
};

/// Packets in one answer to a poll, at most.
const MAX_POLL_PACKETS: usize = 16;

/// No more packets are moved into a pipe while it holds this many bytes: what waits here can still be counted, and a
/// ping can still go before it.
pub(super) const PIPE_BYTES: usize = 64 * 1024;

/// A session with more than this many times the bound waiting is ended in any case.
pub(super) const MAX_OVERHANG: usize = 8;

/// Bytes of deliveries that a WebSocket may be given before its connection has its turn, however small the bound is: a room
/// may say this much in one turn of the connection's thread, and its reader is not to blame.
const TURN_BYTES: usize = 256 * 1024;

/// Over polling this many bytes of answers may always wait: a client takes them a poll at a time, and each takes a while.
const POLL_AHEAD: usize = 256 * 1024;

/// Memory that a waiting packet takes beside its bytes.
const PACKET_BYTES: usize = 2 * size_of::<Down>();

/// Something that a socket waits for, on its session's thread.
pub type Task = Pin<Box<dyn Future<Output = Box<dyn Any>>>>;

/// What carries a session.
pub(super) enum Transport {
    /// With the poll that waits, if one does.
    Polling(Option<oneshot::Sender<PollAnswer>>),
    WebSocket(Arc<Pipe>),
}

/// Packets that wait for a session's transport; shared by the session and what it carries.
#[derive(Clone)]
pub struct Downlink(Rc<RefCell<Queue>>);

struct Queue {
    /// The session's gate.
    intake: Intake,
    client: Option<IpAddr>,
    /// What waits here, but for the bytes of deliveries, which are many sessions' and counted where they are made.
    lease: Lease,
    transport: Transport,
    /// Bytes of deliveries that may wait before another delivery.
    max_waiting: usize,
    packets: VecDeque<Down>,
    bytes: usize,
    /// Of these, by their origin.
    answers: usize,
    deliveries: usize,
    /// Tasks that wait until no more than so many bytes of answers wait.
    drained: Vec<(usize, Waker)>,
    ending: Option<EndReason>,
    /// What sockets wait for, to be run by the session.
    tasks: Vec<(SessionId, Task)>,
    /// Its session has ended: nothing is read any more.
    is_over: bool,
    /// How the chat server reaches the session.
    address: Option<Recipient<Delivery>>,
    /// How the session is told that something waits, while it does not look.
    flush: Option<Recipient<Flush>>,
    is_attended: bool,
    is_told: bool,
    /// What came by the mailbox and the session has not dealt with yet.
    delivered: Waiting,
    /// How fan-outs reach the sockets that are there.
    outlets: SmallVec<[(SessionId, Rc<OutletState>); 1]>,
}

/// One that waits.
#[derive(Debug)]
struct Down {
    packet: Packet,
    origin: Origin,
}

#[derive(Debug)]
enum Packet {
    /// A packet, type digit and all.
    Text(ByteString),
    /// A binary message, which belongs to the text before it.
    Binary(Bytes),
    /// Finished frames, for a WebSocket alone.
    Frames(Bytes),
}

/// Where a packet comes from, which decides what it counts against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// The session, or what it carries: that stops reading from the client.
    Answer,
    /// Others, who go on whether the client reads or not: that evicts it.
    Delivery,
    /// What the client missed while it was away; the hub bounds it.
    Missed,
}

impl Packet {
    fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) | Self::Frames(bytes) => bytes.len(),
        }
    }
}

impl Queue {
    /// What is left here outside the session's own turn, by a task that waited for something, is not forgotten.
    fn tell(&mut self) {
        if !self.is_attended
            && !std::mem::replace(&mut self.is_told, true)
            && let Some(flush) = &self.flush
        {
            flush.do_send(Flush);
        }
    }

    fn push(&mut self, packet: Packet, origin: Origin) {
        self.put(packet, origin);
        self.charge();
    }

    /// Queues a packet. To be charged.
    fn put(&mut self, packet: Packet, origin: Origin) {
        self.count(&packet, origin);
        self.packets.push_back(Down { packet, origin });
    }

    /// Charges what waits now. A session for which there is no room is to end.
    fn charge(&mut self) {
        if self.lease.hold(self.bytes - self.deliveries + self.packets.len() * PACKET_BYTES).is_err() {
            self.ending.get_or_insert(EndReason::OutOfMemory);
        }
    }

    fn count(&mut self, packet: &Packet, origin: Origin) {
        self.bytes += packet.len();
        match origin {
            Origin::Answer => self.answers += packet.len(),
            Origin::Delivery => self.deliveries += packet.len(),
            Origin::Missed => {}
        }
    }

    /// Takes the next packet. What is left is to be [settled](Self::settle).
    fn pop(&mut self) -> Option<Packet> {
        let Down { packet, origin } = self.packets.pop_front()?;
        let len = packet.len();
        self.bytes -= len;
        match origin {
            Origin::Answer => self.answers -= len,
            Origin::Delivery => self.deliveries -= len,
            Origin::Missed => {}
        }
        Some(packet)
    }

    /// Less waits than before: charges what is left, and wakes the tasks that waited for that.
    fn settle(&mut self) {
        self.charge();
        if !self.drained.is_empty() {
            let answers = self.answers;
            self.drained.extract_if(.., |(limit, _)| answers <= *limit).for_each(|(_, waker)| waker.wake());
        }
    }
}

impl fmt::Debug for Downlink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Downlink").field("bytes", &self.0.borrow().bytes).finish_non_exhaustive()
    }
}

impl Downlink {
    /// Nothing waits yet; `intake` is the session's gate, `client` the address of its client. A session with more than
    /// `max_waiting` bytes of deliveries waiting is not to be delivered any more. What waits is charged to `lease`.
    pub(super) fn new(
        transport: Transport,
        intake: Intake,
        client: Option<IpAddr>,
        max_waiting: usize,
        lease: Lease,
    ) -> Self {
        Self(Rc::new(RefCell::new(Queue {
            intake,
            client,
            lease,
            transport,
            max_waiting,
            packets: VecDeque::new(),
            bytes: 0,
            answers: 0,
            deliveries: 0,
            drained: Vec::new(),
            ending: None,
            tasks: Vec::new(),
            is_over: false,
            address: None,
            flush: None,
            is_attended: false,
            is_told: false,
            delivered: Waiting::default(),
            outlets: SmallVec::new(),
        })))
    }

    /// The session's gate: who takes something from the client and has not dealt with it charges it here.
    pub fn intake(&self) -> Intake {
        self.0.borrow().intake.clone()
    }

    /// The address of the session's client, if that is known.
    pub fn client_address(&self) -> Option<IpAddr> {
        self.0.borrow().client
    }

    /// Queues a packet, type digit and all.
    pub fn packet(&self, packet: impl Into<ByteString>) {
        self.push(Packet::Text(packet.into()), Origin::Answer);
    }

    /// Queues a binary message.
    pub fn binary(&self, bytes: Bytes) {
        self.push(Packet::Binary(bytes), Origin::Answer);
    }

    /// Queues an event that the client missed while it was away: however much that is, it is given as the client reads,
    /// and counts against no bound of the session.
    pub fn missed(&self, packet: impl Into<ByteString>, attachments: &[Bytes]) {
        self.push(Packet::Text(packet.into()), Origin::Missed);
        for attachment in attachments {
            self.push(Packet::Binary(attachment.clone()), Origin::Missed);
        }
    }

    fn push(&self, packet: Packet, origin: Origin) {
        let queue = &mut *self.0.borrow_mut();
        queue.push(packet, origin);
        queue.tell();
    }

    /// Queues a ping, before all that waits: the client must not have to take that first. The session flushes.
    pub(super) fn ping(&self) {
        let queue = &mut *self.0.borrow_mut();
        // Not between an event and its attachments: some clients expect nothing there.
        let begun = queue.packets.iter().take_while(|down| matches!(down.packet, Packet::Binary(_))).count();
        let packet = Packet::Text(ByteString::from_static(engineio::PING));
        queue.count(&packet, Origin::Answer);
        queue.packets.insert(begun, Down { packet, origin: Origin::Answer });
    }

    /// A socket of the session begins: how fan-outs of this thread reach it.
    pub fn open_outlet(&self, socket: SessionId) -> Rc<dyn DirectOutlet> {
        let state = Rc::<OutletState>::default();
        self.0.borrow_mut().outlets.push((socket, Rc::clone(&state)));
        Rc::new(SocketOutlet::new(self.clone(), state))
    }

    /// The socket has left: nothing is delivered to it from here on. Idempotent.
    pub(super) fn close_outlet(&self, socket: SessionId) {
        self.0.borrow_mut().outlets.retain(|(its, state)| {
            if *its == socket {
                state.close();
            }
            *its != socket
        });
    }

    /// A message for the socket has been taken from the mailbox. Whether the socket is still there.
    pub(super) fn take_mail(&self, socket: SessionId) -> bool {
        let queue = self.0.borrow();
        let outlet = queue.outlets.iter().find(|(its, _)| *its == socket);
        if let Some((_, state)) = outlet {
            state.take_mail();
        }
        outlet.is_some()
    }

    /// Takes what a room says, `bytes` in all, unless too much waits already, or it is volatile and the transport is not
    /// writable. A session for which nothing more may wait is to end.
    pub(super) fn take_delivery(&self, frames: &[Bytes], bytes: usize, is_volatile: bool) -> Direct {
        if self.is_over() {
            return Direct::Gone;
        }
        if is_volatile && !self.is_writable() {
            return Direct::Skipped;
        }
        // As at the other doors: what waits before a delivery counts.
        if self.has_too_much() {
            return Direct::Full;
        }
        if self.must_not_wait(bytes) {
            self.0.borrow().lease.budget().note_refusal();
            self.end(EndReason::OutOfMemory);
            return Direct::Gone;
        }
        self.deliver(frames);
        Direct::Taken
    }

    fn is_over(&self) -> bool {
        let queue = self.0.borrow();
        queue.is_over || queue.ending.is_some()
    }

    /// Queues frames that were finished for all members of a room: as they are over a WebSocket, unwrapped for a poll.
    fn deliver(&self, frames: &[Bytes]) {
        let queue = &mut *self.0.borrow_mut();
        match &queue.transport {
            Transport::WebSocket(pipe) if !pipe.wants_base64() => {
                let pipe = Arc::clone(pipe);
                for bytes in frames {
                    if queue.packets.is_empty() {
                        pipe.deliver(bytes.clone());
                    } else {
                        queue.push(Packet::Frames(bytes.clone()), Origin::Delivery);
                    }
                }
            }
            _ => {
                for bytes in frames {
                    for (opcode, payload) in frame::payloads(bytes.clone()) {
                        let packet = match opcode {
                            OpCode::Text => Packet::Text(ByteString::try_from(payload).unwrap_or_default()),
                            _ => Packet::Binary(payload),
                        };
                        queue.put(packet, Origin::Delivery);
                    }
                }
                queue.charge();
            }
        }
        if !queue.packets.is_empty() {
            queue.tell();
        }
    }

    /// The session is to end, behind what is queued.
    pub fn end(&self, why: EndReason) {
        let queue = &mut *self.0.borrow_mut();
        queue.ending.get_or_insert(why);
        queue.tell();
    }

    /// Whether the transport would take an event now: what is volatile is worth queueing only then. That is asked of the
    /// transport each time.
    pub fn is_writable(&self) -> bool {
        let queue = self.0.borrow();
        // Far enough from the bound: what is volatile evicts no session.
        let most = queue.max_waiting / 2;
        match &queue.transport {
            Transport::Polling(None) => false,
            Transport::Polling(Some(_)) => queue.packets.len() < MAX_POLL_PACKETS && queue.bytes <= most,
            Transport::WebSocket(pipe) => queue.bytes <= most && pipe.is_writable(most - queue.bytes),
        }
    }

    /// Ready when no more than `max_answers` bytes of answers wait, or over polling a few polls' worth; the task is woken
    /// then.
    pub fn poll_drained(&self, max_answers: usize, cx: &mut Context<'_>) -> Poll<()> {
        let queue = &mut *self.0.borrow_mut();
        let max_answers = match &queue.transport {
            Transport::Polling(_) => max_answers.max(POLL_AHEAD.min(queue.max_waiting)),
            Transport::WebSocket(_) => max_answers,
        };
        if queue.answers <= max_answers {
            return Poll::Ready(());
        }
        if !queue.drained.iter().any(|(limit, waker)| *limit == max_answers && waker.will_wake(cx.waker())) {
            queue.drained.push((max_answers, cx.waker().clone()));
        }
        Poll::Pending
    }

    /// Runs a task of a socket. Its outcome goes to [`Carried::notified`](super::Carried::notified).
    pub fn spawn(&self, socket: SessionId, task: Task) {
        let queue = &mut *self.0.borrow_mut();
        if !queue.is_over {
            queue.tasks.push((socket, task));
            queue.tell();
        }
    }

    /// The session has ended. Tasks that have not begun are dropped: most often they own what owns this downlink, and they would
    /// keep each other for ever.
    pub(super) fn close(&self) {
        let tasks = {
            let queue = &mut *self.0.borrow_mut();
            queue.is_over = true;
            queue.outlets.drain(..).for_each(|(_, state)| state.close());
            std::mem::take(&mut queue.tasks)
        };
        // When nothing is borrowed.
        drop(tasks);
    }

    /// How the chat server reaches the session, once that has begun.
    pub fn address(&self) -> Option<Recipient<Delivery>> {
        self.0.borrow().address.clone()
    }

    /// The count of delivered bytes, for whoever delivers.
    pub fn delivered(&self) -> Waiting {
        self.0.borrow().delivered.clone()
    }

    pub(super) fn take_tasks(&self) -> Vec<(SessionId, Task)> {
        let queue = &mut *self.0.borrow_mut();
        queue.is_told = false;
        std::mem::take(&mut queue.tasks)
    }

    pub(super) fn set_address(&self, address: Recipient<Delivery>, flush: Recipient<Flush>) {
        let queue = &mut *self.0.borrow_mut();
        (queue.address, queue.flush) = (Some(address), Some(flush));
    }

    /// Whether the session will look by itself.
    pub(super) fn set_attended(&self, is_attended: bool) {
        self.0.borrow_mut().is_attended = is_attended;
    }

    /// Delivered bytes have come; from here on they count as what waits for the transport.
    pub(super) fn received(&self, bytes: usize) {
        self.0.borrow().delivered.subtract(bytes);
    }

    /// Why the session is to end, if it is to.
    pub(super) fn ending(&self) -> Option<EndReason> {
        self.0.borrow().ending
    }

    // ----- what waits -----

    pub(super) fn is_empty(&self) -> bool {
        self.0.borrow().packets.is_empty()
    }

    /// Bytes that wait here, behind what the pipe of a WebSocket holds.
    pub(super) fn bytes(&self) -> usize {
        self.0.borrow().bytes
    }

    /// Bytes of answers among them.
    pub(super) fn answers(&self) -> usize {
        self.0.borrow().answers
    }

    /// Whether a delivery of so many bytes is not to be kept waiting: the memory of the process is full, and the client is
    /// behind with more than its share.
    pub(super) fn must_not_wait(&self, bytes: usize) -> bool {
        let queue = self.0.borrow();
        if !queue.lease.budget().is_full() {
            return false;
        }
        let (waiting, is_behind) = match &queue.transport {
            Transport::Polling(poll) => (queue.deliveries, poll.is_none()),
            Transport::WebSocket(pipe) => {
                let Deliveries { bytes, are_blocked, .. } = pipe.waiting_deliveries();
                (queue.deliveries + bytes, are_blocked)
            }
        };
        is_behind && waiting + bytes > FREE_SHARE
    }

    /// Whether more deliveries wait for the client than may. Over a WebSocket those count that wait because the socket takes
    /// nothing; what a connection that has not had its turn may hold is bounded by far more.
    pub(super) fn has_too_much(&self) -> bool {
        let queue = self.0.borrow();
        match &queue.transport {
            Transport::Polling(_) => queue.deliveries > queue.max_waiting,
            Transport::WebSocket(pipe) => {
                let Deliveries { bytes, pieces, are_blocked } = pipe.waiting_deliveries();
                let bytes = queue.deliveries + bytes;
                are_blocked && (bytes > queue.max_waiting || pieces > MAX_WAITING_PIECES)
                    || bytes > queue.max_waiting.saturating_mul(MAX_OVERHANG).max(TURN_BYTES)
            }
        }
    }

    // ----- the transport -----

    /// The WebSocket that carries the session, if one does.
    pub(super) fn pipe(&self) -> Option<Arc<Pipe>> {
        match &self.0.borrow().transport {
            Transport::WebSocket(pipe) => Some(Arc::clone(pipe)),
            Transport::Polling(_) => None,
        }
    }

    pub(super) fn is_polling(&self) -> bool {
        matches!(self.0.borrow().transport, Transport::Polling(_))
    }

    /// Whether a poll waits.
    pub(super) fn has_poll(&self) -> bool {
        matches!(self.0.borrow().transport, Transport::Polling(Some(_)))
    }

    /// The poll that waits, to be answered.
    pub(super) fn take_poll(&self) -> Option<oneshot::Sender<PollAnswer>> {
        match &mut self.0.borrow_mut().transport {
            Transport::Polling(waiting) => waiting.take(),
            Transport::WebSocket(_) => None,
        }
    }

    /// A poll has come, and waits from here on; given back if another one waits, or a WebSocket carries the session.
    pub(super) fn offer_poll(
        &self,
        poll: oneshot::Sender<PollAnswer>,
    ) -> Result<(), oneshot::Sender<PollAnswer>> {
        match &mut self.0.borrow_mut().transport {
            Transport::Polling(waiting @ None) => {
                *waiting = Some(poll);
                Ok(())
            }
            _ => Err(poll),
        }
    }

    /// A WebSocket carries the session from here on; the poll that waited is given back.
    pub(super) fn upgrade(&self, pipe: Arc<Pipe>) -> Option<oneshot::Sender<PollAnswer>> {
        match std::mem::replace(&mut self.0.borrow_mut().transport, Transport::WebSocket(pipe)) {
            Transport::Polling(waiting) => waiting,
            Transport::WebSocket(_) => None,
        }
    }

    /// Moves what waits into the pipe until that holds `most` bytes; whether something is left.
    pub(super) fn pour(&self, pipe: &Pipe, most: usize) -> bool {
        let queue = &mut *self.0.borrow_mut();
        if queue.packets.is_empty() {
            return false;
        }
        let mut waiting = pipe.waiting_bytes();
        while waiting < most
            && let Some(packet) = queue.pop()
        {
            waiting += packet.len();
            match packet {
                Packet::Text(text) => pipe.push_shared(OpCode::Text, text.into_bytes()),
                Packet::Binary(bytes) => pipe.push_binary(bytes),
                Packet::Frames(bytes) => pipe.deliver(bytes),
            }
        }
        queue.settle();
        !queue.packets.is_empty()
    }

    /// The next answer to a poll, if anything waits: at most sixteen packets, and so many bytes unless the first has more.
    pub(super) fn payload(&self, max_bytes: usize) -> Option<String> {
        let queue = &mut *self.0.borrow_mut();
        let mut payload = String::new();
        for count in 0..MAX_POLL_PACKETS {
            let next = match queue.packets.front().map(|down| &down.packet) {
                Some(Packet::Text(text)) => text.len(),
                Some(Packet::Binary(bytes)) => engineio::binary_len(bytes.len()),
                Some(Packet::Frames(_)) | None => break,
            };
            if count > 0 && payload.len() + 1 + next > max_bytes {
                break;
            }
            match queue.pop() {
                Some(Packet::Text(text)) => engineio::push_text(&mut payload, &text),
                Some(Packet::Binary(bytes)) => engineio::push_binary(&mut payload, &bytes),
                Some(Packet::Frames(_)) | None => {}
            }
        }
        queue.settle();
        (!payload.is_empty()).then_some(payload)
    }
}

#[cfg(test)]
mod tests;
