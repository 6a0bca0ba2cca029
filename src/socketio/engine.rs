//! All Engine.IO sessions at one address: starts them and finds them by id.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    future::poll_fn,
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use actix::Addr;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use bytestring::ByteString;
use tokio::sync::oneshot;

use super::{
    Carried, EndReason,
    carrier::Closing,
    gate::Gate,
    link::Incoming,
    namespaces::Emitter,
    session::{Depart, EndSession, RequestGone, SocketIoSession, TakePackets, TakePoll},
};
use crate::{
    broadcast::{AddWorker, FanOut, Outlets},
    config::{LONGEST_TIMER_MILLIS, Settings},
    connection::{
        Budget, Intake, Lease,
        admission::Admitted,
        outbound::{Bounds, PollAnswer},
        rate::RateLimit,
        upload::UploadRate,
    },
    domain::WorkerId,
    metrics::Metrics,
    parts::Parts,
    protocol::engineio::{self, Handshake},
    socketio::rooms::{RoomLimits, RoomServer, recovery::RecoveryLimits},
};

/// Number of packets of one post that a session takes at a time. Its other messages are handled between two
/// parts.
const POSTED_PART: usize = 128;

/// Settings of an [`Engine`] and its sessions.
#[derive(Clone, Debug)]
pub struct EngineSettings {
    /// Time between pings.
    pub ping_interval: Duration,
    /// Time in which a client must answer a ping.
    pub ping_timeout: Duration,
    /// Largest message or payload in bytes that is accepted, and largest poll response in bytes that has more
    /// than one packet.
    pub max_payload: usize,
    /// Time in which an upgrade must finish.
    pub upgrade_timeout: Duration,
    /// Time in which a client must join a namespace.
    pub connect_timeout: Duration,
    /// Time in which a polling client must make its second request.
    pub polling_open_timeout: Duration,
    /// Time in which a connection must finish its last writes before it is cut.
    pub stall_timeout: Duration,
    /// Largest number of frames in one WebSocket message.
    pub max_fragments: usize,
    /// Largest number of ended sessions kept for polling clients that have not learned of the end; one more
    /// drops the oldest.
    pub max_ended_sessions: usize,
    /// Limit on bytes of deliveries that wait for a client. A session above it is ended at the next delivery.
    pub max_waiting: usize,
    /// Limit on bytes that a client sent and that are not dealt with yet; at this limit reading stops.
    pub max_intake: usize,
    /// Largest message, and largest event with attachments, in bytes, while the client is not known.
    pub max_unknown: usize,
    /// Lowest rate at which a message must arrive after its start.
    pub upload: UploadRate,
    /// Limit on packets that are not events. Events are counted by the namespaces.
    pub rate: Option<RateLimit>,
    /// Limits on rooms and on what recovery keeps.
    pub rooms: RoomLimits,
}

impl EngineSettings {
    /// The engine's part of the server's settings.
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
            rooms: RoomLimits {
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
    /// Largest message or payload in bytes from a client that is known, or is not known yet.
    pub(crate) fn max_size(&self, is_known: bool) -> usize {
        if is_known { self.max_payload } else { self.max_unknown.min(self.max_payload) }
    }

    /// The bounds on what waits for a client.
    pub(super) fn bounds(&self) -> Bounds {
        Bounds { waiting: self.max_waiting, answer: self.max_payload }
    }

    /// Ping interval and ping timeout in milliseconds, as the handshake tells clients. A client waits for
    /// their sum, so the sum must fit its timer.
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

/// All sessions at one address, on all workers.
pub struct Engine {
    /// Settings of all sessions.
    pub settings: EngineSettings,
    /// Counters of all sessions.
    pub metrics: Arc<Metrics>,
    /// The memory budget of all sessions: input that is not dealt with, and output that waits.
    intake: Arc<Budget>,
    sessions: Mutex<HashMap<Sid, Entry>>,
    ended: Mutex<Ended>,
    /// Started at first use.
    room_server: OnceLock<Addr<RoomServer>>,
    parts: Arc<Parts>,
    desks: AtomicUsize,
    closing: Closing,
    /// The server stops.
    is_ending: AtomicBool,
}

/// Ended sessions of polling clients that have not learned of the end, oldest first.
#[derive(Debug, Default)]
struct Ended {
    last: u64,
    sids: BTreeMap<u64, Sid>,
}

/// A session, as HTTP requests use it.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The session's mailbox.
    pub session: Addr<SocketIoSession>,
    /// Decides when more may be read for the session.
    pub gate: Arc<Gate>,
}

/// Id of an Engine.IO session. It is a secret: a request with this id acts for the session.
pub type Sid = Arc<str>;

/// The client that starts a session.
#[derive(Debug, Default)]
pub struct Visitor {
    /// The client's IP address, if known.
    pub address: Option<IpAddr>,
    /// The client's share of the session limit, if sessions are counted.
    pub admitted: Option<Admitted>,
    /// Whether the client takes base64 text frames instead of binary frames.
    pub wants_base64: bool,
}

/// One worker's access to the room server of an engine.
#[derive(Clone, Debug)]
pub struct Desk {
    /// The room server, which keeps the rooms of all sockets.
    pub room_server: Addr<RoomServer>,
    /// The worker's id.
    pub worker: WorkerId,
    /// Outlets of new sockets, which the worker's fan-out picks up.
    pub outlets: Outlets,
}

impl Engine {
    /// Creates an engine without sessions. Input that is not dealt with, and output that waits, are charged
    /// to `intake`. The engine's actors are registered in `parts`.
    pub fn new(
        settings: EngineSettings,
        metrics: Arc<Metrics>,
        intake: Arc<Budget>,
        parts: Arc<Parts>,
    ) -> Arc<Self> {
        let closing = Closing::new(settings.stall_timeout);
        Arc::new(Self {
            settings,
            metrics,
            intake,
            sessions: Mutex::default(),
            ended: Mutex::default(),
            room_server: OnceLock::new(),
            parts,
            desks: AtomicUsize::new(0),
            closing,
            is_ending: AtomicBool::new(false),
        })
    }

