//! The chat of one session, whatever carries it: requests in, answers and events out.
//!
//! A [`Conversation`] reads what its client says, asks the chat server, and writes what comes of it. It never waits;
//! where something must be read from the journal first, it gives its session a [`Reading`] to run, and is handed the
//! outcome.
//!
//! Coming into a room goes in three steps: the chat server lets the session in ([`Enter`](crate::chat::messages::Enter)); the session reads what it
//! missed, page by page as its socket takes it; then it asks to [`Listen`](crate::chat::messages::Listen), and is given the rest and everything after.
//! While the first step is under way nothing more is read from the client, so that what it sent behind a login is
//! said by who logged in.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    future::Future,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
    time::Instant,
};

use actix_web::web;
use bytestring::ByteString;
use log::error;

use super::{
    Worker,
    rate::{Measure, Meter},
};
use crate::{
    chat::{
        Accepted, Intake, line,
        log::Place,
        messages::{ChatNews, Entered, Refusal, Reply, UsersPage},
        presence::Face,
    },
    domain::{Nickname, PublicId, RoomName, SessionId, Token},
    journal::{Entry, JournalError, Kind, NewEntry, Page, Range},
    protocol::{
        chat::{
            self, Answer, Code, Envelope, Event, Failure, HistoryMessage, HistoryPage, PrivateReceipt,
            Receipt, Request, UserRef,
        },
        plain,
    },
};

pub use self::speech::Speech;

mod catching_up;
mod requests;
mod speech;

/// Bytes of a page that is replayed, and of what may wait for the socket before the next one is read.
const REPLAY_PAGE_BYTES: usize = 64 * 1024;

/// Bytes of a page of history, or of the latest messages.
const HISTORY_PAGE_BYTES: usize = 256 * 1024;

/// Something to be read for a conversation. The outcome goes to [`Conversation::have_read`].
pub type Reading = Pin<Box<dyn Future<Output = Outcome>>>;

/// What came of a [`Reading`].
#[derive(Debug)]
pub struct Outcome {
    purpose: Purpose,
    result: Result<Page, JournalError>,
}

/// What a page is for.
#[derive(Clone, Debug)]
enum Purpose {
    /// What the session missed, or the latest messages: then it is told that it is in.
    FirstPage { visit: u64, range: Range },
    /// More of what it missed.
    NextPage { visit: u64 },
    /// Older messages that it asked for.
    History { ack: u64, before: u64 },
}

/// What the session is to do next.
#[derive(Default)]
pub enum Next {
    /// Nothing.
    #[default]
    Nothing,
    /// To run this.
    Read(Reading),
    /// To end: its client floods.
    EndFlood,
    /// To end: what it was being given is gone from the journal, so it must come back to learn what it missed.
    EndBehind,
}

/// Whether reading from the client must wait; shared with the [`inlet`](super::inlet).
#[derive(Clone, Debug, Default)]
pub struct Hold(Rc<HoldState>);

#[derive(Debug, Default)]
struct HoldState {
    is_on: Cell<bool>,
    /// The client has logged in, some time.
    is_known: Cell<bool>,
    /// Who waits for its end.
    inlet: RefCell<Option<Waker>>,
}

impl Hold {
    /// Ready while it need not; otherwise the task is woken when that is over.
    pub fn poll_off(&self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.is_on() {
            return Poll::Ready(());
        }
        *self.0.inlet.borrow_mut() = Some(cx.waker().clone());
        Poll::Pending
    }

    fn note_known(&self) {
        self.0.is_known.set(true);
    }

    /// Whether the client has logged in, some time.
    pub fn is_known(&self) -> bool {
        self.0.is_known.get()
    }

    fn is_on(&self) -> bool {
        self.0.is_on.get()
    }

    fn set(&self, is_on: bool) {
        self.0.is_on.set(is_on);
        if !is_on && let Some(inlet) = self.0.inlet.take() {
            inlet.wake();
        }
    }
}

/// See the module's text.
#[derive(Debug)]
pub struct Conversation {
    session: SessionId,
    worker: web::Data<Worker>,
    intake: Intake,
    speech: Speech,
    hold: Hold,
    meter: Option<Meter>,
    /// Requests that the chat server has not answered yet, by their tickets.
    pending: HashMap<u64, Pending>,
    /// Who the session is.
    user: Option<User>,
    /// The page of history it asked for last.
    waiting_history: Option<WaitingHistory>,
    /// What it still reads before it hears its room.
    catching_up: Option<CatchUp>,
    /// What it says privately once it does.
    waiting_private: Option<Box<PrivateRequest>>,
    /// Whether a login of it came with a token.
    has_shown_token: bool,
}

#[derive(Clone, Debug)]
struct User {
    face: Face,
    token: Token,
    room: RoomName,
    /// The offset of the last message that was durable when it came in.
    durable: u64,
}

/// A page of history that is read once what its reader said before is durable: one can read what one has said.
#[derive(Debug)]
struct WaitingHistory {
    ack: u64,
    room: RoomName,
    range: Range,
}

