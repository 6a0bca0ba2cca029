//! One Engine.IO session as an actor, whichever transport carries it.
//!
//! Here is what it takes from its client and hands down to it; beside it its heartbeat, the upgrade to a WebSocket, and its
//! end. What it carries, it does not know: see [`Carried`].

use std::{net::IpAddr, sync::Arc, time::Instant};

use actix::{
    Actor, AsyncContext as _, Context, Handler, SpawnHandle,
    fut::{ActorFutureExt as _, wrap_future},
};
use bytes::Bytes;
use bytestring::ByteString;
use log::info;
use tokio::sync::oneshot;

use super::{
    Carried, EndReason, Engine, PollAnswer, Sid, Visitor,
    downlink::{Down, Downlink},
};
use crate::{
    chat::{Delivery, Intake},
    domain::SessionId,
    metrics::ProtocolMetrics,
    protocol::{
        engineio::{self, Packet},
        websocket::{
            Message as Frame,
            frame::{self, OpCode},
        },
    },
    session::{
        admission::Admitted,
        pipe::Pipe,
        rate::{Measure, Meter},
    },
};

mod ending;
mod heart;
mod messages;
mod upgrade;

pub(in crate::session::socketio) use self::messages::{
    EndSession, Flush, IsPolling, RequestGone, TakePackets, TakePoll,
};
pub use self::messages::{FromPipe, PipeInbound, Probe};
use self::{ending::reason_of, upgrade::Probing};

/// A session's own answers may reach so many times over the bound: it asked for them.
const MAX_OVERHANG: usize = 8;

/// Messages that may wait in a session's mailbox, from its rooms too. Only a backstop: the fan-out evicts a session for
/// what waits behind the mailbox, by bytes.
const MAILBOX_CAPACITY: usize = 1024;

/// What carries a session.
pub(super) enum Transport {
    /// With the poll that waits, if one does.
    Polling(Option<oneshot::Sender<PollAnswer>>),
    WebSocket(Arc<Pipe>),
}

/// One client. See the module's text.
pub struct SocketIoSession {
    id: SessionId,
    engine: Arc<Engine>,
    sid: Sid,
    address: Option<IpAddr>,
    opened: Instant,
    received: u64,
    metrics: ProtocolMetrics,
    /// How fast packets come that mean nothing here.
    meter: Option<Meter>,
    transport: Transport,
    probing: Option<Probing>,
    down: Downlink,
    carried: Box<dyn Carried>,
    next_ping: Instant,
    /// By when something must come, while a ping is unanswered.
    pong_due: Option<Instant>,
    /// Something else than the answer has come since the ping; that counts once.
    has_been_patient: bool,
    beat: Option<SpawnHandle>,
    end: Option<EndReason>,
    _admitted: Option<Admitted>,
}

impl SocketIoSession {
    pub(super) fn new(
        engine: Arc<Engine>,
        sid: Sid,
        transport: Transport,
        carried: Box<dyn Carried>,
        visitor: Visitor,
        intake: Intake,
    ) -> Self {
        let now = Instant::now();
        Self {
            id: SessionId::next(),
            sid,
            address: visitor.address,
            opened: now,
            received: 0,
            metrics: engine.metrics.protocol("socketio"),
            meter: engine.settings.rate.map(|limit| Meter::new(limit, now)),
            transport,
            probing: None,
            down: Downlink::new(intake, visitor.address),
            carried,
            next_ping: now + engine.settings.ping_interval,
            pong_due: None,
            has_been_patient: false,
            beat: None,
            end: None,
            engine,
            _admitted: visitor.admitted,
        }
    }

    fn take_packet(&mut self, packet: Packet, ctx: &mut Context<Self>) {
        self.note_life(ctx);
        match packet {
            Packet::Message(text) => {
                self.received += 1;
                self.metrics.bytes_in.inc_by(text.len() as u64);
                self.carry(|carried, down| carried.text(text, down));
            }
            Packet::Binary(bytes) => {
                self.received += 1;
                self.metrics.bytes_in.inc_by(bytes.len() as u64);
                self.carry(|carried, down| carried.binary(bytes, down));
            }
            Packet::Pong(_) if self.pong_due.is_some() => {
                self.pong_due = None;
                self.next_ping = Instant::now() + self.engine.settings.ping_interval;
                self.schedule_beat(ctx);
            }
            Packet::Close => self.finish(EndReason::TransportClose, ctx),
            // Only a server pings.
            Packet::Ping(_) => self.finish(EndReason::ParseError, ctx),
            Packet::Open | Packet::Pong(_) | Packet::Upgrade | Packet::Noop => self.note_nothing(ctx),
        }
    }

    /// What is carried has its turn; what it leaves in the downlink is flushed by who calls.
    fn carry(&mut self, turn: impl FnOnce(&mut dyn Carried, &Downlink)) {
        self.down.set_attended(true);
        turn(&mut *self.carried, &self.down);
        self.down.set_attended(false);
    }

