//! Upgrade from polling to a WebSocket. The client opens a WebSocket beside its polls and probes it; its
//! upgrade packet makes the WebSocket the transport. Until then, or if the probe fails, the session continues
//! by polling.

use std::time::{Duration, Instant};

use actix::{AsyncContext as _, Context};
use bytes::Bytes;
use log::debug;

use super::{SocketIoSession, messages::answer};
use crate::{
    connection::outbound::PollAnswer,
    protocol::{
        engineio,
        websocket::{Message as Frame, close as close_frame, deflate::Agreement, frame::OpCode},
    },
    socketio::{
        carrier::{Carrier, Inbound},
        link::Incoming,
        requests::Probe,
    },
};

/// Time after the probe in which a poll that arrived during it waits for the upgrade. Then it is answered.
const POLL_PATIENCE: Duration = Duration::from_millis(100);

/// A WebSocket that the client probes.
pub(super) struct Probing {
    pub(super) carrier: Carrier,
    /// The compression that was agreed on, if any.
    compression: Option<Agreement>,
    has_answered: bool,
    /// A poll arrived after the WebSocket was opened. Its client may have sent the upgrade packet already, on
    /// the other connection.
    pub(super) has_newer_poll: bool,
    is_patience_over: bool,
}

impl Probing {
    /// Whether waiting polls are answered empty: the client upgrades only after its poll has ended.
    pub(super) fn releases_polls(&self) -> bool {
        self.has_answered && (!self.has_newer_poll || self.is_patience_over)
    }
}

/// The close frame for a probe that ends with this input.
fn close_frame_for(inbound: &Inbound) -> Bytes {
    match inbound {
        Inbound::Frame(Frame::Close(frame)) => close_frame::encode_reply(frame.as_ref()),
        Inbound::End(ending) => ending.close_frame(),
        Inbound::Frame(_) => close_frame::encode_reply(None),
    }
}

impl SocketIoSession {
    fn probing_of(&mut self, carrier: &Carrier) -> Option<&mut Probing> {
        self.probing.as_mut().filter(|probing| probing.carrier.is(carrier))
    }

    pub(super) fn heard_from_probe(&mut self, inbound: Inbound, ctx: &mut Context<Self>) {
        let Some(probing) = &mut self.probing else {
            return;
        };
        let text = match &inbound {
            Inbound::Frame(Frame::Text(text)) => &**text,
            Inbound::Frame(Frame::Ping(_) | Frame::Pong(_)) => return,
            _ => "",
        };
        match text {
            "2probe" => {
                let answer = Bytes::from_static(engineio::PROBE_ANSWER.as_bytes());
                probing.carrier.outbound().answer_frame(OpCode::Text, answer);
                if !std::mem::replace(&mut probing.has_answered, true) {
                    let tried = probing.carrier.clone();
                    ctx.run_later(POLL_PATIENCE, move |session, ctx| {
                        // Another WebSocket may be probed by then.
                        if let Some(probing) = session.probing_of(&tried) {
                            probing.is_patience_over = true;
                            session.flush(ctx);
                        }
                    });
                }
            }
            "5" => self.upgrade(ctx),
            _ => {
                // Closes only the WebSocket; the session continues.
                self.end_probe(&close_frame_for(&inbound));
            }
        }
        self.flush(ctx);
    }

    /// Closes the WebSocket that is probed, if there is one. The session continues.
    pub(super) fn end_probe(&mut self, frame: &[u8]) {
        if let Some(probing) = self.probing.take() {
            self.registry.closing().close(&probing.carrier.outbound(), frame);
        }
    }

    fn upgrade(&mut self, ctx: &mut Context<Self>) {
        let Some(Probing { carrier, compression, has_newer_poll, .. }) = self.probing.take() else {
            return;
        };
        debug!("{} has upgraded to a websocket", self.id);
        self.gate.set_polling(false);
        let poll = self.outbound.upgrade(&carrier.outbound());
        carrier.carry(self.outbound.clone());
        self.handle.set_compression(compression);
        if let Some(poll) = poll {
            if has_newer_poll {
                drop(poll.send(PollAnswer::BadRequest));
            } else {
                answer(poll, engineio::NOOP);
            }
        }
        self.heartbeat.restart(Instant::now());
        self.schedule_beat(ctx);
        self.carry(|carried, handle| carried.upgraded(handle));
    }
}

impl SocketIoSession {
    /// Has a WebSocket probed.
    pub(super) fn probe(&mut self, Probe { socket, takes }: Probe, ctx: &mut Context<Self>) {
        let incoming = match Incoming::new(socket, takes, false, &self.registry) {
            Ok(incoming) => incoming,
            Err(error) => {
                return debug!("{}: a client is gone before it has probed its websocket: {error}", self.id);
            }
        };
        let (carrier, compression) = (incoming.carrier.clone(), incoming.compression);
        if self.end.is_some() || self.probing.is_some() || !self.outbound.is_polling() {
            let frame = close_frame::encode_reply(None);
            return self.registry.closing().close(&carrier.outbound(), &frame);
        }
        self.attach(incoming, ctx);
        let tried = carrier.clone();
        self.probing = Some(Probing {
            carrier,
            compression,
            has_answered: false,
            has_newer_poll: false,
            is_patience_over: false,
        });
        ctx.run_later(self.registry.settings.upgrade_timeout, move |session, _| {
            if session.probing_of(&tried).is_some() {
                session.end_probe(&close_frame::encode_reply(None));
            }
        });
    }
}