/// A private message about to be said.
#[derive(Debug)]
struct PrivateRequest {
    ack: Option<u64>,
    to: Nickname,
    kind: Kind,
    body: ByteString,
    id: Option<ByteString>,
    accepted: Accepted,
}

/// A request on its way.
#[derive(Debug)]
enum Pending {
    Enter { ack: Option<u64>, kind: EnterKind },
    Post { ack: Option<u64>, id: Option<ByteString>, text: Option<ByteString> },
    Whisper { ack: Option<u64>, id: Option<ByteString> },
    Users { ack: Option<u64> },
    Depart { ack: Option<u64> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum EnterKind {
    Login,
    JoinRoom,
}

/// What a session reads before it hears its room.
#[derive(Debug)]
struct CatchUp {
    /// The ticket of the request by which it came in.
    visit: u64,
    entered: Box<Entered>,
    /// How it is told that it is in, until it has been.
    welcome: Option<(Option<u64>, EnterKind)>,
    /// It has been given everything up to here.
    after: u64,
    /// The journal's last durable offset, as far as we know.
    durable: u64,
    /// Whether what was missed turned out to be gone.
    is_lost: bool,
}

impl Conversation {
    /// The chat of a session of `worker`, which is nobody yet.
    pub fn new(
        session: SessionId,
        worker: web::Data<Worker>,
        intake: Intake,
        speech: Speech,
        hold: Hold,
        meter: Option<Meter>,
    ) -> Self {
        Self {
            session,
            worker,
            intake,
            speech,
            hold,
            meter,
            pending: HashMap::new(),
            user: None,
            waiting_history: None,
            catching_up: None,
            waiting_private: None,
            has_shown_token: false,
        }
    }

    /// Whether somebody has logged in, however it went on.
    pub fn has_been_somebody(&self) -> bool {
        self.hold.is_known()
    }

    /// Whether the name of its user is held when the session ends: for a client that was lost, and for one that comes back
    /// with its token. A client that has left, and knows of no token, would only be kept out by its own name.
    pub fn holds_name(&self, is_lost: bool) -> bool {
        is_lost || self.has_shown_token
    }

    // ----- from the client -----

    /// A text from a client that speaks JSON in envelopes.
    pub fn text(&mut self, text: &ByteString) -> Next {
        let Envelope { request, ack } = Envelope::parse(text);
        self.take(request, ack, text.len())
    }

    /// A request of so many bytes, or why it is none, and the number that its answer must bear.
    pub fn take(&mut self, request: Result<Request, Failure>, ack: Option<u64>, len: usize) -> Next {
        let is_login = matches!(request, Ok(Request::Login(_)));
        if let Some(meter) = &mut self.meter {
            match meter.measure(Instant::now()) {
                Measure::Fits => {}
                Measure::Flood => return Next::EndFlood,
                Measure::TooFast { retry_after } => {
                    self.fail(ack, is_login, &Failure::too_fast(retry_after));
                    return Next::Nothing;
                }
            }
        }
        match request.and_then(|request| self.request(request, ack, len)) {
            Ok(next) => next,
            Err(failure) => {
                self.fail(ack, is_login, &failure);
                Next::Nothing
            }
        }
    }

    /// Whether the next request must wait.
    pub fn is_on_hold(&self) -> bool {
        self.hold.is_on()
    }

    /// Bytes from the client, which have no meaning here.
    pub fn binary(&self) -> Next {
        self.fail(None, false, &Failure::with(Code::BadJson, "events are JSON texts, not bytes"));
        Next::Nothing
    }

    /// A message over `--max-payload` has come; the session ends.
    pub fn too_big(&self) {
        let limit = self.worker.settings.max_payload.get();
        let failure = Failure::with(Code::TooLarge, format!("a message has at most {limit} bytes"));
        self.fail(None, false, &failure);
    }

    // ----- from the chat server -----

    /// Takes what the chat server tells the session.
    pub fn news(&mut self, news: ChatNews) -> Next {
        match news {
            ChatNews::Reply { ticket, reply } => self.reply(ticket, reply),
            ChatNews::Tail(tail) => self.tail(tail),
            ChatNews::Lost => Next::EndBehind,
        }
    }

    /// What became of a request.
    fn reply(&mut self, ticket: u64, reply: Reply) -> Next {
        match (self.pending.remove(&ticket), reply) {
            (Some(Pending::Enter { ack, kind }), Reply::Entered(entered)) => {
                return self.entered(ticket, entered, ack, kind);
            }
            (Some(Pending::Post { ack, id, text }), Reply::Posted(Place { offset, at })) => {
                let echo = text.map(|text| plain::upper_case(&text));
                let id = id.map(String::from);
                self.answer_if_asked(ack, &Answer::Receipt(Receipt { id, offset, at, echo }));
            }
            (Some(Pending::Whisper { ack, id }), Reply::Whispered { at, delivered }) => {
                let id = id.map(String::from);
                self.answer_if_asked(ack, &Answer::PrivateReceipt(PrivateReceipt { id, at, delivered }));
            }
            (Some(Pending::Users { ack }), Reply::Users(page)) => self.answer_users(ack, &page),
            (Some(Pending::Depart { ack }), Reply::Departed) => self.answer_if_asked(ack, &Answer::Done {}),
            (Some(pending), Reply::Refused(refusal)) => {
                let (ack, is_login) = match pending {
                    Pending::Enter { ack, kind } => {
                        self.hold.set(false);
                        (ack, kind == EnterKind::Login)
                    }
                    Pending::Post { ack, .. }
                    | Pending::Whisper { ack, .. }
                    | Pending::Users { ack }
                    | Pending::Depart { ack } => (ack, false),
                };
                self.fail(ack, is_login, &failure_of(refusal));
            }
            // What it says is left out: it may hold a token.
            (pending, _) => error!(
                "{}: the answer under ticket {ticket} does not fit its request ({}); it is dropped",
                self.session,
                if pending.is_some() { "of another kind" } else { "none is under way" },
            ),
        }
        self.read_history()
    }

    /// Reads the page of history that was asked for, if there is one and nothing is in its way.
    fn read_history(&mut self) -> Next {
        let is_saying = self.pending.values().any(|pending| matches!(pending, Pending::Post { .. }));
        match self.waiting_history.take() {
            Some(waiting) if is_saying => self.waiting_history = Some(waiting),
            Some(WaitingHistory { ack, room, range }) => {
                let before = match range {
                    Range::Before { before, .. } => before,
                    Range::After { .. } => u64::MAX,
                };
                return Next::Read(self.read(Purpose::History { ack, before }, room, range));
            }
            None => {}
        }
        Next::Nothing
    }

    // ----- to the client -----

    /// A message from the journal; what was said before the session came is marked.
    fn say_again(&self, entry: &Entry, head: u64) {
        let event = line::said_event(entry.offset, as_new(entry), entry.offset <= head);
        self.speech.room_event(&event);
    }

    fn answer_history(&self, ack: u64, page: &Page) {
        let messages = page.entries.iter().map(history_message).collect();
        self.speech.ack(ack, &Answer::HistoryPage(HistoryPage { messages, more: page.more }));
    }

    fn answer_users(&self, ack: Option<u64>, page: &UsersPage) {
        let users: Vec<_> = page
            .users
            .iter()
            .map(|face| UserRef {
                username: face.nickname.as_str(),
                avatar: face.avatar.as_str(),
                uid: face.uid.as_ref().map(PublicId::as_str),
            })
            .collect();
        match ack {
            Some(number) => {
                let (count, more) = (page.count, page.more);
                self.speech.ack(number, &Answer::UsersPage(chat::UsersPage { users, count, more }));
            }
            None => self.speech.room_event(&Event::UserList(&users)),
        }
    }

    fn answer_if_asked(&self, ack: Option<u64>, answer: &Answer<'_>) {
        if let Some(number) = ack {
            self.speech.ack(number, answer);
        }
    }

    fn fail(&self, ack: Option<u64>, is_login: bool, failure: &Failure) {
        match ack {
            Some(number) => self.speech.ack_failure(number, failure),
            None => self.speech.event(if is_login { "loginError" } else { "error" }, failure),
        }
    }

    fn expect(&mut self, pending: Pending) -> u64 {
        let ticket = next_ticket();
        self.pending.insert(ticket, pending);
        ticket
    }
}

/// The next ticket of this thread. The conversations of one connection, which share a mailbox, share a thread too: none
/// of them takes another one's answer for its own.
fn next_ticket() -> u64 {
    thread_local! { static LAST: Cell<u64> = const { Cell::new(0) } }
    LAST.set(LAST.get() + 1);
    LAST.get()
}

fn history_message(entry: &Entry) -> HistoryMessage<'_> {
    let kind = match entry.kind {
        Kind::Message => "message",
        Kind::Image => "image",
    };
    HistoryMessage { kind, message: line::said(entry.offset, as_new(entry), false) }
}

fn as_new(entry: &Entry) -> NewEntry<'_> {
    let Entry { kind, at, username, avatar, uid, id, body, .. } = entry;
    NewEntry { kind: *kind, at: *at, username, avatar, uid: uid.as_ref(), id, body }
}

/// What a client is told that makes rooms too fast.
const TOO_MANY_NEW_ROOMS: &str =
    "your address has made as many rooms in the last minute as it may (--max-new-rooms-per-minute)";

fn failure_of(refusal: Refusal) -> Failure {
    Failure::of(match refusal {
        Refusal::NotLoggedIn => Code::NotLoggedIn,
        Refusal::NameTaken => Code::NameTaken,
        Refusal::TooManyRooms => Code::TooManyRooms,
        Refusal::TooManyNewRooms => return Failure::with(Code::TooManyRooms, TOO_MANY_NEW_ROOMS),
        Refusal::NoNewRoom(error) => return Failure::with(Code::BadRoom, error.to_string()),
        Refusal::NoSuchUser => Code::NoSuchUser,
        Refusal::JournalUnavailable => Code::JournalUnavailable,
        Refusal::NotKeptYet => Code::NotKeptYet,
        Refusal::JournalDamaged => Code::Damaged,
    })
}
