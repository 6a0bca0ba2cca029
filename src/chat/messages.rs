//! What actors say to each other about rooms. Sessions, which live a floor above, take [`Delivery`] through a
//! `Recipient`, so nothing here knows them.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use actix::{Message, Recipient};
use bytes::Bytes;
use bytestring::ByteString;

use super::{budget::Accepted, fanout::FanOut, rooms::RoomId, round::Round};
use crate::domain::{RoomName, SessionId, WorkerId};

// ----- sessions to ChatServer -----

/// A session enters a room. From here on it hears what others publish there, and nothing from before.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Join {
    /// Who enters.
    pub session: SessionId,
    /// Where; the room is made if it is not there.
    pub room: RoomName,
    /// The worker whose thread the session lives on.
    pub worker: WorkerId,
    /// Where its deliveries go.
    pub seat: Seat,
}

/// A session leaves its room. Harmless if it is in none.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Leave {
    /// Who leaves.
    pub session: SessionId,
}

/// A session says something to the others in its room.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Publish {
    /// Who speaks; its own lines do not come back to it.
    pub session: SessionId,
    /// What.
    pub payload: Payload,
    /// The session's share of its intake, given back once the message has been fanned out.
    pub accepted: Accepted,
}

/// What is published.
#[derive(Clone, Debug)]
pub enum Payload {
    /// A text.
    Text(ByteString),
    /// Bytes.
    Binary(Bytes),
}

/// Asks how many rooms and members there are.
#[derive(Debug, Message)]
#[rtype(result = "Summary")]
pub struct Summarize;

/// The answer to [`Summarize`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, actix::MessageResponse)]
pub struct Summary {
    /// Rooms with somebody in them.
    pub rooms: usize,
    /// Sessions in rooms.
    pub members: usize,
}

/// A worker's fan-out reports for duty, before any session of that worker joins.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct AddWorker {
    /// The worker.
    pub worker: WorkerId,
    /// Its fan-out.
    pub fanout: actix::Addr<FanOut>,
}

// ----- ChatServer to FanOut: all through one mailbox, so that their order is the room's order -----

/// The lines of one finished round.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct FanOutRound {
    /// Where they were said.
    pub room: RoomId,
    /// What was said, shared by all workers.
    pub round: Arc<Round>,
}

/// A session of this worker hears the rounds of a room from here on.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Attach {
    /// Who.
    pub session: SessionId,
    /// Which room.
    pub room: RoomId,
    /// Where its deliveries go.
    pub seat: Seat,
}

/// A session of this worker hears no more rounds.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Detach {
    /// Who.
    pub session: SessionId,
}

// ----- FanOut to sessions -----

/// What a session gets from its room.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub enum Delivery {
    /// Finished frames, in order; the same shared list for all who hear the same.
    Frames(Arc<[Bytes]>),
    /// Too much was waiting: no more will come, and the session must end as a slow consumer.
    Evicted,
}

/// A session's place in a room: its mailbox, and the count of what waits for it.
#[derive(Clone, Debug)]
pub struct Seat {
    /// The session's mailbox.
    pub deliveries: Recipient<Delivery>,
    /// Bytes delivered and not yet written.
    pub waiting: Waiting,
}

/// Bytes delivered to a session and not yet taken by its socket. The fan-out adds, the session's outlet subtracts.
#[derive(Clone, Debug, Default)]
pub struct Waiting(Arc<AtomicUsize>);

impl Waiting {
    /// The bytes that wait.
    pub fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// Counts bytes about to be delivered.
    pub fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Counts bytes that have been written, or will never be.
    pub fn subtract(&self, bytes: usize) {
        self.0.fetch_sub(bytes, Ordering::Relaxed);
    }
}
