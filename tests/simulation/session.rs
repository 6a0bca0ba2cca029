//! The server's side of one connection: a small model of what `session::conversation` does, on the product's
//! outgoing queue.

use std::{
    collections::VecDeque,
    rc::Rc,
    sync::{Arc, atomic::AtomicBool},
};

use bytes::Bytes;
use echoroom::testing::{
    Kind, MemberId, RoomName,
    simulation::{
        CaughtUp, ChatNews, Common, Ending, Intake, ListUsers, LoggedIn, Login, Logout, Outbound, Page,
        Payload, Position, Post, Publish, Range, Reply, Request, Resume, SendPrivate, ShowTyping, Tail,
        Token, unpack,
    },
    websocket::frame::OpCode,
};

use crate::{
    names::{Names, Shown},
    parse,
    seat::{Mailbox, WatchedOutlet},
};

/// Bytes of a replayed page, and of answers that may wait when the next page is read.
const PAGE_BYTES: usize = 400;

/// Messages of the latest page.
const LATEST: usize = 6;

/// What a client asks.
#[derive(Clone, Debug)]
pub enum Ask {
    Login { room: usize, user: Shown, token: Option<Token>, position: Option<Position>, wants_changes: bool },
    JoinRoom { room: usize },
    Post { number: u32, has_id: bool, len: usize },
    Private { number: u32, to: usize, has_id: bool },
    Users,
    Typing(bool),
    Logout,
    Publish { number: u32, is_binary: bool, len: usize },
}

/// What a client is answered.
#[derive(Clone, Debug)]
pub enum Answer {
    /// The session is in a room.
    In(Box<Welcome>),
    /// It is where it was before; in no room, if the room that it was to enter cannot be read.
    NotIn {
        is_out: bool,
    },
    Posted {
        number: u32,
        offset: u64,
    },
    PrivateSent {
        number: u32,
        delivered: bool,
    },
    LoggedOut,
    /// A message of the journal.
    Said {
        offset: u64,
        number: u32,
    },
    /// The epoch of the room has changed.
    Epoch(echoroom::testing::simulation::EpochId),
    Done,
}

#[derive(Clone, Debug)]
pub struct Welcome {
    pub room: usize,
    pub user: Shown,
    pub token: Token,
    pub epoch: echoroom::testing::simulation::EpochId,
    /// The offset before the first message that it is given.
    pub begin: u64,
    pub is_recovered: bool,
    /// How many messages it is told that it has missed.
    pub missed: u64,
    /// Whether the journal failed to give it all.
    pub had_fault: bool,
}

/// A request without an answer yet.
#[derive(Clone, Debug)]
pub enum Pending {
    Login,
    Post(u32),
    Private(u32),
    Users,
    Logout,
    /// Of the session itself, because it cannot read its room.
    OwnLogout,
}

struct User {
    shown: Shown,
    token: Token,
}

struct CatchUp {
    visit: u64,
    login: Box<LoggedIn>,
    is_welcome: bool,
    after: u64,
    durable: u64,
    is_lost: bool,
    had_fault: bool,
}

/// A page of the journal that is to be read.
pub struct Reading {
    visit: u64,
    is_first: bool,
    pub room: usize,
    pub range: Range,
    pub page: Option<Result<Page, echoroom::testing::simulation::JournalError>>,
}

pub struct Session {
    pub number: u64,
    pub member: MemberId,
    pub client: usize,
    pub worker: usize,
    /// The shard that its requests go to.
    pub shard: usize,
    pub is_guest: bool,
    pub outbound: Outbound,
    pub outlet: Rc<WatchedOutlet>,
    pub mailbox: Mailbox,
    pub intake: Intake,
    /// Whether its fan-out has evicted it.
    pub is_evicted: Arc<AtomicBool>,
    /// What the client has sent and the session has not read.
    pub asks: VecDeque<Ask>,
    /// What the session's answers in the outgoing queue say.
    pub answers: VecDeque<Answer>,
    pub pending: Vec<(u64, Pending)>,
    pub readings: Vec<Reading>,
    pub is_paused: bool,
    user: Option<User>,
    catching_up: Option<CatchUp>,
    waiting_private: Option<(SendPrivate, u32)>,
    pub has_shown_token: bool,
    pub broken: Option<(&'static str, String)>,
}

/// What a session needs beside itself.
pub struct Desk<'a> {
    pub names: &'a Names,
    pub common: &'a Common,
    pub ticket: &'a mut u64,
    pub spare: Token,
    /// What it asks, each with the shard that it asks.
    pub requests: &'a mut VecDeque<(usize, Request)>,
}

