//! What the shards of one chat have in common: bounds over all rooms, and which room is in which shard.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use super::{
    ids::{IdCount, IdLimits},
    new_rooms::NewRooms,
};
use crate::{
    broadcast::RoomBound,
    config::PerAddress,
    connection::Budget,
    domain::{MemberId, RoomName},
    journal::EpochId,
    nodes::NodeName,
};

/// The bounds of the chat.
#[derive(Clone, Copy, Debug)]
pub struct ChatLimits {
    /// Rooms at a time with members or with history.
    pub max_rooms: usize,
    /// New rooms a minute per client address.
    pub max_new_rooms: PerAddress,
    /// How long the nickname of a user that dropped is held.
    pub name_hold: Duration,
    /// How long a nickname is reserved for a user that has shown its token.
    pub name_reservation: Duration,
    /// Most held nicknames, and most reserved ones, in one room.
    pub max_held_names: usize,
    /// Bounds on remembered message ids.
    pub ids: IdLimits,
    /// Bytes of the newest messages in memory, in all rooms together.
    pub tail_bytes: usize,
    /// How long messages that are not acked may wait for more, before the journal is to store them.
    pub commit_delay: Duration,
}

/// The number of a shard, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ShardId(pub usize);

/// A chat whose rooms are shared with other nodes: Redis gives messages their order and users their names.
#[derive(Clone, Copy, Debug)]
pub struct Sharing {
    /// The name of this node, which no other node has.
    pub node: NodeName,
    /// A random number of this run of the node.
    pub seed: u64,
}

impl Sharing {
    /// The epoch that a client is told in a room in which nothing was ever said: Redis gives such a room none.
    pub(crate) fn before_the_first_epoch(self) -> EpochId {
        EpochId { random: self.seed, number: 0 }
    }
}

/// What all shards have in common.
#[derive(Debug)]
pub struct Common {
    /// The bounds of the chat.
    pub limits: ChatLimits,
    /// The memory budget of all clients.
    pub budget: Arc<Budget>,
    /// The number of remembered ids in all rooms.
    pub(crate) ids: IdCount,
    shards: usize,
    bound: RoomBound,
    new_rooms: Mutex<NewRooms>,
    sharing: Option<Sharing>,
    /// The last number that was given out.
    numbers: AtomicU64,
}

impl Common {
    /// For a chat of so many shards, at least one. Backlogs of sessions are charged to `budget`.
    pub fn new(limits: ChatLimits, budget: Arc<Budget>, shards: usize) -> Arc<Self> {
        Self::with(limits, budget, shards, None)
    }

    /// Like [`new`](Self::new), for a chat that shares its rooms with other nodes. Its shards make
    /// [`Effect::Order`](super::effects::Effect::Order)s, and are told what is heard.
    pub fn shared(limits: ChatLimits, budget: Arc<Budget>, shards: usize, sharing: Sharing) -> Arc<Self> {
        Self::with(limits, budget, shards, Some(sharing))
    }

    fn with(limits: ChatLimits, budget: Arc<Budget>, shards: usize, sharing: Option<Sharing>) -> Arc<Self> {
        Arc::new(Self {
            limits,
            budget,
            ids: IdCount::default(),
            shards: shards.max(1),
            bound: RoomBound::new(limits.max_rooms),
            new_rooms: Mutex::new(NewRooms::new(limits.max_new_rooms)),
            sharing,
            numbers: AtomicU64::new(0),
        })
    }

    /// How the rooms are shared with other nodes; `None` if they are not.
    pub(crate) fn sharing(&self) -> Option<Sharing> {
        self.sharing
    }

    /// A number that is given out once in this process.
    pub(crate) fn next_number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The shard of a room. Equal in all runs of one build; no file depends on it.
    pub fn shard_of(&self, room: &RoomName) -> ShardId {
        let mut hasher = DefaultHasher::new();
        room.hash(&mut hasher);
        self.shard_at(hasher.finish())
    }

    /// The shard at which a session registers that is in no room.
    pub fn home_of(&self, member: MemberId) -> ShardId {
        self.shard_at(member.number())
    }

    fn shard_at(&self, number: u64) -> ShardId {
        let shards = self.shards as u64;
        ShardId(usize::try_from(number % shards).unwrap_or_default())
    }

    /// The number of shards.
    pub(crate) fn shard_count(&self) -> usize {
        self.shards
    }

    /// All shards.
    pub(crate) fn shards(&self) -> impl Iterator<Item = ShardId> {
        (0..self.shards).map(ShardId)
    }

    /// The bound on rooms, for a shard.
    pub(crate) fn bound(&self, ShardId(shard): ShardId) -> RoomBound {
        self.bound.share(shard)
    }

    /// Whether a client at this address may make a room now.
    pub(crate) fn may_make_room(&self, address: Option<IpAddr>, now: Instant) -> bool {
        self.new_rooms().may_make(address, now)
    }

    /// Counts a room made by a client at this address.
    pub(crate) fn made_room(&self, address: Option<IpAddr>, now: Instant) {
        self.new_rooms().made(address, now);
    }

    fn new_rooms(&self) -> MutexGuard<'_, NewRooms> {
        self.new_rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
