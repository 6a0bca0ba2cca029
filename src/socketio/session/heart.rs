//! The heartbeat: the server pings, and the session ends if the answer is late.

use std::time::Instant;

use actix::{AsyncContext as _, Context};

use super::SocketIoSession;
use crate::socketio::EndReason;

impl SocketIoSession {
    /// Extends the deadline of a waiting ping when anything arrives from the client, once per ping.
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

    /// Pings when it is time, and ends the session when the answer is late. The deadline counts from the time
    /// when the ping was due, not from when it was sent.
    fn check_heart(&mut self, ctx: &mut Context<Self>) {
        if self.is_overdue() {
            return self.finish(EndReason::PingTimeout, ctx);
        }
        if self.pong_due.is_none() && Instant::now() >= self.next_ping {
            if self.carried.is_stuck(self.engine.settings.ping_interval) {
                return self.finish_breach(EndReason::ParseError, ctx);
            }
            // Reset the signs, so that only those after the ping count.
            self.is_silence_ours();
            self.down.ping();
            self.pong_due = Some(self.next_ping + self.engine.settings.ping_timeout);
            self.has_been_patient = false;
            self.flush(ctx);
        }
        if self.end.is_none() {
            self.schedule_beat(ctx);
        }
    }

    /// Whether the answer to a ping is late. The deadline is extended if the silence was the server's doing.
    pub(super) fn is_overdue(&mut self) -> bool {
        let now = Instant::now();
        let is_late = self.pong_due.is_some_and(|due| now >= due);
        if is_late && self.is_silence_ours() {
            self.pong_due = Some(now + self.engine.settings.ping_timeout);
            return false;
        }
        is_late
    }

    /// Whether the client's silence since the last call proves nothing: the server did not read from it, or
    /// the client is still reading data before the ping.
    fn is_silence_ours(&mut self) -> bool {
        let was_held_back = self.gate.take_held_back();
        let Some(carrier) = self.down.carrier() else {
            return was_held_back;
        };
        let before = std::mem::replace(&mut self.taken, carrier.outbox().taken_bytes());
        was_held_back || carrier.waiting_bytes() > 0 && self.taken > before
    }
}
