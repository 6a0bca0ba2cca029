//! Rooms that the link opens.

use std::net::IpAddr;

use crate::{
    broadcast::RoomId,
    chat::{
        alarms::Alarm,
        core::Chat,
        ids::Ids,
        log::RoomLog,
        messages::Rejected,
        room::{Book, Room, Waiting},
    },
    connection::Ending,
    domain::{MemberId, RoomName},
    nodes::{
        KEEP_FOR,
        contract::{Listed, Opened, Order},
    },
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
        let is_new = epochs.is_empty() && people.is_empty() && !name.is_reserved();
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
        room.is_new.get_or_insert(is_new);
        let former = std::mem::replace(&mut room.book, Book::Open(log));
        self.set_hold_alarm(id);
        let mut waiting = match former {
            Book::Opening(waiting) => waiting,
            Book::Closed | Book::Open(_) => Vec::new(),
        };
        let refused = self.let_guests_in(id);
        waiting
            .retain(|waiting| !matches!(waiting, Waiting::Publish(said) if refused.contains(&said.member)));
        self.handle_waiting(id, waiting, None);
    }

    /// Lets a session of a client at this address into an open room. The first one in a room that no node knew has made
    /// it.
    ///
    /// # Errors
    /// The client must make no room of this name, or no room now.
    pub(super) fn let_in(&mut self, id: RoomId, address: Option<IpAddr>) -> Result<(), Rejected> {
        let Some(room) = self.broadcaster.rooms.get(id).filter(|room| room.is_new == Some(true)) else {
            return Ok(());
        };
        room.name.check_new().map_err(Rejected::NoNewRoom)?;
        self.may_make_room(address)?;
        self.common.made_room(address, self.now.at);
        if let Some(room) = self.broadcaster.rooms.get(id) {
            room.is_new = Some(false);
        }
        Ok(())
    }

    /// Lets the guests in that have come to a room before it was open. Sends them away, and returns them, if none of them
    /// may make it.
    fn let_guests_in(&mut self, id: RoomId) -> Vec<MemberId> {
        if self.broadcaster.rooms.get(id).is_none_or(|room| room.is_new != Some(true)) {
            return Vec::new();
        }
        let guests = self.broadcaster.rooms.members_of(id);
        let is_let_in = guests.iter().any(|guest| {
            let address = self.broadcaster.rooms.member(*guest).and_then(|member| member.own.address);
            self.let_in(id, address).is_ok()
        });
        if is_let_in {
            return Vec::new();
        }
        // Logins may wait there.
        if let Some(room) = self.broadcaster.rooms.get(id) {
            room.is_catching_up = true;
        }
        for guest in &guests {
            if self.broadcaster.dismiss(*guest, Ending::TooManyRooms).is_some() {
                self.has_left(*guest, id, None);
            }
        }
        guests
    }

    /// Removes a room from memory, and has the link close it, if no session is in it, none of its messages waits, and none
    /// was heard lately: this node may have to give it back to Redis.
    pub(in crate::chat::core) fn retire_by_link(&mut self, id: RoomId) {
        let (rooms, shared) = (&mut self.broadcaster.rooms, &self.shared);
        if rooms.members_in(id) > 0 {
            return;
        }
        let waits = |room: &mut Room| shared.as_ref().is_some_and(|shared| shared.says.waits_in(&room.name));
        if rooms.get(id).is_none_or(waits) || self.must_remember(id) {
            return;
        }
        if let Some(Room { name, .. }) = self.broadcaster.rooms.retire(id) {
            self.order(Order::Close(name));
        }
    }

    /// Whether Redis may lose what was said lately in a room. Looks again when that is over; while Redis cannot be reached,
    /// the time does not run.
    fn must_remember(&mut self, id: RoomId) -> bool {
        let (now, is_away) = (self.now.at, self.is_away(id));
        let Some(room) = self.broadcaster.rooms.get(id) else {
            return false;
        };
        if is_away && room.heard_at.is_some() {
            room.heard_at = Some(now);
        }
        let Some(until) = room.heard_at.map(|at| at + KEEP_FOR).filter(|until| *until > now) else {
            return false;
        };
        if !std::mem::replace(&mut room.has_rest_alarm, true) {
            self.alarms.set(until, id, Alarm::Rest);
        }
        true
    }

    /// Sends all members of a room away; their clients come back with the position up to which they have heard.
    pub(super) fn send_members_away(&mut self, id: RoomId) {
        for member in self.broadcaster.rooms.members_of(id) {
            self.send_away(member);
        }
    }
}