    /// The memory budget of all clients.
    pub fn budget(&self) -> Arc<Budget> {
        Arc::clone(&self.intake)
    }

    /// Creates a lease in the engine's memory budget.
    pub fn lease(&self) -> Lease {
        Lease::new(Arc::clone(&self.intake))
    }

    /// The room server. The first call starts it on its own thread.
    pub fn room_server(&self) -> &Addr<RoomServer> {
        self.room_server.get_or_init(|| {
            self.parts.start("socketio-rooms", RoomServer::new(self.settings.rooms, Arc::clone(&self.intake)))
        })
    }

    /// Emits to the sockets of a namespace from any thread: to all sockets, or to some rooms.
    pub fn namespace(&self, name: impl Into<ByteString>) -> Emitter {
        Emitter::new(self.room_server().clone(), name.into())
    }

    /// Adds a worker with its own fan-out to the room server. Call once per worker, on its thread.
    pub fn desk(&self) -> Desk {
        let outlets = Outlets::default();
        let fanout = FanOut::new(self.settings.stall_timeout, outlets.clone(), Arc::clone(&self.metrics));
        let name = format!("socketio-fan-out-{}", self.desks.load(Ordering::Relaxed));
        self.desk_at(self.parts.start(name, fanout), outlets)
    }

    /// Adds a worker whose fan-out takes the outlets of its sockets from `outlets`.
    pub fn desk_at(&self, fanout: Addr<FanOut>, outlets: Outlets) -> Desk {
        let worker = WorkerId(self.desks.fetch_add(1, Ordering::Relaxed));
        let room_server = self.room_server().clone();
        room_server.do_send(AddWorker { worker, fanout });
        Desk { room_server, worker, outlets }
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<Sid, Entry>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Finds a session by id. The session may have ended and wait for its client.
    pub fn find(&self, sid: &str) -> Option<Entry> {
        self.sessions().get(sid).cloned()
    }

    /// Number of sessions, including ended ones that wait for their clients.
    pub fn count(&self) -> usize {
        self.sessions().len()
    }

    /// Starts a polling session. Returns the open packet, the response to the first request.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub fn begin_polling(
        self: &Arc<Self>,
        carried: Box<dyn Carried>,
        visitor: Visitor,
    ) -> Result<String, getrandom::Error> {
        let (sid, open) = self.open_packet(&["websocket"])?;
        self.start(sid, None, carried, visitor);
        Ok(open)
    }

    /// Starts a session on a WebSocket, on which its open packet is queued.
    pub(super) fn start_on_websocket(
        self: &Arc<Self>,
        sid: Sid,
        incoming: Incoming,
        carried: Box<dyn Carried>,
        visitor: Visitor,
    ) {
        self.start(sid, Some(incoming), carried, visitor);
    }

    /// Closes the WebSockets of sessions that have ended.
    pub(super) fn closing(&self) -> &Closing {
        &self.closing
    }

