//! One namespace of the hub.

use std::{collections::HashMap, sync::Arc, time::Instant};

use bytestring::ByteString;

use super::{Hub, recovery::Recovery};
use crate::{
    broadcast::OpenRound,
    broadcast::{Aim, AnyRoom, Audience, Reach, RoomId},
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
    audience: Audience,
}

impl AnyRoom for SocketRoom {
    type Name = RoomKey;

    fn new(key: RoomKey) -> Self {
        Self { key, members: 0, audience: Audience::default() }
    }

    fn name(&self) -> &RoomKey {
        &self.key
    }

    fn members(&mut self) -> &mut usize {
        &mut self.members
    }

    fn audience(&mut self) -> &mut Audience {
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
    pub(super) audience: Audience,
    /// Sockets by sid.
    pub(super) sids: HashMap<ByteString, SessionId>,
    /// Sockets by the secret with which their clients can come back.
    pub(super) pids: HashMap<ByteString, SessionId>,
    /// Events that were emitted and are not sent yet.
    pub(super) open: Option<OpenRound>,
    /// `None` until a client connects that may come back.
    pub(super) recovery: Option<Recovery>,
}

impl Namespace {
    pub(super) fn new() -> Self {
        Self {
            room: RoomId::next(),
            audience: Audience::default(),
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

    pub(super) fn open_round(&mut self) -> &mut OpenRound {
        let audience = &self.audience;
        self.open.get_or_insert_with(|| OpenRound::new(audience))
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
        let (but_rooms, but_sessions) = self.resolve(index, except);
        if to.is_empty() && but_rooms.is_empty() {
            match but_sessions[..] {
                [] => return Some(Reach::All),
                [but] => return Some(Reach::AllBut(but)),
                _ => {}
            }
        }
        let (rooms, sessions) = self.resolve(index, to);
        let all = to.is_empty();
        let is_somebody = all || !rooms.is_empty() || !sessions.is_empty();
        let aim = Aim { all, rooms, sessions, but_rooms, but_sessions };
        is_somebody.then(|| Reach::Some(Arc::new(aim)))
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
            let member = self.rooms.membership(session);
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
