//! The chat of one session, whatever carries it: requests in, answers and events out.
//!
//! A [`Conversation`] handles the requests of its client, asks the chat server, and writes the answers. It
//! never waits: what must be read from the journal first is a [`Reading`], which its session runs, and whose
//! outcome the conversation is handed.
//!
//! A login has three steps: the chat server puts the session into the room
//! ([`Login`](crate::chat::messages::Login)); the session reads what it missed, page by page as its socket
//! takes it; then it says that it has [`CaughtUp`](crate::chat::messages::CaughtUp), and gets the rest and all
//! that follows. During the first step reading from the client is paused, so that what it sends after a login
//! is said by the user that logged in.

use std::{cell::Cell, collections::HashMap, future::Future, pin::Pin, time::Instant};

use actix_web::web;
use bytestring::ByteString;
use log::error;

use super::Worker;
use crate::{
    chat::{
        Way, line,
        messages::{ChatNews, LoggedIn, Rejected, Reply, UsersPage},
        position::Place,
    },
    connection::{
        Accepted, Ending, Intake,
        pause::Pause,
        rate::{Measure, Meter},
    },
    domain::{MemberId, Nickname, Profile, RoomName, Token},
    journal::{Entry, JournalError, Kind, Page, Range},
    protocol::{
        chat::{
            self, Answer, Code, Envelope, Event, Failure, HistoryMessage, HistoryPage, PrivateReceipt,
            Receipt, Request,
        },
        plain,
    },
};

pub(crate) use self::speech::Speech;

mod catching_up;
mod requests;
mod speech;
#[cfg(test)]
mod tests;

/// Bytes of a replayed page, and of answers that may still wait when the next page is read.
const REPLAY_PAGE_BYTES: usize = 64 * 1024;

/// Bytes of a page of history, or of the latest messages.
const HISTORY_PAGE_BYTES: usize = 256 * 1024;

/// A read of the journal. Its outcome goes to [`Conversation::have_read`].
pub(crate) type Reading = Pin<Box<dyn Future<Output = Outcome>>>;

/// The result of a [`Reading`].
#[derive(Debug)]
pub(crate) struct Outcome {
    purpose: Purpose,
    result: Result<Page, JournalError>,
}

/// What a page is read for.
#[derive(Clone, Debug)]
enum Purpose {
    /// The first page of what the session missed, or the latest messages; then its login is answered.
    FirstPage { visit: u64, range: Range },
    /// A later page of what it missed.
    NextPage { visit: u64 },
    /// The answer to a `history` request.
    History { ack: u64, before: u64 },
}

/// What the session is to do next.
#[derive(Default)]
pub(crate) enum Next {
    /// Go on.
    #[default]
    Nothing,
    /// Run this reading.
    Read(Reading),
    /// End for this reason.
    End(Ending),
}

/// The state of the chat of one session.
#[derive(Debug)]
pub(crate) struct Conversation {
    member: MemberId,
    worker: web::Data<Worker>,
    way: Way,
    intake: Intake,
    speech: Speech,
    pause: Pause,
    meter: Option<Meter>,
    /// Requests that the chat server has not answered yet, by their tickets.
    pending: HashMap<u64, Pending>,
    /// `None` if the session is not logged in.
    user: Option<User>,
    /// The page of history that it asked for last, until it can be read.
    waiting_history: Option<WaitingHistory>,
    /// What it reads before it subscribes; `None` if it is subscribed or not logged in.
    catching_up: Option<CatchUp>,
    /// A message that waits until the session is subscribed.
    waiting_message: Option<Box<MessageRequest>>,
    /// Whether one of its logins came with a token.
    has_shown_token: bool,
}

#[derive(Clone, Debug)]
struct User {
    profile: Profile,
    token: Token,
    room: RoomName,
    /// The offset of the last message that was durable at its login.
    durable: u64,
}

/// A page of history. It is read once all is durable that the room has heard, so that users can read what they have
/// said and heard.
#[derive(Debug)]
struct WaitingHistory {
    ack: u64,
    room: RoomName,
    range: Range,
}

/// A message that has passed its checks.
#[derive(Debug)]
enum MessageRequest {
    Room(RoomRequest),
    Private(PrivateRequest),
}

/// A message to the room.
#[derive(Debug)]
struct RoomRequest {
    pending: Pending,
    kind: Kind,
    body: ByteString,
    id: Option<ByteString>,
    accepted: Accepted,
}

