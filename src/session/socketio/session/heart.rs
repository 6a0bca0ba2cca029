//! Heartbeats: the server pings, the client answers in time, or the session is over.

use std::time::Instant;

use actix::{AsyncContext as _, Context};
use bytestring::ByteString;

use super::SocketIoSession;
use crate::{
    protocol::engineio,
    session::socketio::{EndReason, downlink::Down},
};

impl SocketIoSession {
    /// Whatever comes while a ping is unanswered gives the client another while, once.
    pub(super) fn note_life(&mut self, ctx: &mut Context<Self>) {
        if self.pong_due.is_some() && !std::mem::replace(&mut self.has_been_patient, true) {
            self.pong_due = Some(Instant::now() + self.engine.settings.ping_timeout);
            self.schedule_beat(ctx);
        }
    }

    pub(super) fn schedule_beat(&mut self, ctx: &mut Context<Self>) {
        if let Some(beat) = self.beat.take() {
            ctx.cancel_future(beat);
        }
        let next = self.pong_due.unwrap_or(self.next_ping);
        let wait = next.saturating_duration_since(Instant::now());
        self.beat = Some(ctx.run_later(wait, |session, ctx| {
            session.beat = None;
            session.check_heart(ctx);
        }));
    }

    /// Pings when it is time, and ends the session when the answer is overdue. Deadlines count from when a ping was due,
    /// not from when it was sent.
    fn check_heart(&mut self, ctx: &mut Context<Self>) {
        let now = Instant::now();
        match self.pong_due {
            Some(due) if now >= due => return self.finish(EndReason::PingTimeout, ctx),
            Some(_) => {}
            None if now >= self.next_ping => {
                if self.carried.is_stuck(self.engine.settings.ping_interval) {
                    return self.finish(EndReason::ParseError, ctx);
                }
                self.down.put(Down::Text(ByteString::from_static(engineio::PING)));
                self.pong_due = Some(self.next_ping + self.engine.settings.ping_timeout);
                self.has_been_patient = false;
                self.flush(ctx);
            }
            None => {}
        }
        if self.end.is_none() {
            self.schedule_beat(ctx);
        }
    }
}
