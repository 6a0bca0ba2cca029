//! What the page's lessons need from the server and no page can do by itself: news to poll for or to be pushed
//! ([`news`]), connections that break on request ([`breakage`]), a client that does not read ([`slow`]), the log of the
//! page's own session ([`follow`]), and a port where nothing listens ([`closed_port`]).
//!
//! A lesson is a WebSocket connection that is in no room: a task writes to its [`Outbound`] and reads what the
//! page sends. The number of lessons and their duration are bounded.

use std::{
    collections::HashMap,
    future::poll_fn,
    io,
    net::IpAddr,
    rc::Rc,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Poll,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use actix_web::{HttpRequest, HttpResponse, dev::Payload, rt, web};
use bytes::Bytes;
use futures_util::StreamExt as _;
use serde::Serialize;
use tokio::sync::watch as flag;

use super::watch::Watch;
use crate::{
    config::{PerAddress, Settings},
    connection::{
        Budget, Lease,
        body::Output,
        handshake,
        heartbeat::{Beat, Heartbeat, Proof, Signs},
        outbound::{Bounds, Outbound},
        permits::{Exceeded, Permit, Permits},
        rate::{Measure, Meter, RateLimit},
        socket::Connection,
        upgraded::Upgraded,
        upload::{UploadRate, UploadWatch},
        wire::Wire,
    },
    domain::RoomName,
    logging,
    protocol::{
        close::{self, CloseReason},
        websocket::{Decoder, Limits, Message, close as close_frame, frame::OpCode},
    },
};

pub(crate) mod breakage;
pub(crate) mod closed_port;
pub(crate) mod follow;
pub(crate) mod news;
pub(crate) mod slow;

/// A page sends little in a lesson: these bounds hold where they are lower than those of the settings.
const MOST: Limits = Limits { message_size: 1024, fragments: 16 };

/// The most bytes of answers that may wait for the page; the settings may lower it.
const MOST_WAITING: usize = 16 * 1024;

/// The settings that the log names when their bounds are reached.
const MAX_LESSONS: &str = "--max-lessons (ECHOROOM_MAX_LESSONS)";
const MAX_PER_ADDRESS: &str = "--max-lessons-per-address (ECHOROOM_MAX_LESSONS_PER_ADDRESS)";

/// The maximum duration of a lesson. A page that wants more begins another one.
const LONGEST: Duration = Duration::from_secs(600);

/// All lessons of the process.
#[derive(Debug)]
pub struct Lessons {
    permits: Arc<Permits>,
    /// The start of the server, by both clocks.
    began: (Instant, SystemTime),
    /// Clients that are about to connect, by kind and by name.
    expected: Mutex<HashMap<(ClientKind, String), Expected>>,
    is_closing: flag::Sender<bool>,
}

/// A client that a lesson expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClientKind {
    /// The server's own client, which does not read.
    Slow,
    /// A client of the page; the page is sent its log.
    Followed,
}

/// The session of a client that a lesson expects.
#[derive(Clone, Debug)]
pub struct Expected {
    /// The room that it enters.
    pub room: RoomName,
    /// Lets the lesson observe it.
    pub watch: Watch,
}

/// A bound on lessons is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TooManyLessons {
    /// The bound of `--max-lessons`.
    #[error("there are as many lessons under way as the server gives (--max-lessons)")]
    InAll,
    /// The bound of `--max-lessons-per-address`.
    #[error("your address has as many lessons under way as the server gives it (--max-lessons-per-address)")]
    ForAddress,
}

impl Lessons {
    /// No lessons yet; at most `max` at a time, and for each address as many as `per_address` allows.
    pub fn new(max: usize, per_address: PerAddress) -> Arc<Self> {
        Arc::new(Self {
            permits: Permits::new(max, per_address),
            began: (Instant::now(), SystemTime::now()),
            expected: Mutex::default(),
            is_closing: flag::Sender::new(false),
        })
    }

    /// The time since 1970. It never goes back, as the system's clock may.
    fn clock(&self) -> Duration {
        let (instant, time) = self.began;
        time.duration_since(UNIX_EPOCH).unwrap_or_default() + instant.elapsed()
    }

