//! One namespace of the room server.

use std::{collections::HashMap, sync::Arc, time::Instant};

use bytestring::ByteString;

use super::{Place, SocketRooms, recovery::Recovery};
use crate::{
    broadcast::{Aim, AnyRoom, Reach, RoomId},
    domain::MemberId,
    protocol::socketio::Args,
    socketio::rooms::messages::{Emission, Guarantee, Target},
};

/// Identifies a room of a namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct RoomKey {
    /// Index of the namespace.
    pub(super) namespace: usize,
    /// Name of the room, unique in the namespace; `None` for the room that all its sockets are in.
    room: Option<ByteString>,
}

impl RoomKey {
    /// A room with a name.
    pub(super) fn new(namespace: usize, room: &ByteString) -> Self {
        Self { namespace, room: Some(room.clone()) }
    }

    /// The room that all sockets of a namespace are in.
    pub(super) fn of_all(namespace: usize) -> Self {
        Self { namespace, room: None }
    }
}

/// A room of a namespace. Only the room of all sockets has broadcasts: their lines are aimed at the others.
#[derive(Debug)]
pub(super) struct SocketRoom(RoomKey);

impl AnyRoom for SocketRoom {
    type Name = RoomKey;
    type Member = Place;

    fn new(key: RoomKey) -> Self {
        Self(key)
    }

    fn name(&self) -> &RoomKey {
        &self.0
    }

    fn is_idle(&self) -> bool {
        self.0.room.is_some()
    }

    fn is_uncounted(key: &RoomKey) -> bool {
        key.room.is_none()
    }
}

impl SocketRoom {
    /// The index of its namespace.
    pub(super) fn namespace(&self) -> usize {
        self.0.namespace
    }
}

#[derive(Debug)]
pub(super) struct Namespace {
    /// The room that all its sockets are in.
    pub(super) room: RoomId,
    /// Sockets by sid.
    pub(super) sids: HashMap<ByteString, MemberId>,
    /// Sockets by the secret with which their clients can come back.
    pub(super) pids: HashMap<ByteString, MemberId>,
    /// `None` until a client connects that may come back.
    pub(super) recovery: Option<Recovery>,
}

impl Namespace {
    pub(super) fn new(room: RoomId) -> Self {
        Self { room, sids: HashMap::new(), pids: HashMap::new(), recovery: None }
    }

    /// Goes on after a panic, without its sockets.
    pub(super) fn begin_again(self) -> Self {
        Self { recovery: self.recovery.map(Recovery::begin_again), ..Self::new(self.room) }
    }

    /// The offset of the last event that was kept; 0 without recovery.
    pub(super) fn last_offset(&self) -> u64 {
        self.recovery.as_ref().map_or(0, Recovery::last_offset)
    }

    /// Encodes an event, and keeps it for recovery if its guarantee says so. With recovery each event ends
    /// with an offset: its own, or that of the last kept event before it. A client takes the last string
    /// argument of an event for its offset.
    pub(super) fn record(
        &mut self,
        name: &str,
        args: Args,
        target: Target,
        guarantee: Guarantee,
        now: Instant,
    ) -> Emission {
        let Some(recovery) = &mut self.recovery else {
            return Emission::new(name, args, None, None);
        };
        let is_kept = guarantee == Guarantee::Kept;
        let offset = recovery.last_offset() + u64::from(is_kept);
        let emission = Emission::new(name, args, Some(offset), None);
        if is_kept {
            recovery.log(target, emission.clone(), now);
        }
        emission
    }
}

impl SocketRooms {
    /// The sockets that get an event for `target`; `None` if there can be none.
    pub(super) fn reach(&self, index: usize, target: &Target) -> Option<Reach> {
        let Target { to, except } = target;
        let namespace = &self.namespaces[index];
        if namespace.sids.is_empty() {
            return None;
        }
        let (exclude_rooms, exclude_sessions) = self.resolve(index, except);
        if to.is_empty() && exclude_rooms.is_empty() {
            match exclude_sessions[..] {
                [] => return Some(Reach::All),
                [excluded] => return Some(Reach::Exclude(excluded)),
                _ => {}
            }
        }
        let (to_rooms, to_sessions) = self.resolve(index, to);
        let all = to.is_empty();
        let is_for_any = all || !to_rooms.is_empty() || !to_sessions.is_empty();
        let aim = Aim { all, to_rooms, to_sessions, exclude_rooms, exclude_sessions };
        is_for_any.then(|| Reach::To(Arc::new(aim)))
    }

    /// The rooms and the sockets with these names, where they exist.
    fn resolve(&self, index: usize, names: &[ByteString]) -> (Vec<RoomId>, Vec<MemberId>) {
        let find = |name| self.broadcaster.rooms.find(&RoomKey::new(index, name));
        let rooms = names.iter().filter_map(find);
        let members = names.iter().filter_map(|name| self.namespaces[index].sids.get(name).copied());
        (rooms.collect(), members.collect())
    }

    /// The sockets that get an event for `target`.
    pub(super) fn recipients(&self, index: usize, target: &Target) -> Vec<MemberId> {
        let (to, _) = self.resolve(index, &target.to);
        let (except, _) = self.resolve(index, &target.except);
        let is_in = |member_id: MemberId, sid: &ByteString, names: &[ByteString], rooms: &[RoomId]| {
            let member = self.broadcaster.rooms.member(member_id);
            names.contains(sid)
                || member.is_some_and(|member| rooms.iter().any(|room| member.rooms.contains(room)))
        };
        let sockets = self.namespaces[index].sids.iter();
        let gets = |sid: &ByteString, member_id: MemberId| {
            (target.to.is_empty() || is_in(member_id, sid, &target.to, &to))
                && !is_in(member_id, sid, &target.except, &except)
        };
        sockets.filter(|(sid, member_id)| gets(sid, **member_id)).map(|(_, member_id)| *member_id).collect()
    }
}
