//! The chat of one session, whatever carries it: requests in, answers and events out.
//!
//! A [`Conversation`] reads what its client says, asks the chat server, and writes what comes of it. It never waits;
//! where something must be read from the journal first, it gives its session a [`Reading`] to run, and is handed the
//! outcome.
//!
//! Coming into a room goes in three steps: the chat server lets the session in ([`Enter`]); the session reads what it
//! missed, page by page as its socket takes it; then it asks to [`Listen`], and is given the rest and everything after.
//! While the first step is under way nothing more is read from the client, so that what it sent behind a login is
//! said by who logged in.

use std::{
    cell::Cell,
    collections::HashMap,
    future::{Future, poll_fn},
    pin::Pin,
    rc::Rc,
    task::Poll,
    time::Instant,
};

use actix_web::web;
use bytestring::ByteString;

use super::{
    Worker,
    rate::{Measure, Meter},
    voice::Voice,
};
use crate::{
    chat::{
        Intake, line,
        log::{Place, Resume, Since},
        messages::{Depart, Enter, Entered, Listen, Post, Refusal, Reply, ShowTyping, Tail, Whisper},
        presence::Face,
    },
    domain::{Avatar, ImageError, ImageLimits, Nickname, RoomName, SessionId, Token, image},
    journal::{Entry, EpochId, JournalError, Kind, NewEntry, Page, Range, entry, now_millis},
    protocol::{
        chat::{
            self, Answer, Code, Envelope, Failure, HISTORY_LIMIT, History, HistoryMessage, HistoryPage,
            JoinRoom, Login, LoginSuccess, MAX_HISTORY_LIMIT, MAX_ID_BYTES, PrivateReceipt, Receipt, Request,
            RoomJoined, SendImage, SendMessage, SendPrivate, Typing,
        },
        plain,
        websocket::frame::OpCode,
    },
};

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
    History { ack: u64 },
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
pub struct Hold(Rc<Cell<bool>>);

impl Hold {
    /// Whether it must.
    pub fn is_on(&self) -> bool {
        self.0.get()
    }

    fn set(&self, on: bool) {
        self.0.set(on);
    }
}

/// See the module's text.
#[derive(Debug)]
pub struct Conversation {
    session: SessionId,
    worker: web::Data<Worker>,
    intake: Intake,
    voice: Voice,
    hold: Hold,
    meter: Option<Meter>,
    /// Requests that the chat server has not answered yet, by their tickets.
    pending: HashMap<u64, Pending>,
    last_ticket: u64,
    /// Who the session is.
    user: Option<User>,
    /// What it still reads before it hears its room.
    catching_up: Option<CatchUp>,
    has_been_somebody: bool,
}

#[derive(Clone, Debug)]
struct User {
    face: Face,
    token: Token,
    room: RoomName,
}

