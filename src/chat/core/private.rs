//! Private messages: each goes to the subscribed sessions of both users, and is kept nowhere. Their fan-outs, and the other
//! nodes of the reader, answer the sender.

use std::sync::Arc;

use super::Chat;
use crate::{
    broadcast::RoomId,
    chat::{
        handing::{Asked, Decided, Fate, Handing, Waiter},
        ids,
        line::Line,
        messages::{Rejected, Reply, SendPrivate},
        position::Asker,
        users::User,
    },
    domain::{MemberId, Nickname, NicknameKey, Profile, PublicId},
    journal::{Kind, NewEntry},
    nodes::NodeUid,
    protocol::chat::Private,
};

/// The sessions and nodes that a private message goes to.
struct Ways {
    /// Subscribed sessions of the reader at this node.
    readers: Vec<MemberId>,
    /// All subscribed sessions at this node that get it.
    recipients: Vec<MemberId>,
    /// Other nodes of the reader.
    to_reader: Vec<NodeUid>,
    /// Other nodes at which only the sender has sessions.
    to_sender: Vec<NodeUid>,
}

impl Chat {
    /// Handles a private message.
    pub(super) fn send_private_or_reject(&mut self, message: SendPrivate) {
        let (member, ticket) = (message.member, message.ticket);
        if let Err(rejected) = self.send_private(message) {
            self.reject(member, ticket, rejected);
        }
    }

    fn send_private(&mut self, message: SendPrivate) -> Result<(), Rejected> {
        let SendPrivate { member, ticket, to, kind, body, id: client_id, accepted } = message;
        let name = to.key();
        let known = self.broadcaster.rooms.member(member).ok_or(Rejected::NotLoggedIn)?;
        let (id, worker) = (known.room().ok_or(Rejected::NotLoggedIn)?, known.worker);
        let room = self.broadcaster.rooms.get(id).ok_or(Rejected::NotLoggedIn)?;
        let sender = room.presence.user_of(member).ok_or(Rejected::NotLoggedIn)?.clone();
        let uid = sender.profile.uid.unwrap_or_else(|| sender.token.public_id());
        let key = client_id.as_deref().map(|id| ids::private_key(&uid, &room.name, &name, id));
        let mut waiter = Waiter::Request { to: Asker { member, worker, ticket }, accepted: Some(accepted) };
        let known = key.and_then(|key| self.private_ids.find(&key));
        if let Some(fate) = &known {
            match self.answer_again(fate, waiter) {
                Some(back) => waiter = back,
                None => return Ok(()),
            }
        }
        let reader = self.reader_in(id, &name)?;
        let ways = self.ways(id, &name, &sender)?;
        let fate = known.unwrap_or_else(|| self.remember_private(key, self.now.millis));
        let Some(reader) = reader.filter(|_| !ways.readers.is_empty() || !ways.to_reader.is_empty()) else {
            self.tell_fate(Some(waiter), fate.at(), false);
            return Ok(());
        };
        let Profile { nickname, avatar, uid } = &sender.profile;
        let (username, avatar, uid) = (nickname.as_str(), avatar.as_str(), uid.as_ref());
        let id_of_client = client_id.as_deref().unwrap_or_default();
        let entry = NewEntry { kind, at: fate.at(), username, avatar, uid, id: id_of_client, body: &body };
        self.send_all_ways(id, ways, &reader, entry, fate, waiter);
        Ok(())
    }

    /// The user of this name in a room; `None` if its name is held.
    ///
    /// # Errors
    /// There is none.
    fn reader_in(&mut self, id: RoomId, name: &NicknameKey) -> Result<Option<Nickname>, Rejected> {
        let room = self.broadcaster.rooms.get(id).ok_or(Rejected::NotLoggedIn)?;
        let reader = room.presence.profile_of(name).map(|profile| profile.nickname.clone());
        if reader.is_none() && !room.presence.is_held(name) {
            return Err(Rejected::NoSuchUser);
        }
        Ok(reader)
    }

