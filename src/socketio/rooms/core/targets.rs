//! Which sockets a target selects.

use std::sync::Arc;

use bytestring::ByteString;

use super::{
    SocketRooms,
    namespace::{Namespace, NamespaceId, RoomKey},
};
use crate::{
    broadcast::{Aim, Reach, RoomId},
    domain::MemberId,
    protocol::socketio::Args,
    socketio::rooms::messages::{SocketNews, Target},
};

impl SocketRooms {
    /// The sockets that get an event for `target`; `None` if there can be none.
    pub(super) fn reach(&self, id: NamespaceId, target: &Target) -> Option<Reach> {
        let Target { to, except } = target;
        let namespace = self.namespaces.get(id).filter(|namespace| !namespace.sids.is_empty())?;
        let (exclude_rooms, exclude_sessions) = self.resolve(id, namespace, except);
        if to.is_empty() && exclude_rooms.is_empty() {
            match exclude_sessions[..] {
                [] => return Some(Reach::All),
                [excluded] => return Some(Reach::Exclude(excluded)),
                _ => {}
            }
        }
        let (to_rooms, to_sessions) = self.resolve(id, namespace, to);
        let all = to.is_empty();
        let is_for_any = all || !to_rooms.is_empty() || !to_sessions.is_empty();
        let aim = Aim { all, to_rooms, to_sessions, exclude_rooms, exclude_sessions };
        is_for_any.then(|| Reach::To(Arc::new(aim)))
    }

    /// The rooms and the sockets with these names, where they exist.
    fn resolve(
        &self,
        id: NamespaceId,
        namespace: &Namespace,
        names: &[ByteString],
    ) -> (Vec<RoomId>, Vec<MemberId>) {
        let find = |name| self.broadcaster.rooms.find(&RoomKey::new(id, name));
        let members = names.iter().filter_map(|name| namespace.sids.get(name).copied());
        (names.iter().filter_map(find).collect(), members.collect())
    }

    /// The sockets of a namespace that `target` selects, in the order in which they connected.
    pub(super) fn recipients(&self, name: &ByteString, target: &Target) -> Vec<MemberId> {
        let id = self.namespaces.find(name);
        let Some((id, namespace)) = id.and_then(|id| Some((id, self.namespaces.get(id)?))) else {
            return Vec::new();
        };
        let (to_rooms, mut to) = self.resolve(id, namespace, &target.to);
        let (except_rooms, except) = self.resolve(id, namespace, &target.except);
        // All sockets are looked at only if the target names a room.
        let mut sockets = if target.to.is_empty() || !to_rooms.is_empty() {
            namespace.sockets()
        } else {
            to.sort_unstable();
            to.dedup();
            to.clone()
        };
        let is_in_any = |member_id: MemberId, rooms: &[RoomId]| {
            let member = self.broadcaster.rooms.member(member_id);
            member.is_some_and(|member| rooms.iter().any(|room| member.rooms.contains(room)))
        };
        sockets.retain(|member_id| {
            let is_called =
                target.to.is_empty() || to.contains(member_id) || is_in_any(*member_id, &to_rooms);
            is_called && !except.contains(member_id) && !is_in_any(*member_id, &except_rooms)
        });
        sockets
    }

    /// Has a socket told of events to it.
    pub(super) fn listen(&mut self, member_id: MemberId) {
        let Some(id) = self.place(member_id).map(|place| place.namespace) else {
            return;
        };
        if let Some(namespace) = self.namespaces.get_mut(id)
            && !namespace.listeners.contains(&member_id)
        {
            namespace.listeners.push(member_id);
        }
    }

    /// Tells the sockets that listen of an event to them.
    pub(super) fn tell_listeners(&mut self, id: NamespaceId, target: &Target, args: &Args) {
        let Some(namespace) = self.namespaces.get(id).filter(|namespace| !namespace.listeners.is_empty())
        else {
            return;
        };
        let (name, mut told) = (namespace.name.clone(), namespace.listeners.clone());
        let recipients = self.recipients(&name, target);
        told.retain(|listener| recipients.contains(listener));
        for listener in told {
            self.broadcaster.tell(listener, SocketNews::Outgoing(args.clone()));
        }
    }
}
