//! What the servers of one cluster tell each other, whatever carries it.
//!
//! A server hands [`Order`]s to its [`Adapter`], which brings them to the other servers as [`Message`]s. Without an adapter a
//! server is alone.

use std::fmt;

use bytestring::ByteString;

pub(crate) use self::{
    answered::{Answered, NoAck},
    message::{Flags, Message, Opts, RequestId, SocketShown},
    order::{
        AnswersElsewhere, Deliver, FoundElsewhere, Mode, Order, Restore, Restored, RoomsElsewhere,
        ServerEventHeard, Session,
    },
    stream_id::StreamId,
    target::Target,
};

mod answered;
mod message;
mod order;
mod stream_id;
mod target;

/// Carries what a server tells the others of its cluster.
pub(crate) trait Adapter: fmt::Debug + Send + Sync {
    /// Takes an order. Orders of one thread are carried out in the order in which it gives them. Never waits.
    fn order(&self, order: Order);

    /// How events of a namespace reach this server's own sockets; `None` if the namespace is not shared with others.
    fn mode(&self, namespace: &ByteString) -> Option<Mode>;

    /// The offset of the last event of the cluster that was handed over, if the cluster keeps events.
    fn position(&self) -> StreamId;

    /// Whether lost sockets are kept by the cluster, not by each server.
    fn keeps_sessions(&self) -> bool;

    /// Whether the cluster is to have each change of a socket, not only the socket once it is lost.
    fn keeps_changes(&self) -> bool;

    /// Whether others' events for rooms without sockets of this server are dropped unread, so that rooms are to be told.
    fn asks_for_rooms(&self) -> bool;
}
