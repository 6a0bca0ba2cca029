//! One Engine.IO session as an actor, whichever transport carries it.
//!
//! This file takes packets from the client and flushes packets to it; submodules have the heartbeat, the
//! upgrade to a WebSocket, and the end. A [`Carried`] interprets the messages.

use std::{sync::Arc, time::Instant};

use actix::{Actor, Addr, AsyncContext as _, Context, Handler, SpawnHandle, StreamHandler};
use bytes::Bytes;
use log::info;

use super::{
    Carried, Ending, Visitor,
    carrier::{Heard, Inbound},
    gate::Gate,
    handle::{Facts, Flush, Flusher, SessionHandle},
    link::Incoming,
    registry::{Registry, Sid},
    requests::Request,
};
use crate::{
    broadcast::Delivery,
    connection::{
        Lease,
        admission::Admitted,
        heartbeat::Heartbeat,
        outbound::Outbound,
        rate::{Measure, Meter},
        upload::{Progress, Upload},
    },
    domain::{SessionId, SocketId},
    metrics::ProtocolMetrics,
    protocol::{
        engineio::Packet,
        websocket::{Message as Frame, frame::OpCode},
    },
};

mod ending;
mod heart;
mod messages;
mod polling;
mod upgrade;

use self::upgrade::Probing;

/// Mailbox capacity in messages. Only a backstop: [`Intake`](crate::connection::Intake) limits the bytes.
const MAILBOX_CAPACITY: usize = 1024;

/// The actor of one Engine.IO session.
pub(super) struct SocketIoSession {
    id: SessionId,
    registry: Arc<Registry>,
    sid: Sid,
    opened: Instant,
    received: u64,
    /// That number at the last check of the heartbeat.
    received_before: u64,
    metrics: ProtocolMetrics,
    /// Rate limit of packets without a meaning here.
    meter: Option<Meter>,
    probing: Option<Probing>,
    outbound: Outbound,
    handle: SessionHandle,
    gate: Arc<Gate>,
    carried: Box<dyn Carried>,
    heartbeat: Heartbeat,
    /// Bytes that the socket had taken at the last check of the heartbeat.
    taken: u64,
    /// Whether a poll has come since the heartbeat was last asked.
    has_polled: bool,
    beat: Option<SpawnHandle>,
    /// The waiting poll will be answered at the end of this turn.
    is_answer_due: bool,
    end: Option<Ending>,
    /// Charged for an event whose attachments are missing.
    lease: Lease,
    /// Minimum rate of those attachments.
    upload: Upload,
    /// A timer will check that rate.
    is_upload_watched: bool,
    /// The session's number among the ended sessions in [`Registry::keep_ended`].
    remains: Option<u64>,
    admitted: Option<Admitted>,
}

impl SocketIoSession {
    /// Starts the session's actor.
    pub(super) fn start(
        registry: Arc<Registry>,
        sid: Sid,
        incoming: Option<Incoming>,
        carried: Box<dyn Carried>,
        visitor: Visitor,
        gate: Arc<Gate>,
    ) -> Addr<Self> {
        let flusher = Arc::<Flusher>::default();
        let outbound = match &incoming {
            Some(incoming) => incoming.carrier.outbound(),
            None => {
                let lease = Lease::of_waiting(registry.budget());
                let (bounds, session) = (registry.settings.bounds(), Arc::clone(&flusher).into());
                Outbound::polled(bounds, lease, session, registry.metrics.bytes_sent())
            }
        };
        let facts = Facts {
            sid: Arc::clone(&sid),
            request: visitor.request,
            _lease: visitor.lease,
            state: visitor.state,
        };
        let handle = SessionHandle::new(outbound.clone(), gate.intake(), facts, flusher);
        handle.set_compression(incoming.as_ref().and_then(|incoming| incoming.compression));
        let now = Instant::now();
        let session = Self {
            id: SessionId::next(),
            sid,
            opened: now,
            received: 0,
            received_before: 0,
            metrics: registry.metrics.protocol("socketio"),
            meter: registry.settings.rate.map(|limit| Meter::new(limit, now)),
            probing: None,
            outbound,
            handle,
            gate,
            carried,
            heartbeat: heart::heartbeat(now, &registry.settings),
            taken: 0,
            has_polled: false,
            beat: None,
            is_answer_due: false,
            end: None,
            remains: None,
            lease: registry.lease(),
            upload: Upload::new(registry.settings.upload),
            is_upload_watched: false,
            registry,
            admitted: visitor.admitted,
        };
        Self::create(|ctx| {
            ctx.set_mailbox_capacity(MAILBOX_CAPACITY);
            if let Some(incoming) = incoming {
                session.attach(incoming, ctx);
            }
            session
        })
    }

