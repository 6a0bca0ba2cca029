//! Requests of a client: checks them, and sends them to the chat server.

use std::time::Instant;

use bytestring::ByteString;

use super::{
    Conversation, HISTORY_PAGE_BYTES, LoginKind, MessageRequest, Next, Pending, PrivateRequest, RoomRequest,
    User, WaitingHistory,
};
use crate::{
    chat::{
        messages::{self, ListUsers, Post, ShowTyping},
        position::Position,
    },
    connection::rate::Measure,
    domain::{ImageError, ImageLimits, Nickname, NicknameError, Profile, RoomName, Token, image},
    journal::{EpochId, Kind, Range, now_millis},
    protocol::chat::{
        Answer, Code, Content, Failure, HISTORY_LIMIT, History, JoinRoom, Login, MAX_HISTORY_LIMIT,
        MAX_ID_BYTES, Presence, Request, SendImage, SendMessage, SendPrivate, Typing, USERS_PAGE, UserList,
    },
};

/// What a login asks for: a room, and a user of it.
struct Arrival {
    room: RoomName,
    /// `None` for the user that the session is when the login is done.
    profile: Option<Profile>,
    token: Option<Token>,
    position: Option<Position>,
    wants_changes: Option<bool>,
}

impl Conversation {
    pub(super) fn request(
        &mut self,
        request: Request,
        ack: Option<u64>,
        len: usize,
    ) -> Result<Next, Failure> {
        let id = request.id().map(parse_id).transpose()?;
        match request {
            Request::Login(login) => self.login(login, ack, len)?,
            Request::JoinRoom(join) => self.join_room(&join, ack, len)?,
            Request::Ping => self.answer_if_asked(ack, &Answer::Pong { at: now_millis() }),
            Request::Logout => self.logout(ack),
            Request::History(history) => return self.history(history, ack),
            Request::SendMessage(SendMessage { msg, .. }) => {
                self.check_user()?;
                self.check_message(&msg)?;
                let body = ByteString::from(msg);
                let text = ack.is_some().then(|| body.clone());
                let pending = Pending::Post { ack, id: id.clone(), text };
                let accepted = self.intake.accept(len);
                let message = RoomRequest { pending, kind: Kind::Message, body, id, accepted };
                self.send_or_wait(MessageRequest::Room(message));
            }
            Request::SendImage(SendImage { img, .. }) => {
                self.check_user()?;
                self.check_image(&img)?;
                let pending = Pending::Post { ack, id: id.clone(), text: None };
                let accepted = self.intake.accept(len);
                let message = RoomRequest { pending, kind: Kind::Image, body: img.into(), id, accepted };
                self.send_or_wait(MessageRequest::Room(message));
            }
            Request::SendPrivate(private) => {
                self.check_user()?;
                let private = self.check_private(private, ack, id, len)?;
                self.send_or_wait(MessageRequest::Private(private));
            }
            Request::UserList(list) => self.list_users(list, ack, len)?,
            Request::Typing(Typing { typing }) => {
                self.check_user()?;
                let accepted = self.intake.accept(len);
                self.way.send(ShowTyping { member: self.member, typing, _accepted: accepted });
                self.answer_if_asked(ack, &Answer::Done {});
            }
        }
        Ok(Next::Nothing)
    }

    fn login(&mut self, login: Login, ack: Option<u64>, len: usize) -> Result<(), Failure> {
        let nickname = Nickname::parse(&login.username)
            .map_err(|error| Failure::with(Code::BadName, error.to_string()))?;
        let asked = login.avatar.as_deref().unwrap_or_default();
        let avatar = self.worker.avatars.wear(asked, self.avatar_limits());
        let room = login.room.as_deref().map_or_else(|| Ok(RoomName::default()), parse_room)?;
        let token = login.token.as_deref().filter(|token| !token.is_empty()).map(parse_token).transpose()?;
        self.has_shown_token |= token.is_some();
        let position = match (login.epoch, login.offset) {
            (Some(epoch), Some(offset)) => Some(parse_position(&epoch, offset)?),
            (None, None) => None,
            (Some(_), None) => {
                return Err(Failure::with(Code::BadField, "data.epoch comes with data.offset"));
            }
            (None, Some(_)) => {
                return Err(Failure::with(Code::BadField, "data.offset comes with data.epoch"));
            }
        };
        let own = self.user.as_ref().map(|user| user.token);
        let presence = login.presence.unwrap_or_default();
        let arrival = Arrival {
            room,
            profile: Some(Profile { nickname, avatar, uid: None }),
            token: token.or(own),
            position,
            wants_changes: Some(presence == Presence::Changes),
        };
        self.send_login(arrival, LoginKind::Login, ack, len)
    }

