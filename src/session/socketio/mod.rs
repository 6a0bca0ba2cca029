//! Sessions of Engine.IO 4, which carry Socket.IO.
//!
//! One [`SocketIoSession`] actor is one client, whichever transport carries it: HTTP long-polling, a WebSocket, or the
//! one and then the other. Requests find it by its id in the [`Engine`]; what the packets mean is up to its
//! [`Carried`] protocol.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use actix::{
    Actor, ActorContext as _, Addr, AsyncContext as _, Context, Handler, Message, SpawnHandle,
    fut::{ActorFutureExt as _, wrap_future},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use bytestring::ByteString;
use log::{debug, info};
use tokio::sync::oneshot;

use self::{
    downlink::{Down, Downlink},
    pipe::Pipe,
};
use super::{admission::Admitted, conversation::Outcome};
use crate::{
    chat::Delivery,
    config::Settings,
    protocol::{
        close,
        engineio::{self, Handshake, Packet, PacketError},
        websocket::{
            Message as Frame, ProtocolError,
            frame::{self, OpCode},
        },
    },
};

pub mod carrier;
pub mod chat;
pub mod downlink;
pub mod namespaces;
pub mod pipe;

/// A session's own answers may reach so many times over the bound: it asked for them.
const MAX_OVERHANG: usize = 8;

/// How an [`Engine`]'s sessions behave.
#[derive(Clone, Debug)]
pub struct EngineSettings {
    /// How often a client is pinged.
    pub ping_interval: Duration,
    /// How long it may take to answer.
    pub ping_timeout: Duration,
    /// Bytes of the largest message or payload that is taken, and of the largest answer to a poll that has more than one
    /// packet.
    pub max_payload: usize,
    /// How long an upgrade may take.
    pub upgrade_timeout: Duration,
    /// How long a client may take to join what is carried.
    pub connect_timeout: Duration,
    /// Bytes that may wait for a client before something more is delivered; a session with more is ended.
    pub max_waiting: usize,
}

impl EngineSettings {
    /// As the server is set up.
    pub fn of(settings: &Settings) -> Self {
        Self {
            ping_interval: settings.ping_interval.get(),
            ping_timeout: settings.ping_timeout.get(),
            max_payload: settings.max_payload.get(),
            upgrade_timeout: settings.upgrade_timeout.get(),
            connect_timeout: settings.connect_timeout.get(),
            max_waiting: settings.max_queue_bytes.get(),
        }
    }
}

/// All sessions at one address, of all workers.
pub struct Engine {
    /// How they behave.
    pub settings: EngineSettings,
    sessions: Mutex<HashMap<Sid, Entry>>,
}

#[derive(Clone, Debug)]
struct Entry {
    session: Addr<SocketIoSession>,
    is_posting: Arc<AtomicBool>,
}

/// A session's id: who knows it can speak as the session.
pub type Sid = Arc<str>;

/// What a session carries. One for each session, on the session's thread.
pub trait Carried {
    /// The session has begun.
    fn opened(&mut self, _: &Downlink) {}

    /// The client sent a text.
    fn text(&mut self, text: ByteString, down: &Downlink);

    /// The client sent bytes.
    fn binary(&mut self, bytes: Bytes, down: &Downlink);

    /// The chat server has something for the session that is no finished frame.
    fn delivered(&mut self, _: Delivery, _: &Downlink) {}

    /// Something was read from the journal, as [`Downlink::read`] asked for.
    fn have_read(&mut self, _: Outcome, _: &Downlink) {}

    /// Whether the client has joined; one that has not by the connect timeout is sent away.
    fn is_joined(&self) -> bool {
        true
    }

    /// The session is over. Called once.
    fn closed(&mut self, why: EndReason);
}

/// Why a session is over, in the words of the reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// The client closed it, or its connection ended.
    TransportClose,
    /// The client broke the protocol of its transport.
    TransportError,
    /// The client did not answer a ping.
    PingTimeout,
    /// The client sent what cannot be read.
    ParseError,
    /// The server did.
    ForcedClose,
    /// Too much was waiting for it.
    SlowConsumer,
    /// The server stops.
    ServerShuttingDown,
}

impl fmt::Display for EndReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TransportClose => "transport close",
            Self::TransportError => "transport error",
            Self::PingTimeout => "ping timeout",
            Self::ParseError => "parse error",
            Self::ForcedClose => "forced close",
            Self::SlowConsumer => "slow consumer",
            Self::ServerShuttingDown => "server shutting down",
        })
    }
}

impl Engine {
    /// No sessions yet.
    pub fn new(settings: EngineSettings) -> Arc<Self> {
        Arc::new(Self { settings, sessions: Mutex::default() })
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<Sid, Entry>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, sid: &str) -> Option<Entry> {
        self.sessions().get(sid).cloned()
    }