    /// The number of WebSockets whose sessions have ended, and whose last bytes are still written.
    pub(crate) fn count_finishing(&self) -> usize {
        self.closing.count()
    }

    /// A new session id, and the open packet of its session.
    pub(super) fn open_packet(&self, upgrades: &[&str]) -> Result<(Sid, String), getrandom::Error> {
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

    /// Starts a session: on a WebSocket, or polling.
    fn start(
        self: &Arc<Self>,
        sid: Sid,
        incoming: Option<Incoming>,
        carried: Box<dyn Carried>,
        visitor: Visitor,
    ) {
        let intake = Intake::new(self.settings.max_intake, Arc::clone(&self.intake));
        let gate = Arc::new(Gate::new(intake));
        gate.set_polling(incoming.is_none());
        let session = SocketIoSession::start(
            Arc::clone(self),
            Arc::clone(&sid),
            incoming,
            carried,
            visitor,
            Arc::clone(&gate),
        );
        self.sessions().insert(sid, Entry { session: session.clone(), gate });
        // A session that starts while the others are ended is ended, too.
        if self.is_ending.load(Ordering::SeqCst) {
            session.do_send(EndSession(EndReason::ServerShuttingDown));
        }
    }

    /// Removes an ended session, and its number from [`keep_ended`](Self::keep_ended), if it has one.
    pub(super) fn forget(&self, sid: &str, remains: Option<u64>) {
        self.sessions().remove(sid);
        if let Some(number) = remains {
            self.ended().sids.remove(&number);
        }
    }

    fn ended(&self) -> MutexGuard<'_, Ended> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Number of ended sessions whose clients have not learned of the end.
    pub fn count_ended(&self) -> usize {
        self.ended().sids.len()
    }

    /// Keeps an ended session until its client learns of the end. Returns its number. Above the limit the
    /// oldest kept session is dropped.
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

    /// Ends all sessions because the server stops.
    pub fn end_all(&self) {
        self.is_ending.store(true, Ordering::SeqCst);
        for entry in self.sessions().values() {
            entry.session.do_send(EndSession(EndReason::ServerShuttingDown));
        }
    }
}

impl Entry {
    /// Notes a request of the client. Returns whether the session polls; the session itself decides whether
    /// it takes the request.
    pub fn is_polling(&self) -> bool {
        self.gate.note_request();
        self.gate.is_polling()
    }

    /// Guards a request of a polling session. Dropping the guard without [`Attendance::answered`] means that
    /// the client aborted the request, and ends the session.
    pub fn attend(&self) -> Attendance {
        Attendance(Some(self.session.clone()))
    }

    /// Waits for packets, or for the end of the session.
    pub async fn poll(&self) -> PollAnswer {
        let (answer, answered) = oneshot::channel();
        self.session.do_send(TakePoll(answer));
        answered.await.unwrap_or(PollAnswer::Over)
    }

    /// Hands over the packets of a posted payload. Returns whether they were accepted. They go to the session
    /// in parts, each after the gate has opened.
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
            // The client sends its next post after this response.
            poll_fn(|cx| self.gate.poll_open(cx)).await;
            if is_last || !was_taken {
                // The packets behind one that ended the session are ignored, and the post was accepted.
                return was_taken || !is_first && !is_broken;
            }
            is_first = false;
        }
    }

    /// Marks a post as running. `None` if another post runs already, which ends the session.
    pub fn begin_post(&self) -> Option<Posting> {
        if self.gate.begin_post() {
            return Some(Posting(Arc::clone(&self.gate)));
        }
        self.end(EndReason::TransportError);
        None
    }

    /// Ends the session for this reason.
    pub fn end(&self, why: EndReason) {
        self.session.do_send(EndSession(why));
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("sessions", &self.count()).finish_non_exhaustive()
    }
}

/// Marks a post as running until dropped.
#[derive(Debug)]
pub struct Posting(Arc<Gate>);

impl Posting {
    /// Largest payload in bytes for this post.
    pub fn max_size(&self, settings: &EngineSettings) -> usize {
        settings.max_size(self.0.is_known())
    }
}

impl Drop for Posting {
    fn drop(&mut self) {
        self.0.end_post();
    }
}

/// Guard of a request; see [`Entry::attend`].
#[derive(Debug)]
#[must_use = "dropping it gives the request up"]
pub struct Attendance(Option<Addr<SocketIoSession>>);

impl Attendance {
    /// Marks the request as answered.
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
