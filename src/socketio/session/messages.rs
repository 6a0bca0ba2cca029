//! Messages to a session's actor from its client's requests and connections.

use std::sync::Arc;

use actix::{Message, MessageResponse};
use smallvec::SmallVec;
use tokio::sync::oneshot;

use super::super::{EndReason, PollAnswer};
use crate::{
    connection::pipe::Pipe,
    protocol::{
        engineio::Packet,
        websocket::{Message as Frame, ProtocolError},
    },
};

#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct TakePoll(pub(crate) oneshot::Sender<PollAnswer>);

#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct RequestGone;

#[derive(Message)]
#[rtype(result = "bool")]
pub(crate) struct TakePackets {
    /// In the order of the post.
    pub(crate) packets: Vec<Packet>,
    /// Whether these are the first packets of a post.
    pub(crate) is_first: bool,
    /// Whether the next packet of the post cannot be decoded.
    pub(crate) is_broken: bool,
}

#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct EndSession(pub(crate) EndReason);

/// Stops an ended session that waited for its client's next poll.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Depart;

/// Answers the waiting poll.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct AnswerPoll;

/// Asks the session to flush packets that were queued outside its turn.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Flush;

/// A WebSocket that the client of a polling session probes for an upgrade.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Probe(pub Arc<Pipe>);

/// Messages from a WebSocket, in order.
#[derive(Debug, Message)]
#[rtype(result = "Heard")]
pub struct FromPipe {
    /// The WebSocket.
    pub pipe: Arc<Pipe>,
    /// The messages.
    pub batch: PipeBatch,
}

/// Messages of one batch; usually one.
pub type PipeBatch = SmallVec<[PipeInbound; 1]>;

/// Result of a batch.
#[derive(Debug, MessageResponse)]
pub struct Heard {
    /// Whether the WebSocket carries the session.
    pub is_carrier: bool,
    /// The messages that the session did not take. Send them again when the session's gate is open.
    pub rest: PipeBatch,
}

/// One item from a WebSocket.
#[derive(Debug)]
pub enum PipeInbound {
    /// A data message or a control frame.
    Frame(Frame),
    /// The frames broke the protocol or a limit; the last item.
    Broken(ProtocolError),
    /// An unfinished message arrived too slowly; the last item.
    TooSlow,
    /// The memory budget has no room for an unfinished message; the last item.
    OutOfMemory,
    /// The connection ended; the last item.
    Lost,
}
