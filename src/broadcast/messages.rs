//! Messages from a server of rooms and from sessions to the fan-outs, and from fan-outs to sessions.

use std::{any::Any, fmt, sync::Arc, time::Duration};

use actix::{Message, Recipient};
use bytes::Bytes;
use tokio::sync::mpsc;

use super::{encoding::Encoding, lines::Broadcast, room_id::RoomId};
use crate::{
    connection::{Backlog, Ending},
    domain::MemberId,
};

/// Registers a session with the fan-out of its worker.
#[derive(Debug)]
pub struct Attach {
    /// The session to register.
    pub member: MemberId,
    /// How the fan-out reaches the session.
    pub seat: Seat,
}

/// Subscribes a session to a room: it gets the broadcasts that follow.
#[derive(Debug)]
pub struct Subscribe {
    /// The new subscriber.
    pub member: MemberId,
    /// The room to subscribe to.
    pub room: RoomId,
    /// The encoding of the session's frames.
    pub encoding: Encoding,
}

/// Unsubscribes a session from a room.
#[derive(Debug)]
pub struct Unsubscribe {
    /// The former subscriber.
    pub member: MemberId,
    /// The room to unsubscribe from.
    pub room: RoomId,
}

/// Unregisters a session and ends its subscriptions.
#[derive(Debug)]
pub struct Detach {
    /// The session to unregister.
    pub member: MemberId,
}

/// Sends a session away, and forgets it.
#[derive(Debug)]
pub struct Dismiss {
    /// The session.
    pub member: MemberId,
    /// Why it must end.
    pub ending: Ending,
}

/// One finished broadcast.
#[derive(Clone, Debug)]
pub struct FanOutBroadcast {
    /// The room whose subscribers get it.
    pub room: RoomId,
    /// The broadcast, shared by all workers.
    pub broadcast: Arc<Broadcast>,
}

/// News for a session of this worker. They do not count as backlog, because the session asked for them.
pub struct Tell {
    /// The session.
    pub member: MemberId,
    /// The news.
    pub news: News,
}

impl fmt::Debug for Tell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tell").field("member", &self.member).finish_non_exhaustive()
    }
}

/// Sends all that has been said to the fan-outs, because the server stops.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct EndBroadcasts;

/// Dismisses every session behind all that has been said, because the server stops.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct DismissAll {
    /// Dropped by each actor that has done its part.
    pub all_told: mpsc::Sender<()>,
}

/// What a server of rooms has for a fan-out.
#[derive(Debug)]
pub enum ForFanOut {
    /// A session registers.
    Attach(Attach),
    /// A session subscribes to a room.
    Subscribe(Subscribe),
    /// A session unsubscribes from a room.
    Unsubscribe(Unsubscribe),
    /// A session has ended.
    Detach(Detach),
    /// A session must end.
    Dismiss(Dismiss),
    /// A broadcast has ended.
    Broadcast(FanOutBroadcast),
    /// News for one session.
    Tell(Tell),
    /// The server stops.
    DismissAll(DismissAll),
}

/// What a server of rooms has for a fan-out after one turn, in order.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Mail(pub Vec<ForFanOut>);

/// The way to the fan-out of a worker, from any thread.
pub(crate) trait ToFanOut: fmt::Debug + Send + Sync {
    /// Sends mail, which is handled behind the mail that was sent before. Never waits.
    fn send(&self, mail: Mail);
}

/// A message of a fan-out to a session. One mailbox may serve several members of rooms: the sockets of one
/// Socket.IO session. So a message for one member names it.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub enum Delivery {
    /// Finished frames, in order. They are counted in [`Seat::backlog`].
    Frames {
        /// The recipient.
        member: MemberId,
        /// The frames; one list shared by all members that get them.
        frames: Arc<[Bytes]>,
    },
    /// Frames that are dropped if the session's transport is not writable.
    Volatile {
        /// The recipient.
        member: MemberId,
        /// The frames.
        frames: Arc<[Bytes]>,
    },
    /// News for one member.
    News {
        /// The recipient.
        member: MemberId,
        /// The news.
        news: News,
    },
    /// The last message: the session must end.
    Dismissed(Ending),
}

/// A message of a server of rooms to one of its members. Each server has its own type; fan-outs and sessions
/// only pass it on.
pub(crate) type News = Box<dyn Any + Send>;

impl Delivery {
    /// The member that the message is for; `None` if it is for the whole session.
    pub fn recipient(&self) -> Option<MemberId> {
        match self {
            Self::Frames { member, .. } | Self::Volatile { member, .. } | Self::News { member, .. } => {
                Some(*member)
            }
            Self::Dismissed(_) => None,
        }
    }
}

/// How a fan-out delivers to a session, and ends its connection if the session cannot.
#[derive(Clone, Debug)]
pub struct Seat {
    /// The session's mailbox.
    pub deliveries: Recipient<Delivery>,
    /// Bytes delivered and not written yet.
    pub backlog: Backlog,
    /// The encoding of the session's frames.
    pub encoding: Encoding,
    /// Ends the session's connection from outside.
    pub cutter: Cutter,
}

/// Ends a session's connection from outside, for a client that does not read the last bytes: such a session
/// would never finish.
#[derive(Clone)]
pub struct Cutter(Arc<dyn Fn(Duration) + Send + Sync>);

impl Cutter {
    /// A cutter that calls `cut_after`.
    pub fn new(cut_after: impl Fn(Duration) + Send + Sync + 'static) -> Self {
        Self(Arc::new(cut_after))
    }

    /// Ends the connection if it is still open after `patience`. Call on the session's thread.
    pub fn cut_after(&self, patience: Duration) {
        (self.0)(patience);
    }
}

impl fmt::Debug for Cutter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cutter")
    }
}