impl Session {
    #[expect(clippy::too_many_arguments, reason = "the parts of a session")]
    pub fn new(
        number: u64,
        client: usize,
        worker: usize,
        shard: usize,
        is_guest: bool,
        outbound: Outbound,
        outlet: Rc<WatchedOutlet>,
        mailbox: Mailbox,
        intake: Intake,
        is_evicted: Arc<AtomicBool>,
    ) -> Self {
        Self {
            number,
            member: MemberId::of(number),
            client,
            worker,
            shard,
            is_guest,
            outbound,
            outlet,
            mailbox,
            intake,
            is_evicted,
            asks: VecDeque::new(),
            answers: VecDeque::new(),
            pending: Vec::new(),
            readings: Vec::new(),
            is_paused: false,
            user: None,
            catching_up: None,
            waiting_private: None,
            has_shown_token: false,
            broken: None,
        }
    }

    /// Whether it reads from its client now.
    pub fn reads(&self) -> bool {
        !self.is_paused && self.intake.is_open() && !self.outbound.holds_reading()
    }

    /// Whether it has nothing to do but to wait for its client.
    pub fn is_at_rest(&self) -> bool {
        self.asks.is_empty()
            && self.pending.is_empty()
            && self.readings.is_empty()
            && self.catching_up.is_none()
            && self.waiting_private.is_none()
            && !self.is_paused
    }

    pub fn answer(&mut self, answer: Answer, len: usize) {
        self.answers.push_back(answer);
        let text = if len == 0 { Bytes::from_static(b"!") } else { Bytes::from(format!("! {:len$}", "")) };
        self.outbound.answer_frame(OpCode::Text, text);
    }

    fn expect(&mut self, desk: &mut Desk<'_>, pending: Pending) -> u64 {
        *desk.ticket += 1;
        self.pending.push((*desk.ticket, pending));
        *desk.ticket
    }

    /// Handles a request of its client.
    pub fn take(&mut self, ask: Ask, desk: &mut Desk<'_>) {
        match ask {
            Ask::Publish { number, is_binary, len } => {
                let body = parse::body(number, len);
                let payload = match is_binary {
                    true => Payload::Binary(body.into()),
                    false => Payload::Text(body.into()),
                };
                let accepted = self.intake.accept(len);
                desk.requests
                    .push_back((self.shard, Publish { member: self.member, payload, accepted }.into()));
            }
            Ask::Login { room, user, token, position, wants_changes } => {
                self.has_shown_token |= token.is_some();
                let token = token.or(self.user.as_ref().map(|user| user.token));
                let profile = Some(desk.names.profile(user.name, user.avatar));
                self.login(room, profile, token, position, Some(wants_changes), desk);
            }
            Ask::JoinRoom { room } => match &self.user {
                Some(User { shown, token }) => {
                    let (profile, token) = (desk.names.profile(shown.name, shown.avatar), *token);
                    self.login(room, Some(profile), Some(token), None, None, desk);
                }
                None => self.answer(Answer::NotIn { is_out: false }, 0),
            },
            Ask::Post { .. } if self.user.is_none() => self.answer(Answer::Done, 20),
            Ask::Post { number, has_id, len } => self.post(number, has_id, len, desk),
            Ask::Private { .. } if self.user.is_none() => self.answer(Answer::Done, 20),
            Ask::Private { number, to, has_id } => {
                let request = self.private(number, to, has_id, desk);
                if self.catching_up.is_some() {
                    self.is_paused = true;
                    self.waiting_private = Some((request, number));
                } else {
                    self.send_private(request, number, desk);
                }
            }
            Ask::Users if self.user.is_none() => self.answer(Answer::Done, 20),
            Ask::Users => {
                let ticket = self.expect(desk, Pending::Users);
                let _accepted = self.intake.accept(20);
                let (member, after, limit) = (self.member, None, 100);
                desk.requests
                    .push_back((self.shard, ListUsers { member, ticket, after, limit, _accepted }.into()));
            }
            Ask::Typing(typing) => {
                if self.user.is_some() {
                    let _accepted = self.intake.accept(20);
                    desk.requests.push_back((
                        self.shard,
                        ShowTyping { member: self.member, typing, _accepted }.into(),
                    ));
                }
            }
            Ask::Logout => self.logout(desk),
        }
    }

