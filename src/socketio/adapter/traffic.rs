//! What passes between the adapter's core, which decides, and the thread that has the connections to Redis.

use std::time::{Duration, Instant};

use bytes::Bytes;
use bytestring::ByteString;
use tokio::sync::mpsc::UnboundedSender;

use crate::{
    protocol::socketio::Args,
    socketio::cluster::{Answered, Deliver, Opts, Order, Restore, Restored, SocketShown, StreamId, Target},
};

/// What is subscribed to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Channel {
    /// `SUBSCRIBE`.
    Plain(ByteString),
    /// `PSUBSCRIBE`, with the special characters of a pattern escaped where they stand for themselves.
    Pattern(ByteString),
    /// `SSUBSCRIBE`.
    Shard(ByteString),
}

/// What comes by a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// Events, in the classic format.
    Broadcasts,
    /// Requests, in the classic format.
    Requests,
    /// Answers, in the classic format.
    Answers,
    /// All messages.
    Any,
}

/// Names a query, for its reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct QueryId(pub(crate) u64);

/// What is asked of Redis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Query {
    /// The number of subscribers of a channel (`PUBSUB NUMSUB`, `PUBSUB SHARDNUMSUB`). Answered by [`Reply::Count`].
    Count {
        /// The channel.
        channel: ByteString,
        /// Whether it is a shard channel.
        is_sharded: bool,
    },
    /// The value of a key, which is deleted in one step (`MULTI GET DEL EXEC`). Answered by [`Reply::Value`].
    Take {
        /// The key.
        key: ByteString,
    },
    /// The last entry of a stream. Answered by [`Reply::Entries`], with one or none.
    Last {
        /// The stream.
        stream: ByteString,
    },
    /// Entries of a stream (`XRANGE`). Answered by [`Reply::Entries`].
    Range {
        /// The stream.
        stream: ByteString,
        /// The first id, as `XRANGE` takes it: an id, or `(` and an id for those behind it.
        from: ByteString,
        /// The last id.
        to: ByteString,
        /// The most entries.
        count: usize,
    },
}

/// What Redis replies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// A number.
    Count(usize),
    /// The value of a key, if there was one.
    Value(Option<Bytes>),
    /// Entries in their order.
    Entries(Vec<Entry>),
}

/// An entry of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Its id.
    pub(crate) id: ByteString,
    /// Its fields and their values, in their order.
    pub(crate) fields: Vec<(Bytes, Bytes)>,
}

/// What the core wants done. Requests to Redis keep their order, except for subscriptions, which have a connection of their
/// own.
#[derive(Debug)]
pub(crate) enum Output {
    /// Subscribes. Told by [`Input::Subscribed`].
    Subscribe(Channel),
    /// Unsubscribes.
    Unsubscribe(Channel),
    /// Publishes a body (`PUBLISH`, `SPUBLISH`).
    Publish {
        /// The channel.
        channel: ByteString,
        /// Whether it is a shard channel.
        is_sharded: bool,
        /// The body.
        body: Bytes,
    },
    /// Appends to a stream, and trims it to about a length (`XADD … MAXLEN ~`).
    Append {
        /// The stream.
        stream: ByteString,
        /// Fields and values.
        fields: Vec<(&'static str, Bytes)>,
        /// The length.
        max_len: usize,
    },
    /// Sets a key that expires (`SET … PX`).
    Store {
        /// The key.
        key: ByteString,
        /// The value.
        value: Bytes,
        /// The time until it expires.
        expires_in: Duration,
    },
    /// Asks Redis. Answered by [`Input::Replied`], unless [`Input::Down`] comes first.
    Query(QueryId, Query),
    /// Reads a stream from behind an id on, for as long as the connections last (`XREAD BLOCK` on a connection of its own).
    /// Told by [`Input::Entries`].
    Read {
        /// The stream.
        stream: ByteString,
        /// The id.
        after: ByteString,
    },
    /// Does something on this server.
    Here(Here),
    /// Has something done that was ordered on this server: its place in the order has come.
    Deliver(Deliver, Option<StreamId>),
    /// Hands over what was restored.
    Restore(Restore, Option<Restored>),
    /// All that was ordered is on its way: the thread sends it, waits until Redis has answered, and ends.
    End,
}

impl Output {
    /// Whether other servers are told something by it.
    pub(crate) fn is_message(&self) -> bool {
        matches!(self, Self::Publish { .. } | Self::Append { .. })
    }

