//! One Engine.IO session as an actor, whichever transport carries it.

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use actix::{
    Actor, ActorContext as _, AsyncContext as _, Context, Handler, Message, SpawnHandle,
    fut::{ActorFutureExt as _, wrap_future},
};
use bytes::Bytes;
use bytestring::ByteString;
use log::{debug, info};
use tokio::sync::oneshot;

use super::{
    Carried, EndReason, Engine, PollAnswer, Sid, Visitor,
    downlink::{Down, Downlink},
};
use crate::{
    chat::{Delivery, Dismissal, Intake, messages::HubReply},
    domain::SessionId,
    metrics::ProtocolMetrics,
    protocol::{
        close,
        engineio::{self, Packet, PacketError},
        websocket::{
            Message as Frame, ProtocolError,
            frame::{self, OpCode},
        },
    },
    session::{
        admission::Admitted,
        pipe::Pipe,
        rate::{Measure, Meter},
    },
};

/// A session's own answers may reach so many times over the bound: it asked for them.
const MAX_OVERHANG: usize = 8;

/// How long a poll that came since a WebSocket is tried waits for the upgrade before it is released for it.
const POLL_PATIENCE: Duration = Duration::from_millis(100);

/// How long a client that polls has to come and hear that the server has ended its session.
const LAST_WORDS: Duration = Duration::from_secs(30);

/// How long a client that has posted its leave is still known: its poll may be on its way by another connection.
const LEAVE: Duration = Duration::from_millis(100);

// ----- what the session's actor is told -----

#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct TakePoll(pub(super) oneshot::Sender<PollAnswer>);

#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct RequestGone;

#[derive(Message)]
#[rtype(result = "bool")]
pub(super) struct TakePackets(pub(super) Result<Vec<Packet>, PacketError>);

#[derive(Message)]
#[rtype(result = "bool")]
pub(super) struct IsPolling;

#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct EndSession(pub(super) EndReason);

/// Something has been left in the downlink while nobody looked.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(super) struct Flush;

/// A WebSocket wants to carry a session that polls.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Probe(pub Arc<Pipe>);

/// Something came over a WebSocket. Answered with whether the WebSocket carries the session.
#[derive(Debug, Message)]
#[rtype(result = "bool")]
pub struct FromPipe {
    /// Which one.
    pub pipe: Arc<Pipe>,
    /// What.
    pub inbound: PipeInbound,
}

/// What comes over a WebSocket.
#[derive(Debug)]
pub enum PipeInbound {
    /// A message or a control frame.
    Frame(Frame),
    /// It breaks the protocol; nothing more comes.
    Broken(ProtocolError),
    /// It has ended.
    Lost,
}

/// What carries a session.
pub(super) enum Transport {
    /// With the poll that waits, if one does.
    Polling(Option<oneshot::Sender<PollAnswer>>),
    WebSocket(Arc<Pipe>),
}

/// A WebSocket that is being tried.
struct Probing {
    pipe: Arc<Pipe>,
    has_answered: bool,
    /// The poll that waits came after the WebSocket was opened: its client may have upgraded already, which is then on
    /// its way by another connection.
    has_newer_poll: bool,
    is_patience_over: bool,
}

impl Probing {
    /// A client waits for its poll to end before it upgrades.
    fn releases_polls(&self) -> bool {
        self.has_answered && (!self.has_newer_poll || self.is_patience_over)
    }
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
            down: Downlink::new(intake),
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

    /// Whatever comes while a ping is unanswered gives the client another while, once.
    fn note_life(&mut self, ctx: &mut Context<Self>) {
        if self.pong_due.is_some() && !std::mem::replace(&mut self.has_been_patient, true) {
            self.pong_due = Some(Instant::now() + self.engine.settings.ping_timeout);
            self.schedule_beat(ctx);
        }
    }

