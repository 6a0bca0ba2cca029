//! Messages and typing: into broadcasts, and from there to subscribers and to the journal.

use std::sync::Arc;

use actix::Context;

use super::ChatServer;
use crate::{
    broadcast::{Broadcast, FanOutBroadcast, Reach, Recipients, RoomId, Subscribers},
    chat::{
        broadcast::ChatBroadcast,
        commits::{Commit, Receipt},
        handing::{Fate, Handing, Waiter},
        ids,
        line::Line,
        messages::{Payload, Post, Publish, Rejected, Reply, SendPrivate},
        position::Place,
        room::{Book, Waiting},
    },
    domain::{Avatar, PublicId, SessionId, WorkerId},
    journal::{Append, Kind, NewEntry, now_millis},
    protocol::{
        chat::Private,
        websocket::deflate::{Deflater, FULL_WINDOW},
    },
};

/// Milliseconds after which the journal is told again that a picture is in use: one day.
const KEEP_PICTURE_AGAIN: u64 = 24 * 3600 * 1000;

impl ChatServer {
    /// Handles a guest's message once its room's journal has answered.
    pub(super) fn publish(&mut self, publish: Publish, ctx: &mut Context<Self>) {
        // A session that was dismissed when it registered is in no room, and has been told so.
        let Some(id) = self.rooms.room_of(publish.session) else {
            return;
        };
        self.open_book(id, ctx);
        match self.rooms.get(id).map(|room| &mut room.book) {
            // Keep the order. The guest may be gone when the journal answers; its message is still sent.
            Some(Book::Opening(waiting)) => waiting.push(Waiting::Publish(publish)),
            _ => self.publish_open(id, publish),
        }
    }

    /// Handles a guest's message in a room whose journal has answered. A guest gets no error if its text is
    /// not kept; it has its echo.
    pub(super) fn publish_open(&mut self, id: RoomId, publish: Publish) {
        let Publish { session, payload, accepted } = publish;
        let has_fault = self.commits.fault().is_some();
        let Some(room) = self.rooms.get(id) else {
            return self.metrics.not_kept();
        };
        let guest = session.guest_name();
        let avatar = Avatar::default();
        let line = match (&payload, &mut room.book) {
            (Payload::Binary(bytes), _) => Line::Binary(bytes),
            (Payload::Text(body), _) if !room.name.is_kept() => Line::Text(body),
            (Payload::Text(body), Book::Open(log)) if !has_fault => {
                let (kind, username, avatar) = (Kind::Message, &*guest, avatar.as_str());
                let entry = NewEntry { kind, at: now_millis(), username, avatar, uid: None, id: "", body };
                Line::Said(log.advance(), entry)
            }
            (Payload::Text(_), _) => return self.metrics.not_kept(),
        };
        let deflater = deflater(&mut self.deflater, &room.subscribers);
        if room.open.is_none() {
            self.open_rooms.push(id);
        }
        let open = room.open_broadcast();
        open.push(&line, Reach::Exclude(session), deflater);
        open.hold(accepted);
        if open.is_full() {
            self.end_broadcast(id);
        }
    }

    /// Handles a user's message.
    pub(super) fn post_or_reject(&mut self, post: Post) {
        let (session, ticket) = (post.session, post.ticket);
        if let Err(rejected) = self.post(post) {
            self.reject(session, ticket, rejected);
        }
    }