    fn login(
        &mut self,
        room: usize,
        profile: Option<echoroom::testing::simulation::Profile>,
        token: Option<Token>,
        position: Option<Position>,
        wants_changes: Option<bool>,
        desk: &mut Desk<'_>,
    ) {
        let ticket = self.expect(desk, Pending::Login);
        self.is_paused = true;
        let login = Login {
            member: self.member,
            ticket,
            room: desk.names.rooms[room].clone(),
            profile,
            token,
            has_shown_token: self.has_shown_token,
            spare: desk.spare,
            position,
            wants_changes,
            _accepted: self.intake.accept(60),
        };
        desk.requests.push_back((self.shard, login.into()));
    }

    fn post(&mut self, number: u32, has_id: bool, len: usize, desk: &mut Desk<'_>) {
        let ticket = self.expect(desk, Pending::Post(number));
        let post = Post {
            member: self.member,
            ticket,
            kind: Kind::Message,
            body: parse::body(number, len).into(),
            id: has_id.then(|| format!("i{number}").into()),
            accepted: self.intake.accept(len),
        };
        desk.requests.push_back((self.shard, post.into()));
    }

    fn private(&mut self, number: u32, to: usize, has_id: bool, desk: &Desk<'_>) -> SendPrivate {
        SendPrivate {
            member: self.member,
            ticket: 0,
            to: desk.names.nicknames[to].clone(),
            kind: Kind::Message,
            body: parse::body(number, 0).into(),
            id: has_id.then(|| format!("i{number}").into()),
            accepted: self.intake.accept(30),
        }
    }

    fn send_private(&mut self, request: SendPrivate, number: u32, desk: &mut Desk<'_>) {
        let ticket = self.expect(desk, Pending::Private(number));
        desk.requests.push_back((self.shard, SendPrivate { ticket, ..request }.into()));
    }

    fn logout(&mut self, desk: &mut Desk<'_>) {
        self.user = None;
        self.has_shown_token = false;
        self.catching_up.take_if(|catch_up| !catch_up.is_welcome);
        let ticket = self.expect(desk, Pending::Logout);
        desk.requests.push_back((self.shard, Logout { member: self.member, ticket }.into()));
    }

    /// Its client has left: handles what it had sent.
    pub fn take_last(&mut self, desk: &mut Desk<'_>) {
        if let Some((request, number)) = self.waiting_private.take() {
            self.send_private(request, number, desk);
        }
        self.user = None;
        while let Some(ask) = self.asks.pop_front() {
            match ask {
                Ask::JoinRoom { room } => self.login(room, None, None, None, None, desk),
                Ask::Login { .. } | Ask::Logout | Ask::Publish { .. } => self.take(ask, desk),
                Ask::Post { number, has_id, len } => self.post(number, has_id, len, desk),
                Ask::Private { number, to, has_id } => {
                    let request = self.private(number, to, has_id, desk);
                    self.send_private(request, number, desk);
                }
                Ask::Users | Ask::Typing(_) => {}
            }
        }
    }

    /// Takes what the chat tells it. Returns why it must end, if it must.
    pub fn news(&mut self, news: ChatNews, desk: &mut Desk<'_>) -> Option<Ending> {
        match news {
            ChatNews::Reply { ticket, reply } => self.reply(ticket, reply, desk),
            ChatNews::Tail(tail) => self.tail(tail, desk),
            ChatNews::Lost => Some(Ending::Behind),
        }
    }

