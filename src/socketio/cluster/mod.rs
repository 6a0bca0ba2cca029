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
        AnswersElsewhere, Deliver, FoundElsewhere, Mode, Order, Restored, RoomsElsewhere, ServerEventHeard,
        Session,
    },
    target::Target,
};

mod answered;
mod message;
mod order;
mod target;

/// Carries what a server tells the others of its cluster.
pub(crate) trait Adapter: fmt::Debug + Send + Sync {
    /// Takes an order. Orders of one thread are carried out in the order in which it gives them. Never waits.
    fn order(&self, order: Order);

    /// How events of a namespace reach this server's own sockets; `None` if the namespace is not shared with others.
    fn mode(&self, namespace: &ByteString) -> Option<Mode>;

    /// Whether lost sockets are kept by the cluster, not by each server.
    fn keeps_sessions(&self) -> bool;
}
