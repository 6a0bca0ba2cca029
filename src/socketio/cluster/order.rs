//! What a server wants its adapter to do.

use std::{fmt, time::Duration};

use bytestring::ByteString;
use tokio::sync::{mpsc::UnboundedSender, oneshot};

use super::{Answered, Message, Opts, SocketShown, StreamId, Target};
use crate::protocol::socketio::{Args, Offset};

/// How the events of a namespace reach the sockets of the server that emits them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// At once. Others get them later, so servers may differ in the order of events of several servers.
    AtOnce,
    /// When the cluster has put them in order: all servers of this crate have one order.
    InOrder,
}

/// What [`Deliver`] calls.
type Delivers = Box<dyn FnOnce(Option<StreamId>) + Send>;

/// Does what was ordered on this server, once its place in the order of the cluster is known. It gets the offset of an event,
/// if the cluster keeps events. If it is dropped, it does it then: an order is not lost with the adapter.
pub(crate) struct Deliver(Option<Delivers>);

impl Deliver {
    /// Has `deliver` called once.
    pub(crate) fn new(deliver: impl FnOnce(Option<StreamId>) + Send + 'static) -> Self {
        Self(Some(Box::new(deliver)))
    }

    /// Its place has come.
    pub(crate) fn now(mut self, offset: Option<StreamId>) {
        self.0.take().into_iter().for_each(|deliver| deliver(offset));
    }
}

impl Drop for Deliver {
    fn drop(&mut self) {
        self.0.take().into_iter().for_each(|deliver| deliver(None));
    }
}

impl fmt::Debug for Deliver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Deliver")
    }
}

/// Sockets of other servers.
#[derive(Debug, Default)]
pub(crate) struct FoundElsewhere {
    /// The sockets.
    pub sockets: Vec<SocketShown>,
    /// Number of servers that did not answer.
    pub missing: usize,
}

/// Rooms of other servers.
#[derive(Debug, Default)]
pub(crate) struct RoomsElsewhere {
    /// Names of rooms, each once, ids of sockets too.
    pub rooms: Vec<ByteString>,
    /// Number of servers that did not answer.
    pub missing: usize,
}

/// Answers of other servers.
#[derive(Debug, Default)]
pub(crate) struct AnswersElsewhere {
    /// A list of one argument for each server that has answered.
    pub answers: Vec<Args>,
    /// Number of servers that did not answer.
    pub missing: usize,
}

/// A lost socket that the cluster keeps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Session {
    /// Its id.
    pub sid: ByteString,
    /// The secret by which its client comes back.
    pub pid: ByteString,
    /// Its rooms, the one of its id first.
    pub rooms: Vec<ByteString>,
    /// JSON of its data.
    pub data: ByteString,
    /// The offset behind which it entered each of its rooms, where that is known; and the namespace, under its own id.
    pub since: Vec<(ByteString, ByteString)>,
}

/// A lost socket that was found again, with the events that its client has missed: each with its offset.
#[derive(Debug)]
pub(crate) struct Restored {
    /// The socket.
    pub session: Session,
    /// The missed events in their order.
    pub missed: Vec<(StreamId, Args)>,
    /// The offset of the last event of the cluster that this server has handed over before.
    pub last: StreamId,
}

/// An event of another server, for the listeners of this one.
#[derive(Debug)]
pub(crate) struct ServerEventHeard {
    /// The namespace.
    pub namespace: ByteString,
    /// The event: a list that begins with its name.
    pub args: Args,
    /// Takes the answer, a list of one argument, if one is wanted.
    pub answer: Option<oneshot::Sender<Args>>,
}

/// What a server wants its adapter to do.
#[derive(Debug)]
pub(crate) enum Order {
    /// The server serves a namespace from now on.
    Serve {
        /// The namespace.
        namespace: ByteString,
    },
    /// The server does not serve a namespace any more.
    Unserve {
        /// The namespace.
        namespace: ByteString,
    },
    /// A room has its first socket of this server, or the first lost one.
    Occupied {
        /// The namespace.
        namespace: ByteString,
        /// The room, or a sid.
        room: ByteString,
    },
    /// A room has no socket of this server any more, nor a lost one.
    Vacant {
        /// The namespace.
        namespace: ByteString,
        /// The room, or a sid.
        room: ByteString,
    },
    /// Tells the other servers something, does something here in its place of the order, or both.
    Tell {
        /// The namespace.
        namespace: ByteString,
        /// What the others are told.
        message: Option<Message>,
        /// What is done here; `None` if it has been done.
        deliver: Option<Deliver>,
    },
    /// Asks the sockets of all other servers for acks.
    Ask {
        /// The namespace.
        namespace: ByteString,
        /// The event.
        args: Args,
        /// For whom.
        opts: Opts,
        /// How long answers are waited for.
        timeout: Duration,
        /// Receives what becomes known of the acks of other servers.
        answers: UnboundedSender<Answered>,
        /// What is done here; `None` if it has been done.
        deliver: Option<Deliver>,
    },
    /// Looks up the sockets of other servers.
    Fetch {
        /// The namespace.
        namespace: ByteString,
        /// Which sockets.
        target: Target,
        /// Receives them.
        to: oneshot::Sender<FoundElsewhere>,
    },
    /// Looks up the rooms of other servers.
    ListRooms {
        /// The namespace.
        namespace: ByteString,
        /// Receives them.
        to: oneshot::Sender<RoomsElsewhere>,
    },
    /// Tells the listeners of other servers of an event.
    ServerEvent {
        /// The namespace.
        namespace: ByteString,
        /// The event: a list that begins with its name.
        args: Args,
        /// Receives the answers, if they are wanted, when all have come or the time for requests is over.
        answers: Option<oneshot::Sender<AnswersElsewhere>>,
    },
    /// Asks how many servers serve a namespace, this one included.
    CountServers {
        /// The namespace.
        namespace: ByteString,
        /// Receives the number; nothing if it cannot be known now.
        to: oneshot::Sender<usize>,
    },
    /// Keeps a lost socket, if the cluster keeps those.
    KeepSession {
        /// The socket.
        session: Session,
    },
    /// Finds a lost socket, and what its client has missed.
    Restore {
        /// The namespace.
        namespace: ByteString,
        /// The secret of the client.
        pid: ByteString,
        /// The last event that the client has seen.
        offset: Offset,
        /// Takes the outcome before any later event is handed over.
        to: Restore,
    },
    /// Ends, behind all orders before.
    Stop {
        /// Told when that is so.
        done: oneshot::Sender<()>,
    },
}

/// What [`Restore`] calls.
type Restores = Box<dyn FnOnce(Option<Restored>) + Send>;

/// Takes what was restored; `None` if nothing can be, and if it is dropped: a client is not left waiting.
pub(crate) struct Restore(Option<Restores>);

impl Restore {
    /// Has `take` called once.
    pub(crate) fn new(take: impl FnOnce(Option<Restored>) + Send + 'static) -> Self {
        Self(Some(Box::new(take)))
    }

    /// Hands it over.
    pub(crate) fn with(mut self, restored: Option<Restored>) {
        if let Some(take) = self.0.take() {
            take(restored);
        }
    }
}

impl Drop for Restore {
    fn drop(&mut self) {
        self.0.take().into_iter().for_each(|take| take(None));
    }
}

impl fmt::Debug for Restore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Restore")
    }
}