/// A request on its way.
#[derive(Debug)]
enum Pending {
    Enter { ack: Option<u64>, kind: EnterKind },
    Post { ack: Option<u64>, id: Option<ByteString>, text: Option<ByteString> },
    Whisper { ack: Option<u64>, id: Option<ByteString> },
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
        voice: Voice,
        hold: Hold,
        meter: Option<Meter>,
    ) -> Self {
        Self {
            session,
            worker,
            intake,
            voice,
            hold,
            meter,
            pending: HashMap::new(),
            last_ticket: 0,
            user: None,
            catching_up: None,
            has_been_somebody: false,
        }
    }

    /// Whether somebody has logged in, however it went on.
    pub fn has_been_somebody(&self) -> bool {
        self.has_been_somebody
    }

    // ----- from the client -----

    /// A text from the client.
    pub fn text(&mut self, text: &ByteString) -> Next {
        let Envelope { request, ack } = Envelope::parse(text);
        if let Some(meter) = &mut self.meter {
            match meter.measure(Instant::now()) {
                Measure::Fits => {}
                Measure::Flood => return Next::EndFlood,
                Measure::TooFast { retry_after } => {
                    let retry_after_ms = u64::try_from(retry_after.as_millis()).unwrap_or(u64::MAX).max(1);
                    let failure =
                        Failure { retry_after_ms: Some(retry_after_ms), ..Failure::of(Code::RateLimited) };
                    let is_login = matches!(request, Ok(Request::Login(_)));
                    self.fail(ack, is_login, &failure);
                    return Next::Nothing;
                }
            }
        }
        let request = match request {
            Ok(request) => request,
            Err(failure) => {
                self.fail(ack, false, &failure);
                return Next::Nothing;
            }
        };
        let is_login = matches!(request, Request::Login(_));
        match self.request(request, ack, text.len()) {
            Ok(next) => next,
            Err(failure) => {
                self.fail(ack, is_login, &failure);
                Next::Nothing
            }
        }
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

    fn request(&mut self, request: Request, ack: Option<u64>, len: usize) -> Result<Next, Failure> {
        let id = request.id().map(parse_id).transpose()?;
        match request {
            Request::Login(login) => self.login(login, ack, len)?,
            Request::JoinRoom(join) => self.join_room(&join, ack, len)?,
            Request::Ping => self.answer_if_asked(ack, &Answer::Pong { at: now_millis() }),
            Request::Logout => self.logout(ack),
            Request::History(history) => return self.history(history, ack),
            Request::SendMessage(SendMessage { msg, .. }) => {
                self.check_message(&msg)?;
                let body = ByteString::from(msg);
                let text = ack.is_some().then(|| body.clone());
                self.post(Kind::Message, body, Pending::Post { ack, id: id.clone(), text }, id, len);
            }
            Request::SendImage(SendImage { img, .. }) => {
                self.check_image(&img)?;
                self.post(
                    Kind::Image,
                    img.into(),
                    Pending::Post { ack, id: id.clone(), text: None },
                    id,
                    len,
                );
            }
            Request::SendPrivate(SendPrivate { to, msg, .. }) => {
                self.check_message(&msg)?;
                // A name that nobody can have is one that nobody has.
                let to = Nickname::parse(&to).map_err(|_| Failure::of(Code::NoSuchUser))?;
                let ticket = self.expect(Pending::Whisper { ack, id: id.clone() });
                let accepted = self.intake.accept(len);
                let body = msg.into();
                self.worker.chat.do_send(Whisper { session: self.session, ticket, to, body, id, accepted });
            }
            Request::Typing(Typing { typing }) => {
                self.check_user()?;
                let accepted = self.intake.accept(len);
                self.worker.chat.do_send(ShowTyping { session: self.session, typing, accepted });
                self.answer_if_asked(ack, &Answer::Done {});
            }
        }
        Ok(Next::Nothing)
    }

    fn login(&mut self, login: Login, ack: Option<u64>, len: usize) -> Result<(), Failure> {
        let nickname = Nickname::parse(&login.username)
            .map_err(|error| Failure::with(Code::BadName, error.to_string()))?;
        let avatar =
            Avatar::parse_or_default(login.avatar.as_deref().unwrap_or_default(), self.avatar_limits());
        let room = login.room.as_deref().map_or_else(|| Ok(RoomName::default()), parse_room)?;
        let token = login.token.as_deref().filter(|token| !token.is_empty()).map(parse_token).transpose()?;
        let since = match (login.epoch, login.offset) {
            (Some(epoch), Some(offset)) => Some(parse_since(&epoch, offset)?),
            (None, None) => None,
            (Some(_), None) => {
                return Err(Failure::with(Code::BadField, "data.epoch comes with data.offset"));
            }
            (None, Some(_)) => {
                return Err(Failure::with(Code::BadField, "data.offset comes with data.epoch"));
            }
        };
        let own = self.user.as_ref().map(|user| user.token);
        self.enter(room, Face { nickname, avatar }, token.or(own), since, EnterKind::Login, ack, len)
    }

    fn join_room(&mut self, join: &JoinRoom, ack: Option<u64>, len: usize) -> Result<(), Failure> {
        let User { face, token, .. } = self.check_user()?.clone();
        let room = parse_room(&join.room)?;
        self.enter(room, face, Some(token), None, EnterKind::JoinRoom, ack, len)
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of one message")]
    fn enter(
        &mut self,
        room: RoomName,
        face: Face,
        token: Option<Token>,
        since: Option<Since>,
        kind: EnterKind,
        ack: Option<u64>,
        len: usize,
    ) -> Result<(), Failure> {
        let spare = Token::random().map_err(|error| {
            Failure::with(Code::JournalUnavailable, format!("no random numbers: {error}"))
        })?;
        let ticket = self.expect(Pending::Enter { ack, kind });
        let accepted = self.intake.accept(len);
        self.hold.set(true);
        let session = self.session;
        self.worker.chat.do_send(Enter { session, ticket, room, face, token, spare, since, accepted });
        Ok(())
    }

    fn logout(&mut self, ack: Option<u64>) {
        self.user = None;
        self.catching_up = None;
        let ticket = self.expect(Pending::Depart { ack });
        self.worker.chat.do_send(Depart { session: self.session, ticket });
    }

    fn history(&mut self, history: History, ack: Option<u64>) -> Result<Next, Failure> {
        let room = self.check_user()?.room.clone();
        let ack = ack.ok_or_else(|| Failure::with(Code::BadField, "ack: history is answered by an ack"))?;
        let limit = history.limit.unwrap_or(HISTORY_LIMIT).clamp(1, MAX_HISTORY_LIMIT);
        let range = Range::Before {
            before: history.before.unwrap_or(u64::MAX),
            limit: usize::try_from(limit).unwrap_or(usize::MAX),
            max_bytes: HISTORY_PAGE_BYTES,
        };
        // One at a time, so that a session holds one page.
        self.hold.set(true);
        Ok(Next::Read(self.read(Purpose::History { ack }, room, range)))
    }

    fn post(&mut self, kind: Kind, body: ByteString, pending: Pending, id: Option<ByteString>, len: usize) {
        let ticket = self.expect(pending);
        let accepted = self.intake.accept(len);
        self.worker.chat.do_send(Post { session: self.session, ticket, kind, body, id, accepted });
    }

    fn check_user(&self) -> Result<&User, Failure> {
        self.user.as_ref().ok_or_else(|| Failure::of(Code::NotLoggedIn))
    }

    fn check_message(&self, msg: &str) -> Result<(), Failure> {
        self.check_user()?;
        let limit = self.worker.settings.max_message_size.get();
        if msg.len() > limit {
            let sentence = format!("data.msg: the text has {} bytes, at most {limit} are taken", msg.len());
            return Err(Failure::with(Code::TooLarge, sentence));
        }
        Ok(())
    }

    fn check_image(&self, img: &str) -> Result<(), Failure> {
        self.check_user()?;
        let settings = &self.worker.settings;
        let limits =
            ImageLimits { bytes: settings.max_image_size.get(), side: settings.max_image_side.get() };
        image::check(img, limits).map_err(|error| {
            let code = match error {
                ImageError::TooLarge { .. } => Code::TooLarge,
                _ => Code::BadImage,
            };
            Failure::with(code, format!("data.img: {error}"))
        })
    }

    fn avatar_limits(&self) -> ImageLimits {
        let settings = &self.worker.settings;
        ImageLimits { bytes: settings.max_avatar_size.get(), side: settings.max_image_side.get() }
    }

    // ----- from the chat server -----

    /// What became of a request.
    pub fn reply(&mut self, ticket: u64, reply: Reply) -> Next {
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
            (Some(Pending::Depart { ack }), Reply::Departed) => self.answer_if_asked(ack, &Answer::Done {}),
            (Some(pending), Reply::Refused(refusal)) => {
                let (ack, is_login) = match pending {
                    Pending::Enter { ack, kind } => {
                        self.hold.set(false);
                        (ack, kind == EnterKind::Login)
                    }
                    Pending::Post { ack, .. } | Pending::Whisper { ack, .. } | Pending::Depart { ack } => {
                        (ack, false)
                    }
                };
                self.fail(ack, is_login, &Failure::of(code_of(refusal)));
            }
            (pending, reply) => debug_assert!(false, "{reply:?} is no answer to {pending:?}"),
        }
        Next::Nothing
    }

    /// The session is let in; it reads what it is to be given before it hears the room.
    fn entered(&mut self, visit: u64, entered: Box<Entered>, ack: Option<u64>, kind: EnterKind) -> Next {
        let (face, room) = (entered.face.clone(), entered.name.clone());
        self.user = Some(User { face, token: entered.token, room });
        self.has_been_somebody = true;
        let range = match entered.resume {
            Resume::From(offset) => Range::After { after: offset, max_bytes: REPLAY_PAGE_BYTES },
            Resume::Fresh | Resume::Lost(_) => latest(entered.head),
        };
        let (name, durable) = (entered.name.clone(), entered.durable);
        self.catching_up =
            Some(CatchUp { visit, entered, welcome: Some((ack, kind)), after: 0, durable, is_lost: false });
        Next::Read(self.read(Purpose::FirstPage { visit, range }, name, range))
    }

    /// The newest messages, behind what was read.
    pub fn tail(&mut self, tail: Tail) -> Next {
        let Some(catch_up) = self.catching_up.as_mut().filter(|catch_up| catch_up.visit == tail.visit) else {
            return Next::Nothing;
        };
        if let Some(behind) = tail.behind {
            catch_up.durable = behind.durable;
            return self.read_on();
        }
        let (after, head) = (catch_up.after, catch_up.entered.head);
        self.catching_up = None;
        for record in &tail.records {
            // It was packed by this process.
            for entry in entry::unpack(record).unwrap_or_default().iter().filter(|entry| entry.offset > after)
            {
                self.say_again(entry, head);
            }
        }
        Next::Nothing
    }

    // ----- from the journal -----

    /// A page was read, or could not be.
    pub fn have_read(&mut self, Outcome { purpose, result }: Outcome) -> Next {
        match purpose {
            Purpose::History { ack } => {
                self.hold.set(false);
                match result {
                    Ok(page) => self.answer_history(ack, &page),
                    Err(_) => self.fail(Some(ack), false, &Failure::of(Code::JournalUnavailable)),
                }
                Next::Nothing
            }
            Purpose::FirstPage { visit, range } => match result {
                _ if !self.is_catching_up(visit) => Next::Nothing,
                Ok(page) => self.first_page(range, &page),
                Err(_) => self.cannot_welcome(),
            },
            Purpose::NextPage { visit } => match result {
                _ if !self.is_catching_up(visit) => Next::Nothing,
                Ok(page) => self.next_page(&page),
                Err(_) => Next::EndBehind,
            },
        }
    }

    fn is_catching_up(&self, visit: u64) -> bool {
        self.catching_up.as_ref().is_some_and(|catch_up| catch_up.visit == visit)
    }

    /// Decides whether all that was missed is there, tells the client that it is in, and begins to replay.
    fn first_page(&mut self, range: Range, page: &Page) -> Next {
        let Some(catch_up) = &mut self.catching_up else {
            return Next::Nothing;
        };
        let entered = &catch_up.entered;
        let first = page.entries.first().map(|entry| entry.offset);
        if let (Range::After { after, .. }, Resume::From(_)) = (range, entered.resume)
            && first.map_or(after < catch_up.durable, |first| first > after + 1)
        {
            // The journal has let some of it go: the latest page instead.
            catch_up.is_lost = true;
            let (visit, name, range) = (catch_up.visit, entered.name.clone(), latest(entered.head));
            return Next::Read(self.read(Purpose::FirstPage { visit, range }, name, range));
        }
        // What was read begins behind here.
        let begin = match range {
            Range::After { after, .. } => after,
            Range::Before { .. } => first.map_or(catch_up.durable, |first| first - 1),
        };
        let (recovered, missed) = match entered.resume {
            Resume::Fresh => (false, 0),
            Resume::From(offset) if catch_up.is_lost => (false, begin.saturating_sub(offset)),
            Resume::From(_) => (true, 0),
            Resume::Lost(seen) => (false, begin.saturating_sub(seen)),
        };
        catch_up.after = begin;
        let welcome = catch_up.welcome.take();
        if let Some((ack, kind)) = welcome {
            self.welcome(ack, kind, recovered, missed);
        }
        self.hold.set(false);
        self.next_page(page)
    }

    fn welcome(&self, ack: Option<u64>, kind: EnterKind, recovered: bool, missed: u64) {
        let Some(CatchUp { entered, .. }) = &self.catching_up else {
            return;
        };
        let (room, epoch, offset) = (entered.name.to_string(), entered.epoch.to_string(), entered.head);
        let (event, answer) = match kind {
            EnterKind::Login => (
                "loginSuccess",
                Answer::LoginSuccess(LoginSuccess {
                    username: entered.face.nickname.to_string(),
                    avatar: entered.face.avatar.to_string(),
                    room,
                    token: entered.token.to_string(),
                    epoch,
                    offset,
                    recovered,
                    missed,
                }),
            ),
            EnterKind::JoinRoom => ("roomJoined", Answer::RoomJoined(RoomJoined { room, epoch, offset })),
        };
        match ack {
            Some(number) => self.say(chat::ack(number, &answer)),
            None => self.say(chat::event(event, &answer)),
        }
    }

    /// The session is in its room, but cannot be told what was said there: it is nobody again.
    fn cannot_welcome(&mut self) -> Next {
        self.hold.set(false);
        self.user = None;
        let welcome = self.catching_up.take().and_then(|catch_up| catch_up.welcome);
        let ticket = self.expect(Pending::Depart { ack: None });
        self.worker.chat.do_send(Depart { session: self.session, ticket });
        if let Some((ack, kind)) = welcome {
            self.fail(ack, kind == EnterKind::Login, &Failure::of(Code::JournalUnavailable));
        }
        Next::Nothing
    }

    /// Replays a page, then reads on or asks to hear the rest.
    fn next_page(&mut self, page: &Page) -> Next {
        let Some(catch_up) = &mut self.catching_up else {
            return Next::Nothing;
        };
        let (after, head) = (catch_up.after, catch_up.entered.head);
        match (page.entries.first(), page.entries.last()) {
            (Some(first), _) if first.offset > after + 1 => return Next::EndBehind,
            (_, Some(last)) => catch_up.after = last.offset,
            // Nothing is left of what was durable.
            (_, None) if after < catch_up.durable => return Next::EndBehind,
            (_, None) => {}
        }
        let is_at_end = catch_up.after >= catch_up.durable;
        let (visit, after) = (catch_up.visit, catch_up.after);
        for entry in &page.entries {
            self.say_again(entry, head);
        }
        if !is_at_end {
            return self.read_on();
        }
        self.worker.chat.do_send(Listen { session: self.session, visit, after });
        Next::Nothing
    }

    fn read_on(&self) -> Next {
        let Some(CatchUp { visit, entered, after, .. }) = &self.catching_up else {
            return Next::Nothing;
        };
        let range = Range::After { after: *after, max_bytes: REPLAY_PAGE_BYTES };
        Next::Read(self.read(Purpose::NextPage { visit: *visit }, entered.name.clone(), range))
    }

    /// Reads a page once the socket has taken what came before.
    fn read(&self, purpose: Purpose, room: RoomName, range: Range) -> Reading {
        let outbox = self.voice.outbox.clone();
        let journal = self.worker.journal.clone();
        Box::pin(async move {
            // Nobody needs to wake us: the outlet runs the actor, and so this, after each piece it yields.
            poll_fn(
                |_| if outbox.answer_bytes() > REPLAY_PAGE_BYTES { Poll::Pending } else { Poll::Ready(()) },
            )
            .await;
            Outcome { purpose, result: journal.read(room, range).await }
        })
    }

    // ----- to the client -----

    /// A message from the journal; what was said before the session came is marked.
    fn say_again(&self, entry: &Entry, head: u64) {
        let event = line::said_event(entry.offset, as_new(entry), entry.offset <= head);
        self.say(event.to_json());
    }

    fn answer_history(&self, ack: u64, page: &Page) {
        let messages = page.entries.iter().map(history_message).collect();
        self.say(chat::ack(ack, &Answer::HistoryPage(HistoryPage { messages, more: page.more })));
    }

    fn answer_if_asked(&self, ack: Option<u64>, answer: &Answer<'_>) {
        if let Some(number) = ack {
            self.say(chat::ack(number, answer));
        }
    }

    fn fail(&self, ack: Option<u64>, is_login: bool, failure: &Failure) {
        self.say(match ack {
            Some(number) => chat::ack_failure(number, failure),
            None => chat::event(if is_login { "loginError" } else { "error" }, failure),
        });
    }

    fn say(&self, json: Vec<u8>) {
        self.voice.answer(OpCode::Text, json.into());
    }

    fn expect(&mut self, pending: Pending) -> u64 {
        self.last_ticket += 1;
        self.pending.insert(self.last_ticket, pending);
        self.last_ticket
    }
}