    /// How many sessions there are.
    pub fn count(&self) -> usize {
        self.sessions().len()
    }

    /// Begins a session that polls: its open packet is what the first poll is answered.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub fn begin_polling(
        self: &Arc<Self>,
        carried: Box<dyn Carried>,
        admitted: Option<Admitted>,
    ) -> Result<String, getrandom::Error> {
        let (sid, open) = self.open_packet(&["websocket"])?;
        self.start(sid, Transport::Polling(None), carried, admitted);
        Ok(open)
    }

    /// Begins a session on a WebSocket: its open packet is the first frame.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub fn begin_websocket(
        self: &Arc<Self>,
        pipe: Arc<Pipe>,
        carried: Box<dyn Carried>,
        admitted: Option<Admitted>,
    ) -> Result<Addr<SocketIoSession>, getrandom::Error> {
        let (sid, open) = self.open_packet(&[])?;
        pipe.push(OpCode::Text, open.as_bytes());
        Ok(self.start(sid, Transport::WebSocket(pipe), carried, admitted))
    }

    fn open_packet(&self, upgrades: &[&str]) -> Result<(Sid, String), getrandom::Error> {
        let mut bytes = [0; 15];
        getrandom::fill(&mut bytes)?;
        let sid: Sid = BASE64_URL_SAFE_NO_PAD.encode(bytes).into();
        let millis = |period: Duration| u64::try_from(period.as_millis()).unwrap_or(u64::MAX);
        let handshake = Handshake {
            sid: &sid,
            upgrades,
            ping_interval: millis(self.settings.ping_interval),
            ping_timeout: millis(self.settings.ping_timeout),
            max_payload: self.settings.max_payload,
        };
        let open = handshake.to_packet();
        Ok((sid, open))
    }

    fn start(
        self: &Arc<Self>,
        sid: Sid,
        transport: Transport,
        carried: Box<dyn Carried>,
        admitted: Option<Admitted>,
    ) -> Addr<SocketIoSession> {
        let session = SocketIoSession {
            engine: Arc::clone(self),
            sid: Arc::clone(&sid),
            transport,
            probing: None,
            down: Downlink::default(),
            carried,
            next_ping: Instant::now() + self.settings.ping_interval,
            pong_due: None,
            has_been_patient: false,
            beat: None,
            end: None,
            _admitted: admitted,
        };
        let session = session.start();
        let entry = Entry { session: session.clone(), is_posting: Arc::default() };
        self.sessions().insert(sid, entry);
        session
    }

    /// A poll, answered when there is something, or when the session is over. Dropping the future is giving it up.
    pub async fn poll(&self, sid: &str) -> PollAnswer {
        let Some(entry) = self.find(sid) else {
            return PollAnswer::UnknownSid;
        };
        let (answer, answered) = oneshot::channel();
        // An answer that nobody takes tells the session at once.
        let guard = PollGuard(Some(entry.session.clone()));
        entry.session.do_send(TakePoll(answer));
        let answer = answered.await.unwrap_or(PollAnswer::Over);
        guard.disarm();
        answer
    }

    /// Packets that were posted; whether they were taken.
    pub async fn post(&self, sid: &str, packets: Result<Vec<Packet>, PacketError>) -> bool {
        let Some(entry) = self.find(sid) else {
            return false;
        };
        entry.session.send(TakePackets(packets)).await.unwrap_or(false)
    }

    /// Notes that a post is under way; `None` if one is already, which ends the session, or if there is no such session.
    pub fn begin_post(&self, sid: &str) -> Result<Posting, PostRefused> {
        let entry = self.find(sid).ok_or(PostRefused::UnknownSid)?;
        if entry.is_posting.swap(true, Ordering::SeqCst) {
            entry.session.do_send(EndSession(EndReason::TransportError));
            return Err(PostRefused::Concurrent);
        }
        Ok(Posting(entry.is_posting))
    }

    /// Ends a session, if it is there.
    pub fn end(&self, sid: &str, why: EndReason) {
        if let Some(entry) = self.find(sid) {
            entry.session.do_send(EndSession(why));
        }
    }

    /// Ends all sessions, because the server stops.
    pub fn end_all(&self) {
        for entry in self.sessions().values() {
            entry.session.do_send(EndSession(EndReason::ServerShuttingDown));
        }
    }

    /// The session that a WebSocket wants to carry on.
    pub fn session(&self, sid: &str) -> Option<Addr<SocketIoSession>> {
        self.find(sid).map(|entry| entry.session)
    }

    /// Asks which transport a session has; `None` if it is gone.
    pub async fn is_polling(&self, sid: &str) -> Option<bool> {
        self.find(sid)?.session.send(IsPolling).await.ok()
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("sessions", &self.count()).finish_non_exhaustive()
    }
}

