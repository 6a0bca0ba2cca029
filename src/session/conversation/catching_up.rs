//! Catching up: reads what a session missed, page by page, between its login and its subscription.

use std::borrow::Cow;

use log::error;

use super::{
    CatchUp, Conversation, HISTORY_PAGE_BYTES, LoginKind, Next, Outcome, Pending, Purpose, REPLAY_PAGE_BYTES,
    Reading, User, failure_of,
};
use crate::{
    chat::{
        log::Resume,
        messages::{self, CaughtUp, LoggedIn, Tail},
    },
    connection::Ending,
    domain::RoomName,
    journal::{JournalError, Page, Range, entry},
    protocol::chat::{Answer, Event, HISTORY_LIMIT, LoginSuccess, RoomJoined},
};

impl Conversation {
    /// The session is logged in. Reads what it is to be given before it subscribes.
    pub(super) fn logged_in(
        &mut self,
        visit: u64,
        login: Box<LoggedIn>,
        ack: Option<u64>,
        kind: LoginKind,
    ) -> Next {
        let (profile, room) = (login.profile.clone(), login.name.clone());
        self.way.moved_to(&room);
        self.user = Some(User { profile, token: login.token, room, durable: login.durable });
        self.pause.note_known();
        let range = match login.resume {
            Resume::From(offset) => Range::After { after: offset, max_bytes: REPLAY_PAGE_BYTES },
            Resume::Fresh | Resume::Lost(_) => latest(login.head),
        };
        let (name, durable) = (login.name.clone(), login.durable);
        self.catching_up =
            Some(CatchUp { visit, login, welcome: Some((ack, kind)), after: 0, durable, is_lost: false });
        Next::Read(self.read(Purpose::FirstPage { visit, range }, name, range))
    }

    /// Handles the newest messages, which follow what was read, or the order to read on.
    pub(crate) fn tail(&mut self, tail: Tail) -> Next {
        let Some(catch_up) = self.catching_up.as_mut().filter(|catch_up| catch_up.visit == tail.visit) else {
            return Next::Nothing;
        };
        // Before the messages: those that the client has are of the new epoch as well, but not the other way round.
        if std::mem::replace(&mut catch_up.login.epoch, tail.epoch) != tail.epoch {
            self.speech.room_event(&Event::Epoch { epoch: &tail.epoch.to_string() });
        }
        if let Some(behind) = tail.behind {
            catch_up.durable = behind.durable;
            return self.read_on();
        }
        let (after, head) = (catch_up.after, catch_up.login.head);
        self.catching_up = None;
        for record in &tail.records {
            // This process packed the record. If it still cannot be read, the client must learn that.
            let Ok(entries) = entry::unpack(record) else {
                error!("{}: what was said last cannot be read; the session ends, to come back", self.member);
                return Next::End(Ending::Behind);
            };
            for entry in entries.iter().filter(|entry| entry.offset > after) {
                self.replay(entry, head);
            }
        }
        self.send_waiting_message();
        Next::Nothing
    }

    /// Handles a page that was read, or why it could not be read.
    pub(crate) fn have_read(&mut self, Outcome { purpose, result }: Outcome) -> Next {
        let result = result.map(|page| self.with_addresses(page));
        match purpose {
            Purpose::History { ack, before } => {
                self.pause.set(false);
                match result.and_then(|page| self.whole(page, before)) {
                    Ok(page) => self.answer_history(ack, &page),
                    Err(error) => self.fail(Some(ack), false, &failure_of((&error).into())),
                }
                Next::Nothing
            }
            Purpose::FirstPage { visit, range } => match result {
                _ if !self.is_catching_up(visit) => Next::Nothing,
                Ok(page) => self.first_page(range, &page),
                // The login succeeds, and the client is told that it is not given all.
                Err(JournalError::Damaged(_)) => self.first_page(range, &Page::default()),
                Err(error) => self.cannot_welcome(&error),
            },
            Purpose::NextPage { visit } => match result {
                _ if !self.is_catching_up(visit) => Next::Nothing,
                Ok(page) => self.next_page(&page),
                Err(_) => Next::End(Ending::Behind),
            },
        }
    }

    /// Replaces pictures, which journals of older versions hold, with their addresses.
    fn with_addresses(&self, mut page: Page) -> Page {
        for entry in &mut page.entries {
            if let Cow::Owned(address) = self.worker.avatars.address_of(&entry.avatar, self.avatar_limits()) {
                entry.avatar = address.into();
            }
        }
        page
    }

    /// The page, if no message is missing at its end: up to `before`, or to the last one that was durable at
    /// the login.
    fn whole(&self, page: Page, before: u64) -> Result<Page, JournalError> {
        let newest = self.user.as_ref().map_or(0, |user| user.durable).min(before.saturating_sub(1));
        let page = page.whole()?;
        if page.entries.last().is_some_and(|last| last.offset < newest) {
            return Err(JournalError::Damaged("messages are missing".to_owned()));
        }
        Ok(page)
    }

    fn is_catching_up(&self, visit: u64) -> bool {
        self.catching_up.as_ref().is_some_and(|catch_up| catch_up.visit == visit)
    }