    fn schedule_beat(&mut self, ctx: &mut Context<Self>) {
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

    /// The one way out, harmless when called twice.
    fn finish(&mut self, why: EndReason, ctx: &mut Context<Self>) {
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
    fn depart(&mut self, ctx: &mut Context<Self>) {
        self.engine.forget(&self.sid);
        ctx.stop();
    }

    /// Gives a client that polls what is left for it, and with the last of that the news that it is over; whether it has
    /// been told.
    fn say_last_words(&mut self, why: EndReason) -> bool {
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

    /// Takes frames that were delivered, unless too much waits already, or these are not worth waiting for.
    fn take_frames(&mut self, frames: &[Bytes], is_volatile: bool, ctx: &mut Context<Self>) {
        self.down.received(frames.iter().map(Bytes::len).sum());
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

    fn heard_from_probe(&mut self, inbound: PipeInbound, ctx: &mut Context<Self>) {
        let Some(probing) = &mut self.probing else {
            return;
        };
        let text = match inbound {
            PipeInbound::Frame(Frame::Text(text)) => text,
            PipeInbound::Frame(Frame::Ping(_) | Frame::Pong(_)) => return,
            _ => ByteString::default(),
        };
        match &*text {
            "2probe" => {
                probing.pipe.push(OpCode::Text, engineio::PROBE_ANSWER.as_bytes());
                if !std::mem::replace(&mut probing.has_answered, true) {
                    ctx.run_later(POLL_PATIENCE, |session, ctx| {
                        session.probing.iter_mut().for_each(|probing| probing.is_patience_over = true);
                        session.flush(ctx);
                    });
                }
            }
            "5" => self.upgrade(ctx),
            _ => {
                // Only the WebSocket; the session lives on.
                if let Some(probing) = self.probing.take() {
                    probing.pipe.close(None);
                }
            }
        }
        self.flush(ctx);
    }

    fn upgrade(&mut self, ctx: &mut Context<Self>) {
        let Some(Probing { pipe, has_newer_poll, .. }) = self.probing.take() else {
            return;
        };
        debug!("{} has upgraded to a websocket", self.id);
        if let Transport::Polling(Some(poll)) =
            std::mem::replace(&mut self.transport, Transport::WebSocket(pipe))
        {
            if has_newer_poll {
                drop(poll.send(PollAnswer::BadRequest));
            } else {
                answer(poll, engineio::NOOP);
            }
        }
        self.pong_due = None;
        self.next_ping = self.next_ping.max(Instant::now());
        self.schedule_beat(ctx);
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

fn reason_of(why: Dismissal) -> EndReason {
    match why {
        Dismissal::Restart => EndReason::ServerShuttingDown,
        Dismissal::SlowConsumer => EndReason::SlowConsumer,
        Dismissal::TooManyRooms => EndReason::ForcedClose,
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

/// Answers a poll with one packet; a client that has gone does without.
fn answer(poll: oneshot::Sender<PollAnswer>, packet: &str) {
    let _ = poll.send(PollAnswer::Payload(packet.to_owned()));
}

impl Actor for SocketIoSession {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
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
            Delivery::Frames(frames) => self.take_frames(&frames, false, ctx),
            Delivery::Volatile(frames) => self.take_frames(&frames, true, ctx),
            Delivery::Dismissed(why) => self.finish(reason_of(why), ctx),
            Delivery::Hub(HubReply::Replaced) => self.finish(EndReason::TransportClose, ctx),
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

impl Handler<Probe> for SocketIoSession {
    type Result = ();

    fn handle(&mut self, Probe(pipe): Probe, ctx: &mut Self::Context) {
        if self.end.is_some() || self.probing.is_some() || matches!(self.transport, Transport::WebSocket(_)) {
            return pipe.close(None);
        }
        let tried = Arc::clone(&pipe);
        self.probing =
            Some(Probing { pipe, has_answered: false, has_newer_poll: false, is_patience_over: false });
        ctx.run_later(self.engine.settings.upgrade_timeout, move |session, _| {
            if let Some(probing) = session.probing.take_if(|probing| Arc::ptr_eq(&probing.pipe, &tried)) {
                probing.pipe.close(None);
            }
        });
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