    fn post(&mut self, post: Post) -> Result<(), Rejected> {
        let Post { session, ticket, kind, body, id: client_id, accepted } = post;
        let id = self.rooms.room_of(session).ok_or(Rejected::NotLoggedIn)?;
        let room = self.rooms.get(id).ok_or(Rejected::NotLoggedIn)?;
        let user = room.presence.user_of(session).ok_or(Rejected::NotLoggedIn)?;
        let Book::Open(log) = &mut room.book else {
            return Err(Rejected::JournalUnavailable);
        };
        let key = client_id.as_deref().map(|id| ids::key_of(user.sender, &user.token, id));
        if let Some(place) = key.and_then(|key| log.ids.find(&key)) {
            let receipt = Receipt { session, ticket, place };
            if place.offset <= log.durable() {
                self.reply(session, ticket, Reply::Posted(place));
            } else if self.commits.attach(id, receipt) {
                // The receipt waits with the first message.
            } else if let Some(open) = &mut room.open {
                open.owe(receipt);
            } else {
                return Err(Rejected::NotKeptYet);
            }
            return Ok(());
        }
        if let Some(fault) = self.commits.fault() {
            self.metrics.not_kept();
            return Err(fault.into());
        }
        let place = Place { offset: log.advance(), at: now_millis() };
        if let Some(key) = key {
            log.ids.remember(key, place, place.at);
        }
        let profile = user.profile.clone();
        let entry = NewEntry {
            kind,
            at: place.at,
            username: profile.nickname.as_str(),
            avatar: profile.avatar.as_str(),
            uid: profile.uid.as_ref(),
            id: client_id.as_deref().unwrap_or_default(),
            body: &body,
        };
        let deflater = deflater(&mut self.deflater, &room.subscribers);
        if room.open.is_none() {
            self.open_rooms.push(id);
        }
        let open = room.open_broadcast();
        open.push(&Line::Said(place.offset, entry), Reach::All, deflater);
        open.hold(accepted);
        open.owe(Receipt { session, ticket, place });
        if let Some(picture) = profile.avatar.as_picture()
            && picture.must_be_kept(place.at.saturating_sub(KEEP_PICTURE_AGAIN), place.at)
        {
            open.keep_picture(Arc::clone(picture));
        }
        if let Some(key) = key {
            open.remember(key, place);
        }
        if open.is_full() {
            self.end_broadcast(id);
        }
        Ok(())
    }

    /// Handles a private message.
    pub(super) fn send_private_or_reject(&mut self, message: SendPrivate) {
        let (session, ticket) = (message.session, message.ticket);
        if let Err(rejected) = self.send_private(message) {
            self.reject(session, ticket, rejected);
        }
    }

    /// A private message is live only. It goes to the subscribed sessions of both users; their fan-outs
    /// answer the sender.
    fn send_private(&mut self, message: SendPrivate) -> Result<(), Rejected> {
        let SendPrivate { session, ticket, to, kind, body, id: client_id, accepted } = message;
        let id = self.rooms.room_of(session).ok_or(Rejected::NotLoggedIn)?;
        let room = self.rooms.get(id).ok_or(Rejected::NotLoggedIn)?;
        let sender = room.presence.user_of(session).ok_or(Rejected::NotLoggedIn)?;
        let sender = sender.clone();
        let name = to.key();
        let key = client_id
            .as_deref()
            .map(|id| ids::private_key(sender.sender, &sender.token, &room.name, &name, id));
        let reader = room.presence.find(&name).cloned();
        let is_held = room.presence.is_held(&name);
        let fanout = self.fanout_of(session).ok_or(Rejected::NotLoggedIn)?.clone();
        let mut waiter = Waiter { session, ticket, fanout, accepted: Some(accepted) };
        let known = key.and_then(|key| self.private_ids.find(&key));
        if let Some(fate) = &known {
            match fate.ask(waiter) {
                Some(back) => waiter = back,
                None => return Ok(()),
            }
        }
        if reader.is_none() && !is_held {
            return Err(Rejected::NoSuchUser);
        }
        let fate = known.unwrap_or_else(|| self.remember_private(key));
        let at = fate.at();
        let mut subscribers = Subscribers::default();
        // A session that still catches up gets no private message.
        let readers = reader.as_ref().map(|reader| self.subscribed(&reader.sessions, &mut subscribers));
        let (Some(reader), Some(readers)) = (reader, readers.filter(|readers| !readers.is_empty())) else {
            waiter.answer(at, false);
            return Ok(());
        };
        let mut recipients = readers.clone();
        if reader.token != sender.token {
            recipients.extend(self.subscribed(&sender.sessions, &mut subscribers));
        }
        let private = Private {
            username: sender.profile.nickname.as_str(),
            avatar: sender.profile.avatar.as_str(),
            uid: sender.profile.uid.as_ref().map(PublicId::as_str),
            to: reader.profile.nickname.as_str(),
            msg: (kind == Kind::Message).then_some(&*body),
            img: (kind == Kind::Image).then_some(&*body),
            at,
            id: client_id.as_deref(),
        };
        let mut open = ChatBroadcast::new(&subscribers);
        open.push(&Line::Private(private), Reach::All, deflater(&mut self.deflater, &subscribers));
        waiter.accepted.take().into_iter().for_each(|accepted| open.hold(accepted));
        fate.send(waiter);
        let handing = Handing::new(readers, fate);
        let broadcast = open.finish(Recipients::Only(recipients), &self.budget).0.with_handing(handing);
        // The broadcast comes after what was said before.
        self.end_broadcast(id);
        self.fan_out(id, subscribers.workers(), Arc::new(broadcast));
        Ok(())
    }