/// The newest messages up to an offset.
fn latest(head: u64) -> Range {
    let limit = usize::try_from(HISTORY_LIMIT).unwrap_or(usize::MAX);
    Range::Before { before: head.saturating_add(1), limit, max_bytes: HISTORY_PAGE_BYTES }
}

fn history_message(entry: &Entry) -> HistoryMessage<'_> {
    let kind = match entry.kind {
        Kind::Message => "message",
        Kind::Image => "image",
    };
    HistoryMessage { kind, message: line::said(entry.offset, as_new(entry), false) }
}

fn as_new(entry: &Entry) -> NewEntry<'_> {
    let Entry { kind, at, username, avatar, id, body, .. } = entry;
    NewEntry { kind: *kind, at: *at, username, avatar, id, body }
}

fn code_of(refusal: Refusal) -> Code {
    match refusal {
        Refusal::NotLoggedIn => Code::NotLoggedIn,
        Refusal::NameTaken => Code::NameTaken,
        Refusal::TooManyRooms => Code::TooManyRooms,
        Refusal::NoSuchUser => Code::NoSuchUser,
        Refusal::JournalUnavailable => Code::JournalUnavailable,
    }
}

fn parse_id(id: &str) -> Result<ByteString, Failure> {
    if id.is_empty() || id.len() > MAX_ID_BYTES {
        return Err(Failure::with(Code::BadField, format!("data.id: an id has 1 to {MAX_ID_BYTES} bytes")));
    }
    Ok(id.into())
}

fn parse_room(name: &str) -> Result<RoomName, Failure> {
    RoomName::parse(name).map_err(|error| Failure::with(Code::BadRoom, error.to_string()))
}

fn parse_token(token: &str) -> Result<Token, Failure> {
    token.parse().map_err(|_| Failure::of(Code::BadToken))
}

fn parse_since(epoch: &str, offset: u64) -> Result<Since, Failure> {
    let epoch: EpochId =
        epoch.parse().map_err(|error| Failure::with(Code::BadField, format!("data.epoch: {error}")))?;
    Ok(Since { epoch, offset })
}
