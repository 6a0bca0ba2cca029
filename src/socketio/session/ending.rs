//! How a session ends: one way out, of which the first ending counts, and a last word to a client that polls.

use std::time::Duration;

use actix::{ActorContext as _, AsyncContext as _, Context};
use bytes::Bytes;
use log::info;
use tokio::sync::oneshot;

use super::SocketIoSession;
use crate::{
    broadcast::Dismissal,
    protocol::{
        engineio,
        websocket::{CloseFrame, ProtocolError, close as close_frame},
    },
    socketio::{EndReason, PollAnswer},
};

/// How long a client that polls has to come and hear that the server has ended its session.
const LAST_WORDS: Duration = Duration::from_secs(30);

/// How long a client that has posted its leave is still known: its poll may be on its way by another connection.
const LEAVE: Duration = Duration::from_millis(100);

impl SocketIoSession {
    /// Ends the session at once: a client that polls, and has no poll waiting, is not told.
    pub(super) fn finish(&mut self, why: EndReason, ctx: &mut Context<Self>) {
        let wait = why.is_by_client().then_some(LEAVE);
        self.conclude(why, close_frame_for(why), wait, ctx);
    }

    /// Ends the session behind what is queued: a client that polls gets that by its next polls, and then the news.
    pub(super) fn finish_orderly(&mut self, why: EndReason, ctx: &mut Context<Self>) {
        if why.is_for_what_waits() {
            return self.finish(why, ctx);
        }
        self.conclude(why, close_frame_for(why), Some(LAST_WORDS), ctx);
    }

    /// Ends the session because its client breaks Engine.IO. A client that polls gets what is queued by its next polls, and
    /// then the news. If nothing is queued its requests are refused from here on, as by the reference.
    pub(super) fn finish_breach(&mut self, why: EndReason, ctx: &mut Context<Self>) {
        let wait = (!self.down.is_empty()).then_some(LAST_WORDS);
        self.conclude(why, close_frame_for(why), wait, ctx);
    }

    /// Ends the session because its client has closed the WebSocket, which is answered with the client's own code.
    pub(super) fn finish_closed(&mut self, received: Option<&CloseFrame>, ctx: &mut Context<Self>) {
        self.conclude(EndReason::ClientClose, close_frame::encode_reply(received), None, ctx);
    }

    /// Ends the session because what its client sends over the WebSocket breaks a rule or a limit.
    pub(super) fn finish_broken(&mut self, error: ProtocolError, ctx: &mut Context<Self>) {
        self.conclude(EndReason::TransportError, close_frame::encode(error.close_reason()), None, ctx);
    }

    /// The one way out. The first ending counts.
    fn conclude(&mut self, why: EndReason, frame: Bytes, wait: Option<Duration>, ctx: &mut Context<Self>) {
        if self.end.is_some() {
            return;
        }
        self.end = Some(why);
        self.log_end(why);
        self.carried.closed(why);
        self.down.close();
        // Its place is free, whatever is still to be said, and nothing waits for it to be read from.
        self.admitted = None;
        self.gate.set_paused(false);
        if let Some(beat) = self.beat.take() {
            ctx.cancel_future(beat);
        }
        if let Some(probing) = self.probing.take() {
            probing.pipe.close(None);
        }
        let Some(pipe) = self.down.pipe() else {
            return self.conclude_polling(why, wait, ctx);
        };
        if why.is_for_what_waits() {
            pipe.clear();
        } else {
            self.down.pour(&pipe, usize::MAX);
        }
        pipe.close_with(frame);
        self.depart(ctx);
    }

    fn conclude_polling(&mut self, why: EndReason, wait: Option<Duration>, ctx: &mut Context<Self>) {
        let is_told = self.down.take_poll().is_some_and(|poll| self.answer_last(poll, why));
        // One that never came back, or is far behind, is not waited for.
        let is_worth_it = self.gate.has_come_back() && self.down.bytes() <= self.engine.settings.max_waiting;
        match wait.filter(|_| !is_told && is_worth_it) {
            Some(wait) => {
                self.remains = Some(self.engine.keep_ended(&self.sid));
                ctx.run_later(wait, |session, ctx| session.depart(ctx));
            }
            None => self.depart(ctx),
        }
    }

    /// Nobody finds the session any more.
    pub(super) fn depart(&mut self, ctx: &mut Context<Self>) {
        self.engine.forget(&self.sid, self.remains.take());
        ctx.stop();
    }

    /// A client polls whose session has ended meanwhile: first it gets what was queued before that, then the news. Whether
    /// it has been told all, or has gone.
    pub(super) fn say_last_words(&self, poll: oneshot::Sender<PollAnswer>, why: EndReason) -> bool {
        if self.down.is_empty() {
            let mut payload = engineio::NOOP.to_owned();
            if !why.is_by_client() {
                engineio::push_text(&mut payload, engineio::CLOSE);
            }
            // It has left if this does not reach it.
            let _ = poll.send(PollAnswer::Payload(payload));
            return true;
        }
        if why == EndReason::ForcedClose {
            return self.answer_last(poll, why);
        }
        let payload = self.down.payload(self.engine.settings.max_payload).unwrap_or_default();
        poll.send(PollAnswer::Payload(payload)).is_err()
    }

    /// Answers a poll with what is left, and if that was all with the news that the session is over. Whether its client has
    /// been told that, or has gone.
    fn answer_last(&self, poll: oneshot::Sender<PollAnswer>, why: EndReason) -> bool {
        // A client that has closed is released; another one is told.
        let last = if why.is_by_client() { engineio::NOOP } else { engineio::CLOSE };
        let mut payload = self.down.payload(self.engine.settings.max_payload).unwrap_or_default();
        let is_last = self.down.is_empty();
        if is_last {
            engineio::push_text(&mut payload, last);
        }
        poll.send(PollAnswer::Payload(payload)).is_err() || is_last
    }

    fn log_end(&self, why: EndReason) {
        self.metrics.sessions.dec();
        self.engine.metrics.socketio_closed(&why.to_string());
        info!(
            "{} closed: {why}, after {:.1} s and {} messages",
            self.id,
            self.opened.elapsed().as_secs_f64(),
            self.received,
        );
    }
}

/// The close frame by which a WebSocket is told.
fn close_frame_for(why: EndReason) -> Bytes {
    why.close_reason().map_or_else(|| close_frame::encode_reply(None), close_frame::encode)
}

/// What a session's end is called whose server wants no more of it.
pub(super) fn reason_of(why: Dismissal) -> EndReason {
    match why {
        Dismissal::Restart => EndReason::ServerShuttingDown,
        Dismissal::SlowConsumer => EndReason::SlowConsumer,
        Dismissal::OutOfMemory => EndReason::OutOfMemory,
        Dismissal::TooManyRooms => EndReason::ForcedClose,
    }
}