/// A post is under way until this is dropped.
#[derive(Debug)]
pub struct Posting(Arc<AtomicBool>);

impl Drop for Posting {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

/// Why a post cannot begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PostRefused {
    /// There is no such session.
    UnknownSid,
    /// One is under way.
    Concurrent,
}

/// What a poll is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PollAnswer {
    /// Packets.
    Payload(String),
    /// There is no such session.
    UnknownSid,
    /// The session has another poll, or another transport.
    BadRequest,
    /// The session has ended.
    Over,
}

struct PollGuard(Option<Addr<SocketIoSession>>);

impl PollGuard {
    fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for PollGuard {
    fn drop(&mut self) {
        if let Some(session) = self.0.take() {
            session.do_send(PollGone);
        }
    }
}

// ----- what the session's actor is told -----

#[derive(Message)]
#[rtype(result = "()")]
struct TakePoll(oneshot::Sender<PollAnswer>);

#[derive(Message)]
#[rtype(result = "()")]
struct PollGone;

#[derive(Message)]
#[rtype(result = "bool")]
struct TakePackets(Result<Vec<Packet>, PacketError>);

#[derive(Message)]
#[rtype(result = "bool")]
struct IsPolling;

#[derive(Message)]
#[rtype(result = "()")]
struct EndSession(EndReason);

/// A WebSocket wants to carry a session that polls.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Probe(pub Arc<Pipe>);

/// Something came over a WebSocket.
#[derive(Debug, Message)]
#[rtype(result = "()")]
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

enum Transport {
    /// With the poll that waits, if one does.
    Polling(Option<oneshot::Sender<PollAnswer>>),
    WebSocket(Arc<Pipe>),
}

/// A WebSocket that is being tried.
struct Probing {
    pipe: Arc<Pipe>,
    has_answered: bool,
}

/// One client. See the module's text.
pub struct SocketIoSession {
    engine: Arc<Engine>,
    sid: Sid,
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
    fn take_packet(&mut self, packet: Packet, ctx: &mut Context<Self>) {
        self.note_life(ctx);
        match packet {
            Packet::Message(text) => self.carried.text(text, &self.down),
            Packet::Binary(bytes) => self.carried.binary(bytes, &self.down),
            Packet::Pong(_) => {
                self.pong_due = None;
                self.next_ping = Instant::now() + self.engine.settings.ping_interval;
                self.schedule_beat(ctx);
            }
            Packet::Close => self.finish(EndReason::TransportClose, ctx),
            // Only a server pings.
            Packet::Ping(_) => self.finish(EndReason::ParseError, ctx),
            Packet::Open | Packet::Upgrade | Packet::Noop => {}
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
                self.down.packet(ByteString::from_static(engineio::PING));
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
        for reading in self.down.take_readings() {
            ctx.spawn(wrap_future(reading).map(|outcome, session: &mut Self, ctx| {
                session.carried.have_read(outcome, &session.down);
                session.flush(ctx);
            }));
        }
        match &mut self.transport {
            Transport::Polling(waiting) => {
                if let Some(poll) = waiting.take_if(|_| !self.down.is_empty()) {
                    if poll.is_closed() {
                        return self.finish(EndReason::TransportClose, ctx);
                    }
                    if let Some(payload) = self.down.payload(self.engine.settings.max_payload)
                        && poll.send(PollAnswer::Payload(payload)).is_err()
                    {
                        return self.finish(EndReason::TransportClose, ctx);
                    }
                } else if self.probing.as_ref().is_some_and(|probing| probing.has_answered)
                    && let Some(poll) = waiting.take()
                {
                    // The client waits for its poll to end before it upgrades.
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
        if let Some(why) = self.down.ending() {
            self.finish(why, ctx);
        }
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
        info!("socket.io session closed: {why}");
        self.engine.sessions().remove(&self.sid);
        self.carried.closed(why);
        if let Some(probing) = self.probing.take() {
            probing.pipe.close(None);
        }
        match &mut self.transport {
            Transport::Polling(waiting) => {
                if let Some(poll) = waiting.take() {
                    // A client that has closed is released; another one is told.
                    let last =
                        if why == EndReason::TransportClose { engineio::NOOP } else { engineio::CLOSE };
                    let mut payload = self.down.payload(self.engine.settings.max_payload).unwrap_or_default();
                    engineio::push_text(&mut payload, last);
                    let _ = poll.send(PollAnswer::Payload(payload));
                }
            }
            Transport::WebSocket(pipe) => {
                let pipe = Arc::clone(pipe);
                if why != EndReason::SlowConsumer {
                    self.pour(&pipe);
                }
                pipe.close(match why {
                    EndReason::SlowConsumer => Some(close::SLOW_CONSUMER),
                    EndReason::ServerShuttingDown => Some(close::RESTART),
                    _ => None,
                });
            }
        }
        ctx.stop();
    }

    /// Frames that were finished for everybody in a room: as they are over a WebSocket, unwrapped for a poll.
    fn pass_on(&mut self, frames: &[Bytes], ctx: &mut Context<Self>) {
        self.flush(ctx);
        match &self.transport {
            Transport::WebSocket(pipe) => frames.iter().for_each(|bytes| pipe.push_bytes(bytes.clone())),
            Transport::Polling(_) => {
                for packet in frames.iter().flat_map(|bytes| frame::payloads(bytes.clone())) {
                    match packet {
                        (OpCode::Text, text) => {
                            self.down.packet(ByteString::try_from(text).unwrap_or_default())
                        }
                        (_, bytes) => self.down.binary(bytes),
                    }
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
                probing.has_answered = true;
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
        let Some(Probing { pipe, .. }) = self.probing.take() else {
            return;
        };
        debug!("a socket.io session has upgraded");
        if let Transport::Polling(Some(poll)) =
            std::mem::replace(&mut self.transport, Transport::WebSocket(pipe))
        {
            answer(poll, engineio::NOOP);
        }
        self.pong_due = None;
        self.next_ping = self.next_ping.max(Instant::now());
        self.schedule_beat(ctx);
    }

    fn heard_from_carrier(&mut self, inbound: PipeInbound, ctx: &mut Context<Self>) {
        match inbound {
            PipeInbound::Frame(Frame::Text(text)) => match Packet::parse(&text) {
                Ok(packet) => self.take_packet(packet, ctx),
                Err(_) => self.finish(EndReason::ParseError, ctx),
            },
            PipeInbound::Frame(Frame::Binary(bytes)) => self.take_packet(Packet::Binary(bytes), ctx),
            PipeInbound::Frame(Frame::Ping(_) | Frame::Pong(_)) => self.note_life(ctx),
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
        info!("socket.io session opened");
        self.schedule_beat(ctx);
        ctx.run_later(self.engine.settings.connect_timeout, |session, ctx| {
            if !session.carried.is_joined() {
                session.finish(EndReason::ForcedClose, ctx);
            }
        });
        self.down.set_address(ctx.address().recipient());
        self.carried.opened(&self.down);
        self.flush(ctx);
    }
}

impl Handler<Delivery> for SocketIoSession {
    type Result = ();

    fn handle(&mut self, delivery: Delivery, ctx: &mut Self::Context) {
        match delivery {
            Delivery::Frames(frames) => {
                self.down.received(frames.iter().map(Bytes::len).sum());
                // As at the other doors: who is over the bound before a delivery.
                if self.waiting_bytes() > self.engine.settings.max_waiting {
                    return self.finish(EndReason::SlowConsumer, ctx);
                }
                self.pass_on(&frames, ctx);
            }
            other => self.carried.delivered(other, &self.down),
        }
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
                self.flush(ctx);
            }
        }
    }
}

impl Handler<PollGone> for SocketIoSession {
    type Result = ();

    fn handle(&mut self, _: PollGone, ctx: &mut Self::Context) {
        if matches!(&self.transport, Transport::Polling(Some(poll)) if poll.is_closed()) {
            self.finish(EndReason::TransportClose, ctx);
        }
    }
}

impl Handler<TakePackets> for SocketIoSession {
    type Result = bool;

    fn handle(&mut self, TakePackets(packets): TakePackets, ctx: &mut Self::Context) -> bool {
        if matches!(self.transport, Transport::WebSocket(_)) {
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
        self.finish(why, ctx);
    }
}

impl Handler<Probe> for SocketIoSession {
    type Result = ();

    fn handle(&mut self, Probe(pipe): Probe, ctx: &mut Self::Context) {
        if self.probing.is_some() || matches!(self.transport, Transport::WebSocket(_)) {
            return pipe.close(None);
        }
        let tried = Arc::clone(&pipe);
        self.probing = Some(Probing { pipe, has_answered: false });
        ctx.run_later(self.engine.settings.upgrade_timeout, move |session, _| {
            if let Some(probing) = session.probing.take_if(|probing| Arc::ptr_eq(&probing.pipe, &tried)) {
                probing.pipe.close(None);
            }
        });
    }
}

impl Handler<FromPipe> for SocketIoSession {
    type Result = ();

    fn handle(&mut self, FromPipe { pipe, inbound }: FromPipe, ctx: &mut Self::Context) {
        match &self.transport {
            Transport::WebSocket(carrier) if Arc::ptr_eq(carrier, &pipe) => {
                self.heard_from_carrier(inbound, ctx)
            }
            _ if self.probing.as_ref().is_some_and(|probing| Arc::ptr_eq(&probing.pipe, &pipe)) => {
                self.heard_from_probe(inbound, ctx);
            }
            // A WebSocket that was turned away.
            _ => {}
        }
    }
}