    fn join_room(&mut self, join: &JoinRoom, ack: Option<u64>, len: usize) -> Result<(), Failure> {
        let User { profile, token, .. } = self.check_user()?.clone();
        let room = parse_room(&join.room)?;
        let arrival =
            Arrival { room, profile: Some(profile), token: Some(token), position: None, wants_changes: None };
        self.send_login(arrival, LoginKind::JoinRoom, ack, len)
    }

    fn send_login(
        &mut self,
        arrival: Arrival,
        kind: LoginKind,
        ack: Option<u64>,
        len: usize,
    ) -> Result<(), Failure> {
        let spare = Token::random().map_err(|error| {
            Failure::with(Code::JournalUnavailable, format!("no random numbers: {error}"))
        })?;
        let ticket = self.expect(Pending::Login { ack, kind });
        let accepted = self.intake.accept(len);
        self.pause.set(true);
        let (member, has_shown_token) = (self.member, self.has_shown_token);
        let Arrival { room, profile, token, position, wants_changes } = arrival;
        self.way.send(messages::Login {
            member,
            ticket,
            room,
            profile,
            token,
            has_shown_token,
            spare,
            position,
            wants_changes,
            _accepted: accepted,
        });
        Ok(())
    }

    fn logout(&mut self, ack: Option<u64>) {
        self.user = None;
        self.has_shown_token = false;
        // A client that has not been told of its login is not given what was said there. Another one is, because
        // what follows comes until it is out.
        self.catching_up.take_if(|catch_up| catch_up.welcome.is_some());
        let ticket = self.expect(Pending::Logout { ack });
        self.way.send(messages::Logout { member: self.member, ticket });
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
        // One page at a time, so that a session holds at most one.
        self.pause.set(true);
        self.waiting_history = Some(WaitingHistory { ack, room, range });
        let ticket = self.expect(Pending::Kept);
        self.way.send(messages::UntilKept { member: self.member, ticket });
        Ok(Next::Nothing)
    }

    fn list_users(&mut self, list: UserList, ack: Option<u64>, len: usize) -> Result<(), Failure> {
        self.check_user()?;
        let after = list.after.map(|name| Nickname::parse(&name)).transpose();
        let after = after.map_err(|error| Failure::with(Code::BadField, format!("data.after: {error}")))?;
        let limit =
            usize::try_from(list.limit.unwrap_or(u64::MAX)).unwrap_or(usize::MAX).clamp(1, USERS_PAGE);
        let ticket = self.expect(Pending::Users { ack });
        let accepted = self.intake.accept(len);
        let after = after.map(|name| name.key());
        self.way.send(ListUsers { member: self.member, ticket, after, limit, _accepted: accepted });
        Ok(())
    }

    /// While the session catches up, what is told of its message would come too early: the answer before the message
    /// itself, which is among those that it still reads, or the copy of a private message before older messages. Then
    /// the request waits, and reading from the client is paused.
    fn send_or_wait(&mut self, request: MessageRequest) {
        if self.catching_up.is_some() {
            self.pause.set(true);
            self.waiting_message = Some(Box::new(request));
        } else {
            self.send_message(request);
        }
    }

    /// The session is subscribed: sends the message that waited for that.
    pub(super) fn send_waiting_message(&mut self) {
        if let Some(request) = self.waiting_message.take() {
            self.send_message(*request);
            self.pause.set(false);
        }
    }

    fn send_message(&mut self, request: MessageRequest) {
        match request {
            MessageRequest::Room(RoomRequest { pending, kind, body, id, accepted }) => {
                let ticket = self.expect(pending);
                self.way.send(Post { member: self.member, ticket, kind, body, id, accepted });
            }
            MessageRequest::Private(PrivateRequest { ack, to, kind, body, id, accepted }) => {
                let ticket = self.expect(Pending::SendPrivate { ack, id: id.clone() });
                let member = self.member;
                self.way.send(messages::SendPrivate { member, ticket, to, kind, body, id, accepted });
            }
        }
    }

    /// The client has left. Handles what it had sent during a pause, in order; the chat server keeps the
    /// order behind a login.
    pub(crate) fn handle_last_requests(
        &mut self,
        held: impl Iterator<Item = (Result<Request, Failure>, usize)>,
    ) {
        self.send_waiting_message();
        // A login may change the user before the rest is handled. The chat server knows the user.
        self.user = None;
        for (request, len) in held {
            let is_in_time =
                self.meter.as_mut().is_none_or(|meter| meter.measure(Instant::now()) == Measure::Fits);
            match request {
                Ok(request) if is_in_time => self.handle_last_request(request, len),
                Ok(_) | Err(_) => {}
            }
        }
    }

