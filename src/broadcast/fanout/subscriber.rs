//! One session of a worker, and how it is given a batch.

use std::{rc::Rc, sync::Arc};

use actix::dev::SendError;
use log::debug;
use smallvec::SmallVec;

use crate::{
    broadcast::{
        batch::Batch,
        messages::{Delivery, Seat},
        room_id::RoomId,
    },
    connection::{Direct, DirectOutlet},
    domain::MemberId,
};

/// A session of this worker, with the rooms that it is subscribed to.
#[derive(Debug)]
pub(super) struct Subscriber {
    pub(super) member: MemberId,
    pub(super) seat: Seat,
    /// Direct delivery to the session; `None` if deliveries go through its mailbox.
    outlet: Option<Rc<dyn DirectOutlet>>,
    /// Its rooms, with its index among the subscribers of each room.
    pub(super) rooms: SmallVec<[(RoomId, usize); 1]>,
    /// Set during a delivery to a room: a line of it excludes the session.
    pub(super) is_excluded: bool,
    /// Set during an aimed delivery: numbers of the lines that the session gets.
    pub(super) lines: Vec<usize>,
}

/// Totals of one delivery.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) messages: usize,
    pub(super) bytes: usize,
    /// Sessions whose backlog is over its bound, or whose mailbox is full.
    pub(super) evicted: Vec<MemberId>,
}

impl Subscriber {
    /// A session without rooms.
    pub(super) fn new(member: MemberId, seat: Seat, outlet: Option<Rc<dyn DirectOutlet>>) -> Self {
        Self { member, seat, outlet, rooms: SmallVec::new(), is_excluded: false, lines: Vec::new() }
    }

    /// Whether it is subscribed to a room.
    pub(super) fn is_in(&self, room: RoomId) -> bool {
        self.rooms.iter().any(|(its, _)| *its == room)
    }

    /// Delivers a batch. Returns false if the session was skipped, evicted, or gone.
    pub(super) fn deliver(&self, batch: &Batch, is_volatile: bool, tally: &mut Tally) -> bool {
        let direct =
            self.outlet.as_ref().map(|outlet| outlet.deliver(&batch.frames, batch.bytes, is_volatile));
        let is_delivered = match direct {
            Some(Direct::Taken) => true,
            Some(Direct::Gone | Direct::Skipped) => false,
            Some(Direct::Behind) => self.evict(tally),
            // The session decides on a volatile batch. It evicts no session.
            Some(Direct::BehindMail) | None if self.seat.backlog.is_over() && !is_volatile => {
                self.evict(tally)
            }
            Some(Direct::BehindMail) | None => self.mail(batch, is_volatile, tally),
        };
        if is_delivered {
            tally.messages += batch.messages;
            tally.bytes += batch.bytes;
        }
        is_delivered
    }

    /// Has the session evicted. Returns false: it is not delivered to.
    fn evict(&self, tally: &mut Tally) -> bool {
        debug!("{} has {} bytes unread", self.member, self.seat.backlog.bytes());
        tally.evicted.push(self.member);
        false
    }

    /// Delivers a batch through the session's mailbox. Returns false on failure.
    fn mail(&self, batch: &Batch, is_volatile: bool, tally: &mut Tally) -> bool {
        self.seat.backlog.add(batch.bytes);
        let (member, frames) = (self.member, Arc::clone(&batch.frames));
        let delivery = if is_volatile {
            Delivery::Volatile { member, frames }
        } else {
            Delivery::Frames { member, frames }
        };
        match self.seat.deliveries.try_send(delivery) {
            Ok(()) => {
                self.note_mail();
                return true;
            }
            // The session has stopped; its unregistration is on the way.
            Err(SendError::Closed(_)) => self.seat.backlog.subtract(batch.bytes),
            Err(SendError::Full(_)) => {
                debug!("the mailbox of {} is full", self.member);
                self.seat.backlog.subtract(batch.bytes);
                tally.evicted.push(self.member);
            }
        }
        false
    }

    /// Sends a message after everything delivered before; later deliveries stay behind it.
    pub(super) fn tell(&self, delivery: Delivery) {
        self.seat.deliveries.do_send(delivery);
        self.note_mail();
    }

    fn note_mail(&self) {
        if let Some(outlet) = &self.outlet {
            outlet.note_mail();
        }
    }
}
