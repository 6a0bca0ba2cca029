//! One namespace of the hub.

use std::{collections::HashMap, sync::Arc, time::Instant};

use bytestring::ByteString;

use super::{Hub, recovery::Recovery};
use crate::{
    broadcast::{Aim, AnyRoom, OpenBroadcast, Reach, RoomId, Subscribers},
    domain::SessionId,
    protocol::socketio::Args,
    socketio::hub::messages::{Emission, Guarantee, Target},
};

/// Identifies a room of a namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct RoomKey {
    /// Index of the namespace.
    pub(super) namespace: usize,
    /// Name of the room, unique in the namespace.
    pub(super) room: ByteString,
}

#[derive(Debug)]
pub(super) struct SocketRoom {
    key: RoomKey,
    members: usize,
    audience: Subscribers,
}

impl AnyRoom for SocketRoom {
    type Name = RoomKey;

    fn new(key: RoomKey) -> Self {
        Self { key, members: 0, audience: Subscribers::default() }
    }

    fn name(&self) -> &RoomKey {
        &self.key
    }

    fn members(&mut self) -> &mut usize {
        &mut self.members
    }

    fn subscribers(&mut self) -> &mut Subscribers {
        &mut self.audience
    }

    fn is_idle(&self) -> bool {
        true
    }
}

#[derive(Debug)]
pub(super) struct Namespace {
    /// A room without a name: all sockets of the namespace are in it.
    pub(super) room: RoomId,
    /// All sockets of the namespace, counted.
    pub(super) audience: Subscribers,
    /// Sockets by sid.
    pub(super) sids: HashMap<ByteString, SessionId>,
    /// Sockets by the secret with which their clients can come back.
    pub(super) pids: HashMap<ByteString, SessionId>,
    /// Events that were emitted and are not sent yet.
    pub(super) open: Option<OpenBroadcast>,
    /// `None` until a client connects that may come back.
    pub(super) recovery: Option<Recovery>,
}

impl Namespace {
    pub(super) fn new() -> Self {
        Self {
            room: RoomId::next(),
            audience: Subscribers::default(),
            sids: HashMap::new(),
            pids: HashMap::new(),
            open: None,
            recovery: None,
        }
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
    ) -> Emission {
        let Some(recovery) = &mut self.recovery else {
            return Emission::new(name, args, None, None);
        };
        let is_kept = guarantee == Guarantee::Kept;
        let offset = recovery.last_offset() + u64::from(is_kept);
        let emission = Emission::new(name, args, Some(offset), None);
        if is_kept {
            recovery.log(target, emission.clone(), Instant::now());
        }
        emission
    }

    pub(super) fn open_round(&mut self) -> &mut OpenBroadcast {
        let audience = &self.audience;
        self.open.get_or_insert_with(|| OpenBroadcast::new(audience))
    }
}

impl Hub {
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
    fn resolve(&self, index: usize, names: &[ByteString]) -> (Vec<RoomId>, Vec<SessionId>) {
        let key = |room: &ByteString| RoomKey { namespace: index, room: room.clone() };
        let rooms = names.iter().filter_map(|name| self.rooms.find(&key(name)));
        let sessions = names.iter().filter_map(|name| self.namespaces[index].sids.get(name).copied());
        (rooms.collect(), sessions.collect())
    }

    /// The sockets that get an event for `target`.
    pub(super) fn hearers(&self, index: usize, target: &Target) -> Vec<SessionId> {
        let is_in = |session: SessionId, sid: &ByteString, names: &[ByteString]| {
            let (rooms, _) = self.resolve(index, names);
            let member = self.rooms.member(session);
            names.contains(sid)
                || member.is_some_and(|member| rooms.iter().any(|room| member.rooms.contains(room)))
        };
        let sockets = self.namespaces[index].sids.iter();
        let hears = |sid: &ByteString, session: SessionId| {
            (target.to.is_empty() || is_in(session, sid, &target.to)) && !is_in(session, sid, &target.except)
        };
        sockets.filter(|(sid, session)| hears(sid, **session)).map(|(_, session)| *session).collect()
    }
}
