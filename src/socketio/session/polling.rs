//! HTTP polls and posts of a session.

use actix::{AsyncContext as _, Context, Handler};
use tokio::sync::oneshot;

use super::{
    SocketIoSession,
    messages::{AnswerPoll, answer},
    upgrade::Probing,
};
use crate::{
    connection::{Ending, outbound::PollAnswer},
    protocol::engineio,
    socketio::requests::Packets,
};

impl SocketIoSession {
    /// Answers the waiting poll at the end of this turn, if packets wait then: later packets of the turn go
    /// with it.
    pub(super) fn flush_to_poll(&mut self, ctx: &mut Context<Self>) {
        if !self.outbound.has_poll() {
            return;
        }
        if self.outbound.has_waiting() {
            if !std::mem::replace(&mut self.is_answer_due, true) {
                ctx.notify(AnswerPoll);
            }
        } else if self.probing.as_ref().is_some_and(Probing::releases_polls)
            && let Some(poll) = self.outbound.take_poll()
        {
            answer(poll, engineio::NOOP);
        }
    }
}

impl Handler<AnswerPoll> for SocketIoSession {
    type Result = ();

    fn handle(&mut self, _: AnswerPoll, ctx: &mut Self::Context) {
        self.is_answer_due = false;
        if self.end.is_some() || !self.outbound.has_waiting() {
            return;
        }
        if let Some(poll) = self.outbound.take_poll() {
            let payload = self.outbound.payload(self.registry.settings.max_payload).unwrap_or_default();
            if poll.send(PollAnswer::Payload(payload)).is_err() {
                self.finish(Ending::Lost, ctx);
            }
            self.flush(ctx);
        }
    }
}

impl SocketIoSession {
    /// Takes a poll: it is answered when there are packets.
    pub(super) fn take_poll(&mut self, poll: oneshot::Sender<PollAnswer>, ctx: &mut Context<Self>) {
        self.has_polled = true;
        if self.end.is_none() && self.is_overdue() {
            self.finish(Ending::Silent, ctx);
            // Ignored if the client is gone.
            let _ = poll.send(PollAnswer::Over);
            return;
        }
        if !self.outbound.is_polling() {
            return drop(poll.send(PollAnswer::BadRequest));
        }
        if let Some(why) = &self.end {
            if self.answer_after_end(poll, why) {
                self.depart(ctx);
            }
            return;
        }
        if let Err(poll) = self.outbound.offer_poll(poll) {
            let _ = poll.send(PollAnswer::BadRequest);
            return self.finish_breach(Ending::TransportError, ctx);
        }
        self.probing.iter_mut().for_each(|probing| probing.has_newer_poll = true);
        self.flush(ctx);
    }

    /// The client has given a request up.
    pub(super) fn request_gone(&mut self, ctx: &mut Context<Self>) {
        if self.outbound.is_polling() {
            self.finish(Ending::Lost, ctx);
        }
    }

    /// Takes packets of a post. Returns whether they were accepted.
    pub(super) fn take_packets(&mut self, posted: Packets, ctx: &mut Context<Self>) -> bool {
        let Packets { packets, is_first, is_broken } = posted;
        // A client may upgrade while the rest of its post waits.
        if self.end.is_some() || is_first && !self.outbound.is_polling() {
            return false;
        }
        for packet in packets {
            // Packets after one that ended the session are ignored.
            if self.end.is_none() && self.handle.ending().is_none() {
                self.take_packet(packet, ctx);
            }
        }
        if is_broken && self.handle.ending().is_none() {
            self.finish_breach(Ending::ParseError, ctx);
        }
        self.flush(ctx);
        !is_broken
    }
}
