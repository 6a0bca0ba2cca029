//! What a session's actor is told by the requests and connections of its client.

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
    /// In their order.
    pub(crate) packets: Vec<Packet>,
    /// Whether a post begins with them.
    pub(crate) is_first: bool,
    /// Whether what follows in the post is no packet.
    pub(crate) is_broken: bool,
}

#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct EndSession(pub(crate) EndReason);

/// The session has ended, and is not to wait any longer for its client to come and hear of it.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Depart;

/// The poll that waits is to be answered.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct AnswerPoll;

/// Something has been left in the downlink while nobody looked.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Flush;

/// A WebSocket wants to carry a session that polls.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Probe(pub Arc<Pipe>);

/// Messages that came over a WebSocket, in their order.
#[derive(Debug, Message)]
#[rtype(result = "Heard")]
pub struct FromPipe {
    /// The WebSocket.
    pub pipe: Arc<Pipe>,
    /// What came.
    pub batch: PipeBatch,
}

/// What has come over a WebSocket and is handed on together; most often one message.
pub type PipeBatch = SmallVec<[PipeInbound; 1]>;

/// What became of a batch.
#[derive(Debug, MessageResponse)]
pub struct Heard {
    /// Whether the WebSocket carries the session.
    pub is_carrier: bool,
    /// The end of the batch, which the session could not take: it is to be handed on when the session's gate is open.
    pub rest: PipeBatch,
}

/// What comes over a WebSocket.
#[derive(Debug)]
pub enum PipeInbound {
    /// A message or a control frame.
    Frame(Frame),
    /// It breaks the protocol; nothing more comes.
    Broken(ProtocolError),
    /// A message that has begun comes too slowly; nothing more comes.
    TooSlow,
    /// What has come of a message is more than there is room for; nothing more comes.
    OutOfMemory,
    /// It has ended.
    Lost,
}