    /// A place for one more lesson, for a page at `address`.
    ///
    /// # Errors
    /// A bound on lessons is reached.
    pub fn begin(self: &Arc<Self>, address: Option<IpAddr>) -> Result<Place, TooManyLessons> {
        match self.permits.take(address) {
            Ok(permit) => Ok(Place { lessons: Arc::clone(self), _permit: permit }),
            Err(Exceeded::Total(bound)) => {
                logging::refused(
                    MAX_LESSONS,
                    format_args!("there are {bound} lessons; one more was refused"),
                );
                Err(TooManyLessons::InAll)
            }
            Err(Exceeded::Address(bound)) => {
                let address = address.map_or_else(String::new, |address| address.to_string());
                let what = format_args!("{address} has {bound} lessons; one more was refused");
                logging::refused(MAX_PER_ADDRESS, what);
                Err(TooManyLessons::ForAddress)
            }
        }
    }

    /// The number of lessons under way.
    pub fn used(&self) -> usize {
        self.permits.used()
    }

    /// The bound on lessons.
    pub fn bound(&self) -> usize {
        self.permits.bound()
    }

    /// Closes all lessons with code 1012, because the server stops.
    pub fn end_all(&self) {
        self.is_closing.send_replace(true);
    }

    fn expected(&self) -> MutexGuard<'_, HashMap<(ClientKind, String), Expected>> {
        self.expected.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the expected client of this kind and name, once only.
    pub fn take_expected(&self, kind: ClientKind, name: &str) -> Option<Expected> {
        self.expected().remove(&(kind, name.to_owned()))
    }
}

/// A client that is expected until it has connected or this is dropped.
struct Appointment<'a> {
    lessons: &'a Lessons,
    kind: ClientKind,
    /// Random, so that only a client that was told the name can connect by it.
    name: String,
}

impl<'a> Appointment<'a> {
    fn make(
        lessons: &'a Lessons,
        kind: ClientKind,
        expect: impl FnOnce(&str) -> io::Result<Expected>,
    ) -> io::Result<Self> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(io::Error::other)?;
        let name: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        lessons.expected().insert((kind, name.clone()), expect(&name)?);
        Ok(Self { lessons, kind, name })
    }
}

impl Drop for Appointment<'_> {
    fn drop(&mut self) {
        self.lessons.take_expected(self.kind, &self.name);
    }
}

/// Sends the page a message. Ignored after the end.
fn tell(outbound: &Outbound, told: &impl Serialize) {
    outbound.answer_frame(OpCode::Text, serde_json::to_vec(told).unwrap_or_default().into());
}

/// The place of a lesson; given back on drop.
#[derive(Debug)]
pub struct Place {
    lessons: Arc<Lessons>,
    _permit: Permit,
}

/// The connection of one lesson.
#[allow(missing_debug_implementations, reason = "the payload has none")]
pub(crate) struct Line {
    /// The outgoing queue.
    pub outbound: Outbound,
    /// Ends the socket.
    pub connection: Arc<Connection>,
    payload: Payload,
    decoder: Decoder,
    /// Received bytes that are not decoded yet.
    rest: Bytes,
    /// Limits the rate of messages and control frames; `None` without a limit.
    meter: Option<Meter>,
    heartbeat: Heartbeat,
    /// When the heartbeat is due.
    next_beat: Instant,
    /// Whether a byte has come since the heartbeat was last due.
    has_heard: bool,
    /// Charged for the received bytes that the lesson holds.
    lease: Lease,
    /// Limits how slowly a message may come in.
    upload: UploadWatch,
}

impl Line {
    fn new(wire: &Rc<Wire>, payload: Payload, settings: &Settings, budget: Arc<Budget>) -> Self {
        let now = Instant::now();
        let waiting = settings.limits.max_queue_bytes.get().min(MOST_WAITING);
        let bounds = Bounds { waiting, ..Bounds::of(settings) };
        let limits = Limits {
            message_size: settings.limits.max_message_size.get().min(MOST.message_size),
            fragments: settings.limits.max_fragments.get().min(MOST.fragments),
        };
        let heartbeat = Heartbeat::new(
            now,
            settings.heartbeat.ping_interval.get(),
            settings.heartbeat.ping_timeout.get(),
            Proof::Byte,
        );
        Self {
            outbound: Outbound::on_wire(
                Rc::clone(wire),
                bounds,
                Lease::of_waiting(Arc::clone(&budget)),
                None,
            ),
            connection: Arc::clone(wire.connection()),
            payload,
            decoder: Decoder::new(limits, None),
            rest: Bytes::new(),
            meter: RateLimit::of(settings).map(|limit| Meter::new(limit, now)),
            next_beat: heartbeat.next(),
            heartbeat,
            has_heard: false,
            lease: Lease::new(budget),
            upload: UploadWatch::new(UploadRate::of(settings)),
        }
    }

