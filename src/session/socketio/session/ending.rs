//! How a session ends: one way out, and a last word to a client that polls.

use std::{sync::Arc, time::Duration};

use actix::{ActorContext as _, AsyncContext as _, Context};
use log::info;

use super::{SocketIoSession, Transport};
use crate::{
    chat::Dismissal,
    protocol::{close, engineio},
    session::socketio::{EndReason, PollAnswer},
};

/// How long a client that polls has to come and hear that the server has ended its session.
const LAST_WORDS: Duration = Duration::from_secs(30);

/// How long a client that has posted its leave is still known: its poll may be on its way by another connection.
const LEAVE: Duration = Duration::from_millis(100);

impl SocketIoSession {
    /// The one way out, harmless when called twice.
    pub(super) fn finish(&mut self, why: EndReason, ctx: &mut Context<Self>) {
        if self.end.replace(why).is_some() {
            return;
        }
        self.log_end(why);
        self.carried.closed(why);
        if let Some(probing) = self.probing.take() {
            probing.pipe.close(None);
        }
        if let Transport::WebSocket(pipe) = &self.transport {
            let pipe = Arc::clone(pipe);
            if why != EndReason::SlowConsumer {
                self.pour(&pipe);
            }
            pipe.close(match why {
                EndReason::SlowConsumer => Some(close::SLOW_CONSUMER),
                EndReason::ServerShuttingDown => Some(close::RESTART),
                EndReason::Flood => Some(close::FLOOD),
                _ => None,
            });
        } else if !self.say_last_words(why)
            && let Some(wait) = last_wait(why)
        {
            // Nothing to tell it by, just now: at its next poll.
            ctx.run_later(wait, |session, ctx| session.depart(ctx));
            return;
        }
        self.depart(ctx);
    }

    /// Nobody finds the session any more.
    pub(super) fn depart(&mut self, ctx: &mut Context<Self>) {
        self.engine.forget(&self.sid);
        ctx.stop();
    }

    /// Gives a client that polls what is left for it, and with the last of that the news that it is over; whether it has
    /// been told.
    pub(super) fn say_last_words(&mut self, why: EndReason) -> bool {
        let Transport::Polling(waiting) = &mut self.transport else {
            return false;
        };
        let Some(poll) = waiting.take() else {
            return false;
        };
        // A client that has closed is released; another one is told.
        let last = if why == EndReason::TransportClose { engineio::NOOP } else { engineio::CLOSE };
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

/// How long a session that is over waits for a poll to tell it by.
fn last_wait(why: EndReason) -> Option<Duration> {
    match why {
        EndReason::ForcedClose => Some(LAST_WORDS),
        EndReason::TransportClose => Some(LEAVE),
        _ => None,
    }
}

/// What a session's end is called whose server wants no more of it.
pub(super) fn reason_of(why: Dismissal) -> EndReason {
    match why {
        Dismissal::Restart => EndReason::ServerShuttingDown,
        Dismissal::SlowConsumer => EndReason::SlowConsumer,
        Dismissal::TooManyRooms => EndReason::ForcedClose,
    }
}
