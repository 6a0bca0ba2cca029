//! Private messages to users who have sessions at other nodes.

use std::{sync::Arc, time::Instant};

use bytes::Bytes;

use super::{
    showing::UNREADABLE,
    whisper::{PrivateWhisper, Whisper, pack_handed, pack_private},
};
use crate::{
    broadcast::RoomId,
    chat::{
        core::Chat,
        handing::{Asked, Decided, Fate, Handing, Of, Waiter},
        ids,
        line::Line,
        messages::{Rejected, Reply, SendPrivate},
        position::Asker,
        users::User,
    },
    domain::{MemberId, Nickname, NicknameKey, PublicId, RoomName},
    journal::{Kind, NewEntry},
    logging,
    nodes::{
        NodeUid,
        contract::{AskId, Order},
    },
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
    /// A private message goes to the subscribed sessions of both users at all nodes. The sender is answered when one of
    /// the reader's was handed it, or none was.
    pub(in crate::chat::core) fn send_private_by_link(
        &mut self,
        message: SendPrivate,
    ) -> Result<(), Rejected> {
        let (member, ticket, name) = (message.member, message.ticket, message.to.key());
        let known = self.broadcaster.rooms.member(member).ok_or(Rejected::NotLoggedIn)?;
        let (id, worker) = (known.room().ok_or(Rejected::NotLoggedIn)?, known.worker);
        let room = self.broadcaster.rooms.get(id).ok_or(Rejected::NotLoggedIn)?;
        let sender = room.presence.user_of(member).ok_or(Rejected::NotLoggedIn)?.clone();
        let reader = room.presence.profile_of(&name).map(|profile| profile.nickname.clone());
        let is_held = room.presence.is_held(&name);
        let key = message
            .id
            .as_deref()
            .map(|id| ids::private_key(sender.sender, &sender.token, &room.name, &name, id));
        let to = Asker { member, worker, ticket };
        let mut waiter = Waiter { to, accepted: Some(message.accepted) };
        let known = key.and_then(|key| self.private_ids.find(&key));
        if let Some(fate) = &known {
            match fate.ask(waiter) {
                Asked::Waits => return Ok(()),
                Asked::Delivered => {
                    self.reply(member, ticket, Reply::PrivateSent { at: fate.at(), delivered: true });
                    return Ok(());
                }
                Asked::Undelivered(back) => waiter = back,
            }
        }
        if reader.is_none() && !is_held {
            return Err(Rejected::NoSuchUser);
        }
        let ways = self.ways(id, &name, &sender)?;
        let fate = known.unwrap_or_else(|| self.remember_private(key));
        let at = fate.at();
        let Some(reader) = reader.filter(|_| !ways.readers.is_empty() || !ways.to_reader.is_empty()) else {
            self.reply(member, ticket, Reply::PrivateSent { at, delivered: false });
            return Ok(());
        };
        let entry = NewEntry {
            kind: message.kind,
            at,
            username: sender.profile.nickname.as_str(),
            avatar: sender.profile.avatar.as_str(),
            uid: sender.profile.uid.as_ref(),
            id: message.id.as_deref().unwrap_or_default(),
            body: &message.body,
        };
        self.send_to_all_nodes(id, ways, &reader, entry, fate, waiter);
        Ok(())
    }

    /// Sends a private message all its ways; its fate answers `waiter`.
    fn send_to_all_nodes(
        &mut self,
        id: RoomId,
        ways: Ways,
        reader: &Nickname,
        entry: NewEntry<'_>,
        fate: Arc<Fate>,
        mut waiter: Waiter,
    ) {
        let ask = self.whisper(id, &ways, |ask, wants_answer| pack_private(ask, wants_answer, reader, entry));
        let Ways { readers, recipients, to_reader, .. } = ways;
        let has_part = !readers.is_empty();
        let accepted = if recipients.is_empty() { None } else { waiter.accepted.take() };
        fate.send(waiter);
        let (now, mut part) = (self.now.at, fate);
        if let (Some(ask), Some(shared), false) = (ask, &mut self.shared, to_reader.is_empty()) {
            let whole = std::mem::replace(&mut part, Arc::new(Fate::of(Of::Part(ask))));
            shared.whispers.add(ask, whole, to_reader, has_part, now);
        }
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
        let own = self.shared.as_ref().map(|shared| shared.sharing.node);
        let is_away = self.is_away(id);
        let room = self.broadcaster.rooms.get(id).ok_or(Rejected::NotLoggedIn)?;
        let (presence, sender_key) = (&room.presence, sender.profile.nickname.key());
        let nodes_of = |key| {
            let people = presence.people().zip(own);
            people.map(|(people, own)| people.nodes_of(key, own)).unwrap_or_default()
        };
        let (mut to_reader, mut to_sender) = (nodes_of(reader), nodes_of(&sender_key));
        to_sender.retain(|node| !to_reader.contains(node));
        let sessions = presence.find(reader).map(|reader| reader.sessions.clone()).unwrap_or_default();
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

    /// Tells the other nodes. Returns the number of the message; `None` if there are none.
    fn whisper(
        &mut self,
        id: RoomId,
        Ways { to_reader, to_sender, .. }: &Ways,
        pack: impl Fn(AskId, bool) -> Bytes,
    ) -> Option<AskId> {
        let room = &self.broadcaster.rooms.get(id)?.name;
        let shared = self.shared.as_mut()?;
        let ask = shared.next_ask();
        for (nodes, wants_answer) in [(to_reader, true), (to_sender, false)] {
            if !nodes.is_empty() {
                let packed = pack(ask, wants_answer);
                for node in nodes {
                    shared.order(Order::Whisper(room.clone(), *node, packed.clone()));
                }
            }
        }
        (!to_reader.is_empty() || !to_sender.is_empty()).then_some(ask)
    }

    /// Another node has told this one something.
    pub(super) fn whispered(&mut self, room: &RoomName, node: NodeUid, packed: Bytes) {
        match Whisper::unpack(packed) {
            Ok(Whisper::Private(message)) => self.private_of_node(room, node, &message),
            Ok(Whisper::Handed(ask, is_handed)) => {
                let shared = self.shared.as_mut();
                let decided = shared.and_then(|shared| shared.whispers.answered(ask, node, is_handed));
                self.private_decided(decided);
            }
            Err(error) => logging::refused(UNREADABLE, format_args!("{error}")),
        }
    }

    /// A private message of another node: hands it to the sessions of both users here.
    fn private_of_node(&mut self, name: &RoomName, node: NodeUid, message: &PrivateWhisper) {
        let PrivateWhisper { ask, wants_answer, to, entry } = message;
        let id = self.broadcaster.rooms.find(name);
        let sessions_of = |chat: &mut Self, key: &NicknameKey| -> Vec<MemberId> {
            let room = id.and_then(|id| chat.broadcaster.rooms.get(id));
            let user = room.and_then(|room| room.presence.find(key));
            let sessions = user.map(|user| user.sessions.clone()).unwrap_or_default();
            chat.subscribed(&sessions)
        };
        let reader = to.key();
        let readers = sessions_of(self, &reader);
        let mut recipients = readers.clone();
        // The bytes come from another node, so the name is checked again.
        if let Ok(sender) = Nickname::parse(&entry.username)
            && sender.key() != reader
        {
            recipients.extend(sessions_of(self, &sender.key()));
        }
        let fate = || Arc::new(Fate::of(Of::Foreign(name.clone(), node, *ask)));
        if *wants_answer && readers.is_empty() {
            self.tell_handed(name.clone(), node, *ask, false);
        }
        if let (Some(id), false) = (id, recipients.is_empty()) {
            let handing = (*wants_answer && !readers.is_empty())
                .then(|| Box::new(Handing::new(readers, fate(), Arc::clone(&self.decisions))) as _);
            let line = Line::Private(private(entry.as_new(), to.as_str()));
            let ended = self.broadcaster.send_only(id, recipients, &line, None, handing);
            self.keep(ended);
        }
    }

    /// Answers another node. A room that is closed here has no way to it; that node does not wait for long.
    fn tell_handed(&mut self, room: RoomName, node: NodeUid, ask: AskId, is_handed: bool) {
        if self.broadcaster.rooms.find(&room).is_some() {
            self.order(Order::Whisper(room, node, pack_handed(ask, is_handed)));
        }
    }

    /// It is known whether sessions of this node were handed a private message, or a part of one.
    pub(in crate::chat::core) fn part_decided(&mut self, Decided { fate, delivered }: &Decided) {
        match fate.is_of() {
            Of::Message => {}
            Of::Part(ask) => {
                let shared = self.shared.as_mut();
                let decided = shared.and_then(|shared| shared.whispers.part_decided(*ask, *delivered));
                self.private_decided(decided);
            }
            Of::Foreign(room, node, ask) => self.tell_handed(room.clone(), *node, *ask, *delivered),
        }
    }

    fn private_decided(&mut self, decided: Option<(Arc<Fate>, bool)>) {
        if let Some((fate, delivered)) = decided {
            self.decided(Decided { fate, delivered });
        }
    }

    /// When something is due for which another node, or Redis, was waited.
    pub(in crate::chat::core) fn next_end_of_patience(&self) -> Option<Instant> {
        let shared = self.shared.as_ref()?;
        [shared.whispers.next(), shared.shows.next()].into_iter().flatten().min()
    }

    /// Other nodes and Redis are waited for no longer where that is due.
    pub(in crate::chat::core) fn end_patience(&mut self) {
        let now = self.now.at;
        while let Some(fate) = self.shared.as_mut().and_then(|shared| shared.whispers.take_due(now)) {
            self.decided(Decided { fate, delivered: false });
        }
        if let Some(shared) = &mut self.shared {
            shared.shows.let_go(now);
        }
    }
}

/// The fields of a private message's event.
fn private<'a>(entry: NewEntry<'a>, to: &'a str) -> Private<'a> {
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
