//! Ends a session, once. The first reason wins, and a polling client learns of the end by its next poll.

use std::time::Duration;

use actix::{ActorContext as _, AsyncContext as _, Context};
use log::info;
use tokio::sync::oneshot;

use super::SocketIoSession;
use crate::{
    connection::{Ending, outbound::PollAnswer},
    protocol::{engineio, websocket::close as close_frame},
};

/// Time in which a polling client must poll to learn that the server has ended its session.
const LAST_POLLS: Duration = Duration::from_secs(30);

/// How long a session stays known after its client has closed it by a post: a poll may still arrive on
/// another connection.
const LEAVE: Duration = Duration::from_millis(100);

impl SocketIoSession {
    /// Ends the session now. A polling client without a waiting poll is not told.
    pub(super) fn finish(&mut self, why: Ending, ctx: &mut Context<Self>) {
        let wait = why.is_by_client().then_some(LEAVE);
        self.conclude(why, wait, ctx);
    }

    /// Ends the session after the queued packets. A polling client gets them by its next polls, then the
    /// close packet.
    pub(super) fn finish_orderly(&mut self, why: Ending, ctx: &mut Context<Self>) {
        if why.is_for_backlog() {
            return self.finish(why, ctx);
        }
        self.conclude(why, Some(LAST_POLLS), ctx);
    }

    /// Ends the session because its client broke Engine.IO. A polling client gets the queued packets by its
    /// next polls, then the close packet. If nothing is queued, its next request is refused, as by the
    /// reference server.
    pub(super) fn finish_breach(&mut self, why: Ending, ctx: &mut Context<Self>) {
        let wait = self.outbound.has_waiting().then_some(LAST_POLLS);
        self.conclude(why, wait, ctx);
    }

    /// Ends the session because a request, or the server that stops, asks for it.
    pub(super) fn end_as_asked(&mut self, why: Ending, ctx: &mut Context<Self>) {
        if self.end.is_some() && why == Ending::Restart {
            // The session had ended and waited for its client's next poll. Stop waiting.
            return self.depart(ctx);
        }
        match why {
            // From a post that cannot be decoded, or a second post at one time.
            Ending::ParseError | Ending::TransportError => self.finish_breach(why, ctx),
            why => self.finish(why, ctx),
        }
    }

    /// Carries out every end of a session. The first reason wins. With `wait` a polling client may still
    /// poll.
    fn conclude(&mut self, why: Ending, wait: Option<Duration>, ctx: &mut Context<Self>) {
        if self.end.is_some() {
            return;
        }
        self.end = Some(why.clone());
        self.log_end(&why);
        self.carried.closed(&why, &self.handle);
        self.handle.close();
        // Wake waiting readers.
        self.gate.set_paused(false);
        if let Some(beat) = self.beat.take() {
            ctx.cancel_future(beat);
        }
        self.end_probe(&close_frame::encode_reply(None));
        if self.outbound.is_polling() {
            self.outbound.end();
            return self.conclude_polling(&why, wait, ctx);
        }
        if why.is_for_backlog() {
            self.outbound.clear();
        }
        self.registry.closing().close(&self.outbound, &why.close_frame());
        // After that, so that a server that stops sees either the session or what it still has to write.
        self.admitted = None;
        self.depart(ctx);
    }

    fn conclude_polling(&mut self, why: &Ending, wait: Option<Duration>, ctx: &mut Context<Self>) {
        // Free the session's share of the limits now, even if its client has yet to poll.
        self.admitted = None;
        let is_told = self.outbound.take_poll().is_some_and(|poll| self.answer_last(poll, why));
        // Do not wait for a client that never made a second request, or whose backlog exceeds its limit.
        let is_worth_it =
            self.gate.has_come_back() && self.outbound.waiting_bytes() <= self.outbound.bounds().waiting;
        match wait.filter(|_| !is_told && is_worth_it) {
            Some(wait) => {
                self.remains = Some(self.registry.keep_ended(&self.sid));
                ctx.run_later(wait, |session, ctx| session.depart(ctx));
            }
            None => self.depart(ctx),
        }
    }

    /// Stops the actor. The session's id is unknown from now on.
    pub(super) fn depart(&mut self, ctx: &mut Context<Self>) {
        if self.outbound.is_polling() {
            // What a socket's handler keeps of the session must not keep its queue.
            self.outbound.drop_all();
            self.outbound.release();
        }
        self.registry.forget(&self.sid, self.remains.take());
        ctx.stop();
    }

    /// Answers a poll after the end: first the queued packets, then the close packet. Returns whether the
    /// client has been told everything or is gone.
    pub(super) fn answer_after_end(&self, poll: oneshot::Sender<PollAnswer>, why: &Ending) -> bool {
        if !self.outbound.has_waiting() {
            let mut payload = engineio::NOOP.to_owned();
            if !why.is_by_client() {
                engineio::push_text(&mut payload, engineio::CLOSE);
            }
            // The send fails only if the client is gone.
            let _ = poll.send(PollAnswer::Payload(payload));
            return true;
        }
        if *why == Ending::ClosedByServer {
            return self.answer_last(poll, why);
        }
        let payload = self.outbound.payload(self.registry.settings.max_payload).unwrap_or_default();
        poll.send(PollAnswer::Payload(payload)).is_err()
    }

    /// Answers a poll with the queued packets, and with the close packet if nothing is left. Returns whether
    /// the client has been told everything or is gone.
    fn answer_last(&self, poll: oneshot::Sender<PollAnswer>, why: &Ending) -> bool {
        // A client that closed the session gets a no-op, which only ends its poll.
        let last = if why.is_by_client() { engineio::NOOP } else { engineio::CLOSE };
        let mut payload = self.outbound.payload(self.registry.settings.max_payload).unwrap_or_default();
        let is_last = !self.outbound.has_waiting();
        if is_last {
            engineio::push_text(&mut payload, last);
        }
        poll.send(PollAnswer::Payload(payload)).is_err() || is_last
    }

    fn log_end(&self, why: &Ending) {
        let why = why.socketio_reason();
        self.metrics.sessions.dec();
        self.registry.metrics.socketio_closed(why);
        info!(
            "{} closed: {why}, after {:.1} s and {} packets",
            self.id,
            self.opened.elapsed().as_secs_f64(),
            self.received,
        );
    }
}