    fn reply(&mut self, ticket: u64, reply: Reply, desk: &mut Desk<'_>) -> Option<Ending> {
        let place = self.pending.iter().position(|(number, _)| *number == ticket);
        let pending = place.map(|place| self.pending.remove(place).1);
        match (pending, reply) {
            (Some(Pending::Login), Reply::LoggedIn(login)) => self.logged_in(ticket, login, desk),
            (Some(Pending::Post(number)), Reply::Posted(place)) => {
                self.answer(Answer::Posted { number, offset: place.offset }, 40);
            }
            (Some(Pending::Private(number)), Reply::PrivateSent { delivered, .. }) => {
                self.answer(Answer::PrivateSent { number, delivered }, 30);
            }
            (Some(Pending::Users), Reply::Users(_)) => self.answer(Answer::Done, 80),
            (Some(Pending::Logout), Reply::LoggedOut) => {
                // Until here, its room's messages come; none may be left out.
                self.catching_up = None;
                self.answer(Answer::LoggedOut, 10);
            }
            (Some(Pending::OwnLogout), Reply::LoggedOut) => {}
            (Some(pending), Reply::Rejected(_)) => self.rejected(&pending),
            (pending, reply) => {
                self.broken = Some((
                    "each request is answered once",
                    format!("session {}: {reply:?} under ticket {ticket} for {pending:?}", self.number),
                ));
            }
        }
        None
    }

    fn rejected(&mut self, pending: &Pending) {
        if matches!(pending, Pending::Login) {
            self.is_paused = false;
            self.answer(Answer::NotIn { is_out: false }, 20);
        } else {
            self.answer(Answer::Done, 20);
        }
    }

    fn logged_in(&mut self, visit: u64, login: Box<LoggedIn>, desk: &Desk<'_>) {
        let Some(shown) = desk.names.shown(&login.profile) else {
            return;
        };
        self.user = Some(User { shown, token: login.token });
        self.shard = desk.common.shard_of(&login.name).0;
        let range = match login.resume {
            Resume::From(after) => Range::After { after, max_bytes: PAGE_BYTES },
            Resume::Fresh | Resume::Lost(_) => latest(login.head),
        };
        let (durable, name) = (login.durable, login.name.clone());
        self.catching_up = Some(CatchUp {
            visit,
            login,
            is_welcome: false,
            after: 0,
            durable,
            is_lost: false,
            had_fault: false,
        });
        self.read(visit, true, &name, range, desk);
    }

    fn read(&mut self, visit: u64, is_first: bool, name: &RoomName, range: Range, desk: &Desk<'_>) {
        let room = desk.names.room(name).unwrap_or(0);
        self.readings.push(Reading { visit, is_first, room, range, page: None });
    }

    /// Whether a page may be read now: the client has taken most of what came before.
    pub fn may_read(&self) -> bool {
        self.outbound.answer_bytes() <= PAGE_BYTES
    }

    fn tail(&mut self, tail: Tail, desk: &mut Desk<'_>) -> Option<Ending> {
        let catch_up = self.catching_up.as_mut().filter(|catch_up| catch_up.visit == tail.visit)?;
        if std::mem::replace(&mut catch_up.login.epoch, tail.epoch) != tail.epoch {
            self.answer(Answer::Epoch(tail.epoch), 50);
        }
        let catch_up = self.catching_up.as_mut()?;
        if let Some(behind) = tail.behind {
            catch_up.durable = behind.durable;
            self.read_on(desk);
            return None;
        }
        let after = catch_up.after;
        self.catching_up = None;
        for record in &tail.records {
            let Ok(entries) = unpack(record) else {
                return Some(Ending::Behind);
            };
            for entry in entries.iter().filter(|entry| entry.offset > after) {
                self.replay(entry.offset, &entry.body);
            }
        }
        if let Some((request, number)) = self.waiting_private.take() {
            self.send_private(request, number, desk);
            self.is_paused = false;
        }
        None
    }

    fn replay(&mut self, offset: u64, body: &str) {
        let number = parse::number(body).unwrap_or(u32::MAX);
        self.answer(Answer::Said { offset, number }, 100 + body.len());
    }

    fn read_on(&mut self, desk: &Desk<'_>) {
        if let Some(CatchUp { visit, login, after, .. }) = &self.catching_up {
            let (visit, name, after) = (*visit, login.name.clone(), *after);
            self.read(visit, false, &name, Range::After { after, max_bytes: PAGE_BYTES }, desk);
        }
    }

