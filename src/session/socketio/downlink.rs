//! What goes down to one client, until its transport takes it.

use std::{cell::RefCell, collections::VecDeque, fmt, net::IpAddr, rc::Rc};

use actix::Recipient;
use bytes::Bytes;
use bytestring::ByteString;

use super::{EndReason, session::Flush};
use crate::{
    chat::{Delivery, Intake, messages::Waiting},
    domain::SessionId,
    protocol::engineio,
    session::conversation::Reading,
};

/// Packets in one answer to a poll, at most.
const MAX_POLL_PACKETS: usize = 16;

/// Packets that wait for a session's transport; shared by the session and what it carries.
#[derive(Clone)]
pub struct Downlink(Rc<RefCell<Queue>>);

struct Queue {
    /// The session's gate.
    intake: Intake,
    client: Option<IpAddr>,
    packets: VecDeque<Down>,
    bytes: usize,
    ending: Option<EndReason>,
    is_busy: bool,
    readings: Vec<(SessionId, Reading)>,
    /// How the chat server reaches the session.
    address: Option<Recipient<Delivery>>,
    /// How the session is told that something waits, while it does not look.
    flush: Option<Recipient<Flush>>,
    is_attended: bool,
    is_told: bool,
    /// What it has delivered and the session has not dealt with yet.
    delivered: Waiting,
}

/// One that waits.
#[derive(Debug)]
pub(super) enum Down {
    /// A packet, type digit and all.
    Text(ByteString),
    /// A binary message.
    Binary(Bytes),
}

impl Down {
    fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
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
}

impl fmt::Debug for Downlink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Downlink").field("bytes", &self.bytes()).finish_non_exhaustive()
    }
}

impl Downlink {
    /// Nothing waits yet; `intake` is the session's gate, `client` the address of its client.
    pub fn new(intake: Intake, client: Option<IpAddr>) -> Self {
        Self(Rc::new(RefCell::new(Queue {
            intake,
            client,
            packets: VecDeque::new(),
            bytes: 0,
            ending: None,
            is_busy: false,
            readings: Vec::new(),
            address: None,
            flush: None,
            is_attended: false,
            is_told: false,
            delivered: Waiting::default(),
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
        self.push(Down::Text(packet.into()));
    }

    /// Queues a binary message.
    pub fn binary(&self, bytes: Bytes) {
        self.push(Down::Binary(bytes));
    }

    fn push(&self, packet: Down) {
        self.put(packet);
        self.0.borrow_mut().tell();
    }

    /// Queues a packet of the session itself, which flushes.
    pub(super) fn put(&self, packet: Down) {
        let queue = &mut *self.0.borrow_mut();
        queue.bytes += packet.len();
        queue.packets.push_back(packet);
    }

    /// The session is to end, behind what is queued.
    pub fn end(&self, why: EndReason) {
        let queue = &mut *self.0.borrow_mut();
        queue.ending.get_or_insert(why);
        queue.tell();
    }

    /// Whether something waits, or the transport would not take it now: what is volatile is not worth queueing.
    pub fn is_busy(&self) -> bool {
        let queue = self.0.borrow();
        queue.is_busy || !queue.packets.is_empty()
    }

    /// Bytes that wait here.
    pub fn waiting_bytes(&self) -> usize {
        self.bytes()
    }

    /// Something is to be read for somebody who is carried; the outcome goes to [`Carried::have_read`](super::Carried::have_read).
    pub fn read(&self, reader: SessionId, reading: Reading) {
        let queue = &mut *self.0.borrow_mut();
        queue.readings.push((reader, reading));
        queue.tell();
    }

    /// How the chat server reaches the session, once that has begun.
    pub fn address(&self) -> Option<Recipient<Delivery>> {
        self.0.borrow().address.clone()
    }

    /// The count of delivered bytes, for whoever delivers.
    pub fn delivered(&self) -> Waiting {
        self.0.borrow().delivered.clone()
    }

    pub(super) fn take_readings(&self) -> Vec<(SessionId, Reading)> {
        let queue = &mut *self.0.borrow_mut();
        queue.is_told = false;
        std::mem::take(&mut queue.readings)
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

    pub(super) fn set_busy(&self, is_busy: bool) {
        self.0.borrow_mut().is_busy = is_busy;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.borrow().packets.is_empty()
    }

    pub(super) fn bytes(&self) -> usize {
        self.0.borrow().bytes
    }

    /// Why the session is to end, if it is to.
    pub(super) fn ending(&self) -> Option<EndReason> {
        self.0.borrow().ending
    }

    pub(super) fn pop(&self) -> Option<Down> {
        let queue = &mut *self.0.borrow_mut();
        let packet = queue.packets.pop_front()?;
        queue.bytes -= packet.len();
        Some(packet)
    }

    /// The next answer to a poll, if anything waits: at most sixteen packets, and so many bytes unless the first has more.
    pub(super) fn payload(&self, max_bytes: usize) -> Option<String> {
        let mut payload = String::new();
        for count in 0..MAX_POLL_PACKETS {
            let next = match self.0.borrow().packets.front() {
                Some(Down::Text(text)) => text.len(),
                Some(Down::Binary(bytes)) => engineio::binary_len(bytes.len()),
                None => break,
            };
            if count > 0 && payload.len() + 1 + next > max_bytes {
                break;
            }
            match self.pop() {
                Some(Down::Text(text)) => engineio::push_text(&mut payload, &text),
                Some(Down::Binary(bytes)) => engineio::push_binary(&mut payload, &bytes),
                None => {}
            }
        }
        (!payload.is_empty()).then_some(payload)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::Budget;

    #[test]
    fn a_poll_is_answered_with_sixteen_packets_or_so_many_bytes() {
        let down = Downlink::new(Intake::new(1, Budget::new(1)), None);
        for number in 0..20 {
            down.packet(format!("4{number}"));
        }
        let payload = down.payload(1000).expect("packets");
        assert_eq!(payload.split(engineio::SEPARATOR).count(), 16);
        down.packet("4".repeat(600));
        down.binary(vec![0; 600].into());
        assert_eq!(down.payload(1000).expect("packets").split(engineio::SEPARATOR).count(), 5);
        assert!(down.payload(100).expect("a packet").starts_with('b'), "one at least, however large");
        assert_eq!((down.payload(1000), down.bytes()), (None, 0));
    }
}
