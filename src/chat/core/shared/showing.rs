//! What all nodes are told and nothing keeps: typing, bytes of guests, and texts of rooms without history.

use bytes::Bytes;

use super::show::{Show, What};
use crate::{
    broadcast::{Reach, RoomId, Subscribers},
    chat::{core::Chat, line::Line},
    connection::Accepted,
    domain::{MemberId, RoomName},
    logging,
    nodes::{NodeUid, contract::Order},
};

/// What the log says of bytes of other nodes that cannot be read, once a minute.
pub(super) const UNREADABLE: &str = "messages of other nodes that cannot be read";

impl Chat {
    /// Tells all nodes. `accepted` is held until this is heard, and then until the broadcast is delivered.
    pub(super) fn show(&mut self, room: RoomName, by: MemberId, what: What, accepted: Option<Accepted>) {
        let now = self.now.at;
        let Some(shared) = &mut self.shared else {
            return;
        };
        let mut number = 0;
        if let Some(accepted) = accepted {
            number = shared.common.next_number();
            shared.shows.add(number, room.clone(), accepted, now);
        }
        let packed = Show { by: by.number(), number, what }.pack();
        shared.order(Order::Show(room, packed));
    }

    /// A user begins or stops to write. Not told if the user is alone, nor while Redis cannot be reached.
    pub(in crate::chat::core) fn show_typing_by_link(&mut self, member: MemberId, id: RoomId, typing: bool) {
        if self.is_away(id) {
            return;
        }
        let rooms = &mut self.broadcaster.rooms;
        let others = rooms.subscribers(id).map_or(0, Subscribers::count);
        let is_subscribed = rooms.member(member).is_some_and(|member| member.is_subscribed);
        let Some(room) = rooms.get(id) else {
            return;
        };
        let Some(user) = room.presence.user_of(member) else {
            return;
        };
        if others > usize::from(is_subscribed) || room.presence.count() > 1 {
            let (room, name) = (room.name.clone(), user.profile.nickname.clone());
            self.show(room, member, What::Typing(name, typing), None);
        }
    }

    /// Something that is not kept was heard.
    pub(super) fn shown(&mut self, name: &RoomName, node: NodeUid, packed: Bytes) {
        let show = match Show::unpack(packed) {
            Ok(show) => show,
            Err(error) => return logging::refused(UNREADABLE, format_args!("{error}")),
        };
        let own = self.shared.as_mut().filter(|shared| shared.sharing.node == node.name());
        let is_own = own.is_some();
        let accepted = own.and_then(|shared| shared.shows.heard(show.number));
        let Some(id) = self.broadcaster.rooms.find(name) else {
            return;
        };
        let reach = if is_own { Reach::Exclude(MemberId::of(show.by)) } else { Reach::All };
        match &show.what {
            What::Typing(name, typing) => {
                let line = Line::Typing(name.as_str(), *typing);
                let ended = self.broadcaster.send_volatile(id, &line, reach, None);
                self.keep(ended);
            }
            What::Binary(bytes) => self.add_line(id, &Line::Binary(bytes), reach, accepted),
            What::Text(text) => self.add_line(id, &Line::Text(text), reach, accepted),
        }
    }
}
