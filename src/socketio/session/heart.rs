//! The heartbeat of a session, whose rules are those of all sessions ([`Heartbeat`]).

use std::time::Instant;

use actix::{AsyncContext as _, Context};

use super::SocketIoSession;
use crate::{
    connection::Ending,
    connection::heartbeat::{Beat, Heartbeat, Proof, Signs},
    protocol::engineio,
    socketio::settings::EngineSettings,
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
        let signs = self.signs();
        self.heartbeat.beat(now, signs)
    }

    /// What the client's silence since the last call says. It says nothing if the server did not read from the client, or
    /// if the client is still reading what stands before the ping. A client that polls has come for its packets even
    /// while its posts wait.
    fn signs(&mut self) -> Signs {
        let was_held_back = self.gate.take_held_back();
        if self.outbound.is_polling() {
            let has_polled = std::mem::take(&mut self.has_polled) || self.outbound.has_poll();
            return if was_held_back && has_polled { Signs::HeldBack } else { Signs::Silence };
        }
        let before = std::mem::replace(&mut self.taken, self.outbound.taken_bytes());
        let has_waiting = self.outbound.has_waiting();
        let has_been_read = std::mem::replace(&mut self.received_before, self.received) != self.received;
        match (was_held_back, has_waiting) {
            (true, true) => Signs::Unsent,
            // Its connection is gone, and nothing of what it has sent could be read since.
            (true, false) if self.outbound.is_deaf() && !has_been_read => Signs::Silence,
            (true, false) => Signs::HeldBack,
            (false, true) if self.taken > before => Signs::Unsent,
            (false, _) => Signs::Silence,
        }
    }
}