    fn take_packet(&mut self, packet: Packet, ctx: &mut Context<Self>) {
        self.note_life(ctx);
        match packet {
            Packet::Message(text) => {
                self.received += 1;
                self.metrics.bytes_in.inc_by(text.len() as u64);
                self.carry(|carried, handle| carried.text(text, handle));
            }
            Packet::Binary(bytes) => {
                self.received += 1;
                self.metrics.bytes_in.inc_by(bytes.len() as u64);
                self.carry(|carried, handle| carried.binary(bytes, handle));
            }
            Packet::Pong(_) if self.heartbeat.pong(Instant::now()) => self.schedule_beat(ctx),
            Packet::Close => self.finish(Ending::ClosedByClient(None), ctx),
            // Only the server sends pings.
            Packet::Ping(_) => self.finish_breach(Ending::ParseError, ctx),
            Packet::Open | Packet::Pong(_) | Packet::Upgrade | Packet::Noop => self.note_nothing(ctx),
        }
        self.check_unfinished(ctx);
    }

    /// Ends the session if an unfinished message is too large or arrives too slowly.
    fn check_unfinished(&mut self, ctx: &mut Context<Self>) {
        let held = self.carried.unfinished();
        if self.lease.hold(held).is_err() {
            return self.finish(Ending::OutOfMemory, ctx);
        }
        if held == 0 {
            return self.upload.reset();
        }
        if held > self.registry.settings.max_size(self.carried.is_known()) {
            return self.finish_orderly(Ending::TooBig, ctx);
        }
        let now = Instant::now();
        match self.upload.progress(held, now) {
            Progress::Fine => {}
            Progress::TooSlow => self.finish_orderly(Ending::TooSlow, ctx),
            Progress::FineUntil(until) => {
                if !std::mem::replace(&mut self.is_upload_watched, true) {
                    ctx.run_later(until - now, |session, ctx| {
                        session.is_upload_watched = false;
                        if session.end.is_none() {
                            session.check_unfinished(ctx);
                        }
                    });
                }
            }
        }
    }

    /// Runs a method of [`Carried`]. The caller must flush afterwards.
    fn carry(&mut self, turn: impl FnOnce(&mut dyn Carried, &SessionHandle)) {
        self.handle.set_flush_due(true);
        turn(&mut *self.carried, &self.handle);
    }

    /// Counts a packet without a meaning. A flood ends the session.
    fn note_nothing(&mut self, ctx: &mut Context<Self>) {
        let measure = self.meter.as_mut().map(|meter| meter.measure(Instant::now()));
        if measure == Some(Measure::Flood) {
            self.finish_orderly(Ending::Flood, ctx);
        }
    }

    /// Has the waiting poll answered, and ends the session if that is due.
    fn flush(&mut self, ctx: &mut Context<Self>) {
        self.handle.set_flush_due(false);
        if self.end.is_some() {
            return;
        }
        if let Some(why) = self.handle.ending() {
            return self.finish_orderly(why, ctx);
        }
        if self.outbound.is_refused() {
            return self.finish(Ending::OutOfMemory, ctx);
        }
        self.gate.set_known(self.carried.is_known());
        self.flush_to_poll(ctx);
        // A WebSocket's reader asks by itself, because it also writes.
        self.gate.set_paused(self.outbound.is_polling() && self.outbound.holds_reading());
        if self.outbound.is_overrun() {
            self.finish(Ending::SlowConsumer, ctx);
        }
    }

    /// Reads and writes a WebSocket in this session's task.
    fn attach(&self, incoming: Incoming, ctx: &mut Context<Self>) {
        ctx.add_stream(incoming.link(&self.registry, Arc::clone(&self.gate)));
    }

    /// Takes frames that came through the mailbox instead of by direct delivery.
    fn take_frames(&mut self, frames: &[Bytes], is_there: bool, is_volatile: bool) {
        if is_there {
            self.outbound.take_mailed(frames, is_volatile);
        } else {
            // The socket has left since the fan-out sent the frames.
            self.outbound.drop_mailed(frames);
        }
    }