    /// The fate of a private message that is sent for the first time.
    fn remember_private(&mut self, key: Option<ids::Key>) -> Arc<Fate> {
        let fate = Arc::new(Fate::undelivered(now_millis()));
        if let Some(key) = key {
            self.private_ids.remember(key, Arc::clone(&fate), fate.at());
        }
        fate
    }

    /// The sessions that are subscribed; also adds them to `subscribers`.
    fn subscribed(&self, sessions: &[SessionId], subscribers: &mut Subscribers) -> Vec<SessionId> {
        let is_subscribed = |session: &&SessionId| {
            let member = self.rooms.member(**session).filter(|member| member.is_subscribed);
            member.inspect(|member| subscribers.add(member.worker, member.encoding)).is_some()
        };
        sessions.iter().filter(is_subscribed).copied().collect()
    }

    /// A user begins or stops to write: a broadcast of its own for writable subscribers.
    pub(super) fn show_typing(&mut self, session: SessionId, typing: bool) {
        // A session that has left since, or is not logged in, shows nothing.
        let Some((id, is_subscribed)) =
            self.rooms.member(session).and_then(|member| Some((member.room()?, member.is_subscribed)))
        else {
            return;
        };
        let Some(room) =
            self.rooms.get(id).filter(|room| room.subscribers.count() > usize::from(is_subscribed))
        else {
            return;
        };
        let Some(user) = room.presence.user_of(session) else {
            return;
        };
        let mut open = ChatBroadcast::new(&room.subscribers);
        open.push(&Line::Typing(user.profile.nickname.as_str(), typing), Reach::Exclude(session), None);
        // The broadcast comes after what was said before.
        self.end_broadcast(id);
        if let Some(room) = self.rooms.get(id) {
            let workers: Vec<_> = room.subscribers.workers().collect();
            let (broadcast, _) = open.finish(Recipients::Volatile, &self.budget);
            self.fan_out(id, workers.into_iter(), Arc::new(broadcast));
        }
    }

    /// Adds a line that is not kept to the broadcast of a room.
    pub(super) fn add_line(&mut self, id: RoomId, line: &Line<'_>, reach: Reach) {
        if let Some(room) = self.rooms.get(id) {
            let deflater = deflater(&mut self.deflater, &room.subscribers);
            if room.open.is_none() {
                self.open_rooms.push(id);
            }
            let open = room.open_broadcast();
            open.push(line, reach, deflater);
            if open.is_full() {
                self.end_broadcast(id);
            }
        }
    }

    pub(super) fn end_all_broadcasts(&mut self) {
        for room in std::mem::take(&mut self.open_rooms) {
            self.end_broadcast(room);
        }
    }

    /// Sends the broadcast of a room to its subscribers, and queues what is to be kept for the journal.
    pub(super) fn end_broadcast(&mut self, id: RoomId) {
        let tail_bytes = self.tail_share();
        let Some(room) = self.rooms.get(id) else {
            return;
        };
        let Some(open) = room.open.take() else {
            return;
        };
        let (broadcast, kept) = open.finish(Recipients::Room, &self.budget);
        let broadcast = Arc::new(broadcast);
        for worker in room.subscribers.workers() {
            if let Some(fanout) = self.workers.get(&worker) {
                fanout.do_send(FanOutBroadcast { room: id, broadcast: Arc::clone(&broadcast) });
            }
        }
        let name = room.name.clone();
        if let Some((record, pictures, receipts)) = kept.into_record()
            && let Some(log) = room.log()
        {
            log.push(record.clone(), tail_bytes);
            let append = Append { room: name, epoch: log.epoch(), record, pictures };
            self.commits.push(Commit { room: id, append, receipts, _broadcast: broadcast });
            self.metrics.set_unkept(self.commits.unkept());
        } else {
            self.retire(id);
        }
    }

    fn fan_out(&self, room: RoomId, workers: impl Iterator<Item = WorkerId>, broadcast: Arc<Broadcast>) {
        for fanout in workers.filter_map(|worker| self.workers.get(&worker)) {
            fanout.do_send(FanOutBroadcast { room, broadcast: Arc::clone(&broadcast) });
        }
    }
}

/// The deflater, if a subscriber takes compressed frames.
pub(super) fn deflater<'a>(
    deflater: &'a mut Option<Deflater>,
    subscribers: &Subscribers,
) -> Option<&'a mut Deflater> {
    subscribers.reads_deflated().then(|| deflater.get_or_insert_with(|| Deflater::new(FULL_WINDOW)))
}
