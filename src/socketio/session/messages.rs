//! Messages to a session's actor from its client's requests and connections.

use actix::Message;
use tokio::sync::oneshot;

use super::super::{EndReason, PollAnswer};
use crate::{connection::detached::Socket, protocol::engineio::Packet};

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

/// A WebSocket that the client of a polling session probes for an upgrade.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Probe {
    /// Its socket.
    pub(crate) socket: Socket,
    /// Whether its client takes no binary frames.
    pub(crate) wants_base64: bool,
}

/// Answers a poll with one packet. Ignored if the client is gone.
pub(super) fn answer(poll: oneshot::Sender<PollAnswer>, packet: &str) {
    let _ = poll.send(PollAnswer::Payload(packet.to_owned()));
}
