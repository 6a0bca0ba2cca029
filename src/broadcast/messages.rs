//! What a server of rooms and the sessions tell the fan-outs, and what the fan-outs send to sessions.

use std::{any::Any, fmt, sync::Arc, time::Duration};

use actix::{Addr, Message, Recipient};
use bytes::Bytes;

use super::{encoding::Encoding, fanout::FanOut, rooms::RoomId, round::Round};
use crate::{
    connection::Waiting,
    domain::{SessionId, WorkerId},
};

/// Adds a worker's fan-out, before any session of that worker joins.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct AddWorker {
    /// The worker to add.
    pub worker: WorkerId,
    /// The fan-out on its thread.
    pub fanout: Addr<FanOut>,
}

/// Registers a session with the fan-out of its worker.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Attach {
    /// The session to register.
    pub session: SessionId,
    /// How the fan-out reaches the session.
    pub seat: Seat,
}

/// Subscribes a session to a room: it gets the broadcasts that follow.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Hear {
    /// The new subscriber.
    pub session: SessionId,
    /// The room to subscribe to.
    pub room: RoomId,
    /// The encoding of the session's frames.
    pub encoding: Encoding,
}

/// Unsubscribes a session from a room.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Ignore {
    /// The former subscriber.
    pub session: SessionId,
    /// The room to unsubscribe from.
    pub room: RoomId,
}

/// Unregisters a session and ends its subscriptions.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Detach {
    /// The session to unregister.
    pub session: SessionId,
}

/// One finished broadcast.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct FanOutRound {
    /// The room whose subscribers get it.
    pub room: RoomId,
    /// The broadcast, shared by all workers.
    pub round: Arc<Round>,
}

/// Answers for sessions of this worker. They do not count as backlog, because the session asked for them.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Tell(pub Vec<(SessionId, News)>);

/// Dismisses every session, because the server stops.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct DismissAll;

/// What a session is sent by the fan-outs of its thread. One mailbox may belong to several members of rooms, one after the
/// other or at a time: the sockets of one Socket.IO connection. So what is for one of them names it.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub enum Delivery {
    /// Finished frames, in order.
    Frames {
        /// The member of the room.
        session: SessionId,
        /// The frames, one list shared by all members that hear them.
        frames: Arc<[Bytes]>,
    },
    /// Frames that are dropped if the session's transport is not writable.
    Volatile {
        /// The member of the room.
        session: SessionId,
        /// The frames.
        frames: Arc<[Bytes]>,
    },
    /// News for one member.
    News {
        /// The member.
        session: SessionId,
        /// The news.
        news: News,
    },
    /// No more will come, and the session must end.
    Dismissed(Dismissal),
}

/// What a server of rooms tells one of its members. Each server has a type of its own for it; those who carry it do not
/// look into it.
pub(crate) type News = Box<dyn Any + Send>;

impl Delivery {
    /// The member that it is for, if it is for one alone.
    pub fn recipient(&self) -> Option<SessionId> {
        match self {
            Self::Frames { session, .. } | Self::Volatile { session, .. } | Self::News { session, .. } => {
                Some(*session)
            }
            Self::Dismissed(_) => None,
        }
    }
}

/// Why the server ends a session that did nothing against the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dismissal {
    /// Too much was waiting for it.
    SlowConsumer,
    /// The process holds as much as it may, and something more would have had to be held for it.
    OutOfMemory,
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

/// Ends a session's connection from outside, if its client does not take what is left for it, and so never comes to the
/// end.
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
