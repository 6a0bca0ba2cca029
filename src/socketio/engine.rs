//! All Engine.IO sessions at one address: how they begin, and how requests find them.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    future::poll_fn,
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use actix::Addr;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use bytestring::ByteString;
use tokio::sync::oneshot;

use super::{
    Carried, EndReason,
    downlink::Transport,
    gate::Gate,
    namespaces::Emitter,
    session::{Depart, EndSession, RequestGone, SocketIoSession, TakePackets, TakePoll},
};
use crate::{
    broadcast::{AddWorker, FanOut, Outlets, Patience},
    config::{LONGEST_TIMER_MILLIS, Settings},
    connection::{
        Budget, Intake, Lease, admission::Admitted, pipe::Pipe, rate::RateLimit, upload::UploadRate,
    },
    domain::WorkerId,
    metrics::Metrics,
    parts::Parts,
    protocol::{
        engineio::{self, Handshake},
        websocket::frame::OpCode,
    },
    socketio::hub::{Hub, HubLimits, recovery::RecoveryLimits},
};

/// Packets of a post that a session is handed at a time: between two parts its other messages have their turn.
const POSTED_PART: usize = 128;

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
    /// How long a client that polls may take to make its second request.
    pub polling_open_timeout: Duration,
    /// How long a connection may take its leave before it is cut.
    pub stall_timeout: Duration,
    /// Frames that one message over a WebSocket may come in.
    pub max_fragments: usize,
    /// Sessions that have ended and whose clients, which poll, have not come to hear of it; the oldest is forgotten for
    /// one more.
    pub max_ended_sessions: usize,
    /// Bytes that may wait for a client before something more is delivered; a session with more is ended.
    pub max_waiting: usize,
    /// Bytes that a client may have sent and nobody has dealt with yet; at this bound nothing more is read from it.
    pub max_intake: usize,
    /// Bytes that a message may have before what is carried knows its client, and an event with attachments.
    pub max_unknown: usize,
    /// How fast a message must come once it has begun.
    pub upload: UploadRate,
    /// How fast packets may come that are no events, if that is limited. Events are for what is carried to count.
    pub rate: Option<RateLimit>,
    /// The bounds on rooms, and on what is kept for clients that were lost.
    pub hub: HubLimits,
}

impl EngineSettings {
    /// As the server is set up.
    pub fn of(settings: &Settings) -> Self {
        Self {
            ping_interval: settings.heartbeat.ping_interval.get(),
            ping_timeout: settings.heartbeat.ping_timeout.get(),
            max_payload: settings.events.max_payload.get(),
            upgrade_timeout: settings.socketio.upgrade_timeout.get(),
            connect_timeout: settings.login.connect_timeout.get(),
            polling_open_timeout: settings.socketio.polling_open_timeout.get(),
            stall_timeout: settings.connections.stall_timeout.get(),
            max_fragments: settings.limits.max_fragments.get(),
            max_ended_sessions: settings.socketio.max_ended_sessions,
            max_waiting: settings.limits.max_queue_bytes.get(),
            max_intake: settings.limits.max_intake_bytes.get(),
            max_unknown: settings.max_login_size().get(),
            upload: UploadRate::of(settings),
            rate: RateLimit::of(settings),
            hub: HubLimits {
                max_rooms: settings.rooms.max_rooms.get(),
                recovery: RecoveryLimits {
                    window: settings.socketio.recovery_window.get(),
                    bytes: settings.socketio.recovery_bytes.get(),
                    sockets: settings.socketio.recovery_sockets.get(),
                },
            },
        }
    }
}

impl EngineSettings {
    /// Bytes of the largest message or payload that is taken of a client that is not known, or that is.
    pub(crate) fn max_size(&self, is_known: bool) -> usize {
        if is_known { self.max_payload } else { self.max_unknown.min(self.max_payload) }
    }

    /// The interval and the timeout of pings in milliseconds, as clients are told. They wait for the sum of both.
    fn advertised_pings(&self) -> (u64, u64) {
        let millis = |period: Duration| u64::try_from(period.as_millis()).unwrap_or(u64::MAX);
        let timeout = millis(self.ping_timeout).min(LONGEST_TIMER_MILLIS);
        (millis(self.ping_interval).min(LONGEST_TIMER_MILLIS - timeout), timeout)
    }
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self::of(&Settings::default())
    }
}

/// All sessions at one address, of all workers.
pub struct Engine {
    /// How they behave.
    pub settings: EngineSettings,
    /// What they count.
    pub metrics: Arc<Metrics>,
    /// The bound on what all of them have sent and nobody has dealt with yet.
    intake: Arc<Budget>,
    sessions: Mutex<HashMap<Sid, Entry>>,
    ended: Mutex<Ended>,
    /// Once somebody asks for it.
    hub: OnceLock<Addr<Hub>>,
    parts: Arc<Parts>,
    desks: AtomicUsize,
}