    /// Something came that means nothing: that may not come without end.
    fn note_nothing(&mut self, ctx: &mut Context<Self>) {
        let measure = self.meter.as_mut().map(|meter| meter.measure(Instant::now()));
        if measure == Some(Measure::Flood) {
            self.finish(EndReason::Flood, ctx);
        }
    }

    /// Hands down what waits, as far as the transport takes it.
    fn flush(&mut self, ctx: &mut Context<Self>) {
        if self.end.is_some() {
            return;
        }
        for (reader, reading) in self.down.take_readings() {
            ctx.spawn(wrap_future(reading).map(move |outcome, session: &mut Self, ctx| {
                session.carry(|carried, down| carried.have_read(reader, outcome, down));
                session.flush(ctx);
            }));
        }
        if let Some(why) = self.down.ending() {
            return self.finish(why, ctx);
        }
        match &mut self.transport {
            Transport::Polling(waiting) => {
                if let Some(poll) = waiting.take_if(|_| !self.down.is_empty()) {
                    if poll.is_closed() {
                        return self.finish(EndReason::TransportClose, ctx);
                    }
                    let payload = self.down.payload(self.engine.settings.max_payload).unwrap_or_default();
                    if poll.send(PollAnswer::Payload(payload)).is_err() {
                        return self.finish(EndReason::TransportClose, ctx);
                    }
                } else if self.probing.as_ref().is_some_and(Probing::releases_polls)
                    && let Some(poll) = waiting.take()
                {
                    answer(poll, engineio::NOOP);
                }
            }
            Transport::WebSocket(pipe) => {
                let pipe = Arc::clone(pipe);
                self.pour(&pipe);
            }
        }
        if self.waiting_bytes() > MAX_OVERHANG * self.engine.settings.max_waiting {
            return self.finish(EndReason::SlowConsumer, ctx);
        }
        self.down.set_busy(self.is_busy());
    }

    /// Bytes that the client has not taken yet.
    fn waiting_bytes(&self) -> usize {
        match &self.transport {
            Transport::Polling(_) => self.down.bytes(),
            Transport::WebSocket(pipe) => pipe.waiting_bytes(),
        }
    }

    /// Whether the transport would not take a packet now.
    fn is_busy(&self) -> bool {
        match &self.transport {
            Transport::Polling(waiting) => waiting.is_none(),
            Transport::WebSocket(pipe) => pipe.waiting_bytes() > 0,
        }
    }

    fn pour(&self, pipe: &Pipe) {
        while let Some(packet) = self.down.pop() {
            match packet {
                Down::Text(text) => pipe.push(OpCode::Text, text.as_bytes()),
                Down::Binary(bytes) => pipe.push(OpCode::Binary, &bytes),
            }
        }
    }

    /// Takes frames that were delivered, unless too much waits already, or these are not worth waiting for.
    fn take_frames(
        &mut self,
        session: SessionId,
        frames: &[Bytes],
        is_volatile: bool,
        ctx: &mut Context<Self>,
    ) {
        self.down.received(frames.iter().map(Bytes::len).sum());
        if !self.carried.is_there(session) {
            // They were on their way when their reader left its namespace.
            return;
        }
        // As at the other doors: who is over the bound before a delivery.
        if self.waiting_bytes() > self.engine.settings.max_waiting {
            self.finish(EndReason::SlowConsumer, ctx);
        } else if self.end.is_none() && !(is_volatile && self.down.is_busy()) {
            self.pass_on(frames, ctx);
        }
    }

    /// Frames that were finished for everybody in a room: as they are over a WebSocket, unwrapped for a poll.
    fn pass_on(&mut self, frames: &[Bytes], ctx: &mut Context<Self>) {
        self.flush(ctx);
        match &self.transport {
            Transport::WebSocket(pipe) => frames.iter().for_each(|bytes| pipe.push_bytes(bytes.clone())),
            Transport::Polling(_) => {
                for packet in frames.iter().flat_map(|bytes| frame::payloads(bytes.clone())) {
                    self.down.put(match packet {
                        (OpCode::Text, text) => Down::Text(ByteString::try_from(text).unwrap_or_default()),
                        (_, bytes) => Down::Binary(bytes),
                    });
                }
            }
        }
    }

    fn heard_from_carrier(&mut self, inbound: PipeInbound, ctx: &mut Context<Self>) {
        if self.end.is_some() {
            return;
        }
        match inbound {
            PipeInbound::Frame(Frame::Text(text)) => match Packet::parse(&text) {
                Ok(packet) => self.take_packet(packet, ctx),
                Err(_) => self.finish(EndReason::ParseError, ctx),
            },
            PipeInbound::Frame(Frame::Binary(bytes)) => self.take_packet(Packet::Binary(bytes), ctx),
            PipeInbound::Frame(Frame::Ping(_) | Frame::Pong(_)) => {
                self.note_life(ctx);
                self.note_nothing(ctx);
            }
            PipeInbound::Frame(Frame::Close(_)) | PipeInbound::Lost => {
                self.finish(EndReason::TransportClose, ctx)
            }
            PipeInbound::Broken(error) => {
                if let Transport::WebSocket(pipe) = &self.transport {
                    pipe.close(Some(error.close_reason()));
                }
                self.finish(EndReason::TransportError, ctx);
            }
        }
        self.flush(ctx);
    }
}