    /// Decides whether all missed messages are there, answers the login, and begins to replay.
    fn first_page(&mut self, range: Range, page: &Page) -> Next {
        let Some(catch_up) = &mut self.catching_up else {
            return Next::Nothing;
        };
        let login = &catch_up.login;
        // A latest page that does not reach up to the durable end is of no use.
        let reaches_end = page.entries.last().is_some_and(|last| last.offset >= catch_up.durable);
        let page = if reaches_end || matches!(range, Range::After { .. }) { page } else { &Page::default() };
        let first = page.entries.first().map(|entry| entry.offset);
        if let (Range::After { after, .. }, Resume::From(_)) = (range, login.resume)
            && (page.damage.is_some()
                || (!page.more && !reaches_end && after < catch_up.durable)
                || first.is_some_and(|first| first > after + 1))
        {
            // The journal has dropped some of it, or cannot read it: the latest page instead.
            catch_up.is_lost = true;
            let (visit, name, range) = (catch_up.visit, login.name.clone(), latest(login.head));
            return Next::Read(self.read(Purpose::FirstPage { visit, range }, name, range));
        }
        // The offset before the first message to replay.
        let begin = match range {
            Range::After { after, .. } => after,
            Range::Before { .. } => first.map_or(catch_up.durable, |first| first - 1),
        };
        let (recovered, missed) = match login.resume {
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
        self.pause.set(false);
        self.next_page(page)
    }

    fn welcome(&self, ack: Option<u64>, kind: LoginKind, recovered: bool, missed: u64) {
        let Some(CatchUp { login, .. }) = &self.catching_up else {
            return;
        };
        let (room, epoch, offset) = (login.name.to_string(), login.epoch.to_string(), login.head);
        let count = login.count;
        let (event, answer) = match kind {
            LoginKind::Login => (
                "loginSuccess",
                Answer::LoginSuccess(LoginSuccess {
                    username: login.profile.nickname.to_string(),
                    avatar: login.profile.avatar.to_string(),
                    uid: login.token.public_id().to_string(),
                    room,
                    token: login.token.to_string(),
                    epoch,
                    offset,
                    recovered,
                    missed,
                    count,
                }),
            ),
            LoginKind::JoinRoom => {
                ("roomJoined", Answer::RoomJoined(RoomJoined { room, epoch, offset, count }))
            }
        };
        match ack {
            Some(number) => self.speech.ack(number, &answer),
            None => self.speech.event(event, &answer),
        }
    }

    /// The session is logged in, but cannot be given what was said in its room: logs it out.
    fn cannot_welcome(&mut self, error: &JournalError) -> Next {
        self.pause.set(false);
        self.user = None;
        let welcome = self.catching_up.take().and_then(|catch_up| catch_up.welcome);
        let ticket = self.expect(Pending::Logout { ack: None });
        self.way.send(messages::Logout { member: self.member, ticket });
        if let Some((ack, kind)) = welcome {
            self.fail(ack, kind == LoginKind::Login, &failure_of(error.into()));
        }
        Next::Nothing
    }

    /// Replays a page, then reads on or asks to subscribe.
    fn next_page(&mut self, page: &Page) -> Next {
        let Some(catch_up) = &mut self.catching_up else {
            return Next::Nothing;
        };
        let (after, head) = (catch_up.after, catch_up.login.head);
        // What was said since may be of another epoch; the tail tells which.
        let durable = catch_up.durable;
        let entries = page.entries.iter().take_while(|entry| entry.offset <= durable);
        let entries: Vec<_> = entries.collect();
        match (entries.first(), entries.last()) {
            (Some(first), _) if first.offset > after + 1 => return Next::End(Ending::Behind),
            (_, Some(last)) => catch_up.after = last.offset,
            // None of the durable messages that follow is left.
            (_, None) if after < durable => return Next::End(Ending::Behind),
            (_, None) => {}
        }
        let is_at_end = catch_up.after >= durable;
        let (visit, after) = (catch_up.visit, catch_up.after);
        for entry in entries {
            self.replay(entry, head);
        }
        if page.damage.is_some() && !is_at_end {
            return Next::End(Ending::Behind);
        }
        if !is_at_end {
            return self.read_on();
        }
        self.way.send(CaughtUp { member: self.member, visit, after });
        Next::Nothing
    }

    fn read_on(&self) -> Next {
        let Some(CatchUp { visit, login, after, .. }) = &self.catching_up else {
            return Next::Nothing;
        };
        let range = Range::After { after: *after, max_bytes: REPLAY_PAGE_BYTES };
        Next::Read(self.read(Purpose::NextPage { visit: *visit }, login.name.clone(), range))
    }

    /// Reads a page once the socket has taken what came before.
    pub(super) fn read(&self, purpose: Purpose, room: RoomName, range: Range) -> Reading {
        let speech = self.speech.clone();
        let records = self.worker.records.clone();
        Box::pin(async move {
            speech.drained(REPLAY_PAGE_BYTES).await;
            Outcome { purpose, result: records.read(room, range).await }
        })
    }
}

/// The newest messages up to an offset, as one page.
fn latest(head: u64) -> Range {
    let limit = usize::try_from(HISTORY_LIMIT).unwrap_or(usize::MAX);
    Range::Before { before: head.saturating_add(1), limit, max_bytes: HISTORY_PAGE_BYTES }
}
