//! Messages of a session to itself.

use actix::Message;
use tokio::sync::oneshot;

use crate::connection::outbound::PollAnswer;

/// Answers the waiting poll.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct AnswerPoll;

/// Answers a poll with one packet. Ignored if the client is gone.
pub(super) fn answer(poll: oneshot::Sender<PollAnswer>, packet: &str) {
    let _ = poll.send(PollAnswer::Payload(packet.to_owned()));
}