/// A private message.
#[derive(Debug)]
struct PrivateRequest {
    ack: Option<u64>,
    to: Nickname,
    kind: Kind,
    body: ByteString,
    id: Option<ByteString>,
    accepted: Accepted,
}

/// A request that the chat server has not answered yet.
#[derive(Debug)]
enum Pending {
    Login {
        ack: Option<u64>,
        kind: LoginKind,
    },
    Post {
        ack: Option<u64>,
        id: Option<ByteString>,
        text: Option<ByteString>,
    },
    SendPrivate {
        ack: Option<u64>,
        id: Option<ByteString>,
    },
    Users {
        ack: Option<u64>,
    },
    /// What the room has heard is to be durable before a page of history is read.
    Kept,
    Logout {
        ack: Option<u64>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LoginKind {
    Login,
    JoinRoom,
}

/// What a session reads before it subscribes to its room.
#[derive(Debug)]
struct CatchUp {
    /// The ticket of the login.
    visit: u64,
    login: Box<LoggedIn>,
    /// How to answer the login; `None` once it is answered.
    welcome: Option<(Option<u64>, LoginKind)>,
    /// The client has been sent all messages up to this offset.
    after: u64,
    /// The last durable offset of the room that is known here.
    durable: u64,
    /// Whether some of what was missed is gone.
    is_lost: bool,
}

impl Conversation {
    /// The chat of a session of `worker`, not logged in yet.
    pub(crate) fn new(
        member: MemberId,
        worker: web::Data<Worker>,
        way: Way,
        intake: Intake,
        speech: Speech,
        pause: Pause,
        meter: Option<Meter>,
    ) -> Self {
        Self {
            member,
            worker,
            way,
            intake,
            speech,
            pause,
            meter,
            pending: HashMap::new(),
            user: None,
            waiting_history: None,
            catching_up: None,
            waiting_message: None,
            has_shown_token: false,
        }
    }

    /// The way to the chat.
    pub(crate) fn way(&self) -> &Way {
        &self.way
    }

    /// Whether the client has logged in at least once; it may have logged out since.
    pub(crate) fn has_logged_in(&self) -> bool {
        self.pause.is_known()
    }

    /// Whether the nickname of its user is held when the session ends: for a client that was lost, and for
    /// one that comes back with its token. A client that left, and knows of no token, would be kept out by
    /// its own nickname.
    pub(crate) fn holds_name(&self, is_lost: bool) -> bool {
        is_lost || self.has_shown_token
    }

    // ----- from the client -----

    /// Handles a text from a client that sends JSON in envelopes.
    pub(crate) fn text(&mut self, text: &ByteString) -> Next {
        let Envelope { request, ack } = Envelope::parse(text);
        self.take(request, ack, text.len())
    }

    /// Handles a request of `len` bytes, or why it cannot be parsed; `ack` is the number that the answer must
    /// have.
    pub(crate) fn take(&mut self, request: Result<Request, Failure>, ack: Option<u64>, len: usize) -> Next {
        let is_login = matches!(request, Ok(Request::Login(_)));
        if let Some(meter) = &mut self.meter {
            match meter.measure(Instant::now()) {
                Measure::Fits => {}
                Measure::Flood => return Next::End(Ending::Flood),
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

    /// Whether reading from the client is paused.
    pub(crate) fn is_on_hold(&self) -> bool {
        self.pause.is_on()
    }

    /// Answers bytes with an error: a client sends JSON texts only.
    pub(crate) fn binary(&self) -> Next {
        self.fail(None, false, &Failure::with(Code::BadJson, "events are JSON texts, not bytes"));
        Next::Nothing
    }

    /// Tells the client that its message is over `--max-payload`; the session ends.
    pub(crate) fn too_big(&self) {
        let limit = self.worker.settings.events.max_payload.get();
        let failure = Failure::with(Code::TooLarge, format!("a message has at most {limit} bytes"));
        self.fail(None, false, &failure);
    }

    // ----- from the chat server -----

    /// Takes what the chat server tells the session.
    pub(crate) fn news(&mut self, news: ChatNews) -> Next {
        match news {
            ChatNews::Reply { ticket, reply } => self.reply(ticket, reply),
            ChatNews::Tail(tail) => self.tail(tail),
            ChatNews::Lost => Next::End(Ending::Behind),
        }
    }

    /// Handles the answer to a request.
    fn reply(&mut self, ticket: u64, reply: Reply) -> Next {
        match (self.pending.remove(&ticket), reply) {
            (Some(Pending::Login { ack, kind }), Reply::LoggedIn(login)) => {
                return self.logged_in(ticket, login, ack, kind);
            }
            (Some(Pending::Post { ack, id, text }), Reply::Posted(Place { offset, at })) => {
                let echo = text.map(|text| plain::upper_case(&text));
                let id = id.map(String::from);
                self.answer_if_asked(ack, &Answer::Receipt(Receipt { id, offset, at, echo }));
            }
            (Some(Pending::SendPrivate { ack, id }), Reply::PrivateSent { at, delivered }) => {
                let id = id.map(String::from);
                self.answer_if_asked(ack, &Answer::PrivateReceipt(PrivateReceipt { id, at, delivered }));
            }
            (Some(Pending::Users { ack }), Reply::Users(page)) => self.answer_users(ack, &page),
            (Some(Pending::Logout { ack }), Reply::LoggedOut) => {
                // Until here the messages of its room come, and none may be left out.
                self.catching_up = None;
                self.answer_if_asked(ack, &Answer::Done {});
            }
            // What is durable can be read even if the journal cannot take more.
            (Some(Pending::Kept), Reply::Posted(_) | Reply::Rejected(_)) => {}
            (Some(pending), Reply::Rejected(rejected)) => {
                let (ack, is_login) = match pending {
                    Pending::Login { ack, kind } => {
                        self.pause.set(false);
                        (ack, kind == LoginKind::Login)
                    }
                    Pending::Post { ack, .. }
                    | Pending::SendPrivate { ack, .. }
                    | Pending::Users { ack }
                    | Pending::Logout { ack } => (ack, false),
                    // Answered above.
                    Pending::Kept => return Next::Nothing,
                };
                self.fail(ack, is_login, &failure_of(rejected));
            }
            // The reply is not logged: it may hold a token.
            (pending, _) => error!(
                "{}: the answer under ticket {ticket} does not fit its request ({}); it is dropped",
                self.member,
                if pending.is_some() { "of another kind" } else { "none is under way" },
            ),
        }
        self.read_history()
    }

    /// Reads the page of history that was asked for, unless it waits for what is to be durable.
    fn read_history(&mut self) -> Next {
        let is_saying =
            self.pending.values().any(|pending| matches!(pending, Pending::Post { .. } | Pending::Kept));
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

    /// Sends a message from the journal; marks it as a replay if it is older than the login.
    fn replay(&self, entry: &Entry, head: u64) {
        let event = line::said_event(entry.offset, entry.as_new(), entry.offset <= head);
        self.speech.room_event(&event);
    }

    fn answer_history(&self, ack: u64, page: &Page) {
        let messages = page.entries.iter().map(history_message).collect();
        self.speech.ack(ack, &Answer::HistoryPage(HistoryPage { messages, more: page.more }));
    }

    fn answer_users(&self, ack: Option<u64>, page: &UsersPage) {
        let users: Vec<_> = page.users.iter().map(line::shown).collect();
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

/// The next ticket of this thread. Conversations of one connection share a mailbox, and always a thread, so
/// none of them takes an answer for another one's.
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
    HistoryMessage { kind, message: line::said(entry.offset, entry.as_new(), false) }
}

/// The error for a client that makes rooms too fast.
const TOO_MANY_NEW_ROOMS: &str =
    "your address has made as many rooms in the last minute as it may (--max-new-rooms-per-minute)";

/// The error for a client whose request was lost.
const INTERRUPTED: &str = "the chat has begun again while it handled this: send it again, with its id";

fn failure_of(rejected: Rejected) -> Failure {
    Failure::of(match rejected {
        Rejected::NotLoggedIn => Code::NotLoggedIn,
        Rejected::NameTaken => Code::NameTaken,
        Rejected::TooManyRooms => Code::TooManyRooms,
        Rejected::TooManyNewRooms => return Failure::with(Code::TooManyRooms, TOO_MANY_NEW_ROOMS),
        Rejected::NoNewRoom(error) => return Failure::with(Code::BadRoom, error.to_string()),
        Rejected::NoSuchUser => Code::NoSuchUser,
        Rejected::JournalUnavailable => Code::JournalUnavailable,
        Rejected::NotKeptYet => Code::NotKeptYet,
        Rejected::JournalDamaged => Code::Damaged,
        Rejected::Interrupted => return Failure::with(Code::JournalUnavailable, INTERRUPTED),
    })
}
