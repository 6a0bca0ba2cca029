//! Rooms that the link opens.

use crate::{
    broadcast::RoomId,
    chat::{
        core::Chat,
        ids::Ids,
        log::RoomLog,
        room::{Book, Room},
    },
    domain::RoomName,
    nodes::contract::{Listed, Opened, Order},
};

impl Chat {
    /// Has the link open a room, unless it was asked to.
    pub(in crate::chat::core) fn open_by_link(&mut self, id: RoomId) {
        let is_closed = |room: &&mut Room| matches!(room.book, Book::Closed);
        let Some(room) = self.broadcaster.rooms.get(id).filter(is_closed) else {
            return;
        };
        room.book = Book::Opening(Vec::new());
        room.presence.share();
        let name = room.name.clone();
        self.order(Order::Open(name));
    }

    /// A room is open, or begins anew: then its members have heard what is not part of it, and must come back.
    pub(super) fn opened_by_link(&mut self, name: &RoomName, opened: Opened) {
        let (Some(id), Some(sharing)) = (self.broadcaster.rooms.find(name), self.common.sharing()) else {
            return;
        };
        let log = self.broadcaster.rooms.get(id).and_then(|room| room.log());
        let is_kept = log.is_some_and(|log| !opened.reset && log.is_at(&opened.epochs, opened.head));
        let is_opening =
            self.broadcaster.rooms.get(id).is_some_and(|room| matches!(room.book, Book::Opening(_)));
        if opened.reset || (!is_opening && !is_kept) {
            self.send_members_away(id);
        }
        let Opened { epochs, head, keys, people, .. } = opened;
        let now = self.now;
        let log = (!is_kept).then(|| {
            let ids = Ids::kept(self.limits.ids, self.common.ids.clone(), &keys, now.millis);
            Box::new(RoomLog::shared(epochs, head, ids, sharing.before_the_first_epoch()))
        });
        let Some(log) = log else {
            return self.people(name, people, Listed::All);
        };
        let Some(room) = self.broadcaster.rooms.get(id) else {
            return;
        };
        drop(room.presence.share().replace(people, Listed::All, now.at, self.limits.name_hold));
        room.news.begin_with(room.presence.count());
        let former = std::mem::replace(&mut room.book, Book::Open(log));
        self.set_hold_alarm(id);
        let waiting = match former {
            Book::Opening(waiting) => waiting,
            Book::Closed | Book::Open(_) => Vec::new(),
        };
        self.handle_waiting(id, waiting, None);
    }

    /// Removes a room from memory, and has the link close it, if no session is in it and none of its messages waits.
    pub(in crate::chat::core) fn retire_by_link(&mut self, id: RoomId) {
        let (rooms, shared) = (&mut self.broadcaster.rooms, &self.shared);
        if rooms.members_in(id) > 0 {
            return;
        }
        let waits = |room: &mut Room| shared.as_ref().is_some_and(|shared| shared.says.waits_in(&room.name));
        if rooms.get(id).is_none_or(waits) {
            return;
        }
        if let Some(Room { name, .. }) = rooms.retire(id) {
            self.order(Order::Close(name));
        }
    }

    /// Sends all members of a room away; their clients come back with the position up to which they have heard.
    pub(super) fn send_members_away(&mut self, id: RoomId) {
        for member in self.broadcaster.rooms.members_of(id) {
            self.send_away(member);
        }
    }
}
