//! Private messages from and to other nodes.

use std::{sync::Arc, time::Instant};

use bytes::Bytes;

use super::{
    showing::UNREADABLE,
    whisper::{PrivateWhisper, Whisper, pack_handed, pack_private},
};
use crate::{
    broadcast::RoomId,
    chat::{
        core::{Chat, private::private},
        handing::{Decided, Fate, Handing, Waiter},
        ids,
        line::Line,
    },
    domain::{MemberId, Nickname, NicknameKey, RoomName},
    journal::NewEntry,
    logging,
    nodes::{
        NodeUid,
        contract::{AskId, Order},
    },
};

impl Chat {
    /// The nodes of a user of a room, without this one.
    pub(in crate::chat::core) fn other_nodes_of(&mut self, id: RoomId, key: &NicknameKey) -> Vec<NodeUid> {
        let own = self.shared.as_ref().map(|shared| shared.sharing.node);
        let room = self.broadcaster.rooms.get(id);
        let people = room.and_then(|room| room.presence.people()).zip(own);
        people.map(|(people, own)| people.nodes_of(key, own)).unwrap_or_default()
    }

    /// Tells the other nodes of both users. Returns the number of the message; `None` if there are none.
    pub(in crate::chat::core) fn whisper(
        &mut self,
        id: RoomId,
        to: &Nickname,
        entry: NewEntry<'_>,
        (to_reader, to_sender): (&[NodeUid], &[NodeUid]),
    ) -> Option<AskId> {
        let room = &self.broadcaster.rooms.get(id)?.name;
        let shared = self.shared.as_mut()?;
        let ask = shared.next_ask();
        for (nodes, wants_answer) in [(to_reader, true), (to_sender, false)] {
            if !nodes.is_empty() {
                let packed = pack_private(ask, wants_answer, to, entry);
                for node in nodes {
                    shared.order(Order::Whisper(room.clone(), *node, packed.clone()));
                }
            }
        }
        (!to_reader.is_empty() || !to_sender.is_empty()).then_some(ask)
    }

    /// The fate of a message depends on other nodes, and on sessions of this one if `has_part`. Returns what decides over
    /// these sessions.
    pub(in crate::chat::core) fn wait_for_nodes(
        &mut self,
        ask: AskId,
        fate: Arc<Fate>,
        nodes: Vec<NodeUid>,
        has_part: bool,
    ) -> Arc<Fate> {
        let now = self.now.at;
        if let Some(shared) = &mut self.shared {
            shared.whispers.add(ask, fate, nodes, has_part, now);
        }
        Arc::new(Fate::of_part(ask))
    }

    /// Another node has told this one something.
    pub(super) fn whispered(&mut self, room: &RoomName, node: NodeUid, packed: Bytes) {
        match Whisper::unpack(packed) {
            Ok(Whisper::Private(message)) => self.private_of_node(room, node, &message),
            Ok(Whisper::Handed(ask, is_handed, at)) => {
                let shared = self.shared.as_mut();
                let decided = shared.and_then(|shared| shared.whispers.answered(ask, node, is_handed, at));
                self.private_decided(decided);
            }
            Err(error) => logging::refused(UNREADABLE, format_args!("{error}")),
        }
    }

    /// A private message of another node: hands it to the sessions of both users here, unless it was handed over before.
    fn private_of_node(&mut self, name: &RoomName, node: NodeUid, message: &PrivateWhisper) {
        let PrivateWhisper { ask, wants_answer, to, entry } = message;
        let reader = to.key();
        let uid = entry.uid.filter(|_| !entry.id.is_empty());
        let key = uid.map(|uid| ids::private_key(&uid, name, &reader, &entry.id));
        let known = key.and_then(|key| self.private_ids.find(&key));
        let waiter = wants_answer.then(|| Waiter::Node(name.clone(), node, *ask));
        let waiter = match (&known, waiter) {
            (Some(fate), Some(waiter)) => match self.answer_again(fate, waiter) {
                Some(waiter) => Some(waiter),
                None => return,
            },
            // Only the sender has sessions here, and they have it.
            (Some(fate), None) if fate.is_shown() => return,
            (_, waiter) => waiter,
        };
        let Some((id, readers, recipients)) = self.recipients_here(name, &reader, &entry.username) else {
            return self.tell_fate(waiter, entry.at, false);
        };
        let fate = known.unwrap_or_else(|| self.remember_private(key, entry.at));
        fate.show();
        let handing = if readers.is_empty() {
            self.tell_fate(waiter, entry.at, false);
            None
        } else {
            fate.send(waiter);
            Some(Box::new(Handing::new(readers, fate, Arc::clone(&self.decisions))) as _)
        };
        let line = Line::Private(private(entry.as_new(), to.as_str()));
        let ended = self.broadcaster.send_only(id, recipients, &line, None, handing);
        self.keep(ended);
    }

    /// The room, the sessions of the reader at this node, and those of reader and sender; `None` if there are none.
    fn recipients_here(
        &mut self,
        name: &RoomName,
        reader: &NicknameKey,
        sender: &str,
    ) -> Option<(RoomId, Vec<MemberId>, Vec<MemberId>)> {
        let id = self.broadcaster.rooms.find(name)?;
        let readers = self.subscribed_of(id, reader);
        let mut recipients = readers.clone();
        // The bytes come from another node, so the name is checked again.
        if let Ok(sender) = Nickname::parse(sender)
            && sender.key() != *reader
        {
            recipients.extend(self.subscribed_of(id, &sender.key()));
        }
        (!recipients.is_empty()).then_some((id, readers, recipients))
    }

    /// The subscribed sessions of a user at this node.
    fn subscribed_of(&mut self, id: RoomId, key: &NicknameKey) -> Vec<MemberId> {
        let room = self.broadcaster.rooms.get(id);
        let user = room.and_then(|room| room.presence.find(key));
        let sessions = user.map(|user| user.sessions.clone()).unwrap_or_default();
        self.subscribed(&sessions)
    }

    /// Answers another node. A room that is closed here has no way to it; that node does not wait for long.
    pub(in crate::chat::core) fn tell_handed(
        &mut self,
        room: RoomName,
        node: NodeUid,
        ask: AskId,
        (is_handed, at): (bool, u64),
    ) {
        if self.broadcaster.rooms.find(&room).is_some() {
            self.order(Order::Whisper(room, node, pack_handed(ask, is_handed, at)));
        }
    }

    /// It is known whether sessions of this node were handed their part of a private message.
    pub(in crate::chat::core) fn part_decided(&mut self, ask: AskId, delivered: bool) {
        let shared = self.shared.as_mut();
        let decided = shared.and_then(|shared| shared.whispers.part_decided(ask, delivered));
        self.private_decided(decided);
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