    /// The next message of the page; `None` once the page has left, or has been ended for a violation.
    pub(crate) async fn next(&mut self) -> Option<Message> {
        loop {
            if self.outbound.holds_reading() {
                return self.end(close::SLOW_CONSUMER);
            }
            match self.decoder.decode(&mut self.rest) {
                Ok(Some(Message::Close(frame))) => {
                    self.outbound.end_with(&close_frame::encode_reply(frame.as_ref()));
                    return None;
                }
                Ok(Some(message)) => {
                    self.upload.reset();
                    let measure = self.meter.as_mut().map(|meter| meter.measure(Instant::now()));
                    if measure == Some(Measure::Flood) {
                        return self.end(close::FLOOD);
                    }
                    match message {
                        Message::Ping(bytes) => self.outbound.answer_frame(OpCode::Pong, bytes),
                        Message::Pong(_) => {}
                        message => return Some(message),
                    }
                }
                Ok(None) => {
                    // The chunk is used up, but it may still refer to a buffer that other connections share.
                    self.rest = Bytes::new();
                    self.rest = self.read().await?;
                }
                Err(error) => return self.end(error.close_reason()),
            }
        }
    }

    /// The next bytes. Runs the heartbeat until they come.
    async fn read(&mut self) -> Option<Bytes> {
        loop {
            let Self { payload, upload, decoder, .. } = self;
            let chunk = poll_fn(|cx| match payload.poll_next_unpin(cx) {
                Poll::Pending if upload.is_too_slow(decoder.unfinished(), cx) => {
                    Poll::Ready(Err(close::TOO_SLOW))
                }
                chunk => chunk.map(Ok),
            });
            tokio::select! {
                chunk = chunk => {
                    let chunk = match chunk {
                        Ok(chunk) => chunk?.ok()?,
                        Err(reason) => return self.end(reason),
                    };
                    self.has_heard = true;
                    if self.lease.hold(chunk.len()).is_err() {
                        return self.end(close::OUT_OF_MEMORY);
                    }
                    // Copied, because it may have to wait, and is a part of a large buffer that other
                    // connections share.
                    return Some(Bytes::copy_from_slice(&chunk));
                }
                () = rt::time::sleep_until(self.next_beat.into()) => self.beat()?,
            }
        }
    }

    /// Runs the heartbeat. `None` if the page is gone.
    fn beat(&mut self) -> Option<()> {
        let signs = match std::mem::take(&mut self.has_heard) {
            true => Signs::Heard,
            false if self.outbound.waiting_bytes() > 0 => Signs::Unsent,
            false => Signs::Silence,
        };
        match self.heartbeat.beat(Instant::now(), signs) {
            Beat::Wait(next) => self.next_beat = next,
            Beat::Ping(next) => {
                self.outbound.answer_frame(OpCode::Ping, Bytes::new());
                self.next_beat = next;
            }
            Beat::Gone => return self.end(close::AWAY),
        }
        Some(())
    }

    fn end<T>(&self, reason: CloseReason) -> Option<T> {
        self.outbound.end_with(&close_frame::encode(reason));
        None
    }
}

/// Answers a checked upgrade request with a lesson. `teach` runs until it returns, the page leaves, or the
/// time is up. A page that does not take the end of it within `--stall-timeout` is cut.
///
/// # Errors
/// The request is not a WebSocket handshake.
pub(crate) fn open<F: Future<Output = ()>>(
    req: &HttpRequest,
    payload: web::Payload,
    place: Place,
    settings: &Settings,
    budget: Arc<Budget>,
    teach: impl FnOnce(Line) -> F + 'static,
) -> Result<HttpResponse, String> {
    let response = handshake::agree(req).map_err(|error| error.to_string())?;
    let (upgraded, arrivals) = Upgraded::take(req, payload);
    let connection = Arc::clone(upgraded.wire().connection());
    let line = Line::new(upgraded.wire(), arrivals, settings, budget);
    let outbound = line.outbound.clone();
    let (body, patience) = (Output(outbound.clone()), settings.connections.stall_timeout.get());
    rt::spawn(async move {
        // Moves the whole place into the task, not only the field that is read.
        let place = place;
        let mut is_closing = place.lessons.is_closing.subscribe();
        // If the connection was ended before, its reason stands.
        let last = tokio::select! {
            () = teach(line) => close_frame::encode_reply(None),
            _ = rt::time::sleep(LONGEST) => close_frame::encode_reply(None),
            _ = is_closing.wait_for(|is_closing| *is_closing) => close_frame::encode(close::RESTART),
        };
        outbound.end_with(&last);
        connection.cut_after(patience);
    });
    Ok(upgraded.respond(response, body))
}