    fn handle_last_request(&mut self, request: Request, len: usize) {
        let Ok(id) = request.id().map(parse_id).transpose() else {
            return;
        };
        let ack = None;
        match request {
            // The client has left, so a failure cannot be reported.
            Request::Login(login) => drop(self.login(login, ack, len)),
            Request::JoinRoom(join) => {
                if let Ok(room) = parse_room(&join.room) {
                    let arrival =
                        Arrival { room, profile: None, token: None, position: None, wants_changes: None };
                    drop(self.send_login(arrival, LoginKind::JoinRoom, ack, len));
                }
            }
            Request::Logout => self.logout(ack),
            Request::SendMessage(SendMessage { msg, .. }) if self.check_message(&msg).is_ok() => {
                self.send_last(Kind::Message, msg.into(), id, len);
            }
            Request::SendImage(SendImage { img, .. }) if self.check_image(&img).is_ok() => {
                self.send_last(Kind::Image, img.into(), id, len);
            }
            Request::SendPrivate(private) => {
                if let Ok(private) = self.check_private(private, ack, id, len) {
                    self.send_message(MessageRequest::Private(private));
                }
            }
            // The other requests have no effect without their client.
            _ => {}
        }
    }

    fn send_last(&mut self, kind: Kind, body: ByteString, id: Option<ByteString>, len: usize) {
        let pending = Pending::Post { ack: None, id: None, text: None };
        let accepted = self.intake.accept(len);
        self.send_message(MessageRequest::Room(RoomRequest { pending, kind, body, id, accepted }));
    }

    fn check_user(&self) -> Result<&User, Failure> {
        self.user.as_ref().ok_or_else(|| Failure::of(Code::NotLoggedIn))
    }

    fn check_private(
        &self,
        private: SendPrivate,
        ack: Option<u64>,
        id: Option<ByteString>,
        len: usize,
    ) -> Result<PrivateRequest, Failure> {
        let SendPrivate { to, content, .. } = private;
        let reader = Nickname::parse(&to);
        let (kind, body) = match content {
            Content::Text(msg) => {
                self.check_message(&msg)?;
                (Kind::Message, msg)
            }
            // Probably a mistake of the client: `data.to` is not a nickname.
            Content::Image(_)
                if let Err(error @ (NicknameError::Empty | NicknameError::TooLong)) = reader =>
            {
                return Err(Failure::with(Code::BadField, format!("data.to: {error}")));
            }
            Content::Image(img) => {
                self.check_image(&img)?;
                (Kind::Image, img)
            }
        };
        // No user can have this nickname, so no user of the room has it.
        let to = reader.map_err(|_| Failure::of(Code::NoSuchUser))?;
        let accepted = self.intake.accept(len);
        Ok(PrivateRequest { ack, to, kind, body: body.into(), id, accepted })
    }

    fn check_message(&self, msg: &str) -> Result<(), Failure> {
        let limit = self.worker.settings.limits.max_message_size.get();
        if msg.len() > limit {
            let sentence = format!("data.msg: the text has {} bytes, at most {limit} are taken", msg.len());
            return Err(Failure::with(Code::TooLarge, sentence));
        }
        Ok(())
    }

    fn check_image(&self, img: &str) -> Result<(), Failure> {
        let settings = &self.worker.settings;
        let limits = ImageLimits {
            bytes: settings.events.max_image_size().get(),
            side: settings.events.max_image_side.get(),
            pixels: settings.events.max_image_pixels.get() as u64,
        };
        image::check(img, limits).map_err(|error| {
            let code = match error {
                ImageError::TooLarge { .. } => Code::TooLarge,
                _ => Code::BadImage,
            };
            Failure::with(code, format!("data.img: {error}"))
        })
    }

    pub(super) fn avatar_limits(&self) -> ImageLimits {
        let settings = &self.worker.settings;
        let side = settings.events.max_avatar_side.get();
        ImageLimits { bytes: settings.events.max_avatar_size().get(), side, pixels: 4 * (side * side) as u64 }
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

fn parse_position(epoch: &str, offset: u64) -> Result<Position, Failure> {
    let epoch: EpochId =
        epoch.parse().map_err(|error| Failure::with(Code::BadField, format!("data.epoch: {error}")))?;
    Ok(Position { epoch, offset })
}
