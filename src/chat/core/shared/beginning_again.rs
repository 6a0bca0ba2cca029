//! A chat that goes on where another one has panicked, with the link as it is.
//!
//! What waits for the link stays, and so do the logs of rooms, which are what was heard. Only a room of which something
//! was being heard is opened anew, and its members are sent away: they may not have been told what was heard.

use std::collections::HashMap;

use bytes::Bytes;

use super::whisper::Whisper;
use crate::{
    broadcast::RoomId,
    chat::{
        core::Chat,
        room::{Book, Room},
    },
    domain::{MemberId, NicknameKey, RoomName},
    nodes::contract::{AskId, Order},
};

impl Chat {
    /// Whether a room is open, and its log is what was heard.
    pub(in crate::chat::core) fn has_heard_log(&self, room: &Room) -> bool {
        self.is_shared() && matches!(room.book, Book::Open(_))
    }

    /// Whether the login of a session waits for the link.
    pub(in crate::chat::core) fn is_entering(&self, member: MemberId) -> bool {
        let mut entering = self.shared.iter().flat_map(|shared| shared.entering.values());
        entering.any(|entering| entering.member == member)
    }

    /// Opens rooms again that were being opened, or were not left as they should be.
    pub(in crate::chat::core) fn open_again(&mut self, rooms: &[RoomId]) {
        let Some(shared) = &self.shared else {
            return;
        };
        let mut claims: HashMap<(&RoomName, &NicknameKey), usize> = HashMap::new();
        for entering in shared.entering.values() {
            *claims.entry((&entering.room, &entering.key)).or_default() += 1;
        }
        let mut left = Vec::new();
        for id in rooms {
            if let Some(room) = self.broadcaster.rooms.get(*id) {
                let name = room.name.clone();
                let claims_of = |key: &NicknameKey| claims.get(&(&name, key)).copied().unwrap_or_default();
                let leaves = room.presence.share().recount(claims_of);
                left.extend(leaves.into_iter().map(|leave| Order::Leave(name.clone(), leave)));
            }
        }
        left.into_iter().for_each(|order| self.order(order));
        rooms.iter().for_each(|id| self.open_by_link(*id));
    }

    /// Something of a room was lost while it was being heard.
    pub(in crate::chat::core) fn lost_in(&mut self, name: &RoomName) {
        if let Some(id) = self.broadcaster.rooms.find(name) {
            self.send_members_away(id);
        }
    }

    /// The answer to a claim was lost while it was being handled. Where its session is now is not certain.
    pub(in crate::chat::core) fn lost_answer_to(&mut self, ask: AskId) {
        let entering = self.shared.as_ref().and_then(|shared| shared.entering.get(&ask));
        let Some((member, room)) = entering.map(|entering| (entering.member, entering.room.clone())) else {
            return;
        };
        self.logging_in.remove(&member);
        self.send_away(member);
        self.claim_done(ask, true);
        if let Some(id) = self.broadcaster.rooms.find(&room) {
            self.retire(id);
        }
    }
}

/// Whether these bytes of another node are the answer to a private message.
pub(in crate::chat::core) fn is_answer(packed: &Bytes) -> bool {
    matches!(Whisper::unpack(packed.clone()), Ok(Whisper::Handed(..)))
}
