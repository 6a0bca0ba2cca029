//! What the page's lessons need from the server and no page can do by itself: news to poll for or to be pushed
//! ([`news`]), connections that break on request ([`breakage`]), and a client that does not read ([`slow`]).
//!
//! A lesson is a WebSocket connection that is in no room: a task writes to its [`Pipe`] and reads what the page says. How
//! many there may be at a time, and for how long, is bounded.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use actix_web::{HttpRequest, HttpResponse, rt, web};
use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::sync::watch as flag;

use super::{
    pipe::{Pipe, PipeBody},
    socket::{self, Connection},
    watch::Watch,
    websocket,
};
use crate::{
    domain::RoomName,
    protocol::{
        close,
        websocket::{Decoder, Limits, Message, frame::OpCode},
    },
};

pub mod breakage;
pub mod news;
pub mod slow;

/// A page says little in a lesson.
const LIMITS: Limits = Limits { message_size: 1024, fragments: 16 };

/// Bytes of answers that may wait for the page.
const MOST_WAITING: usize = 16 * 1024;

/// How long a lesson may take. A page that wants more begins again.
const LONGEST: Duration = Duration::from_secs(600);

/// All lessons of the process.
#[derive(Debug)]
pub struct Lessons {
    max: usize,
    under_way: AtomicUsize,
    /// When the first news could have happened, by both clocks.
    began: (Instant, SystemTime),
    /// Slow clients that are about to connect: the name each goes by, its room, and who watches it.
    expected: Mutex<HashMap<String, Expected>>,
    is_closing: flag::Sender<bool>,
}

/// A client that a lesson makes.
#[derive(Clone, Debug)]
pub struct Expected {
    /// The room it will be in.
    pub room: RoomName,
    /// For whom.
    pub watch: Watch,
}

/// There are as many lessons as there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there are as many lessons under way as the server gives (--max-lessons)")]
pub struct TooManyLessons;

impl Lessons {
    /// None yet, and at most `max` at a time.
    pub fn new(max: usize) -> Arc<Self> {
        Arc::new(Self {
            max,
            under_way: AtomicUsize::new(0),
            began: (Instant::now(), SystemTime::now()),
            expected: Mutex::default(),
            is_closing: flag::Sender::new(false),
        })
    }

    /// A place for one more lesson.
    ///
    /// # Errors
    /// There are too many.
    pub fn begin(self: &Arc<Self>) -> Result<Place, TooManyLessons> {
        // The place first: it gives itself back.
        let place = Place(Arc::clone(self));
        let before = self.under_way.fetch_add(1, Ordering::SeqCst);
        if before < self.max { Ok(place) } else { Err(TooManyLessons) }
    }

    /// The server stops: all lessons are closed with 1012.
    pub fn end_all(&self) {
        self.is_closing.send_replace(true);
    }

    fn expected(&self) -> MutexGuard<'_, HashMap<String, Expected>> {
        self.expected.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The client of that name, which has come. Each comes once.
    pub fn take_expected(&self, name: &str) -> Option<Expected> {
        self.expected().remove(name)
    }
}

/// A lesson's place; given back when dropped.
#[derive(Debug)]
pub struct Place(Arc<Lessons>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::SeqCst);
    }
}

/// One lesson's connection.
#[allow(missing_debug_implementations, reason = "the payload has none")]
pub struct Line {
    /// What is to be written.
    pub pipe: Arc<Pipe>,
    /// The socket, if it is a real one.
    pub connection: Option<Arc<Connection>>,
    payload: web::Payload,
    decoder: Decoder,
    /// What has come and is not decoded yet.
    rest: Bytes,
}

impl Line {
    /// What the page says next; `None` once it has left, has broken the protocol, or takes no answers.
    pub async fn next(&mut self) -> Option<Message> {
        loop {
            match self.decoder.decode(&mut self.rest) {
                Ok(Some(Message::Ping(bytes))) if self.pipe.waiting_bytes() < MOST_WAITING => {
                    self.pipe.push(OpCode::Pong, &bytes);
                }
                Ok(Some(Message::Ping(_) | Message::Close(_))) | Err(_) => return None,
                Ok(Some(message)) => return Some(message),
                Ok(None) => {
                    // Used up, but it may still refer to a buffer that other connections share.
                    self.rest = Bytes::new();
                    self.rest = self.payload.next().await?.ok()?;
                }
            }
        }
    }
}

/// Answers a checked upgrade request with a lesson, which `teach` gives until it is over, or the page leaves, or time is up.
/// A page that does not take the end of it within `patience` is cut.
///
/// # Errors
/// What is wrong with the request.
pub fn open<F: Future<Output = ()>>(
    req: &HttpRequest,
    payload: web::Payload,
    place: Place,
    patience: Duration,
    teach: impl FnOnce(Line) -> F + 'static,
) -> Result<HttpResponse, String> {
    let mut response = websocket::shake_hands(req)?;
    let pipe = Arc::new(Pipe::default());
    let line = Line {
        pipe: Arc::clone(&pipe),
        connection: socket::of(req),
        payload,
        decoder: Decoder::new(LIMITS, None),
        rest: Bytes::new(),
    };
    let (body, connection) = (PipeBody(Arc::clone(&pipe)), line.connection.clone());
    rt::spawn(async move {
        let mut is_closing = place.0.is_closing.subscribe();
        tokio::select! {
            () = teach(line) => pipe.close(None),
            _ = rt::time::sleep(LONGEST) => pipe.close(None),
            _ = is_closing.wait_for(|is_closing| *is_closing) => pipe.close(Some(close::RESTART)),
        }
        if let Some(connection) = connection {
            connection.cut_after(patience);
        }
    });
    Ok(response.streaming(body))
}
