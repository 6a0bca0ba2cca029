//! Messages and typing: into broadcasts, and from there to subscribers and to the journal.

use super::Chat;
use crate::{
    broadcast::{Reach, RoomId, Subscribers},
    chat::{
        avatars::picture_to_keep,
        commits::Receipt,
        effects::ToKeep,
        ids,
        line::Line,
        messages::{Payload, Post, Publish, Rejected, Reply},
        position::{Asker, Place},
        room::{Book, Waiting},
    },
    connection::Accepted,
    domain::{Avatar, MemberId},
    journal::{Kind, NewEntry},
};

impl Chat {
    /// Handles a guest's message once its room's journal has answered.
    pub(super) fn publish(&mut self, publish: Publish) {
        // A session that was dismissed when it registered is in no room, and has been told so.
        let Some(id) = self.broadcaster.rooms.room_of(publish.member) else {
            return;
        };
        self.open_book(id);
        let is_away = self.is_away(id);
        match self.broadcaster.rooms.get(id).map(|room| &mut room.book) {
            // Keep the order. The guest may be gone when the journal answers; its message is still sent.
            Some(Book::Opening(waiting)) if !is_away => waiting.push(Waiting::Publish(publish)),
            _ => self.publish_open(id, publish),
        }
    }

    /// Handles a guest's message in a room whose journal has answered. A guest gets no error if its text is
    /// not kept; it has its echo.
    pub(super) fn publish_open(&mut self, id: RoomId, publish: Publish) {
        if self.is_shared() {
            return self.publish_by_link(id, publish);
        }
        let Publish { member, payload, accepted } = publish;
        let (has_fault, at) = (self.fault.is_some(), self.now.millis);
        let Some(room) = self.room(id) else {
            self.counts.not_kept += 1;
            return;
        };
        let guest = member.guest_name();
        let avatar = Avatar::default();
        let line = match (&payload, &mut room.book) {
            (Payload::Binary(bytes), _) => Line::Binary(bytes),
            (Payload::Text(body), _) if !room.name.is_kept() => Line::Text(body),
            (Payload::Text(body), Book::Open(log)) if !has_fault => {
                let (kind, username, avatar) = (Kind::Message, &*guest, avatar.as_str());
                let entry = NewEntry { kind, at, username, avatar, uid: None, id: "", body };
                Line::Said(log.advance(), entry)
            }
            (Payload::Text(_), _) => {
                self.counts.not_kept += 1;
                return;
            }
        };
        self.add_line(id, &line, Reach::Exclude(member), Some(accepted));
    }

    /// Handles a user's message.
    pub(super) fn post_or_reject(&mut self, post: Post) {
        let (member, ticket) = (post.member, post.ticket);
        if let Err(rejected) = self.post(post) {
            self.reject(member, ticket, rejected);
        }
    }

    fn post(&mut self, post: Post) -> Result<(), Rejected> {
        if self.is_shared() {
            return self.post_by_link(post);
        }
        let Post { member, ticket, kind, body, id: client_id, accepted } = post;
        let known = self.broadcaster.rooms.member(member).ok_or(Rejected::NotLoggedIn)?;
        let (id, worker) = (known.room().ok_or(Rejected::NotLoggedIn)?, known.worker);
        let to = Asker { member, worker, ticket };
        let room = self.broadcaster.rooms.get(id).ok_or(Rejected::NotLoggedIn)?;
        let user = room.presence.user_of(member).ok_or(Rejected::NotLoggedIn)?;
        let Book::Open(log) = &mut room.book else {
            return Err(Rejected::JournalUnavailable);
        };
        let key = client_id.as_deref().map(|id| ids::key_of(user.sender, &user.token, id));
        if let Some(place) = key.and_then(|key| log.ids.find(&key)) {
            let receipt = Receipt { to, place };
            if place.offset <= log.durable() {
                self.reply(member, ticket, Reply::Posted(place));
            } else if room.kept.has(place.offset) {
                room.kept.owe(receipt);
            } else {
                self.to_keep.push(ToKeep::Ack(id, receipt));
            }
            return Ok(());
        }
        if let Some(fault) = &self.fault {
            self.counts.not_kept += 1;
            return Err(fault.into());
        }
        let place = Place { offset: log.advance(), at: self.now.millis };
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
        let line = Line::Said(place.offset, entry);
        room.kept.owe(Receipt { to, place });
        if let Some(picture) = picture_to_keep(&profile.avatar, place.at) {
            room.kept.keep_picture(picture);
        }
        if let Some(key) = key {
            room.kept.remember(key, place);
        }
        self.add_line(id, &line, Reach::All, Some(accepted));
        Ok(())
    }