/// Answers a poll with one packet; a client that has gone does without.
fn answer(poll: oneshot::Sender<PollAnswer>, packet: &str) {
    let _ = poll.send(PollAnswer::Payload(packet.to_owned()));
}

impl Actor for SocketIoSession {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX_CAPACITY);
        let transport = if matches!(self.transport, Transport::Polling(_)) { "polling" } else { "websocket" };
        let address = self.address.map_or_else(|| "unknown address".to_owned(), |ip| ip.to_string());
        info!("{} opened: socket.io session by {transport} from {address}", self.id);
        self.metrics.sessions.inc();
        self.schedule_beat(ctx);
        ctx.run_later(self.engine.settings.connect_timeout, |session, ctx| {
            if !session.carried.is_joined() {
                session.finish(EndReason::ForcedClose, ctx);
            }
        });
        let address = ctx.address();
        self.down.set_address(address.clone().recipient(), address.recipient());
        self.carry(|carried, down| carried.opened(down));
        self.flush(ctx);
    }
}

impl Handler<Delivery> for SocketIoSession {
    type Result = ();

    fn handle(&mut self, delivery: Delivery, ctx: &mut Self::Context) {
        match delivery {
            Delivery::Frames { session, frames } => self.take_frames(session, &frames, false, ctx),
            Delivery::Volatile { session, frames } => self.take_frames(session, &frames, true, ctx),
            Delivery::Dismissed(why) => self.finish(reason_of(why), ctx),
            other => self.carry(|carried, down| carried.delivered(other, down)),
        }
        self.flush(ctx);
    }
}

impl Handler<Flush> for SocketIoSession {
    type Result = ();

    fn handle(&mut self, _: Flush, ctx: &mut Self::Context) {
        self.flush(ctx);
    }
}

impl Handler<TakePoll> for SocketIoSession {
    type Result = ();

    fn handle(&mut self, TakePoll(poll): TakePoll, ctx: &mut Self::Context) {
        if self.pong_due.is_some_and(|due| Instant::now() >= due) {
            self.finish(EndReason::PingTimeout, ctx);
            // Nobody waits any more: what remains is to say so.
            let _ = poll.send(PollAnswer::Over);
            return;
        }
        match &mut self.transport {
            Transport::WebSocket(_) => drop(poll.send(PollAnswer::BadRequest)),
            Transport::Polling(Some(_)) => {
                let _ = poll.send(PollAnswer::BadRequest);
                self.finish(EndReason::TransportError, ctx);
            }
            Transport::Polling(waiting) => {
                *waiting = Some(poll);
                if let Some(why) = self.end {
                    if self.say_last_words(why) {
                        self.depart(ctx);
                    }
                    return;
                }
                self.probing.iter_mut().for_each(|probing| probing.has_newer_poll = true);
                self.flush(ctx);
            }
        }
    }
}

impl Handler<RequestGone> for SocketIoSession {
    type Result = ();

    fn handle(&mut self, _: RequestGone, ctx: &mut Self::Context) {
        if matches!(&self.transport, Transport::Polling(_)) {
            self.finish(EndReason::TransportClose, ctx);
        }
    }
}

impl Handler<TakePackets> for SocketIoSession {
    type Result = bool;

    fn handle(&mut self, TakePackets(packets): TakePackets, ctx: &mut Self::Context) -> bool {
        if matches!(self.transport, Transport::WebSocket(_)) || self.end.is_some() {
            return false;
        }
        let Ok(packets) = packets else {
            self.finish(EndReason::ParseError, ctx);
            return false;
        };
        for packet in packets {
            if self.end.is_none() {
                self.take_packet(packet, ctx);
            }
        }
        self.flush(ctx);
        true
    }
}

impl Handler<IsPolling> for SocketIoSession {
    type Result = bool;

    fn handle(&mut self, _: IsPolling, _: &mut Self::Context) -> bool {
        matches!(self.transport, Transport::Polling(_))
    }
}

impl Handler<EndSession> for SocketIoSession {
    type Result = ();

    fn handle(&mut self, EndSession(why): EndSession, ctx: &mut Self::Context) {
        if self.end.is_some() {
            // It waits for its client to come and hear of it; not any more.
            return self.depart(ctx);
        }
        self.finish(why, ctx);
    }
}

impl Handler<FromPipe> for SocketIoSession {
    type Result = bool;

    fn handle(&mut self, FromPipe { pipe, inbound }: FromPipe, ctx: &mut Self::Context) -> bool {
        match &self.transport {
            Transport::WebSocket(carrier) if Arc::ptr_eq(carrier, &pipe) => {
                self.heard_from_carrier(inbound, ctx);
                return true;
            }
            _ if self.probing.as_ref().is_some_and(|probing| Arc::ptr_eq(&probing.pipe, &pipe)) => {
                self.heard_from_probe(inbound, ctx);
            }
            // A WebSocket that was turned away.
            _ => {}
        }
        false
    }
}