    fn heard_from_carrier(&mut self, inbound: Inbound, ctx: &mut Context<Self>) {
        if self.end.is_some() {
            return;
        }
        match inbound {
            Inbound::Frame(Frame::Text(text)) => match Packet::parse(&text) {
                Ok(packet) => self.take_packet(packet, ctx),
                Err(_) => self.finish_breach(Ending::ParseError, ctx),
            },
            Inbound::Frame(Frame::Binary(bytes)) => self.take_packet(Packet::Binary(bytes), ctx),
            Inbound::Frame(Frame::Ping(_) | Frame::Pong(_)) => {
                self.note_life(ctx);
                self.note_nothing(ctx);
            }
            Inbound::Frame(Frame::Close(frame)) => self.finish(Ending::ClosedByClient(frame), ctx),
            Inbound::End(ending) => self.finish(ending, ctx),
        }
        self.flush(ctx);
    }

    /// Ends the session if its client makes no second request or joins no namespace in time.
    fn check_beginning(&mut self, ctx: &mut Context<Self>) {
        let (age, settings) = (self.opened.elapsed(), &self.registry.settings);
        let is_alone = !self.gate.has_come_back();
        let waits = [
            (settings.polling_open_timeout, is_alone, Ending::Lost),
            (settings.connect_timeout, !self.carried.is_joined(), Ending::NotJoined),
        ];
        if let Some((_, _, why)) =
            waits.iter().find(|(timeout, is_missing, _)| *is_missing && age >= *timeout)
        {
            let why = why.clone();
            return if is_alone { self.finish(why, ctx) } else { self.finish_orderly(why, ctx) };
        }
        let next = waits.iter().filter(|(timeout, is_missing, _)| *is_missing && age < *timeout);
        if let Some(next) = next.map(|(timeout, ..)| *timeout).min() {
            ctx.run_later(next - age, Self::check_beginning);
        }
    }
}

impl Actor for SocketIoSession {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let transport = self.handle.transport();
        let address =
            self.handle.client_address().map_or_else(|| "unknown address".to_owned(), |ip| ip.to_string());
        info!("{} opened: socket.io session by {transport} from {address}", self.id);
        self.metrics.sessions.inc();
        self.schedule_beat(ctx);
        // A session that starts on a WebSocket needs no second request.
        if !self.outbound.is_polling() {
            self.gate.note_request();
        }
        self.check_beginning(ctx);
        let address = ctx.address();
        self.handle.set_address(address.clone().recipient(), address.recipient());
        self.carry(|carried, handle| carried.opened(handle));
        self.flush(ctx);
    }
}

impl Handler<Delivery> for SocketIoSession {
    type Result = ();

    fn handle(&mut self, delivery: Delivery, ctx: &mut Self::Context) {
        let is_there = delivery.recipient().is_some_and(|member| self.handle.take_mail(SocketId::of(member)));
        match delivery {
            Delivery::Frames { frames, .. } => self.take_frames(&frames, is_there, false),
            Delivery::Volatile { frames, .. } => self.take_frames(&frames, is_there, true),
            Delivery::Dismissed(Ending::Restart) => self.finish(Ending::Restart, ctx),
            Delivery::Dismissed(why) => self.finish_orderly(why, ctx),
            Delivery::News { member, news } => {
                self.carry(|carried, handle| carried.notified(SocketId::of(member), news, handle));
            }
        }
        self.flush(ctx);
    }
}

impl Handler<Flush> for SocketIoSession {
    type Result = ();

    fn handle(&mut self, _: Flush, ctx: &mut Self::Context) {
        if self.end.is_none() {
            self.carry(|carried, handle| carried.woken(handle));
        }
        self.flush(ctx);
    }
}

impl Handler<Request> for SocketIoSession {
    type Result = bool;

    fn handle(&mut self, request: Request, ctx: &mut Self::Context) -> bool {
        match request {
            Request::Poll(poll) => self.take_poll(poll, ctx),
            Request::Packets(posted) => return self.take_packets(posted, ctx),
            Request::Gone => self.request_gone(ctx),
            Request::End(why) => self.end_as_asked(why, ctx),
            Request::Depart => self.depart(ctx),
            Request::Probe(probe) => self.probe(probe, ctx),
        }
        true
    }
}

impl StreamHandler<Heard> for SocketIoSession {
    fn handle(&mut self, Heard { carrier, inbound }: Heard, ctx: &mut Self::Context) {
        if let Inbound::Frame(Frame::Ping(payload)) = &inbound {
            carrier.outbound().answer_frame(OpCode::Pong, payload.clone());
        }
        if carrier.carries() {
            self.heard_from_carrier(inbound, ctx);
        } else if self.probing.as_ref().is_some_and(|probing| probing.carrier.is(&carrier)) {
            self.heard_from_probe(inbound, ctx);
        }
        // Otherwise the WebSocket was rejected; ignore what it sends.
    }

    /// The end of a WebSocket is not the end of the session.
    fn finished(&mut self, _: &mut Self::Context) {}
}

#[cfg(test)]
mod tests;