/// Sessions that have ended and wait for their clients to come and hear of it, oldest first.
#[derive(Debug, Default)]
struct Ended {
    last: u64,
    sids: BTreeMap<u64, Sid>,
}

/// A session, for requests.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its mailbox.
    pub session: Addr<SocketIoSession>,
    /// When more may be read for it.
    pub gate: Arc<Gate>,
}

/// A session's id: who knows it can speak as the session.
pub type Sid = Arc<str>;

/// Who begins a session.
#[derive(Debug, Default)]
pub struct Visitor {
    /// The client's address, if it is known.
    pub address: Option<IpAddr>,
    /// Its place among the server's sessions, if they are counted.
    pub admitted: Option<Admitted>,
    /// Whether it takes no binary frames, but base64 in text frames.
    pub wants_base64: bool,
}

/// One worker's way to the hub of an engine.
#[derive(Clone, Debug)]
pub struct Desk {
    /// Which sockets are in which rooms.
    pub hub: Addr<Hub>,
    /// The worker.
    pub worker: WorkerId,
    /// The outlets of sockets that have just begun, for the worker's fan-out.
    pub outlets: Outlets,
}

impl Engine {
    /// No sessions yet. What their clients have sent and is not dealt with yet stays within `intake`. The
    /// actors that they share are among `parts`.
    pub fn new(
        settings: EngineSettings,
        metrics: Arc<Metrics>,
        intake: Arc<Budget>,
        parts: Arc<Parts>,
    ) -> Arc<Self> {
        Arc::new(Self {
            settings,
            metrics,
            intake,
            sessions: Mutex::default(),
            ended: Mutex::default(),
            hub: OnceLock::new(),
            parts,
            desks: AtomicUsize::new(0),
        })
    }

    /// The bound on what its clients make the process hold.
    pub fn budget(&self) -> Arc<Budget> {
        Arc::clone(&self.intake)
    }

    /// A lease for what a client sends, or waits for.
    pub fn lease(&self) -> Lease {
        Lease::new(Arc::clone(&self.intake))
    }

    /// The hub. The first to ask starts it on its own thread.
    pub fn hub(&self) -> &Addr<Hub> {
        self.hub.get_or_init(|| {
            self.parts.start("socketio-rooms", Hub::new(self.settings.hub, Arc::clone(&self.intake)))
        })
    }

    /// Emits to the sockets of a namespace, from anywhere: to everybody, or to those in some rooms.
    pub fn namespace(&self, name: impl Into<ByteString>) -> Emitter {
        Emitter::new(self.hub().clone(), name.into())
    }

    /// A way to the hub for the sessions of a worker, with a fan-out of their own. To be called once, on the worker's thread.
    pub fn desk(&self) -> Desk {
        // Its sessions do not live in their connections, so there is nothing to cut.
        let patience = Patience { max_waiting: self.settings.max_waiting, before_cut: Duration::ZERO };
        let outlets = Outlets::default();
        let fanout = FanOut::new(patience, outlets.clone(), Arc::clone(&self.metrics));
        let name = format!("socketio-fan-out-{}", self.desks.load(Ordering::Relaxed));
        self.desk_at(self.parts.start(name, fanout), outlets)
    }

