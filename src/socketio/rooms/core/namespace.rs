//! One namespace of the room server.

use std::{collections::HashMap, time::Instant};

use bytestring::ByteString;

use super::{Place, recovery::Recovery};
use crate::{
    broadcast::{AnyRoom, RoomId},
    domain::MemberId,
    protocol::socketio::Args,
    socketio::{
        cluster::StreamId,
        rooms::messages::{Emission, Guarantee, Target},
    },
};

/// Identifies a namespace while it has sockets or keeps lost ones. No id is used twice: a namespace that has become
/// empty and begins anew gets a new one, so rooms and sockets of the former one are not its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct NamespaceId(u64);

impl NamespaceId {
    /// The next id.
    pub(super) fn following(self) -> Self {
        Self(self.0 + 1)
    }
}

/// Identifies a room of a namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct RoomKey {
    /// The namespace.
    pub(super) namespace: NamespaceId,
    /// Name of the room, unique in the namespace; `None` for the room that all its sockets are in.
    room: Option<ByteString>,
}

impl RoomKey {
    /// A room with a name.
    pub(super) fn new(namespace: NamespaceId, room: &ByteString) -> Self {
        Self { namespace, room: Some(room.clone()) }
    }

    /// The room that all sockets of a namespace are in.
    pub(super) fn of_all(namespace: NamespaceId) -> Self {
        Self { namespace, room: None }
    }
}

/// A room of a namespace. Only the room of all sockets has broadcasts: their lines are aimed at the others.
#[derive(Debug)]
pub(super) struct SocketRoom {
    key: RoomKey,
    /// Whether it is the room of all sockets of a namespace that has become empty.
    is_over: bool,
}

impl AnyRoom for SocketRoom {
    type Name = RoomKey;
    type Member = Place;

    fn new(key: RoomKey) -> Self {
        Self { key, is_over: false }
    }

    fn name(&self) -> &RoomKey {
        &self.key
    }

    fn is_idle(&self) -> bool {
        self.is_over || self.key.room.is_some()
    }

    fn is_uncounted(key: &RoomKey) -> bool {
        key.room.is_none()
    }
}

impl SocketRoom {
    /// The id of its namespace.
    pub(super) fn namespace(&self) -> NamespaceId {
        self.key.namespace
    }

    /// Its name; `None` for the room that all sockets of the namespace are in.
    pub(super) fn room_name(&self) -> Option<&ByteString> {
        self.key.room.as_ref()
    }

    /// Its namespace has become empty, so it may be removed.
    pub(super) fn note_end(&mut self) {
        self.is_over = true;
    }
}

#[derive(Debug)]
pub(super) struct Namespace {
    pub(super) name: ByteString,
    /// The room that all its sockets are in.
    pub(super) room: RoomId,
    /// Sockets by sid.
    pub(super) sids: HashMap<ByteString, MemberId>,
    /// Sockets by the secret with which their clients can come back.
    pub(super) pids: HashMap<ByteString, MemberId>,
    /// `None` until a client connects that may come back.
    pub(super) recovery: Option<Recovery>,
    /// Whether it has had a client that may come back at any server of the cluster.
    pub(super) is_kept_elsewhere: bool,
    /// Sockets that are told of events to them.
    pub(super) listeners: Vec<MemberId>,
}

impl Namespace {
    pub(super) fn new(name: ByteString, room: RoomId) -> Self {
        Self {
            name,
            room,
            sids: HashMap::new(),
            pids: HashMap::new(),
            recovery: None,
            is_kept_elsewhere: false,
            listeners: Vec::new(),
        }
    }

    /// Goes on after a panic, without its sockets.
    pub(super) fn begin_again(self) -> Self {
        let is_kept_elsewhere = self.is_kept_elsewhere;
        let recovery = self.recovery.map(Recovery::begin_again);
        Self { recovery, is_kept_elsewhere, ..Self::new(self.name, self.room) }
    }

    /// Whether it has no sockets, and keeps no lost ones.
    pub(super) fn is_empty(&self) -> bool {
        self.sids.is_empty() && self.recovery.as_ref().is_none_or(Recovery::is_vacant)
    }

    /// Its sockets, in the order in which they connected.
    pub(super) fn sockets(&self) -> Vec<MemberId> {
        let mut sockets: Vec<_> = self.sids.values().copied().collect();
        sockets.sort_unstable();
        sockets
    }

    /// The offset of the last event that was kept; 0 without recovery.
    pub(super) fn last_offset(&self) -> u64 {
        self.recovery.as_ref().map_or(0, Recovery::last_offset)
    }

    /// Encodes an event, and keeps it for recovery if its guarantee says so. With recovery each event ends
    /// with an offset: its own, or that of the last kept event before it. A client takes the last string
    /// argument of an event for its offset. Where the cluster keeps events, the offset is given.
    pub(super) fn record(
        &mut self,
        args: Args,
        target: Target,
        guarantee: Guarantee,
        now: Instant,
        given: StreamId,
    ) -> Emission {
        if self.is_kept_elsewhere {
            return Emission::new(&self.name, args, Some(&given.to_string()), None);
        }
        let Some(recovery) = &mut self.recovery else {
            return Emission::new(&self.name, args, None, None);
        };
        let is_kept = guarantee == Guarantee::Kept;
        let offset = recovery.last_offset() + u64::from(is_kept);
        let emission = Emission::new(&self.name, args, Some(&offset.to_string()), None);
        if is_kept {
            recovery.log(target, emission.clone(), now);
        }
        emission
    }
}