    /// Has a member answered when all that its room has heard is durable. Returns the place of the last message if it
    /// is, or if nothing can become durable now.
    pub(super) fn until_kept(&mut self, member: MemberId, ticket: u64) -> Option<Place> {
        let mut place = Place { offset: 0, at: self.now.millis };
        let known = self.broadcaster.rooms.member(member);
        let Some((id, worker)) = known.and_then(|known| Some((known.room()?, known.worker))) else {
            return Some(place);
        };
        if self.is_shared() {
            return self.until_accepted(id, Asker { member, worker, ticket });
        }
        let Some(room) = self.broadcaster.rooms.get(id) else {
            return Some(place);
        };
        let Book::Open(log) = &room.book else {
            return Some(place);
        };
        place.offset = log.head();
        if log.head() <= log.durable() || self.fault.is_some() {
            return Some(place);
        }
        let receipt = Receipt { to: Asker { member, worker, ticket }, place };
        if room.kept.has(place.offset) {
            room.kept.owe(receipt);
        } else {
            self.to_keep.push(ToKeep::Ack(id, receipt));
        }
        None
    }

    /// Those of the sessions that are subscribed.
    pub(super) fn subscribed(&self, sessions: &[MemberId]) -> Vec<MemberId> {
        let is_subscribed = |member: &&MemberId| {
            self.broadcaster.rooms.member(**member).is_some_and(|member| member.is_subscribed)
        };
        sessions.iter().filter(is_subscribed).copied().collect()
    }

    /// A user begins or stops to write: a broadcast of its own for writable subscribers.
    pub(super) fn show_typing(&mut self, member: MemberId, typing: bool) {
        // A session that has left since, or is not logged in, shows nothing.
        let Some((id, is_subscribed)) = self
            .broadcaster
            .rooms
            .member(member)
            .and_then(|member| Some((member.room()?, member.is_subscribed)))
        else {
            return;
        };
        if self.is_shared() {
            return self.show_typing_by_link(member, id, typing);
        }
        let subscribers = self.broadcaster.rooms.subscribers(id).map_or(0, Subscribers::count);
        if subscribers <= usize::from(is_subscribed) {
            return;
        }
        let Some(user) = self.broadcaster.rooms.get(id).and_then(|room| room.presence.user_of(member)) else {
            return;
        };
        let name = user.profile.nickname.clone();
        let line = Line::Typing(name.as_str(), typing);
        let ended = self.broadcaster.send_volatile(id, &line, Reach::Exclude(member), None);
        self.keep(ended);
    }

    /// Adds a line to the broadcast of a room, and to what is to be kept of it. `accepted` is held until the
    /// broadcast is delivered.
    pub(super) fn add_line(&mut self, id: RoomId, line: &Line<'_>, reach: Reach, accepted: Option<Accepted>) {
        let is_shared = self.is_shared();
        let Some(room) = self.room(id) else {
            return;
        };
        // Redis has what was heard.
        if !is_shared {
            room.kept.push(line);
        }
        let is_full = room.kept.is_full();
        let ended = self.broadcaster.push(id, line, reach, accepted);
        self.keep(ended);
        if is_full {
            self.end_broadcast(id);
        }
    }
}