    /// Handles a page that was read. Returns why it must end, if it must.
    pub fn have_read(&mut self, reading: Reading, desk: &mut Desk<'_>) -> Option<Ending> {
        let catch_up = self.catching_up.as_mut().filter(|catch_up| catch_up.visit == reading.visit)?;
        let page = reading.page?;
        catch_up.had_fault |= page.is_err();
        match page {
            Ok(page) if reading.is_first => self.first_page(reading.range, &page, desk),
            Ok(page) => self.next_page(&page, desk),
            Err(echoroom::testing::simulation::JournalError::Damaged(_)) if reading.is_first => {
                self.first_page(reading.range, &Page::default(), desk)
            }
            Err(_) if reading.is_first => {
                self.is_paused = false;
                self.user = None;
                self.catching_up = None;
                let ticket = self.expect(desk, Pending::OwnLogout);
                desk.requests.push_back((self.shard, Logout { member: self.member, ticket }.into()));
                self.answer(Answer::NotIn { is_out: true }, 20);
                None
            }
            Err(_) => Some(Ending::Behind),
        }
    }

    fn first_page(&mut self, range: Range, page: &Page, desk: &mut Desk<'_>) -> Option<Ending> {
        let catch_up = self.catching_up.as_mut()?;
        let login = &catch_up.login;
        let reaches_end = page.entries.last().is_some_and(|last| last.offset >= catch_up.durable);
        let nothing = Page::default();
        let page = if reaches_end || matches!(range, Range::After { .. }) { page } else { &nothing };
        let first = page.entries.first().map(|entry| entry.offset);
        if let (Range::After { after, .. }, Resume::From(_)) = (range, login.resume)
            && (page.damage.is_some()
                || (!page.more && !reaches_end && after < catch_up.durable)
                || first.is_some_and(|first| first > after + 1))
        {
            catch_up.is_lost = true;
            let (visit, name, range) = (catch_up.visit, login.name.clone(), latest(login.head));
            self.read(visit, true, &name, range, desk);
            return None;
        }
        let begin = match range {
            Range::After { after, .. } => after,
            Range::Before { .. } => first.map_or(catch_up.durable, |first| first - 1),
        };
        let (is_recovered, missed) = match login.resume {
            Resume::Fresh => (false, 0),
            Resume::From(offset) if catch_up.is_lost => (false, begin.saturating_sub(offset)),
            Resume::From(_) => (true, 0),
            Resume::Lost(seen) => (false, begin.saturating_sub(seen)),
        };
        catch_up.after = begin;
        if !std::mem::replace(&mut catch_up.is_welcome, true) {
            let welcome = Welcome {
                room: desk.names.room(&login.name).unwrap_or(0),
                user: desk.names.shown(&login.profile)?,
                token: login.token,
                epoch: login.epoch,
                begin,
                is_recovered,
                missed,
                had_fault: catch_up.had_fault,
            };
            self.answer(Answer::In(Box::new(welcome)), 150);
        }
        self.is_paused = false;
        self.next_page(page, desk)
    }

    fn next_page(&mut self, page: &Page, desk: &mut Desk<'_>) -> Option<Ending> {
        let catch_up = self.catching_up.as_mut()?;
        let after = catch_up.after;
        let durable = catch_up.durable;
        let entries: Vec<_> = page.entries.iter().take_while(|entry| entry.offset <= durable).collect();
        match (entries.first(), entries.last()) {
            (Some(first), _) if first.offset > after + 1 => return Some(Ending::Behind),
            (_, Some(last)) => catch_up.after = last.offset,
            (_, None) if after < durable => return Some(Ending::Behind),
            (_, None) => {}
        }
        let is_at_end = catch_up.after >= durable;
        let (visit, after) = (catch_up.visit, catch_up.after);
        for entry in entries {
            self.replay(entry.offset, &entry.body);
        }
        if page.damage.is_some() && !is_at_end {
            return Some(Ending::Behind);
        }
        if is_at_end {
            desk.requests.push_back((self.shard, CaughtUp { member: self.member, visit, after }.into()));
        } else {
            self.read_on(desk);
        }
        None
    }
}

fn latest(head: u64) -> Range {
    Range::Before { before: head.saturating_add(1), limit: LATEST, max_bytes: 10 * PAGE_BYTES }
}