    /// Sends a private message all its ways; its fate answers `waiter`.
    fn send_all_ways(
        &mut self,
        id: RoomId,
        Ways { readers, recipients, to_reader, to_sender }: Ways,
        reader: &Nickname,
        entry: NewEntry<'_>,
        fate: Arc<Fate>,
        mut waiter: Waiter,
    ) {
        let ask = self.whisper(id, reader, entry, (&to_reader, &to_sender));
        let has_part = !readers.is_empty();
        let accepted = if recipients.is_empty() { None } else { waiter.take_accepted() };
        fate.send(Some(waiter));
        if !recipients.is_empty() {
            fate.show();
        }
        let part = match ask.filter(|_| !to_reader.is_empty()) {
            Some(ask) => self.wait_for_nodes(ask, fate, to_reader, has_part),
            None => fate,
        };
        if !recipients.is_empty() {
            let handing =
                has_part.then(|| Box::new(Handing::new(readers, part, Arc::clone(&self.decisions))) as _);
            let line = Line::Private(private(entry, reader.as_str()));
            let ended = self.broadcaster.send_only(id, recipients, &line, accepted, handing);
            self.keep(ended);
        }
    }

    /// The ways of a private message.
    ///
    /// # Errors
    /// The reader has sessions at other nodes only, and Redis cannot be reached.
    fn ways(&mut self, id: RoomId, reader: &NicknameKey, sender: &User) -> Result<Ways, Rejected> {
        let sender_key = sender.profile.nickname.key();
        let is_away = self.is_away(id);
        let mut to_reader = self.other_nodes_of(id, reader);
        let mut to_sender = self.other_nodes_of(id, &sender_key);
        to_sender.retain(|node| !to_reader.contains(node));
        let room = self.broadcaster.rooms.get(id).ok_or(Rejected::NotLoggedIn)?;
        let sessions = room.presence.find(reader).map(|reader| reader.sessions.clone()).unwrap_or_default();
        // A session that still catches up gets no private message.
        let readers = self.subscribed(&sessions);
        let mut recipients = readers.clone();
        if *reader != sender_key {
            recipients.extend(self.subscribed(&sender.sessions));
        }
        if is_away {
            if readers.is_empty() && !to_reader.is_empty() {
                return Err(Rejected::JournalUnavailable);
            }
            to_reader.clear();
            to_sender.clear();
        }
        Ok(Ways { readers, recipients, to_reader, to_sender })
    }

    /// The fate of a private message that comes for the first time.
    pub(super) fn remember_private(&mut self, key: Option<ids::Key>, at: u64) -> Arc<Fate> {
        let fate = Arc::new(Fate::undelivered(at));
        if let Some(key) = key {
            self.private_ids.remember(key, Arc::clone(&fate), self.now.millis);
        }
        fate
    }

    /// A private message has come again: answers it as before, now or once its fate is known. Returns what waits if the
    /// message was not delivered: the reader may be reachable now.
    pub(super) fn answer_again(&mut self, fate: &Fate, waiter: Waiter) -> Option<Waiter> {
        match fate.ask(waiter) {
            Asked::Waits => None,
            Asked::Delivered(waiter) => {
                self.tell_fate(Some(waiter), fate.at(), true);
                None
            }
            Asked::Undelivered(waiter) => Some(waiter),
        }
    }

    /// Tells what waits for it what became of a private message.
    pub(super) fn tell_fate(&mut self, waiter: Option<Waiter>, at: u64, delivered: bool) {
        match waiter {
            Some(Waiter::Request { to, .. }) => self.answer(to, Reply::PrivateSent { at, delivered }),
            Some(Waiter::Node(room, node, ask)) => self.tell_handed(room, node, ask, (delivered, at)),
            None => {}
        }
    }

    /// The fate of a private message, or of the part of this node, is known: answers what waits for it.
    pub(in crate::chat) fn decided(&mut self, Decided { fate, delivered }: Decided) {
        if let Some(ask) = fate.part_of() {
            self.part_decided(ask, delivered);
        }
        for waiter in fate.decide(delivered) {
            self.tell_fate(Some(waiter), fate.at(), delivered);
        }
    }
}

/// The fields of a private message's event.
pub(super) fn private<'a>(entry: NewEntry<'a>, to: &'a str) -> Private<'a> {
    let NewEntry { kind, at, username, avatar, uid, id, body } = entry;
    Private {
        username,
        avatar,
        uid: uid.map(PublicId::as_str),
        to,
        msg: (kind == Kind::Message).then_some(body),
        img: (kind == Kind::Image).then_some(body),
        at,
        id: (!id.is_empty()).then_some(id),
    }
}
