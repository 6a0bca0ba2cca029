//! The heartbeat of a session, whose rules are those of all sessions ([`Heartbeat`]).

use std::time::Instant;

use actix::{AsyncContext as _, Context};

use super::SocketIoSession;
use crate::{
    connection::heartbeat::{Beat, Heartbeat, Proof, Signs},
    protocol::engineio,
    socketio::{Ending, EngineSettings},
};

/// A heartbeat as Engine.IO has it.
pub(super) fn heartbeat(now: Instant, settings: &EngineSettings) -> Heartbeat {
    Heartbeat::new(now, settings.ping_interval, settings.ping_timeout, Proof::Pong)
}

impl SocketIoSession {
    /// Notes that something has come from the client.
    pub(super) fn note_life(&mut self, ctx: &mut Context<Self>) {
        if self.heartbeat.heard(Instant::now()) {
            self.schedule_beat(ctx);
        }
    }

    pub(super) fn schedule_beat(&mut self, ctx: &mut Context<Self>) {
        if let Some(beat) = self.beat.take() {
            ctx.cancel_future(beat);
        }
        let wait = self.heartbeat.next().saturating_duration_since(Instant::now());
        self.beat = Some(ctx.run_later(wait, |session, ctx| {
            session.beat = None;
            session.check_heart(ctx);
        }));
    }

    /// Pings when it is time, and ends the session when the answer is late.
    fn check_heart(&mut self, ctx: &mut Context<Self>) {
        let now = Instant::now();
        if self.heartbeat.is_ping_due(now) && self.carried.is_stuck(self.registry.settings.ping_interval) {
            return self.finish_breach(Ending::ParseError, ctx);
        }
        match self.beat(now) {
            Beat::Gone => return self.finish(Ending::Silent, ctx),
            Beat::Ping(_) => {
                self.outbound.answer_first(engineio::PING);
                self.flush(ctx);
            }
            Beat::Wait(_) => {}
        }
        if self.end.is_none() {
            self.schedule_beat(ctx);
        }
    }

    /// Whether the answer to a ping is late.
    pub(super) fn is_overdue(&mut self) -> bool {
        let now = Instant::now();
        self.heartbeat.is_late(now) && self.beat(now) == Beat::Gone
    }

    fn beat(&mut self, now: Instant) -> Beat {
        let signs = if self.is_silence_ours() { Signs::HeldBack } else { Signs::Silence };
        self.heartbeat.beat(now, signs)
    }

    /// Whether the client's silence since the last call proves nothing: the server did not read from it, or
    /// the client is still reading data before the ping.
    fn is_silence_ours(&mut self) -> bool {
        let was_held_back = self.gate.take_held_back();
        if self.outbound.is_polling() {
            return was_held_back;
        }
        let before = std::mem::replace(&mut self.taken, self.outbound.taken_bytes());
        was_held_back || self.outbound.has_waiting() && self.taken > before
    }
}