    /// About how many bytes it takes.
    pub(crate) fn len(&self) -> usize {
        let bytes = match self {
            Self::Publish { channel, body, .. } => channel.len() + body.len(),
            Self::Append { fields, .. } => fields.iter().map(|(_, value)| value.len()).sum(),
            Self::Store { key, value, .. } => key.len() + value.len(),
            _ => 0,
        };
        size_of::<Self>() + bytes
    }
}

/// Names what was asked of this server, for its reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct HereId(pub(crate) u64);

/// What is done on this server for another one. Done in the order of the outputs.
#[derive(Debug)]
pub(crate) enum Here {
    /// Events go on behind this offset of the stream.
    Position(StreamId),
    /// Emits an event to this server's sockets.
    Emit {
        /// The namespace.
        namespace: ByteString,
        /// The event.
        args: Args,
        /// For whom.
        opts: Opts,
        /// The event's offset, if the cluster keeps events.
        offset: Option<StreamId>,
    },
    /// Asks this server's sockets for acks. Answered by [`FromHere::Answered`], several times.
    Ask {
        /// For the answers.
        id: HereId,
        /// The namespace.
        namespace: ByteString,
        /// The event.
        args: Args,
        /// For whom, and for how long.
        opts: Opts,
    },
    /// Puts sockets into rooms.
    Join {
        /// The namespace.
        namespace: ByteString,
        /// Which sockets.
        target: Target,
        /// The rooms.
        rooms: Vec<ByteString>,
    },
    /// Takes sockets out of rooms.
    Leave {
        /// The namespace.
        namespace: ByteString,
        /// Which sockets.
        target: Target,
        /// The rooms.
        rooms: Vec<ByteString>,
    },
    /// Disconnects sockets.
    Disconnect {
        /// The namespace.
        namespace: ByteString,
        /// Which sockets.
        target: Target,
        /// Whether to end their whole sessions.
        close: bool,
    },
    /// Ends the socket of a client that has come back to another server, and has the cluster keep it.
    Release {
        /// The namespace.
        namespace: ByteString,
        /// The client's secret.
        pid: ByteString,
    },
    /// Looks up sockets. Answered by [`FromHere::Sockets`].
    Look {
        /// For the answer.
        id: HereId,
        /// The namespace.
        namespace: ByteString,
        /// Which sockets.
        target: Target,
    },
    /// Looks up the rooms. Answered by [`FromHere::Rooms`].
    LookRooms {
        /// For the answer.
        id: HereId,
        /// The namespace.
        namespace: ByteString,
    },
    /// Tells the listeners of an event of servers. Answered by [`FromHere::ServerAnswer`], if an answer is wanted.
    ServerEvent {
        /// For the answer, if one is wanted.
        id: Option<HereId>,
        /// The namespace.
        namespace: ByteString,
        /// The event: a list that begins with its name.
        args: Args,
    },
}

/// What this server answers.
#[derive(Debug)]
pub(crate) enum FromHere {
    /// What becomes known of the acks that were asked for; `None` behind the last.
    Answered(HereId, Option<Answered>),
    /// The sockets.
    Sockets(HereId, Vec<SocketShown>),
    /// The rooms, sids too.
    Rooms(HereId, Vec<ByteString>),
    /// The answer of a listener: a list of one argument.
    ServerAnswer(HereId, Args),
}

/// What the core is told.
#[derive(Debug)]
pub(crate) enum Input {
    /// There are connections to Redis, without subscriptions.
    Up,
    /// The connections are lost, for this reason. Nothing of what was asked will be replied to.
    Down(String),
    /// A subscription is confirmed.
    Subscribed(Channel),
    /// Something was published.
    Published {
        /// The subscription by which it came.
        by: Channel,
        /// The channel that it was published to.
        channel: ByteString,
        /// The body.
        body: Bytes,
    },
    /// New entries of the stream that is read, in their order.
    Entries(Vec<Entry>),
    /// Redis has replied to a query, or refused it.
    Replied(QueryId, Result<Reply, String>),
    /// Redis has refused something that was published or appended: this server will not hear it.
    Refused,
    /// An order of this server.
    Order(Order),
    /// This server has answered.
    FromHere(FromHere),
    /// A time has come that the core wanted to be told of.
    Wake,
}

/// Decides what is done: the adapter's core, or that of a test.
pub(crate) trait Decide: Send + 'static {
    /// Takes an input, and appends what is to be done.
    fn handle(&mut self, now: Instant, input: Input, out: &mut Vec<Output>);

    /// When it wants to be woken.
    fn next_wake(&self) -> Option<Instant>;

    /// Goes on after a panic in [`handle`](Self::handle), without connections: the thread makes new ones.
    fn begin_again(&mut self, out: &mut Vec<Output>);
}

/// Does on this server what the core wants done, in the order of the calls. Called on the thread of the connections, inside of
/// its runtime; answers go to `replies`, at once or from a task.
pub(crate) trait Local: Send + 'static {
    /// Does it.
    fn perform(&mut self, here: Here, replies: &UnboundedSender<FromHere>);
}