    /// A way to the hub for the sessions of a worker that has this fan-out, which takes their outlets from `outlets`.
    pub fn desk_at(&self, fanout: Addr<FanOut>, outlets: Outlets) -> Desk {
        let worker = WorkerId(self.desks.fetch_add(1, Ordering::Relaxed));
        let hub = self.hub().clone();
        hub.do_send(AddWorker { worker, fanout });
        Desk { hub, worker, outlets }
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<Sid, Entry>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The session with this id, if there is one.
    pub fn find(&self, sid: &str) -> Option<Entry> {
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
        visitor: Visitor,
    ) -> Result<String, getrandom::Error> {
        let (sid, open) = self.open_packet(&["websocket"])?;
        self.start(sid, Transport::Polling(None), carried, visitor);
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
        visitor: Visitor,
    ) -> Result<Entry, getrandom::Error> {
        let (sid, open) = self.open_packet(&[])?;
        pipe.push(OpCode::Text, open.as_bytes());
        Ok(self.start(sid, Transport::WebSocket(pipe), carried, visitor))
    }

    fn open_packet(&self, upgrades: &[&str]) -> Result<(Sid, String), getrandom::Error> {
        let mut bytes = [0; 15];
        getrandom::fill(&mut bytes)?;
        let sid: Sid = BASE64_URL_SAFE_NO_PAD.encode(bytes).into();
        let (ping_interval, ping_timeout) = self.settings.advertised_pings();
        let handshake = Handshake {
            sid: &sid,
            upgrades,
            ping_interval,
            ping_timeout,
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
        visitor: Visitor,
    ) -> Entry {
        let intake = Intake::new(self.settings.max_intake, Arc::clone(&self.intake));
        let gate = Arc::new(Gate::new(intake));
        gate.set_polling(matches!(transport, Transport::Polling(_)));
        let session = SocketIoSession::start(
            Arc::clone(self),
            Arc::clone(&sid),
            transport,
            carried,
            visitor,
            Arc::clone(&gate),
        );
        let entry = Entry { session, gate };
        self.sessions().insert(sid, entry.clone());
        entry
    }

    /// A session is over, and with `remains` one that [`keep_ended`](Self::keep_ended) kept.
    pub(super) fn forget(&self, sid: &str, remains: Option<u64>) {
        self.sessions().remove(sid);
        if let Some(number) = remains {
            self.ended().sids.remove(&number);
        }
    }

    fn ended(&self) -> MutexGuard<'_, Ended> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many sessions have ended and wait for their clients to come and hear of it.
    pub fn count_ended(&self) -> usize {
        self.ended().sids.len()
    }

    /// Keeps a session that has ended until its client has come and heard of it, under the number that is given back. The
    /// oldest that is kept so goes for one too many.
    pub(super) fn keep_ended(&self, sid: &Sid) -> u64 {
        let (number, gone) = {
            let mut ended = self.ended();
            ended.last += 1;
            let number = ended.last;
            ended.sids.insert(number, Arc::clone(sid));
            let is_over = ended.sids.len() > self.settings.max_ended_sessions;
            (number, is_over.then(|| ended.sids.pop_first()).flatten())
        };
        if let Some(entry) = gone.and_then(|(_, sid)| self.find(&sid)) {
            entry.session.do_send(Depart);
        }
        number
    }

    /// Ends all sessions, because the server stops.
    pub fn end_all(&self) {
        for entry in self.sessions().values() {
            entry.session.do_send(EndSession(EndReason::ServerShuttingDown));
        }
    }
}

impl Entry {
    /// A request of the client has come. Whether the session polls; the session itself decides when it takes the request.
    pub fn is_polling(&self) -> bool {
        self.gate.note_request();
        self.gate.is_polling()
    }

    /// A request of a session that polls is under way. If what is given back is dropped before it is told that the request
    /// was answered, the client has given the request up, and the session is over.
    pub fn attend(&self) -> Attendance {
        Attendance(Some(self.session.clone()))
    }

    /// A poll, answered when there is something, or when the session is over.
    pub async fn poll(&self) -> PollAnswer {
        let (answer, answered) = oneshot::channel();
        self.session.do_send(TakePoll(answer));
        answered.await.unwrap_or(PollAnswer::Over)
    }

    /// The packets of a payload that was posted; whether they were taken. However many they are, they are handed on in
    /// parts, each when the session may take more.
    pub async fn post(&self, payload: &ByteString) -> bool {
        let mut packets = engineio::packets(payload);
        let mut is_first = true;
        loop {
            let (mut part, mut is_broken) = (Vec::new(), false);
            for packet in packets.by_ref().take(POSTED_PART) {
                match packet {
                    Ok(packet) => part.push(packet),
                    Err(_) => {
                        is_broken = true;
                        break;
                    }
                }
            }
            let is_last = is_broken || part.len() < POSTED_PART;
            let packets = TakePackets { packets: part, is_first, is_broken };
            let was_taken = self.session.send(packets).await.unwrap_or(false);
            // The client sends its next post when this one is answered.
            poll_fn(|cx| self.gate.poll_open(cx)).await;
            if is_last || !was_taken {
                // What is behind a packet that has ended the session is not asked for.
                return was_taken || !is_first && !is_broken;
            }
            is_first = false;
        }
    }

    /// Notes that a post is under way; `None` if one is already, which ends the session.
    pub fn begin_post(&self) -> Option<Posting> {
        if self.gate.begin_post() {
            return Some(Posting(Arc::clone(&self.gate)));
        }
        self.end(EndReason::TransportError);
        None
    }

    /// Ends the session.
    pub fn end(&self, why: EndReason) {
        self.session.do_send(EndSession(why));
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("sessions", &self.count()).finish_non_exhaustive()
    }
}

/// A post is under way until this is dropped.
#[derive(Debug)]
pub struct Posting(Arc<Gate>);

impl Posting {
    /// Bytes that the payload may have.
    pub fn max_size(&self, settings: &EngineSettings) -> usize {
        settings.max_size(self.0.is_known())
    }
}

impl Drop for Posting {
    fn drop(&mut self) {
        self.0.end_post();
    }
}

/// What a poll is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PollAnswer {
    /// Packets.
    Payload(String),
    /// The session has another poll, or another transport.
    BadRequest,
    /// The session has ended.
    Over,
}

/// A request of a session is under way. See [`Entry::attend`].
#[derive(Debug)]
#[must_use = "dropping it gives the request up"]
pub struct Attendance(Option<Addr<SocketIoSession>>);

impl Attendance {
    /// The request was answered.
    pub fn answered(mut self) {
        self.0 = None;
    }
}

impl Drop for Attendance {
    fn drop(&mut self) {
        if let Some(session) = self.0.take() {
            session.do_send(RequestGone);
        }
    }
}
