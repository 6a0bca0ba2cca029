//! The outgoing queue of one session, in front of its transport.

use std::{
    any::Any,
    cell::RefCell,
    collections::VecDeque,
    fmt,
    net::IpAddr,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use actix::Recipient;
use bytes::Bytes;
use bytestring::ByteString;
use smallvec::SmallVec;
use tokio::sync::oneshot;

use super::{
    EndReason, PollAnswer,
    carrier::Carrier,
    outlet::{OutletState, SocketOutlet},
    session::Flush,
};
use crate::{
    broadcast::Delivery,
    connection::{
        Direct, DirectOutlet, FREE_SHARE, Intake, Lease, Waiting,
        outlet::{Deliveries, MAX_WAITING_PIECES},
    },
    domain::SessionId,
    protocol::{
        engineio,
        websocket::frame::{self, OpCode},
    },
};

/// Largest number of packets in one poll response.
const MAX_POLL_PACKETS: usize = 16;

/// Packets move into the queue of a WebSocket only while it holds fewer bytes than this. The rest waits here, where it is
/// counted and a ping can overtake it.
pub(super) const PIPE_BYTES: usize = 64 * 1024;

/// A session is ended when its backlog exceeds this multiple of its limit, even if its socket is not blocked.
pub(super) const MAX_OVERHANG: usize = 8;

/// Bytes of deliveries that a WebSocket always accepts before its session runs again. A room may send this
/// much in one turn of the session's thread, and the client is not slow because of it.
const TURN_BYTES: usize = 256 * 1024;

/// Bytes of answers, within `max_waiting`, that may always wait for a polling client: it takes them one poll
/// at a time.
const POLL_AHEAD: usize = 256 * 1024;

/// Memory of a waiting packet beside its bytes.
const PACKET_BYTES: usize = 2 * size_of::<Down>();

/// A future of a socket. It runs on the session's thread.
pub type Task = Pin<Box<dyn Future<Output = Box<dyn Any>>>>;

/// The transport of a session.
pub(super) enum Transport {
    /// HTTP long-polling, with the sender of the poll that waits.
    Polling(Option<oneshot::Sender<PollAnswer>>),
    WebSocket(Carrier),
}

/// The packets that wait for a session's transport. The session and its [`Carried`](super::Carried) share it.
#[derive(Clone)]
pub struct Downlink(Rc<RefCell<Queue>>);

struct Queue {
    /// The session's intake limit.
    intake: Intake,
    client: Option<IpAddr>,
    /// Charged for what waits here, except the bytes of deliveries: many sessions share those bytes, and the
    /// broadcast that made them charges them.
    lease: Lease,
    transport: Transport,
    /// Limit on bytes of deliveries that wait before the next delivery.
    max_waiting: usize,
    packets: VecDeque<Down>,
    bytes: usize,
    /// The part of `bytes` from answers, and from deliveries.
    answers: usize,
    deliveries: usize,
    /// Tasks that wait until at most this number of bytes of answers waits.
    drained: Vec<(usize, Waker)>,
    ending: Option<EndReason>,
    /// Tasks of sockets that the session has not started.
    tasks: Vec<(SessionId, Task)>,
    /// The session has ended: no delivery and no task is accepted.
    is_over: bool,
    /// Where the chat server, the hub and the fan-outs send deliveries by message.
    address: Option<Recipient<Delivery>>,
    /// Tells the session to flush when it does not run.
    flush: Option<Recipient<Flush>>,
    is_attended: bool,
    is_told: bool,
    /// Bytes of deliveries in the mailbox that the session has not handled.
    delivered: Waiting,
    /// State of the outlets by which fan-outs reach the sockets.
    outlets: SmallVec<[(SessionId, Rc<OutletState>); 1]>,
}

/// A packet that waits.
#[derive(Debug)]
struct Down {
    packet: Packet,
    origin: Origin,
}

#[derive(Debug)]
enum Packet {
    /// A packet with its type digit.
    Text(ByteString),
    /// A binary message. It follows the text packet that it belongs to.
    Binary(Bytes),
    /// Finished frames, only for a WebSocket.
    Frames(Bytes),
}

/// The source of a packet. It decides which limit the packet counts against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// The session or its namespaces. Too many bytes stop the reading from the client.
    Answer,
    /// Other members, which do not wait for the client. Too many bytes evict the client.
    Delivery,
    /// Events that the client missed while it was away. The hub limits them.
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
    /// Tells the session about packets and tasks that were added outside its own turn.
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

    /// Queues a packet. The caller must call [`charge`](Self::charge).
    fn put(&mut self, packet: Packet, origin: Origin) {
        self.count(&packet, origin);
        self.packets.push_back(Down { packet, origin });
    }

    /// Charges what waits now. The session ends if the memory budget is used up.
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

    /// Takes the next packet. The caller must call [`settle`](Self::settle).
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

    /// Charges what is left after packets were taken, and wakes tasks whose limit is met.
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
    /// Creates an empty queue. `intake` is the session's intake limit, `client` the IP address. With more
    /// than `max_waiting` bytes of deliveries waiting the next delivery is refused. `lease` is charged for
    /// what waits.
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

    /// The session's intake limit. Charge it for input that is not dealt with.
    pub fn intake(&self) -> Intake {
        self.0.borrow().intake.clone()
    }

    /// The client's IP address, if known.
    pub fn client_address(&self) -> Option<IpAddr> {
        self.0.borrow().client
    }

    /// Queues a packet with its type digit.
    pub fn packet(&self, packet: impl Into<ByteString>) {
        self.push(Packet::Text(packet.into()), Origin::Answer);
    }

    /// Queues a binary message.
    pub fn binary(&self, bytes: Bytes) {
        self.push(Packet::Binary(bytes), Origin::Answer);
    }

    /// Queues an event that the client missed while it was away. It counts against no limit of the session:
    /// the client reads it at its own speed.
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

    /// Queues a ping before all waiting packets, so that a slow client can answer in time. The caller
    /// flushes.
    pub(super) fn ping(&self) {
        let queue = &mut *self.0.borrow_mut();
        // Not between an event and its attachments: some clients do not accept a packet there.
        let begun = queue.packets.iter().take_while(|down| matches!(down.packet, Packet::Binary(_))).count();
        let packet = Packet::Text(ByteString::from_static(engineio::PING));
        queue.count(&packet, Origin::Answer);
        queue.packets.insert(begun, Down { packet, origin: Origin::Answer });
    }

    /// Opens the outlet of a new socket. Fan-outs on this thread deliver to it.
    pub fn open_outlet(&self, socket: SessionId) -> Rc<dyn DirectOutlet> {
        let state = Rc::<OutletState>::default();
        self.0.borrow_mut().outlets.push((socket, Rc::clone(&state)));
        Rc::new(SocketOutlet::new(self.clone(), state))
    }

    /// Closes the outlet of a socket that has left. Idempotent.
    pub(super) fn close_outlet(&self, socket: SessionId) {
        self.0.borrow_mut().outlets.retain(|(its, state)| {
            if *its == socket {
                state.close();
            }
            *its != socket
        });
    }

    /// Notes that the session took a message for `socket` from its mailbox. Returns whether the socket still
    /// exists.
    pub(super) fn take_mail(&self, socket: SessionId) -> bool {
        let queue = self.0.borrow();
        let outlet = queue.outlets.iter().find(|(its, _)| *its == socket);
        if let Some((_, state)) = outlet {
            state.take_mail();
        }
        outlet.is_some()
    }

    /// Queues frames of a broadcast, `bytes` in total, and says what became of them. Ends the session if the
    /// memory budget does not allow the client a longer backlog.
    pub(super) fn take_delivery(&self, frames: &[Bytes], bytes: usize, is_volatile: bool) -> Direct {
        if self.is_over() {
            return Direct::Gone;
        }
        if is_volatile && !self.is_writable() {
            return Direct::Skipped;
        }
        // Only what waits before this delivery counts, as at the other doors.
        if self.has_too_much() {
            return Direct::Full;
        }
        if self.must_not_wait(bytes) {
            self.0.borrow().lease.budget().note_refusal();
            self.end(EndReason::OutOfMemory);
            return Direct::Gone;
        }
        self.deliver(frames, bytes);
        Direct::Taken
    }

    fn is_over(&self) -> bool {
        let queue = self.0.borrow();
        queue.is_over || queue.ending.is_some()
    }

    /// Queues finished frames of a broadcast: unchanged for a WebSocket, decoded for a poll.
    fn deliver(&self, frames: &[Bytes], bytes: usize) {
        let queue = &mut *self.0.borrow_mut();
        match &queue.transport {
            Transport::WebSocket(carrier) if !carrier.wants_base64() => {
                if queue.packets.is_empty() {
                    carrier.deliver(frames, bytes);
                } else {
                    for bytes in frames {
                        queue.put(Packet::Frames(bytes.clone()), Origin::Delivery);
                    }
                    queue.charge();
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

    /// Ends the session after the waiting packets.
    pub fn end(&self, why: EndReason) {
        let queue = &mut *self.0.borrow_mut();
        queue.ending.get_or_insert(why);
        queue.tell();
    }

    /// Whether the transport takes an event now; a volatile event is queued only then. The transport is asked
    /// each time.
    pub fn is_writable(&self) -> bool {
        let queue = self.0.borrow();
        // Half of the limit, so that a volatile event cannot cause an eviction.
        let most = queue.max_waiting / 2;
        match &queue.transport {
            Transport::Polling(None) => false,
            Transport::Polling(Some(_)) => queue.packets.len() < MAX_POLL_PACKETS && queue.bytes <= most,
            Transport::WebSocket(carrier) => {
                queue.bytes <= most && carrier.outbox().is_writable(most - queue.bytes)
            }
        }
    }

    /// Ready when at most `max_answers` bytes of answers wait, or for a polling client a few polls' worth;
    /// otherwise wakes the task when that is so.
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

    /// Runs a task of a socket. Its output goes to [`Carried::notified`](super::Carried::notified).
    pub fn spawn(&self, socket: SessionId, task: Task) {
        let queue = &mut *self.0.borrow_mut();
        if !queue.is_over {
            queue.tasks.push((socket, task));
            queue.tell();
        }
    }

    /// Closes the queue. Drops tasks that have not started: they often own this queue, and the cycle would
    /// never be freed.
    pub(super) fn close(&self) {
        let tasks = {
            let queue = &mut *self.0.borrow_mut();
            queue.is_over = true;
            queue.outlets.drain(..).for_each(|(_, state)| state.close());
            std::mem::take(&mut queue.tasks)
        };
        // Drop the tasks after the borrow: their destructors may use this queue.
        drop(tasks);
    }

    /// Where deliveries to the session go, once it has started.
    pub fn address(&self) -> Option<Recipient<Delivery>> {
        self.0.borrow().address.clone()
    }

    /// Counts bytes of deliveries that are in the session's mailbox.
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

    /// Whether the session will flush by itself after this turn.
    pub(super) fn set_attended(&self, is_attended: bool) {
        self.0.borrow_mut().is_attended = is_attended;
    }

    /// Uncounts bytes that the session took from its mailbox.
    pub(super) fn received(&self, bytes: usize) {
        self.0.borrow().delivered.subtract(bytes);
    }

    /// The reason to end the session, if one is set.
    pub(super) fn ending(&self) -> Option<EndReason> {
        self.0.borrow().ending
    }

    // ----- what waits -----

    pub(super) fn is_empty(&self) -> bool {
        self.0.borrow().packets.is_empty()
    }

    /// Bytes that wait here, without those in the queue of the WebSocket.
    pub(super) fn bytes(&self) -> usize {
        self.0.borrow().bytes
    }

    /// Bytes of answers that wait here.
    pub(super) fn answers(&self) -> usize {
        self.0.borrow().answers
    }

    /// Whether a delivery of `bytes` must not be queued: the memory budget is used up, the client does not
    /// read, and its backlog would exceed [`FREE_SHARE`].
    pub(super) fn must_not_wait(&self, bytes: usize) -> bool {
        let queue = self.0.borrow();
        if !queue.lease.budget().is_full() {
            return false;
        }
        let (waiting, is_behind) = match &queue.transport {
            Transport::Polling(poll) => (queue.deliveries, poll.is_none()),
            Transport::WebSocket(carrier) => {
                let Deliveries { bytes, are_blocked, .. } = carrier.deliveries();
                (queue.deliveries + bytes, are_blocked)
            }
        };
        is_behind && waiting + bytes > FREE_SHARE
    }

    /// Whether the backlog of deliveries is over its limit. Over a WebSocket the limit applies while the
    /// socket is blocked; a connection that has only not run yet has a much higher limit.
    pub(super) fn has_too_much(&self) -> bool {
        let queue = self.0.borrow();
        match &queue.transport {
            Transport::Polling(_) => queue.deliveries > queue.max_waiting,
            Transport::WebSocket(carrier) => {
                let Deliveries { bytes, pieces, are_blocked } = carrier.deliveries();
                let bytes = queue.deliveries + bytes;
                are_blocked && (bytes > queue.max_waiting || pieces > MAX_WAITING_PIECES)
                    || bytes > queue.max_waiting.saturating_mul(MAX_OVERHANG).max(TURN_BYTES)
            }
        }
    }

    // ----- the transport -----

    /// The WebSocket that carries the session.
    pub(super) fn carrier(&self) -> Option<Carrier> {
        match &self.0.borrow().transport {
            Transport::WebSocket(carrier) => Some(carrier.clone()),
            Transport::Polling(_) => None,
        }
    }

    /// Whether this WebSocket carries the session.
    pub(super) fn is_carried_by(&self, carrier: &Carrier) -> bool {
        matches!(&self.0.borrow().transport, Transport::WebSocket(carries) if carries.is(carrier))
    }

    pub(super) fn is_polling(&self) -> bool {
        matches!(self.0.borrow().transport, Transport::Polling(_))
    }

    /// Whether a poll waits for its response.
    pub(super) fn has_poll(&self) -> bool {
        matches!(self.0.borrow().transport, Transport::Polling(Some(_)))
    }

    /// Takes the waiting poll, to be answered.
    pub(super) fn take_poll(&self) -> Option<oneshot::Sender<PollAnswer>> {
        match &mut self.0.borrow_mut().transport {
            Transport::Polling(waiting) => waiting.take(),
            Transport::WebSocket(_) => None,
        }
    }

    /// Stores a poll until there are packets. Gives it back if another poll waits or a WebSocket carries the
    /// session.
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

    /// Switches the transport to a WebSocket. Returns the poll that waited.
    pub(super) fn upgrade(&self, carrier: Carrier) -> Option<oneshot::Sender<PollAnswer>> {
        match std::mem::replace(&mut self.0.borrow_mut().transport, Transport::WebSocket(carrier)) {
            Transport::Polling(waiting) => waiting,
            Transport::WebSocket(_) => None,
        }
    }

    /// Moves packets into the queue of the WebSocket until it holds `most` bytes. Returns whether packets are left.
    pub(super) fn pour(&self, carrier: &Carrier, most: usize) -> bool {
        let queue = &mut *self.0.borrow_mut();
        if queue.packets.is_empty() {
            return false;
        }
        let mut waiting = carrier.waiting_bytes();
        while waiting < most
            && let Some(packet) = queue.pop()
        {
            waiting += packet.len();
            match packet {
                Packet::Text(text) => carrier.text(text.into_bytes()),
                Packet::Binary(bytes) => carrier.binary(bytes),
                Packet::Frames(bytes) => {
                    let len = bytes.len();
                    carrier.deliver(&[bytes], len);
                }
            }
        }
        queue.settle();
        !queue.packets.is_empty()
    }

    /// The next poll response: at most [`MAX_POLL_PACKETS`] packets and `max_bytes` bytes, except that the
    /// first packet may be larger. `None` if nothing waits.
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
