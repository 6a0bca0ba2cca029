//! Events to many sockets.

use std::time::Duration;

use actix::Message;
use bytestring::ByteString;
use tokio::sync::mpsc::UnboundedSender;

use crate::{
    connection::Accepted,
    protocol::socketio::Args,
    socketio::cluster::{Answered, Target},
};

/// Emits an event to many sockets.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Emit {
    /// The namespace's name.
    pub namespace: ByteString,
    /// Which sockets get it.
    pub target: Target,
    /// The event's name and arguments, as a JSON array.
    pub args: Args,
    /// What the recipients can rely on.
    pub guarantee: Guarantee,
    /// Whether the event may be compressed for its recipients.
    pub compress: bool,
    /// The emitting client's intake share, held until the event is delivered.
    pub accepted: Option<Accepted>,
    /// Whether only sockets of this server get it.
    pub is_local: bool,
    /// Whether it is for one socket of this server, and is here for its place in the order alone. Other servers need not
    /// know of it, unless the cluster keeps lost sockets.
    pub is_direct: bool,
}

/// What the recipients of an event can rely on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Guarantee {
    /// Delivered in order, and delivered again to a recovered client that missed it.
    #[default]
    Kept,
    /// Delivered in order, not repeated by recovery.
    Once,
    /// Delivered in order, or skipped for clients that are not writable.
    Volatile,
}

/// Emits an event to many sockets and asks each for an ack.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct EmitWithAck {
    /// The event. Its `guarantee` is ignored: it is delivered in order, not repeated by recovery.
    pub emit: Emit,
    /// How long to wait for acks.
    pub timeout: Duration,
    /// Receives first [`Answered::Expecting`], then one item for each socket that was asked, and is closed after
    /// the last. If the receiver is dropped, the room server stops waiting.
    pub answers: UnboundedSender<Answered>,
}
