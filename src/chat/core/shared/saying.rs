//! Messages on their way to the link.

use bytes::BytesMut;

use super::says::Saying;
use crate::{
    broadcast::RoomId,
    chat::{
        avatars::picture_to_keep,
        core::Chat,
        ids,
        messages::{Payload, Post, Publish, Rejected, Reply},
        position::{Asker, Place},
        room::Book,
    },
    domain::{Avatar, MemberId, RoomName},
    journal::{Kind, NewEntry},
    nodes::contract::{Author, Order, SayId},
};

use super::show::What;

impl Chat {
    /// Hands a guest's message in. A guest gets no error if its text is not kept; it has its echo.
    pub(in crate::chat::core) fn publish_by_link(&mut self, id: RoomId, publish: Publish) {
        let Publish { member, payload, accepted } = publish;
        let is_away = self.is_away(id);
        let Some(room) = self.broadcaster.rooms.get(id) else {
            self.counts.not_kept += 1;
            return;
        };
        let (name, is_open) = (room.name.clone(), room.log().is_some());
        if is_away || !is_open {
            self.counts.not_kept += u64::from(name.is_kept() && matches!(payload, Payload::Text(_)));
            return;
        }
        let body = match payload {
            Payload::Binary(bytes) => return self.show(name, member, What::Binary(bytes), Some(accepted)),
            Payload::Text(text) if !name.is_kept() => {
                return self.show(name, member, What::Text(text), Some(accepted));
            }
            Payload::Text(text) => text,
        };
        let (guest, avatar) = (self.guest_name(member), Avatar::default());
        let entry = NewEntry {
            kind: Kind::Message,
            at: self.now.millis,
            username: &guest,
            avatar: avatar.as_str(),
            uid: None,
            id: "",
            body: &body,
        };
        self.say(&name, entry, Saying::of_guest(member, accepted));
    }

    /// Hands a user's message in, unless it was said before.
    pub(in crate::chat::core) fn post_by_link(&mut self, post: Post) -> Result<(), Rejected> {
        let Post { member, ticket, kind, body, id: client_id, accepted } = post;
        let known = self.broadcaster.rooms.member(member).ok_or(Rejected::NotLoggedIn)?;
        let (id, worker) = (known.room().ok_or(Rejected::NotLoggedIn)?, known.worker);
        let to = Asker { member, worker, ticket };
        let is_away = self.is_away(id);
        let room = self.broadcaster.rooms.get(id).ok_or(Rejected::NotLoggedIn)?;
        let user = room.presence.user_of(member).ok_or(Rejected::NotLoggedIn)?;
        let (Book::Open(log), Some(shared)) = (&room.book, &mut self.shared) else {
            return Err(Rejected::JournalUnavailable);
        };
        let key = client_id.as_deref().map(|id| ids::key_of(user.sender, &user.token, id));
        if let Some(saying) = key.and_then(|key| shared.says.find(&room.name, &key)) {
            if is_away {
                return Err(Rejected::NotKeptYet);
            }
            saying.askers.push(to);
            return Ok(());
        }
        if let Some(place) = key.and_then(|key| log.ids.find(&key)) {
            self.reply(member, ticket, Reply::Posted(place));
            return Ok(());
        }
        if is_away {
            self.counts.not_kept += 1;
            return Err(Rejected::JournalUnavailable);
        }
        let (name, profile, looked_to) = (room.name.clone(), user.profile.clone(), log.head());
        let entry = NewEntry {
            kind,
            at: self.now.millis,
            username: profile.nickname.as_str(),
            avatar: profile.avatar.as_str(),
            uid: profile.uid.as_ref(),
            id: client_id.as_deref().unwrap_or_default(),
            body: &body,
        };
        self.keep_picture(&profile.avatar);
        let author = profile.uid.map(|uid| Author { key: profile.nickname.key(), uid });
        self.say(&name, entry, Saying { author, key, looked_to, ..Saying::of_user(to, accepted) });
        Ok(())
    }

    /// Has all nodes have the picture that a user wears, unless they were given it lately.
    pub(super) fn keep_picture(&mut self, avatar: &Avatar) {
        let picture = picture_to_keep(avatar, self.now.millis);
        if let (Some(picture), Some(shared)) = (picture, &mut self.shared) {
            shared.orders.push(Order::KeepPicture(picture));
        }
    }

    /// Hands a message in at the end of the turn.
    fn say(&mut self, room: &RoomName, entry: NewEntry<'_>, saying: Saying) {
        let Some(shared) = &mut self.shared else {
            return;
        };
        let id = SayId(shared.common.next_number());
        let mut packed = BytesMut::new();
        entry.pack(&mut packed);
        shared.says.add(room, id, packed.freeze(), Saying { at: entry.at, ..saying });
    }

    /// The name of a session without a nickname. The numbers of sessions are those of one node.
    fn guest_name(&self, member: MemberId) -> String {
        match self.common.sharing() {
            Some(sharing) => member.guest_name_at(sharing.node.as_str()),
            None => member.guest_name(),
        }
    }

    /// Has a member answered when all messages of its room that wait now are in Redis. Returns the place of the last
    /// message that was heard if none waits, or none can come to Redis now.
    pub(in crate::chat::core) fn until_accepted(&mut self, id: RoomId, asker: Asker) -> Option<Place> {
        let (is_away, at) = (self.is_away(id), self.now.millis);
        let Some(room) = self.broadcaster.rooms.get(id) else {
            return Some(Place { offset: 0, at });
        };
        let waits = !is_away
            && self.shared.as_mut().is_some_and(|shared| shared.says.wait_for_all(&room.name, asker));
        (!waits).then(|| Place { offset: room.log().map_or(0, |log| log.head()), at })
    }
}
