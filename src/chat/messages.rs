//! What actors say to each other about rooms. Sessions, which live a floor above, take [`Delivery`] through a
//! `Recipient`, so nothing here knows them.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use actix::{Message, Recipient};
use bytes::Bytes;
use bytestring::ByteString;

use super::{
    budget::Accepted,
    fanout::FanOut,
    rooms::RoomId,
    round::{Encoding, Round},
};
use crate::domain::{RoomName, SessionId, WorkerId};

// ----- sessions to ChatServer -----

/// A session enters a room. From here on it hears what others publish there, and nothing from before.
/// Every session joins, so that the server can reach it; one that talks to itself only names no room.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Join {
    /// Who enters.
    pub session: SessionId,
    /// Where; the room is made if it is not there. Over the bound on rooms the session is dismissed.
    pub room: Option<RoomName>,
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

/// Asks, before a session is opened, whether it may enter a room: the room is there, or there is place for one more.
#[derive(Debug, Message)]
#[rtype(result = "bool")]
pub struct MayEnter {
    /// Which room.
    pub room: RoomName,
}

/// Dismisses every session, because the server stops.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct DismissAll;

/// Asks how many rooms and sessions there are.
#[derive(Debug, Message)]
#[rtype(result = "Summary")]
pub struct Summarize;

/// The answer to [`Summarize`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, actix::MessageResponse)]
pub struct Summary {
    /// Rooms with somebody in them.
    pub rooms: usize,
    /// Sessions, in rooms or not.
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
    /// Which room, if any.
    pub room: Option<RoomId>,
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
    /// No more will come, and the session must end.
    Dismissed(Dismissal),
}

/// Why the server ends a session that did nothing against the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dismissal {
    /// Too much was waiting for it.
    SlowConsumer,
    /// Its room would be one too many.
    TooManyRooms,
    /// The server stops.
    Restart,
}

/// A session's place with its fan-out: how to reach it, and how to end it when it cannot be reached.
#[derive(Clone, Debug)]
pub struct Seat {
    /// The session's mailbox.
    pub deliveries: Recipient<Delivery>,
    /// Bytes delivered and not yet written.
    pub waiting: Waiting,
    /// How it wants its frames.
    pub encoding: Encoding,
    /// Ends its connection from outside.
    pub cutter: Cutter,
}

/// Ends a session's connection from outside, when the session itself no longer runs: a client that does not read
/// stops the actor that lives in its response.
#[derive(Clone)]
pub struct Cutter(Arc<dyn Fn(Duration) + Send + Sync>);

impl Cutter {
    /// A cutter that calls `cut_after`.
    pub fn new(cut_after: impl Fn(Duration) + Send + Sync + 'static) -> Self {
        Self(Arc::new(cut_after))
    }

    /// Ends the connection if it is still there after so long. To be called on the session's own thread.
    pub fn cut_after(&self, patience: Duration) {
        (self.0)(patience);
    }
}

impl fmt::Debug for Cutter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cutter")
    }
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
