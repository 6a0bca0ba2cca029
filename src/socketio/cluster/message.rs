//! Messages between the servers of a cluster, in no format.

use bytestring::ByteString;

use super::Target;
use crate::protocol::socketio::Args;

/// Names a request, for its answers. Unique among the requests of all servers.
pub(crate) type RequestId = ByteString;

/// What an event to many sockets is for, and how it is sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Opts {
    /// Which sockets.
    pub target: Target,
    /// How it is sent.
    pub flags: Flags,
}

/// How an event is sent. The default is an ordinary event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flags {
    /// Skips sockets that are not writable.
    pub volatile: bool,
    /// WebSockets may compress it.
    pub compress: bool,
    /// Time for acks, in milliseconds.
    pub timeout: Option<u64>,
    /// One answer is enough.
    pub expect_single_response: bool,
}

impl Default for Flags {
    fn default() -> Self {
        Self { volatile: false, compress: true, timeout: None, expect_single_response: false }
    }
}

/// What one server tells another one about a namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    /// An event for sockets. `args` begins with its name.
    Broadcast {
        /// The event.
        args: Args,
        /// For whom.
        opts: Opts,
    },
    /// An event for sockets that are asked for acks. Answered by [`Message::Asked`] at once, then by
    /// [`Message::Acked`] for each ack.
    Ask {
        /// The request.
        request: RequestId,
        /// The event.
        args: Args,
        /// For whom.
        opts: Opts,
    },
    /// Puts sockets into rooms.
    Join {
        /// Which sockets.
        opts: Opts,
        /// The rooms.
        rooms: Vec<ByteString>,
        /// Set by old servers, which want [`Message::Done`].
        request: Option<RequestId>,
    },
    /// Takes sockets out of rooms.
    Leave {
        /// Which sockets.
        opts: Opts,
        /// The rooms.
        rooms: Vec<ByteString>,
        /// Set by old servers, which want [`Message::Done`].
        request: Option<RequestId>,
    },
    /// Disconnects sockets.
    Disconnect {
        /// Which sockets.
        opts: Opts,
        /// Whether to end their whole sessions.
        close: bool,
        /// Set by old servers, which want [`Message::Done`].
        request: Option<RequestId>,
    },
    /// Asks for the sids in rooms. Only old servers ask it. Answered by [`Message::Sids`].
    ListSids {
        /// The request.
        request: RequestId,
        /// The rooms; all sockets if empty.
        rooms: Vec<ByteString>,
    },
    /// Asks for the names of all rooms. Answered by [`Message::Rooms`].
    ListRooms {
        /// The request.
        request: RequestId,
    },
    /// Asks for sockets. Answered by [`Message::Sockets`].
    Fetch {
        /// The request.
        request: RequestId,
        /// Which sockets.
        opts: Opts,
    },
    /// An event for servers. `args` begins with its name. With a request it is answered by [`Message::ServerAnswer`].
    ServerEvent {
        /// The event.
        args: Args,
        /// The request, if an answer is wanted.
        request: Option<RequestId>,
    },
    /// The client with this secret has come back to the server that says it: the server that has its former socket ends that,
    /// and has the cluster keep it. Only servers of this crate know this message, and only where the cluster keeps sockets.
    Claim {
        /// The secret.
        pid: ByteString,
    },
    /// Number of sockets of the answering server that were asked for acks.
    Asked {
        /// The request.
        request: RequestId,
        /// The number.
        clients: usize,
    },
    /// The ack of one socket: a list of its arguments. The format carries the first one only.
    Acked {
        /// The request.
        request: RequestId,
        /// The ack's arguments.
        args: Args,
    },
    /// Sockets of the answering server.
    Sockets {
        /// The request.
        request: RequestId,
        /// The sockets.
        sockets: Vec<SocketShown>,
    },
    /// The sids of the answering server.
    Sids {
        /// The request.
        request: RequestId,
        /// The sids.
        sids: Vec<ByteString>,
    },
    /// The rooms of the answering server, sids too.
    Rooms {
        /// The request.
        request: RequestId,
        /// The rooms.
        rooms: Vec<ByteString>,
    },
    /// What an old server has asked for is done.
    Done {
        /// The request.
        request: RequestId,
    },
    /// The answer of a server: a list of one argument.
    ServerAnswer {
        /// The request.
        request: RequestId,
        /// The answer.
        args: Args,
    },
}

/// A socket as servers show it to each other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SocketShown {
    /// Its id.
    pub id: ByteString,
    /// Its rooms, the one of its id first.
    pub rooms: Vec<ByteString>,
    /// JSON of its handshake: an object with `headers`, `time`, `address`, `xdomain`, `secure`, `issued`, `url`, `query` and
    /// `auth`.
    pub handshake: ByteString,
    /// JSON of its data.
    pub data: ByteString,
}
