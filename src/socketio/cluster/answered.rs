//! What becomes known of the acks of an event to many sockets.

use bytestring::ByteString;

use crate::protocol::socketio::Args;

/// What becomes known of the acks of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answered {
    /// The number of sockets of this server that were asked.
    Expecting(usize),
    /// The number of sockets of another server that were asked.
    ExpectingElsewhere(usize),
    /// Number of servers that have not told how many sockets they have asked.
    SilentServers(usize),
    /// The ack of a socket.
    Of {
        /// The sid of the socket; empty for a socket of another server, which does not tell it.
        sid: ByteString,
        /// The ack's arguments.
        args: Args,
    },
    /// A socket will not ack.
    Missing {
        /// The sid of the socket; empty for a socket of another server.
        sid: ByteString,
        /// Why it will not.
        why: NoAck,
    },
}

/// Why there is no ack of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoAck {
    /// It did not ack in time, or the room server has failed meanwhile.
    TimedOut,
    /// It has left the namespace.
    Left,
}
