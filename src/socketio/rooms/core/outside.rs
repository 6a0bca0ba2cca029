//! What is asked from outside about many sockets.

use std::{collections::HashSet, sync::Arc};

use bytestring::ByteString;
use log::warn;

use super::{SocketRooms, namespace::RoomKey};
use crate::{
    domain::MemberId,
    socketio::cluster::AnswersElsewhere,
    socketio::rooms::messages::{
        CountServers, DisconnectMany, EnterMany, Look, LookRooms, QuitMany, RemoveNamespace, SocketFound,
        SocketNews, Target, TellServers,
    },
};

/// Answers an event for other servers: there are none.
pub(super) fn tell_servers(TellServers { answers, .. }: TellServers) {
    if let Some(answers) = answers {
        // The receiver may be gone.
        let _ = answers.send(AnswersElsewhere::default());
    }
}

/// Tells how many servers there are: this one.
pub(super) fn count_servers(CountServers { to, .. }: CountServers) {
    // The receiver may be gone.
    let _ = to.send(1);
}

impl SocketRooms {
    /// Tells which sockets there are.
    pub(super) fn look(&mut self, Look { namespace, target, to, .. }: Look) {
        let members = self.recipients(&namespace, &target);
        let found = members.into_iter().filter_map(|member_id| self.found(member_id)).collect();
        // The receiver may be gone.
        let _ = to.send(found);
    }

    fn found(&mut self, member_id: MemberId) -> Option<SocketFound> {
        let rooms = &mut self.broadcaster.rooms;
        let member = rooms.member(member_id)?;
        let (sid, info, ids) =
            (member.own.stay.sid.clone(), Arc::clone(&member.own.stay.info), member.rooms.clone());
        let names = ids.into_iter().filter_map(|id| rooms.get(id)?.room_name().cloned());
        let rooms = std::iter::once(sid.clone()).chain(names).collect();
        Some(SocketFound { sid, rooms, info })
    }

    /// Tells which rooms there are.
    pub(super) fn look_rooms(&mut self, LookRooms { namespace, with_sids, to, .. }: LookRooms) {
        let id = self.namespaces.find(&namespace);
        let sids = id.and_then(|id| self.namespaces.get(id)).map(|namespace| &namespace.sids);
        let rooms = self.broadcaster.rooms.iter().filter(|(_, room)| Some(room.namespace()) == id);
        let mut named: Vec<(ByteString, usize)> = rooms
            .filter_map(|(members, room)| {
                let name = room.room_name().filter(|_| members > 0)?;
                // The socket with this sid is in the room too.
                let is_sid = sids.is_some_and(|sids| sids.contains_key(name));
                Some((name.clone(), members + usize::from(is_sid)))
            })
            .collect();
        if with_sids {
            let are_rooms: HashSet<_> = named.iter().map(|(name, _)| name.clone()).collect();
            let others = sids.into_iter().flat_map(|sids| sids.keys());
            named.extend(others.filter(|sid| !are_rooms.contains(*sid)).map(|sid| (sid.clone(), 1)));
        }
        named.sort_unstable();
        // The receiver may be gone.
        let _ = to.send(named);
    }

    /// Puts sockets into rooms, and tells them.
    pub(super) fn enter_many(&mut self, EnterMany { namespace, target, rooms, .. }: EnterMany) {
        let mut are_all_in = true;
        for member_id in self.recipients(&namespace, &target) {
            let entered: Vec<_> = rooms.iter().filter(|room| self.enter(member_id, room)).cloned().collect();
            are_all_in &= entered.len() == rooms.len();
            if !entered.is_empty() {
                self.broadcaster.tell(member_id, SocketNews::PutInto { rooms: entered });
            }
        }
        if !are_all_in {
            warn!(
                "sockets of the namespace {namespace} were not put into all rooms: there are too many rooms"
            );
        }
    }

    /// Takes sockets out of rooms, and tells them.
    pub(super) fn quit_many(&mut self, QuitMany { namespace, target, rooms, .. }: QuitMany) {
        let rooms: Arc<[ByteString]> = rooms.into();
        // All are found first: the target may be one of the rooms.
        for member_id in self.recipients(&namespace, &target) {
            rooms.iter().for_each(|room| self.quit(member_id, room));
            self.broadcaster.tell(member_id, SocketNews::TakenOut { rooms: Arc::clone(&rooms) });
        }
    }

    /// Removes sockets from their namespace, and tells them.
    pub(super) fn disconnect_many(
        &mut self,
        DisconnectMany { namespace, target, close, .. }: &DisconnectMany,
    ) {
        // What was emitted before is before the end of the sockets.
        if let Some(id) = self.namespaces.find(namespace)
            && let Some(room) = self.broadcaster.rooms.find(&RoomKey::of_all(id))
        {
            drop(self.broadcaster.end(room));
        }
        for member_id in self.recipients(namespace, target) {
            self.broadcaster.tell(member_id, SocketNews::SentAway { close: *close });
            self.disconnect(member_id, false);
        }
    }

    /// Removes all sockets of a namespace, and what recovery keeps of it.
    pub(super) fn remove_namespace(&mut self, RemoveNamespace { namespace }: &RemoveNamespace) {
        let (namespace, target) = (namespace.clone(), Target::default());
        let found = self.namespaces.find(&namespace);
        self.disconnect_many(&DisconnectMany { namespace, target, close: false, is_local: true });
        if let Some(id) = found
            && let Some(namespace) = self.namespaces.get_mut(id)
        {
            namespace.recovery = None;
            self.namespaces.doubt(id);
        }
    }
}

#[cfg(test)]
mod tests;
