//! One namespace, as the hub knows it.

use std::{collections::HashMap, sync::Arc, time::Instant};

use bytestring::ByteString;

use super::{Hub, recovery::Recovery};
use crate::{
    chat::{
        audience::Audience,
        messages::{Emission, Guarantee, Target},
        rooms::{AnyRoom, RoomId},
        round::{Aim, OpenRound, Reach},
    },
    domain::SessionId,
    protocol::socketio::Args,
};

/// How a room is found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct RoomKey {
    /// The number of its namespace.
    pub(super) namespace: usize,
    /// Its name there.
    pub(super) room: ByteString,
}

/// A room of a namespace.
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

/// See the module's text.
#[derive(Debug)]
pub(super) struct Namespace {
    /// The room that everybody in it is in.
    pub(super) room: RoomId,
    /// Everybody.
    pub(super) audience: Audience,
    /// Each socket by its id,
    pub(super) sids: HashMap<ByteString, SessionId>,
    /// and by the secret with which its client can come back.
    pub(super) pids: HashMap<ByteString, SessionId>,
    /// What has been emitted and not yet sent.
    pub(super) open: Option<OpenRound>,
    /// What is kept for clients that were lost; nothing before the first that may come back.
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

    /// The last event that can be given again.
    pub(super) fn last_offset(&self) -> u64 {
        self.recovery.as_ref().map_or(0, Recovery::last_offset)
    }

    /// An event as it goes to the clients, kept for those who come back if that is its guarantee. Where clients may come
    /// back each event ends with an offset: its own, or that of the last one before it that has one. A client takes the
    /// last text of an event for that.
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
    /// Who hears what is for `target`; `None` if nobody is there who could.
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

    /// The rooms and the sockets of these names, as far as there are any.
    fn resolve(&self, index: usize, names: &[ByteString]) -> (Vec<RoomId>, Vec<SessionId>) {
        let key = |room: &ByteString| RoomKey { namespace: index, room: room.clone() };
        let rooms = names.iter().filter_map(|name| self.rooms.find(&key(name)));
        let sessions = names.iter().filter_map(|name| self.namespaces[index].sids.get(name).copied());
        (rooms.collect(), sessions.collect())
    }

    /// The sockets that hear what is for `target`.
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
